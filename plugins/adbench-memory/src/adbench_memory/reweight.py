"""The weight that PatchCore gives to an image's highest patch score (arXiv 2106.08265, section 3.3, Eq. 7).

With m_test the highest patch, m* its nearest vector and N_b(m*) the b vectors nearest to m*:

    w = 1 - exp |m_test - m*| / sum over m in N_b(m*) of exp |m_test - m|

It is small where m* lies among many others that are nearly as close, and large where m* itself is a rarity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import VectorBank


def neighbourhood(
    bank: VectorBank, known: Tensor, count: int, metric: str, exclude: Sequence[str] | None = None
) -> Tensor:
    """[B, count] indices of the vectors nearest to the vectors `known` [B], which come first themselves.

    Fewer where the bank has fewer. `exclude` holds an id a row, whose own vectors do not count.
    """
    import torch

    owned = Counter(bank.owners) if exclude is not None else Counter[str]()
    reachable = len(bank.vectors) - max((owned[name] for name in exclude or ()), default=0)
    _, around = bank.search(bank.vectors[known], min(count, reachable), metric, exclude=exclude)
    itself = around == known[:, None]  # not always the first: it may have twins, and not even be among the found
    place = torch.where(itself.any(1), itself.int().argmax(1), around.shape[1] - 1)
    around = around.scatter(1, place[:, None], around[:, :1])
    around[:, 0] = known
    return around


def distances_between(rows: Tensor, vectors: Tensor, metric: str) -> Tensor:
    """[B, K] distances from each of `rows` [B, C] to its own `vectors` [B, K, C]."""
    import torch

    if metric == "l2":
        return (vectors - rows[:, None]).square().sum(-1).sqrt()
    return 1 - torch.cosine_similarity(vectors, rows[:, None], dim=-1)


def weight(distances: Tensor, form: str) -> Tensor:
    """[B] weights from the distances [B, K] of m_test to m* (the first) and to its neighbours; 1 without neighbours.

    Args:
        distances: first to m*, then to its neighbours.
        form: ``"eq7"``: the sum is over the neighbours; ``"anomalib"``: over them and m*, a softmax.
    """
    if distances.shape[1] == 1:
        return distances.new_ones(len(distances))
    beyond = distances - distances[:, :1]
    summed = beyond[:, 1:] if form == "eq7" else beyond
    return summed.logsumexp(1).neg().expm1().neg().clamp(min=0)
