"""Refuses what would not fit into memory before it is built."""

from __future__ import annotations

GB = 1e9


def free_bytes(device: str) -> int:
    """Memory that can still be had on a device: on a GPU the device's own, with what torch keeps for reuse."""
    import torch

    target = torch.device(device)
    if target.type == "cuda":
        free, _ = torch.cuda.mem_get_info(target)
        return free + torch.cuda.memory_reserved(target) - torch.cuda.memory_allocated(target)
    import psutil

    return int(psutil.virtual_memory().available)


def make_sure_of_room(need: int, what: str, way_out: str, device: str) -> None:
    """Refuse what needs more bytes than are free.

    Args:
        need: bytes.
        what: who needs them and for what; begins the message.
        way_out: what to do instead; ends it.
        device: where.

    Raises:
        UsageError: less is free.
    """
    from adbench import UsageError

    free = free_bytes(device)
    if need > free:
        raise UsageError(f"{what} would need {need / GB:.2g} GB, but {free / GB:.2g} GB are free ({device}); {way_out}")
