"""A GPU is told once what a token takes, and then only "again": a CUDA graph instead of hundreds of launches."""

from collections.abc import Callable, Iterable

import torch

WARM_UPS = 3  # steps before recording, as torch's manual has them: libraries choose kernels and make room


class StepGraphs:
    """A step, recorded once for each of some sizes of the room that attention looks over, on the current GPU.

    Args:
        step: takes a room; reads and writes tensors that stay where they are, and never waits for the GPU.
        restart: puts those tensors back to the first token; warming up moves them.
        rooms: the sizes to record.
    """

    def __init__(self, step: Callable[[int], None], restart: Callable[[], None], rooms: Iterable[int]) -> None:
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        pool = torch.cuda.graph_pool_handle()  # the graphs run one at a time: they may share their memory
        for room in sorted(rooms, reverse=True):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    restart()
                    step(room)
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            self._graphs[room] = torch.cuda.CUDAGraph()
            # on a stream of this GPU's: torch's own is one of the GPU that recorded first
            with torch.cuda.graph(self._graphs[room], pool=pool, stream=side):
                step(room)

    def __call__(self, room: int) -> None:
        """Play the step again."""
        self._graphs[room].replay()
