"""Coresets, a few vectors that cover many: `from adbench.coresets import greedy_k_center`.

- `greedy_k_center`: the indices that greedy k-center selects (PatchCore, arXiv 2106.08265, Algorithm 1).
- `greedy_cover`: the same with its radius, a start of one's own choice, and a longer selection that goes on from a
  shorter one (`Selection`, `Progress`).
- `plain_k_center`: the definition, one pass over all vectors a step; what the others are compared with.
- `farthest_first`, `MergeReduce`: a bounded coreset of a stream (MH-PatchCore, arXiv 2605.27748).
- `distinct`, `squared_lengths`: the small steps between them, for selections of one's own.

Importing this module imports no torch.
"""

from adbench.api.coresets.arithmetic import squared_lengths
from adbench.api.coresets.kcenter import (
    Progress,
    Selection,
    distinct,
    greedy_cover,
    greedy_k_center,
)
from adbench.api.coresets.merge_reduce import MergeReduce, farthest_first
from adbench.api.coresets.plain import plain_k_center

__all__ = [
    "MergeReduce",
    "Progress",
    "Selection",
    "distinct",
    "farthest_first",
    "greedy_cover",
    "greedy_k_center",
    "plain_k_center",
    "squared_lengths",
]
