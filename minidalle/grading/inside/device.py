"""A GPU is opened before the answer's clock runs, and before there are limits that its driver would break."""

SIDE = 2048  # 16 MB of numbers; what is freed stays with the process, for its answer


def in_a_line(error: BaseException) -> str:
    """An error's kind and the first line of its words."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def start(device: str) -> None:
    """Open a device, and load what a product and a convolution need there: seconds, in each process anew.

    Raises:
        Exception: there is none, or it cannot be used; of whatever kind torch raises.
    """
    if device == "cpu":
        return
    import torch

    picture = torch.ones(1, 1, SIDE, SIDE, device=device)
    small = picture[..., :8, :8]
    float(torch.nn.functional.conv2d(small, small).sum() + (picture @ picture).sum())  # read, or nobody waits for it
