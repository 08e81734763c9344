"""How much memory there is, and the refusal to plan for more."""

from __future__ import annotations

from adbench import UsageError

GB = 10**9
FEWER = "use bank 'coreset' with memory=GB, which selects a few of them in so much memory"


def free_bytes(device: str) -> int:
    """Memory that can still be had on a device: on a GPU the device's own, with what torch keeps for reuse."""
    import torch

    target = torch.device(device)
    if target.type == "cuda":
        free, _ = torch.cuda.mem_get_info(target)
        return free + torch.cuda.memory_reserved(target) - torch.cuda.memory_allocated(target)
    import psutil

    return int(psutil.virtual_memory().available)


def make_sure_of_room(vectors: int, channels: int, share: float, device: str, who: str, way_out: str = FEWER) -> None:
    """Refuse vectors that would not fit.

    Args:
        vectors: how many float32 vectors are to be held.
        channels: their length.
        share: bytes that are needed in all for each byte of them.
        device: where.
        who: the component that asks, as messages write it.
        way_out: what the user can do, as the message says it.

    Raises:
        UsageError: they need more than is free.
    """
    need, free = 4 * vectors * channels * share, free_bytes(device)
    if need > free:
        raise UsageError(
            f"{who} would need {need / GB:.2g} GB for {vectors:,} vectors of {channels} channels, but"
            f" {free / GB:.2g} GB are free ({device}); {way_out}"
        )
