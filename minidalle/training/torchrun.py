"""Ranks that torchrun started: rank 0 works as if it were alone, and the others do what it asks them for."""

import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from itertools import count
from types import FrameType
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from minidalle.errors import InvalidValue, require
from minidalle.runtime import pick_device
from minidalle.training.distributed import RankFailed, Ranks, cores, launch, ranks_that_pay
from minidalle.training.loop import Interrupted

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
LONGEST = timedelta(minutes=30)  # that ranks wait for each other within a training, as while rank 0 writes
POLL = 0.05  # seconds between two looks at what the others say
SILENCE = 2.0  # seconds after which a rank that says nothing while the others fail is taken for dead

GO_ON = "The last checkpoint is whole: the same command goes on from it"

Launch = Callable[..., None]


class Seat(NamedTuple):
    """A process among those that torchrun started, on all machines and on this one."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def machines(self) -> int:
        """How many machines take part."""
        return self.size // self.local_size


def seat(environment: Mapping[str, str] = os.environ) -> Seat | None:
    """The seat that the environment gives to this process; None if nobody started it as one of several.

    Raises:
        InvalidValue: there is half of an environment, or one that makes no sense.
    """
    if not {"RANK", "WORLD_SIZE"} <= environment.keys():
        return None
    missing = ", ".join(name for name in VARIABLES if name not in environment)
    require(not missing, "RANK and WORLD_SIZE are set, missing", missing, "all that torchrun sets, or none of them")
    words = [environment[name] for name in VARIABLES[:4]]
    numbers = all(word.isdigit() for word in words)
    given = dict(zip(VARIABLES, words, strict=False))
    require(numbers, "environment", given, "whole numbers, as torchrun sets them")
    here = Seat(*map(int, words))
    sane = here.rank < here.size and here.local_rank < here.local_size and here.size % here.local_size == 0
    require(sane, "environment", given, "ranks below their sizes, and as many on each machine")
    return here


def follows() -> bool:
    """Whether this process leaves talking and writing to another one."""
    here = seat()
    return here is not None and here.rank > 0


class Meeting(NamedTuple):
    """Where rank 0 works, how many ranks there are, and a block that gives what starts a work on all of them."""

    device: str
    size: int
    group: AbstractContextManager[Launch]


def meet(device: str, ranks: int, usual: int = 0) -> Meeting | None:
    """Join the ranks that torchrun started, or get ready to start some.

    Args:
        device: `auto`, `cpu`, `cuda`, …
        ranks: how many are asked for; 0 for those that torchrun started, or else `usual`.
        usual: 0 for as many as pay on this machine.

    Returns:
        What rank 0 needs. None on another rank, after it did all that rank 0 asked for.

    Raises:
        InvalidValue: there are other ranks than are asked for, or fewer GPUs; or several ranks are to share one.
    """
    if here := seat():
        device = place(here, device, ranks)
        if here.rank:
            follow(here, device)
            return None
        return Meeting(device, here.size, lead(here, device))
    device = str(pick_device(device))
    ranks = ranks or usual or ranks_that_pay(device)
    several = f"; for several: torchrun --nproc-per-node {ranks} -m minidalle …" if device.startswith("cuda") else ""
    require(ranks == 1 or device == "cpu", "--ranks", ranks, f"1 on a GPU{several}")
    return Meeting(device, ranks, nullcontext(launch))


def command(arguments: list[str]) -> str:
    """The command that starts this again with the same arguments, quoted as a shell wants them."""
    here = seat()
    words = subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)
    if here is None:
        return f"minidalle {words}"
    where = f" --nnodes {here.machines} … (the same on each machine)" if here.machines > 1 else ""
    return f"torchrun{where} --nproc-per-node {here.local_size} -m minidalle {words}"


@contextmanager
def lead(here: Seat, device: str) -> Iterator[Launch]:
    """Join the group as its rank 0; gives what does as `minidalle.training.distributed.launch` does.

    Args:
        here: rank 0's seat.
        device: `cpu` or `cuda`, as `place` gives it.

    Raises:
        RankFailed: another rank ended early. An error of rank 0's own comes through as it is.
    """
    jobs = count()
    with _group(here, device) as store:

        def start(work: Callable[..., None], size: int, *arguments: Any, **first: Any) -> None:
            job = next(jobs)
            store.set(f"job {job}", pickle.dumps((work, arguments)))  # type: ignore[arg-type]  # takes bytes too
            try:
                work(Ranks(0, here.size), *arguments, **first)
                for rank in range(1, here.size):
                    _wait_for_rank(store, job, rank)
            except RuntimeError as error:
                if _others_are_gone(error):
                    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, who saw it too: first say who it was
                    raise RankFailed(_whose_fault(store, here.size)) from error
                raise

        yield start
        job = next(jobs)
        store.set(f"job {job}", "")
        for rank in range(1, here.size):
            _wait_for_rank(store, job, rank)


def follow(here: Seat, device: str) -> None:
    """Do what rank 0 asks for, until it has nothing more. It may take its time: nothing here ends for waiting.

    Args:
        here: this rank's seat.
        device: `cpu` or `cuda`, as `place` gives it.
    """
    sys.stdout = sys.stderr  # only rank 0 talks to the user
    signal.signal(signal.SIGINT, _end)
    with _group(here, device) as store:
        for job in count():
            asked = _wait_for(store, f"job {job}")
            if asked:
                work, arguments = pickle.loads(asked)
                try:
                    work(Ranks(here.rank, here.size), *arguments)
                except BaseException as error:
                    words = "" if _others_are_gone(error) else traceback.format_exc()
                    if words and not isinstance(error, Interrupted):  # NCCL may never let rank 0 pass it on
                        print(f"rank {here.rank} of {here.size}: {words}", file=sys.stderr)
                    store.set(f"said {here.rank}", words)
                    sys.exit(1)
            store.set(f"done {job} {here.rank}", "")
            if not asked:
                return


def place(here: Seat, device: str, ranks: int = 0) -> str:
    """Take this rank's own place, such as its GPU, which is the one that `cuda` means from now on.

    Args:
        here: its seat.
        device: `auto`, `cpu` or `cuda`.
        ranks: how many were asked for; 0 for no matter.

    Returns:
        `cpu` or `cuda`.

    Raises:
        InvalidValue: torchrun started another number, or more than there are GPUs; or the device is not there. Of
            a machine's ranks only the first one complains, the others just leave.
    """
    try:
        require(ranks in (0, here.size), "--ranks", ranks, f"{here.size}, which torchrun started, or no --ranks at all")
        own = "auto, cpu or cuda: each of torchrun's ranks takes a GPU of its own"
        require(device in ("auto", "cpu", "cuda"), "--device", device, own)
        kind = pick_device(device).type
        gpus = torch.cuda.device_count() if kind == "cuda" else here.local_size
        enough = f"at most {gpus}, the GPUs of this machine; or --device cpu"
        require(here.local_size <= gpus, "--nproc-per-node", here.local_size, enough)
    except InvalidValue:
        if here.local_rank:
            sys.exit(2)
        raise
    if kind == "cuda":
        torch.cuda.set_device(here.local_rank)
    return kind


@contextmanager
def _group(here: Seat, device: str) -> Iterator[dist.Store]:
    """Be in torchrun's group: what is on GPUs is sent by NCCL, all else by gloo. Gives a place for messages."""
    threads, handler = torch.get_num_threads(), signal.signal(signal.SIGTERM, _end)
    torch.set_num_threads(max(1, cores() // here.local_size))
    store, rank, size = next(dist.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")  # with --max-restarts, the store outlives the ranks
    messages, group = (dist.PrefixStore(f"{name} {attempt}", store) for name in ("minidalle", "group"))
    if rank == 0:
        messages.set("rank 0", "is here")
    _wait_for(messages, "rank 0")
    dist.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=LONGEST)
    try:
        yield messages
        dist.destroy_process_group()  # not after an error: NCCL would wait for a rank that is gone
    finally:
        signal.signal(signal.SIGTERM, handler)
        torch.set_num_threads(threads)


def _end(signum: int, frame: FrameType | None) -> None:
    """Leave without a word, where there is no training that could save."""
    sys.exit(128 + signum)


def _wait_for(store: dist.Store, key: str) -> bytes:
    """What rank 0 says under a key, however long it takes."""
    try:
        while not store.check([key]):
            time.sleep(POLL)
        return store.get(key)
    except dist.DistError:
        sys.exit(1)  # the store went with rank 0, which says why, or with torchrun


def _wait_for_rank(store: dist.Store, job: int, rank: int) -> None:
    """Return when a rank has done its job, however long it takes."""
    while not store.check([f"done {job} {rank}"]):
        if store.check([f"said {rank}"]):
            raise dist.DistError(f"rank {rank} failed")
        time.sleep(POLL)


def _others_are_gone(error: BaseException) -> bool:
    """Whether this is how gloo or NCCL say that another rank does not answer."""
    return isinstance(error, dist.DistError) or (type(error) is RuntimeError and "gloo" in str(error))


def _whose_fault(store: dist.Store, size: int) -> str:
    """Which rank ended first, and what it said. The others say that they lost it; who was killed says nothing."""
    silent, own = set(range(1, size)), dict[int, str]()
    deadline = time.monotonic() + SILENCE
    while silent and not own and time.monotonic() < deadline:
        for rank in [rank for rank in silent if store.check([f"said {rank}"])]:
            silent.remove(rank)
            if words := store.get(f"said {rank}").decode():
                own[rank] = words
        time.sleep(POLL)
    for rank, words in own.items():
        return f"rank {rank} of {size} ended: {words.strip()}"
    who = f"rank {min(silent)}" if len(silent) == 1 else f"one of the ranks {sorted(silent) or list(range(1, size))}"
    return f"{who} of {size} ended without a word: it was killed, or its machine is gone. {GO_ON}"
