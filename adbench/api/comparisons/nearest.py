"""The comparison of a patch with the nearest vector of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adbench.api.comparisons.patch import Aspect, NormalPatch, PatchComparison

if TYPE_CHECKING:
    from torch import Tensor

    from adbench.api.bank import VectorBank

NO_DISTANCE = "the distance is 0, so that nothing has a share in it"


def compare_with_nearest(row: Tensor, bank: VectorBank, metric: str = "l2") -> PatchComparison:
    """The comparison of a patch with the nearest vector of a bank.

    A cosine distance is half the squared Euclidean distance of the vectors at unit length, so that its shares are those
    of the differences of these.

    Args:
        row: [C].
        bank: fitted.
        metric: ``"l2"`` or ``"cosine"``.
    """
    distances, index = bank.search(row[None], 1, metric)
    number = int(index)
    nearest = NormalPatch(bank.owners[number], bank.place_of(number))
    return compare_with_vector(row, bank.vectors[number], float(distances), nearest, metric)


def compare_with_vector(
    row: Tensor, vector: Tensor, distance: float, nearest: NormalPatch | None, metric: str = "l2"
) -> PatchComparison:
    """The comparison of a patch with the vector that is known to be the nearest.

    Args:
        row: [C].
        vector: [C], the nearest one.
        distance: of the two.
        nearest: the normal patch that the vector is of; None where the bank does not know it.
        metric: ``"l2"`` or ``"cosine"``.
    """
    shares = shares_of(*_compared(row.to(vector), vector, metric))
    reasons: dict[Aspect, str] = {}
    if nearest is None:
        reasons["nearest"] = "the bank does not hold the names of its images; it does so from its next fit on"
    elif nearest.place is None:
        reasons["place"] = (
            "the bank holds no places of its patches; a bank that keeps them does so from its next fit on"
        )
    if shares is None:
        reasons["layers"] = NO_DISTANCE
    return PatchComparison(distance, nearest, shares, None, reasons)


def _compared(row: Tensor, vector: Tensor, metric: str) -> tuple[Tensor, Tensor]:
    from torch.nn.functional import normalize

    return (row, vector) if metric == "l2" else (normalize(row, dim=0), normalize(vector, dim=0))


def shares_of(row: Tensor, other: Tensor) -> Tensor | None:
    """[C] float64: the share of each channel in the squared distance of two vectors [C]; None if that is 0."""
    squares = (row.double() - other.double()).square()
    total = squares.sum()
    return squares / total if bool(total > 0) else None
