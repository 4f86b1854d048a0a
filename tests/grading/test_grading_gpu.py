"""Answers on a GPU: what the sandbox shows of it, that it is open before an answer's clock runs, and whose fault it is.

No GPU is needed but for the last test: the device "cpu:0" goes all the ways of one, and the file that opens it, in the
sandbox's copy of the package, is one that a test writes.
"""

import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from grading_class import needs_sandbox

from minidalle.cli.grading import grade_class
from minidalle.course.checking.answer import examine
from minidalle.course.checking.judge import DeviceFailed, expected
from minidalle.course.notebook_code import Asked, Cell
from minidalle.course.start import PACKAGE
from minidalle.errors import InvalidValue
from minidalle.exercises import EXERCISES
from minidalle.grading import confinement, container
from minidalle.grading.judge import Verdict, grade_cells
from minidalle.grading.limits import Limits, limits_on
from minidalle.grading.sandbox import Sandbox
from minidalle.grading.warm_sandbox import require_device_inside

ID = "bart.padding_mask"
RIGHT = "def padding_mask(mask):\n    return mask[:, None, None, :]\n"
LIKE_A_GPU = "cpu:0"
KINDS = pytest.mark.parametrize("unsafe", [pytest.param(False, marks=needs_sandbox), True])


def graded(source: str, sandbox: Sandbox, id: str = ID) -> Verdict:
    return grade_cells([Cell("code cell 1", source)], [Asked(id, EXERCISES[id].name)], EXERCISES, sandbox)[0]


def before_its_return(line: str) -> str:
    return RIGHT.replace("    return", f"    {line}\n    return")


def opened_by(sandbox: Sandbox, lines: str) -> None:
    """Let these lines open the device, in each process of a sandbox."""
    file = sandbox.course / "minidalle/grading/inside/device.py"
    text = file.read_text()
    begin = text.index("def start(")
    file.write_text(f"{text[:begin]}def start(device):\n{lines}\n")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Files of a machine with a GPU, and of one in WSL, which are not there; and the driver's folder, which is."""
    there = (
        "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dxg", "/dev/sda",
        "/sys/module/nvidia", "/sys/module/nvidia_uvm", "/sys/module/ext4", "/sys/class/net",
        "/sys/devices/system/node", "/sys/bus/pci/devices", "/sys/bus/pci/drivers/nvidia/0000:01:00.0",
    )  # fmt: skip
    real = Path.glob

    def glob(folder: Path, pattern: str) -> Iterator[Path]:
        if str(folder) not in ("/dev", "/sys"):
            return real(folder, pattern)
        return (Path(one) for one in there if fnmatch(one, f"{folder}/{pattern}"))

    monkeypatch.setattr(Path, "glob", glob)
    drivers = tmp_path / "drivers"
    drivers.mkdir()
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "grades.csv"):
        (drivers / name).touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}:{drivers}/:relative:")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    return drivers


def test_for_a_gpu_there_is_what_cuda_needs_and_else_nothing_of_it(machine: Path) -> None:
    without, with_gpu = ({*confinement.confined(Path("/x"), ["true"], device).command} for device in ("cpu", "cuda"))
    cards = {"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dxg"}
    kernels = {"/sys/module/nvidia", "/sys/module/nvidia_uvm", "/sys/devices/system/node", "/sys/bus/pci/devices",
               "/sys/bus/pci/drivers/nvidia/0000:01:00.0"}  # fmt: skip
    driver = {f"{machine}/libcuda.so.1", f"{machine}/libnvidia-ml.so.1"}
    assert cards | kernels | driver | {"CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"} <= with_gpu
    assert not {"/dev/sda", "/sys/module/ext4", "/sys/class/net", f"{machine}/grades.csv"} & with_gpu
    assert not [word for word in without if word.startswith(("/sys", "/dev/", str(machine), "CUDA", "LD_"))]
    bound = pairwise(confinement.confined(Path("/x"), ["true"], "cuda").command)
    assert {how for how, what in bound if what in {*kernels, *driver} and how.startswith("--")} == {"--ro-bind-try"}


