"""Several processes that train one model: ranks, what they say to each other, and how they are started."""

import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from minidalle.data.batches import Rows, rank_slice


class RankFailed(RuntimeError):
    """One of the processes of a training ended before the others. Its message says which, and what it said."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together. A process alone is rank 0 of 1 and talks to nobody."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and reports."""
        return self.rank == 0

    def part(self, whole: Rows) -> Rows:
        """This rank's share of something that there is for every row of the batch, such as what was drawn by lot.

        What is drawn for the whole batch and then shared is the same for any number of ranks.
        """
        return rank_slice(whole, self.rank, self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all ranks, in place; every rank gets the same bits."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def all(self, number: float) -> list[float]:
        """What every rank gives, in order, on every rank."""
        numbers = torch.zeros(self.size, dtype=torch.float64)
        numbers[self.rank] = number
        return self.sum(numbers).tolist()

    def mean(self, values: dict[str, Tensor]) -> dict[str, float]:
        """The mean over all ranks of every number, a scalar; each rank must give the same names.

        All are read at once: to read a number of a GPU is to wait until everything before it is done.
        """
        numbers = torch.stack([value.detach() for value in values.values()])
        if self.size > 1:
            numbers = self.sum(numbers.cpu().double()) / self.size
        return dict(zip(values, numbers.tolist(), strict=True))

    def follow_first(self, *tensors: Tensor) -> None:
        """Copy rank 0's numbers into the same tensors of all others."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def any(self, flag: bool) -> bool:
        """Whether any rank says yes."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag))).item())

    def wait(self) -> None:
        """Return when every rank has come this far."""
        self.any(False)

    def share(self, module: nn.Module, unused: bool = False) -> nn.Module:
        """The module with its gradients averaged over the ranks in every backward pass (torch's own DDP).

        Args:
            module: whose parameters are the same on all ranks.
            unused: whether some steps use only some of them.
        """
        if self.size == 1:
            return module
        # Looking for unused parameters also keeps DDP from regrouping the gradients after the first step. Two
        # numbers have one sum, but more depend on their order, which must be the same after a resume.
        return DistributedDataParallel(module, find_unused_parameters=unused or self.size > 2)


def launch(work: Callable[..., None], size: int, *arguments: Any, **first: Any) -> None:
    """Run `work(ranks, *arguments)` in `size` processes at once; this process is rank 0.

    Each rank gets its share of the cores. `work` and the arguments are pickled, so `work` is a plain function
    of a module. The other ranks leave Ctrl-C to rank 0, and end when it ends. What is given by keyword goes to
    rank 0 alone.

    Raises:
        RankFailed: another rank ended early. An error of rank 0's own comes through as it is.
    """
    if size == 1:
        return work(Ranks(), *arguments, **first)
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="minidalle-") as meeting:
        context = torch.multiprocessing.get_context("spawn")
        others = [
            context.Process(target=_other_rank, args=(meeting, rank, size, work, arguments), daemon=True)
            for rank in range(1, size)
        ]
        try:
            for process in others:
                process.start()
            _wait_for(others, Path(meeting))
            _join(meeting, 0, size)
            work(Ranks(0, size), *arguments, **first)
            dist.barrier()
            for process in others:
                process.join(timeout=5)
        except RuntimeError as error:
            if type(error) is RuntimeError or isinstance(error, dist.DistError):  # gloo's: "connection was lost"
                _explain(error, others, Path(meeting))
            raise
        finally:
            _leave(others)
            torch.set_num_threads(threads)
    return None


def _wait_for(others: Sequence[BaseProcess], meeting: Path) -> None:
    """Return when all have started; to wait in torch for one that could not would take half an hour."""
    while not all((meeting / f"rank-{rank}.here").exists() for rank in range(1, len(others) + 1)):
        if any(process.exitcode is not None for process in others):
            raise RuntimeError("a rank ended before the training began")
        time.sleep(0.02)


def _join(meeting: str, rank: int, size: int) -> None:
    torch.set_num_threads(max(1, cores() // size))
    place = Path(meeting, "store").as_posix().lstrip("/")
    dist.init_process_group("gloo", init_method=f"file:///{place}", rank=rank, world_size=size)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ranks_that_pay(device: str) -> int:
    """How many ranks train fastest here: two of one thread each beat one of two threads on a CPU with two cores."""
    return 2 if device == "cpu" and cores() >= 2 else 1


def _other_rank(meeting: str, rank: int, size: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_rank_0, daemon=True).start()
    sys.stdout = sys.stderr  # only rank 0 talks to the user
    try:
        Path(meeting, f"rank-{rank}.here").touch()
        _join(meeting, rank, size)
        work(Ranks(rank, size), *arguments)
        dist.barrier()
    except BaseException:
        Path(meeting, f"rank-{rank}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(1)


def _follow_rank_0() -> None:
    """End this process when rank 0 ends, in whatever way: nobody else would tell it."""
    rank_0 = parent_process()
    if rank_0 is not None:
        rank_0.join()
        os._exit(1)


def _explain(error: RuntimeError, others: Sequence[BaseProcess], meeting: Path) -> None:
    """Raise `RankFailed` with the name of the rank that ended, if one did."""
    for rank, process in enumerate(others, start=1):
        process.join(timeout=2)
        said = meeting / f"rank-{rank}.txt"
        if process.exitcode not in (None, 0):
            words = said.read_text(encoding="utf-8") if said.exists() else f"exit code {process.exitcode}"
            raise RankFailed(f"rank {rank} of {len(others) + 1} ended: {words.strip()}") from error


def _leave(others: Sequence[BaseProcess]) -> None:
    """End the others, which write nothing and so have nothing to lose, and forget them."""
    for process in others:
        if process.pid is not None:  # it was started
            process.kill()
            process.join()
    if dist.is_initialized():
        dist.destroy_process_group()
