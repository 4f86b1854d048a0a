"""torch as it is when it was just imported: no check, no reference and no verdict depends on a notebook's settings."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def ordinary_torch() -> Iterator[None]:
    """Undo for a while what a notebook may have set, and afterwards what was set meanwhile.

    Autograd is on, float32 and the CPU are what is made where nothing else is asked for, nothing is cast; random
    numbers drawn meanwhile are not missing afterwards.
    """
    dtype = torch.get_default_dtype()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(gpus))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        yield
