"""Written as the author of a plugin would write it; only type-checked, never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from adbench import (
    Component,
    Context,
    Evidence,
    Features,
    FeatureStream,
    Field,
    Measure,
    Metric,
    Scorer,
    Scores,
    Source,
    VectorBank,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor


class Everything(VectorBank):
    """Every patch of the normal images."""

    name = "everything"
    version = 2
    needs = frozenset({"patches"})
    learns_from = Source.TRAIN

    class Config(VectorBank.Config):
        """How many are kept."""

        limit: int | None = Field(None, ge=1, description="patches kept at most; none keeps all")
        order: Literal["first", "random"] = Field("first", description="which ones")

    config: Config
    _vectors: Tensor
    _owners: list[str]

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        import torch

        grids = [(part.ids, part.need_patches(self.title)) for part in features]
        rows = torch.cat([grid.flatten(0, 2).float() for _, grid in grids])
        if self.config.order == "random":
            rows = rows[torch.randperm(len(rows), generator=ctx.generator(self.name))]
        self._vectors = rows[: self.config.limit]
        self._owners = [name for ids, grid in grids for name in ids for _ in range(grid[0, ..., 0].numel())]

    def state(self) -> dict[str, Tensor]:
        return {"vectors": self._vectors}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._vectors = state["vectors"]

    @property
    def vectors(self) -> Tensor:
        return self._vectors

    @property
    def owners(self) -> Sequence[str]:
        return self._owners


class Nearest(Scorer):
    """Distance to the nearest normal patch."""

    name = "nearest"
    bank = VectorBank
    needs = frozenset({"patches"})

    class Config(Scorer.Config):
        """How many neighbours."""

        k: int = Field(1, ge=1, description="neighbours to average over")

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": "everything", "aggregate": {"top-fraction": {"fraction": 0.01}}}

    def score(self, query: Features, bank: VectorBank) -> Scores:
        patches = query.need_patches(self.title)
        distances, _ = bank.search(patches.flatten(0, 2), self.config.k, metric="cosine")
        return Scores(patches=distances.mean(1).reshape(patches.shape[:3]))


class Share(Metric):
    """The share of defective images among the highest scores."""

    name = "share"
    level = "image"

    def measure(self, evidence: Evidence) -> Measure:
        if not evidence.labels.any():
            return Measure(None, "no defective image")
        curve = evidence.image_curve
        return Measure(curve.auroc)


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    for cls in (Everything, Nearest, Share):
        register(cls)


@hookimpl
def job_finished(record: dict[str, Any]) -> None:
    scorer = Nearest(k=3)
    k: int = scorer.config.k
    distant: Tensor = scorer.score(Features((), ()), Everything()).patches  # type: ignore[assignment]  # may be None
    raise AssertionError(record, k, distant)
