"""The common base of this plugin's banks: learned `Gaussians` and their state."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import UsageError
from adbench_gaussian.clusters import ClusterGaussians
from adbench_gaussian.gaussians import GaussianMemory
from adbench_gaussian.places import PlaceGaussians

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Context


class LearnedGaussians(GaussianMemory):
    """A bank whose `fit` calls `learn`."""

    form: ClassVar[type[PlaceGaussians | ClusterGaussians]]
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._device = "cpu"
        self._learned: PlaceGaussians | ClusterGaussians | None = None

    def prepare(self, ctx: Context) -> None:
        self._device = ctx.device

    def learn(self, gaussians: PlaceGaussians | ClusterGaussians) -> None:
        """Replace the Gaussians. Their memory layout is that of `restore`, because the layout decides the last bits."""
        self._learned = self.form.of({name: tensor.contiguous() for name, tensor in gaussians.tensors().items()})

    @property
    def gaussians(self) -> PlaceGaussians | ClusterGaussians:
        if self._learned is None:
            raise UsageError(f"{self.title} has learned nothing yet; call fit or restore first")
        return self._learned

    @property
    def mean(self) -> Tensor:
        return self.gaussians.mean()

    @property
    def precision(self) -> Tensor:
        return self.gaussians.precision()

    def for_export(self) -> LearnedGaussians:
        twin = copy(self)
        twin._learned = self.gaussians.for_export()  # noqa: SLF001  its own
        return twin

    def state(self) -> dict[str, Tensor]:
        return self.gaussians.tensors()

    def restore(self, state: dict[str, Tensor]) -> None:
        self._learned = self.form.of({name: tensor.to(self._device) for name, tensor in state.items()})
