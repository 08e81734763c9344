"""Exact nearest-neighbour search for banks and scorers: `from adbench.search import ExactIndex`.

- `ExactIndex`: the index of one set of vectors that is searched again and again; it finds what `exact_search` finds.
- `exact_search`, `nearest_among`: one search, in all vectors or in a few candidates for each query.
- `RecordableIndex`: the same search by tensor operations alone, for exported files.
- `patchcore_weight`: how much the highest patch of an image weighs (PatchCore's Eq. 7), in one
  of two forms (`ReweightForm`).

Importing this module imports no torch.
"""

from adbench.api.search.distances import nearest_among
from adbench.api.search.exact import ExactIndex, exact_search
from adbench.api.search.recordable import RecordableIndex
from adbench.api.search.reweighting import ReweightForm, patchcore_weight

__all__ = ["ExactIndex", "RecordableIndex", "ReweightForm", "exact_search", "nearest_among", "patchcore_weight"]
