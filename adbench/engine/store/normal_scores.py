"""Image scores of normal images; thresholds follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from adbench.engine.store.pixel_evidence import PixelEvidence


@dataclass(frozen=True)
class NormalScores:
    """Image scores of normal images by banks that did not learn from them.

    Attributes:
        values: [N] float32; none where the method gives no such scores.
        source: how they came about: ``"held-out 20 %"`` or ``"cross-fitted k=5"``.
        reason: why there are none; else empty.
        made: False where the rule of the run could not have used them, so that none were made: another rule needs
            another run.
        pixels: mean and standard deviation of the pixels of these images' maps on the evaluation grid; None where the
            dataset does not ask for them, or the method makes no maps.
        evidence: of a pixel's score among the pixels of these maps; None where the method makes no maps.
    """

    values: np.ndarray
    source: str
    reason: str = ""
    made: bool = True
    pixels: tuple[float, float] | None = None
    evidence: PixelEvidence | None = None
