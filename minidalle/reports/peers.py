"""Other people's code, timed in a process of its own: it may turn autograd off for good, take all threads, or fail."""

import gc
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from minidalle.reports.machine import seconds

Prepare = Callable[[dict[str, Any], torch.device], Callable[[], object]]
"""Builds a peer as it is asked for, on a device; gives the work that is to be timed."""


def ask(program: str, wanted: Sequence[dict[str, Any]]) -> list[Any]:
    """What a program of this package says to each of these, by `answer`; the last words of one that failed to all."""
    gc.collect()  # the GPU memory that is ours no more is theirs
    torch.cuda.empty_cache()
    command = [sys.executable, "-m", program, json.dumps(list(wanted))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return [(done.stderr.strip().splitlines() or ["it stopped without a word"])[-1]] * len(wanted)
    return json.loads(done.stdout.splitlines()[-1])


def answer(timed: Callable[[dict[str, Any]], Any]) -> None:
    """The other side of `ask`: print what there is to say to each that the program's argument asks for."""
    torch.manual_seed(0)
    print(json.dumps([timed(asked) for asked in json.loads(sys.argv[1])]))


def timed_peer(
    asked: dict[str, Any],
    needs: Mapping[str, Sequence[str]],
    prepare: Mapping[str, Prepare],
    block: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[float] | str:
    """Seconds of each run of a peer, or why there are none.

    Args:
        asked: `peer`, `device`, `threads`, `runs`, and what its `prepare` wants to know.
        needs: for each peer, the modules that have to be there.
        prepare: for each peer, what builds it.
        block: makes the block to time it in.
    """
    if any(importlib.util.find_spec(module) is None for module in needs[asked["peer"]]):
        return "not installed"
    device = torch.device(asked["device"])
    try:
        work = prepare[asked["peer"]](asked, device)
        torch.set_num_threads(asked["threads"])  # min-dalle takes all
        with block():
            return seconds(work, device, asked["runs"])
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
