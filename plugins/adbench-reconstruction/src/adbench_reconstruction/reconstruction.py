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
    reconstruction = bank.reconstruct(query).float()
    _require_sound(reconstruction, patches, "reconstruct()", "patches'", bank)
    return patches.to(reconstruction), reconstruction


def image_reconstruction_of(query: Features, bank: ReconstructionBank, who: str) -> tuple[Tensor, Tensor]:
    """The vectors of whole images and their reconstruction, both [B, D] float32 on the bank's device.

    Raises:
        ContractError: there are no image vectors, or the bank's answer has another shape or is not finite.
        UsageError: the bank reconstructs patches alone.
    """
    vectors = query.need_image(who)
    reconstruction = bank.reconstruct_image(query).float()
    _require_sound(reconstruction, vectors, "reconstruct_image()", "image vectors'", bank)
    return vectors.to(reconstruction), reconstruction


def _require_sound(answer: Tensor, given: Tensor, method: str, whose: str, bank: ReconstructionBank) -> None:
    import torch

    if answer.shape != given.shape:
        message = f"{method} must return the {whose} shape {list(given.shape)}, got {list(answer.shape)}"
        raise ContractError(bank.title, message)
    if not torch.compiler.is_exporting() and not answer.isfinite().all():
        raise ContractError(bank.title, f"{method} must return finite values, but has NaN or infinity")
