"""The bank of the test images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from adbench import Source, VectorBank
from adbench_memory.layered import LayeredMemory

if TYPE_CHECKING:
    from torch import Tensor


class TestSet(LayeredMemory, VectorBank):
    """All patch vectors of the test images, without labels: MuSc's references (arXiv 2401.16753). Transductive.

    4 C bytes a patch, over all layers; refused before it is built where that is more than the memory that is free.
    """

    name: ClassVar[str] = "test-set"
    learns_from: ClassVar[Source] = Source.TEST
    way_out: ClassVar[str] = "use fewer test images, smaller ones, or fewer layers"
    __test__ = False  # it is no test, whatever pytest takes its name for

    @property
    def vectors(self) -> Tensor:
        return self.learned.collection.vectors

    @property
    def owners(self) -> Sequence[str]:
        ids = self.learned.collection.ids
        return [ids[number] for number in self.learned.collection.owners.tolist()]
