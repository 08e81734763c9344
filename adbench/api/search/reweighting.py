"""The weight that PatchCore gives to an image's highest patch score (arXiv 2106.08265, section 3.3, Eq. 7).

With m_test the highest patch, m* its nearest vector and N_b(m*) the b vectors nearest to m*:

    w = 1 - exp |m_test - m*| / sum over m in N_b(m*) of exp |m_test - m|

It is small where m* lies among many others that are nearly as close, and large where m* itself is rare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

ReweightForm = Literal["eq7", "anomalib"]
"""Whether the sum of Eq. 7 is over the other neighbours, or over m* as well: then the weight is one of a softmax."""


def patchcore_weight(distances: Tensor, form: ReweightForm) -> Tensor:
    """The weights of the highest patches of some images.

    Args:
        distances: [B, K] of each highest patch, first to m*, then to the neighbours of m*.
        form: ``"eq7"``: the sum is over the neighbours; ``"anomalib"``: over them and m*.

    Returns:
        [B], 0 to 1; 1 where there are no neighbours.
    """
    if distances.shape[1] == 1:
        return distances.new_ones(len(distances))
    excess = distances - distances[:, :1]
    summed = excess[:, 1:] if form == "eq7" else excess
    return summed.logsumexp(1).neg().expm1().neg().clamp(min=0)
