"""What a `ReconstructionBank` makes of patches, whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import ContractError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features, ReconstructionBank


def redrawn(query: Features, bank: ReconstructionBank, who: str) -> tuple[Tensor, Tensor]:
    """The patches and what the bank makes of them, both [B, H, W, C] float32 on the bank's device.

    Raises:
        ContractError: there are no patches, or the bank's answer has another shape or is not finite.
    """
    patches = query.need_patches(who)
    seen = bank.reconstruct(query).float()
    if seen.shape != patches.shape:
        told = f"it has to redraw patches {list(patches.shape)} as such, but gave {list(seen.shape)}"
        raise ContractError(bank.title, told)
    if not seen.isfinite().all():
        raise ContractError(bank.title, "what it redraws has to be finite, but has NaN or infinity")
    return patches.to(seen), seen
