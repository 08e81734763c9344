"""Memory banks of patch vectors, and scores by the distance to the nearest of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adbench import Component, hookimpl


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    from adbench_memory.aligned import Aligned
    from adbench_memory.aligned_knn import AlignedKnn
    from adbench_memory.coreset import Coreset
    from adbench_memory.full import Full
    from adbench_memory.knn import Knn
    from adbench_memory.lnamd import Lnamd
    from adbench_memory.mutual import Mutual
    from adbench_memory.rscin import Rscin
    from adbench_memory.test_set import TestSet

    register(Full)
    register(Coreset)
    register(Knn)
    for component in (Aligned, AlignedKnn, TestSet, Lnamd, Mutual, Rscin):
        register(component)


@hookimpl
def register_recipes(register: Callable[[Path], None]) -> None:
    register(Path(__file__).parent / "recipes")
