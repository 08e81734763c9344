"""What the score of a patch is made of, for explanations: `from adbench.comparisons import PatchComparison`.

- `PatchComparison`: what a scorer says of one patch: distance, nearest normal patch, shares of channels and modes.
- `NormalPatch`, `PatchPlace`: a patch that a bank keeps: its image, and its place in the patch grid.
- `compare_with_nearest`: the comparison with the nearest vector of a `VectorBank`.
- `compare_with_vector`: the comparison with a vector that is known to be the nearest.
- `shares_of`: the shares of channels in a squared distance.
- `Aspect`: what a comparison may lack, with a sentence that says why.

Importing this module imports no torch.
"""

from adbench.api.comparisons.nearest import compare_with_nearest, compare_with_vector, shares_of
from adbench.api.comparisons.patch import Aspect, NormalPatch, PatchComparison, PatchPlace

__all__ = [
    "Aspect",
    "NormalPatch",
    "PatchComparison",
    "PatchPlace",
    "compare_with_nearest",
    "compare_with_vector",
    "shares_of",
]
