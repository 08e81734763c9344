"""The reconstruction of patches by any `ReconstructionBank`, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import ContractError

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features, ReconstructionBank


def reconstruction_of(query: Features, bank: ReconstructionBank, who: str) -> tuple[Tensor, Tensor]:
    """The patches and their reconstruction, both [B, H, W, C] float32 on the bank's device.

    Raises:
        ContractError: there are no patches, or the bank's answer has another shape or is not finite.
    """
    patches = query.need_patches(who)
    import torch

    reconstruction = bank.reconstruct(query).float()
    if reconstruction.shape != patches.shape:
        message = (
            f"reconstruct() must return the patches' shape {list(patches.shape)}, got {list(reconstruction.shape)}"
        )
        raise ContractError(bank.title, message)
    if not torch.compiler.is_exporting() and not reconstruction.isfinite().all():
        raise ContractError(bank.title, "reconstruct() must return finite values, but has NaN or infinity")
    return patches.to(reconstruction), reconstruction
