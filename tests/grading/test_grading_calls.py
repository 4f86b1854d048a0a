"""The filter of system calls: its numbers against the kernel's own tables, and what it says to each call.

On x86_64 it is also seen to work, as `test_grading_attacks_harm.py` asks for several of these calls. No aarch64 machine
was at hand, so there the filter was never run: its numbers are compared, and its program is gone through here.
"""

import ctypes
import re
from pathlib import Path

import pytest

from minidalle.grading.inside import calls

TABLES = {  # of Debian's linux-libc-dev; aarch64 has the numbers that are common to all newer machines
    "x86_64": ("asm/unistd_64.h", "x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": ("asm-generic/unistd.h",),
}


def table(machine: str) -> dict[str, int]:
    """Call → number, as this system's header has them."""
    for name in TABLES[machine]:
        file = Path("/usr/include", name)
        if file.is_file():
            found = re.findall(r"#define __NR_(\w+)\s+(\d+)\n", file.read_text())
            return {name: int(number) for name, number in found}
    pytest.skip(f"no {' or '.join(TABLES[machine])} in /usr/include: linux-libc-dev has it")


@pytest.mark.parametrize("machine", calls.NUMBERS)
def test_numbers_are_the_kernels(machine: str) -> None:
    kernels = table(machine)
    assert {name: kernels.get(name) for name in calls.NUMBERS[machine]} == calls.NUMBERS[machine]


def test_both_machines_refuse_the_same() -> None:
    assert calls.NUMBERS["aarch64"].keys() == calls.NUMBERS["x86_64"].keys()


def answer(machine: str, architecture: int, number: int) -> int:
    """What a machine's filter says to a call: its program, step by step, as the kernel goes through it."""
    steps = [*calls._steps(calls.MACHINE[machine], [*calls.NUMBERS[machine].values()])]
    data, at, loaded = {calls.ARCHITECTURE: architecture, calls.NUMBER: number}, 0, 0
    while True:
        step = steps[at]
        at += 1
        if step.code == calls.LOAD:
            loaded = data[step.k]
        elif step.code == calls.RETURN:
            return int(step.k)
        else:
            holds = loaded == step.k if step.code == calls.EQUAL else loaded >= step.k
            at += step.yes if holds else step.no


@pytest.mark.parametrize("machine", calls.NUMBERS)
def test_what_the_filter_says(machine: str) -> None:
    own, other = calls.MACHINE[machine], next(one for name, one in calls.MACHINE.items() if name != machine)
    refused = {*calls.NUMBERS[machine].values()}
    for number in range(600):
        assert answer(machine, own, number) == (calls.REFUSE if number in refused else calls.ALLOW)
        assert answer(machine, other, number) == calls.REFUSE
    for number in (calls.OTHER_NUMBERS, calls.OTHER_NUMBERS + 272, 0xFFFFFFFF):
        assert answer(machine, own, number) == calls.REFUSE
    assert answer(machine, 0x40000003, 120) == calls.REFUSE  # 32 bits of x86: its clone


def test_steps_are_as_the_kernel_has_them() -> None:
    """`struct sock_filter` of linux/filter.h."""
    assert ctypes.sizeof(calls._Step) == 8
    assert [getattr(calls._Step, name).offset for name in ("code", "yes", "no", "k")] == [0, 2, 3, 4]
    assert max(map(len, calls.NUMBERS.values())) < 250  # how far a step jumps is one byte