def test_the_variables_that_choose_a_gpu_are_handed_on_where_there_is_one(machine: Path) -> None:
    assert not {"CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"} & confinement.environment("/course").keys()
    inside = confinement.environment("/course", "cuda")
    assert (inside["CUDA_VISIBLE_DEVICES"], inside["LD_LIBRARY_PATH"]) == ("1", str(machine))
    assert confinement.unconfined(Path("/x"), ["true"], "cuda").options["env"]["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES=1" in container.in_container(Path("/x"), "one", "cuda", Limits()).command
    assert "CUDA_VISIBLE_DEVICES=1" not in container.in_container(Path("/x"), "one", "cpu", Limits()).command


@needs_sandbox
def test_of_the_kernels_files_no_more_is_seen() -> None:
    look = "import os; print(*sorted(f'{at}:{name}' for at in ('/sys', '/sys/devices') for name in os.listdir(at)))"
    start = confinement.confined(PACKAGE.parent, [sys.executable, "-s", "-c", look], "cuda")
    done = subprocess.run(start.command, capture_output=True, text=True, check=True, **start.options)
    assert {*done.stdout.split()} <= {"/sys:bus", "/sys:devices", "/sys:module", "/sys/devices:system"}


def test_a_gpu_has_other_limits() -> None:
    assert limits_on("cpu") == Limits()
    assert limits_on("cuda").files > 1000
    assert limits_on("cuda").memory > Limits().memory
    with Sandbox(unsafe=True, device="cuda") as sandbox:
        assert sandbox.limits == limits_on("cuda")


@KINDS
def test_a_gpu_that_is_slow_to_open_costs_an_answer_no_time(unsafe: bool) -> None:
    """Nor has it the answer's limits: a file of 20 MB, and 2 GB of memory."""
    limits = Limits(seconds=1, memory=100)
    slow = (
        "    import mmap, tempfile, time\n    assert device == 'cpu:0'\n    time.sleep(1.5)\n"
        "    tempfile.TemporaryFile().write(bytes(20 << 20))\n    mmap.mmap(-1, 2 << 30)"
    )
    with Sandbox(unsafe=unsafe, device=LIKE_A_GPU, limits=limits) as sandbox:
        opened_by(sandbox, slow)
        right = graded(RIGHT, sandbox)
        assert not right.ungraded
        assert right.report.passed, str(right.report)
        wrong = graded(RIGHT.replace("mask[", "~mask["), sandbox)
        assert (wrong.report.passed, wrong.ungraded) == (False, "")


@needs_sandbox
def test_a_drivers_threads_are_shut_in_like_the_answer() -> None:
    """Those that open the device begin when system calls are refused: a thread keeps what it began with."""
    asks = (
        "    import ctypes\n    from threading import Thread\n    told = []\n"
        "    one = Thread(target=lambda: told.append(ctypes.CDLL(None).personality(-1)))\n"
        "    one.start(); one.join()\n    raise ValueError(f'personality says {told}')"
    )
    with Sandbox(device=LIKE_A_GPU) as sandbox:
        opened_by(sandbox, asks)
        assert "personality says [-1]" in graded(RIGHT, sandbox).ungraded


@KINDS
def test_without_a_gpu_inside_nothing_is_graded(unsafe: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Torch finds one out here, and the sandbox has none."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("minidalle.cli.grading.lessons_with_work", lambda *_: ["01-tokenization"])
    monkeypatch.chdir(tmp_path)
    words = r"^device='cuda': expected cpu, as answers cannot use this GPU in the sandbox: \w+: .*(CUDA|NVIDIA)"
    with pytest.raises(InvalidValue, match=words):
        grade_class(None, "*", 1, "cuda", None, force=False, unsafe=unsafe, draw_secret=False)
    require_device_inside("cpu", unsafe)


@KINDS
def test_a_gpu_that_cannot_be_opened_is_no_fault_of_an_answer(unsafe: bool) -> None:
    with Sandbox(unsafe=unsafe, device=LIKE_A_GPU) as sandbox:
        opened_by(sandbox, "    raise RuntimeError('CUDA error: out of memory\\nmore words')")
        verdict = graded(RIGHT, sandbox)
    assert verdict.ungraded == "the sandbox failed: RuntimeError: CUDA error: out of memory"
    assert verdict.report.points == 0


def test_a_gpu_that_is_lost_meanwhile_is_no_fault_of_an_answer() -> None:
    """It is asked once more, and that finds no GPU; the file by which this one is lost needs a place that stays."""
    lost = RIGHT.replace(
        "    return", "    open(mark, 'w').close(); raise RuntimeError('CUDA error: lost')\n    return"
    )
    ended = RIGHT.replace("    return", "    open(mark, 'w').close(); import os; os._exit(1)\n    return")
    for source in (lost, ended):
        with Sandbox(unsafe=True, device=LIKE_A_GPU) as sandbox:
            mark = sandbox.course / "lost"
            opened_by(sandbox, f"    import os\n    if os.path.exists({str(mark)!r}): raise RuntimeError('no GPU')")
            verdict = graded(source.replace("mark,", f"{str(mark)!r},"), sandbox)
        assert verdict.ungraded == "the sandbox failed: RuntimeError: no GPU"


@KINDS
def test_an_answer_that_breaks_a_gpu_each_time_is_wrong_and_not_a_persons_work(unsafe: bool) -> None:
    with Sandbox(unsafe=unsafe, device=LIKE_A_GPU) as sandbox:
        broken = RIGHT.replace(
            "    return", "    raise RuntimeError('CUDA error: device-side assert triggered')\n    return"
        )
        verdict = graded(broken, sandbox)
        assert (verdict.report.points, verdict.ungraded) == (0, "")
        assert "device-side assert triggered" in str(verdict.report)
        ended = graded(before_its_return("import os; os._exit(1)"), sandbox)
        assert (ended.report.points, ended.ungraded) == (0, "")


def test_nothing_is_measured_by_a_gpu_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the reference would be everybody's, for it is remembered."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceFailed, match=r"cuda fails: .*CUDA"):
        expected(EXERCISES[ID], 0, "cuda")
    with Sandbox(unsafe=True, device=LIKE_A_GPU) as sandbox:
        sandbox.require_working()
        monkeypatch.setattr("minidalle.grading.judge.report_on", lambda *_: expected(EXERCISES[ID], 0, "cuda"))
        assert "cuda fails" in graded(RIGHT, sandbox).ungraded


@pytest.mark.gpu
@KINDS
def test_on_a_gpu(unsafe: bool, cuda: torch.device) -> None:
    """What is right has full points, what is wrong is named, and an index out of range costs that answer alone."""
    with Sandbox(["import torch"], unsafe, str(cuda)) as sandbox:
        right, wrong = graded(RIGHT, sandbox), graded(RIGHT.replace("mask[", "~mask["), sandbox)
        assert right.report.passed, f"{right.ungraded}{right.report}"
        assert wrong.report == examine(EXERCISES[ID], lambda mask: ~mask[:, None, None, :], device=str(cuda))
        out_of_range = RIGHT.replace("mask[", "mask[torch.arange(99, device=mask.device)][")
        assert graded(f"import torch\n{out_of_range}", sandbox).report.points == 0
        assert graded(RIGHT, sandbox).report.passed
