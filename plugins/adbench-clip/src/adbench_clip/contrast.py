"""The contrast of a vector with the abnormal and the normal prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench import PrototypeBank, UsageError

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.07
"""The temperature with which CLIP's training began (arXiv 2103.00020, section 2.5), as anomalib's WinCLIP has it."""


def abnormality(vectors: Tensor, bank: PrototypeBank, temperature: float, who: str) -> Tensor:
    """The probability that vectors are abnormal (WinCLIP, arXiv 2303.14814, Eq. 1).

    The softmax over the cosine similarities to both sides, divided by the temperature; a side of several prototypes is
    as similar as the most similar of them.

    Args:
        vectors: [..., D].
        bank: whose prototypes are [K, D] and [L, D].
        temperature: above 0.
        who: for messages.

    Returns:
        [...] float32, 0 to 1.

    Raises:
        UsageError: vectors and prototypes have different widths.
    """
    if vectors.shape[-1] != bank.normal.shape[-1]:
        raise UsageError(
            f"{who}: the prompts of {bank.title} have {bank.normal.shape[-1]} channels, and what is compared with them"
            f" {vectors.shape[-1]}; give backbone and bank one model, and take patches in the space of text"
        )
    normal, abnormal = (_similarity(vectors, side) for side in (bank.normal, bank.abnormal))
    return ((abnormal - normal) / temperature).sigmoid()  # the softmax of two


def _similarity(vectors: Tensor, prototypes: Tensor) -> Tensor:
    from torch.nn.functional import normalize

    unit = normalize(prototypes.to(vectors.device).float(), dim=-1)
    return (normalize(vectors.float(), dim=-1) @ unit.T).amax(-1)
