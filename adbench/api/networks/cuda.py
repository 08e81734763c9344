"""Fast networks on a GPU: kernels as one graph, and copies of images without waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Compute = Callable[[Tensor], list[Tensor]]

MOST_GRAPHS = 4
"""Graphs that one network keeps: each holds the memory of all its intermediate results."""


class CudaGraphed:
    """Computes as `compute` does; a shape that occurs a second time is recorded, and replayed from then on.

    A replay launches all kernels at once; launched one by one they cost a small network most of its time.

    Args:
        compute: images to tensors, always by the same kernels for one shape.
        record: records `compute` for images of one shape and gives what replays it; another one in tests.

    Attributes:
        notes: why shapes were not recorded, in sentences.
    """

    def __init__(self, compute: Compute, record: Callable[[Compute, Tensor], Compute] | None = None) -> None:
        self.notes: list[str] = []
        self._compute = compute
        self._record = record or cuda_graph
        self._ways: dict[object, Compute | None] = {}

    def __call__(self, images: Tensor) -> list[Tensor]:
        key = (images.shape, images.dtype, images.stride())
        if key not in self._ways:  # perhaps the only batch of its length; tables kept by shape are made now
            self._ways[key] = None
            return self._compute(images)
        way = self._ways[key] or self._recorded(images)
        self._ways[key] = way
        return way(images)

    def _recorded(self, images: Tensor) -> Compute:
        graphs = sum(way not in (None, self._compute) for way in self._ways.values())
        if graphs >= MOST_GRAPHS:
            return self._compute
        try:
            return self._record(self._compute, images)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0][:200]
            self.notes.append(f"images of shape {list(images.shape)} run without a CUDA graph ({reason})")
            return self._compute


def cuda_graph(compute: Compute, images: Tensor) -> Compute:
    """Record a CUDA graph.

    Args:
        compute: what to record; it must not read results back to the CPU.
        images: on the GPU, of the shape that all later images have.

    Returns:
        What replays it. Its answers are copies, which the next replay leaves alone.
    """
    import torch

    # The second restores the stream: a capture that fails leaves torch's own current (`torch.cuda.graph.__exit__`)
    with torch.cuda.device(images.device), torch.cuda.stream(torch.cuda.current_stream(images.device)):
        return _recorded(compute, images.clone())


def _recorded(compute: Compute, given: Tensor) -> Compute:
    """The graph of what is computed from `given`, on the current GPU."""
    import torch

    aside: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # libraries choose their kernels and take their workspaces here
        for _ in range(2):
            compute(given)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # readers may go on pinning memory
        answers = compute(given)

    def replay(images: Tensor) -> list[Tensor]:
        with torch.cuda.device(given.device):
            given.copy_(images)
            graph.replay()
            return [answer.clone() for answer in answers]

    return replay


def to_device(images: Tensor, device: str | torch.device) -> Tensor:
    """Images on a device; copies to a GPU go through pinned memory, so that the CPU continues meanwhile."""
    import torch

    target = torch.device(device)
    if target.type == "cuda" and images.device.type == "cpu":
        return images.pin_memory().to(target, non_blocking=True)
    return images.to(target)
