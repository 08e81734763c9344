"""The memory that is free, and the refusal of what would not fit into it."""

from __future__ import annotations

from adbench.errors import UsageError

GB = 10**9


def free_bytes(device: str) -> int:
    """Memory that is free on a device: on a GPU the device's own, with what torch keeps for reuse."""
    import torch

    target = torch.device(device)
    if target.type == "cuda":
        free, _ = torch.cuda.mem_get_info(target)
        return free + torch.cuda.memory_reserved(target) - torch.cuda.memory_allocated(target)
    import psutil

    return int(psutil.virtual_memory().available)


def require_room(need: float, what: str, way_out: str, device: str) -> None:
    """Refuse what needs more bytes than are free, before it is built.

    Args:
        need: bytes.
        what: who needs them and for what; begins the message.
        way_out: what the user can do instead; ends the message.
        device: torch's name of the device.

    Raises:
        UsageError: less is free.
    """
    free = free_bytes(device)
    if need > free:
        raise UsageError(f"{what} would need {need / GB:.2g} GB, but {free / GB:.2g} GB are free ({device}); {way_out}")
