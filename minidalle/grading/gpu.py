"""What CUDA needs of the machine inside of the sandbox, and no more: device files, the cards,
the driver's library, and the variables that choose a card.

Without `/sys/module/nvidia` the driver does not start (https://github.com/igo95862/bubblejail/issues/123), nor without
`memfd_create` (https://github.com/NVIDIA/OpenShell/issues/1696). Of the rest of `/sys` there is what NVIDIA's own
sandbox shows (https://github.com/NVIDIA/NemoClaw), and not all of it, for it tells of disks, networks and services.
"""

import os
from collections.abc import Iterator
from pathlib import Path

NODES = ("nvidia*", "dxg")  # in /dev; the second is WSL's
SYSTEM = ("devices/system/cpu", "devices/system/memory", "devices/system/node")
KERNEL = ("module/nvidia*", "bus/pci/devices", "bus/pci/drivers/nvidia", *SYSTEM)  # in /sys
DRIVER, ITS_OWN = "libcuda.so.1", ("libcuda*", "libnvidia*")
CHOICE = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


def nodes() -> list[str]:
    """The device files."""
    return sorted(str(found) for pattern in NODES for found in Path("/dev").glob(pattern))


def files() -> Iterator[str]:
    """Files and folders to read: the kernel's on each card, and the driver's library where LD_LIBRARY_PATH has it."""
    system = Path("/sys")
    yield from (str(found) for pattern in KERNEL for found in system.glob(pattern))
    yield from (str(card.resolve()) for card in system.glob("bus/pci/drivers/nvidia/*:*"))
    for folder in _folders():
        yield from (str(found) for pattern in ITS_OWN for found in Path(folder).glob(pattern))


def variables() -> dict[str, str]:
    """Variables that are handed on; of LD_LIBRARY_PATH the folders that hold the driver's library."""
    chosen = {name: os.environ[name] for name in CHOICE if name in os.environ}
    folders = [*_folders()]
    return chosen | ({"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {})


def _folders() -> Iterator[str]:
    for folder in map(os.path.normpath, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        if os.path.isabs(folder) and os.path.isfile(os.path.join(folder, DRIVER)):
            yield folder
