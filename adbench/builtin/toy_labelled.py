"""A toy bank that learns from labelled defects, and the toy scorer that names their types.

| bank | kind | learns from | read by |
|---|---|---|---|
| `toy-exemplars` | PrototypeBank | labelled | `toy-classes`, `toy-contrast` |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Bank, Context, DataError, Features, FeatureStream, PrototypeBank, Scorer, Scores, Source

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.04
"""The share of a defective image's patches that stand for its defect."""


class ToyExemplars(PrototypeBank):
    """All normal patches, and of each labelled defective image those that are farthest from them."""

    name = "toy-exemplars"
    learns_from: ClassVar[Source] = Source.LABELLED
    needs = frozenset({"patches"})
    learned: dict[str, Tensor]

    def fit(self, features: FeatureStream, ctx: Context) -> None:  # noqa: ARG002 - nothing is drawn
        """Keep the patches.

        Raises:
            DataError: there is no labelled normal or no labelled defective image.
        """
        import torch

        images = [(name, grid.flatten(0, 1).float()) for part in features for name, grid in self._grids(part)]
        normal = [rows for name, rows in images if features.labels.get(name) == 0]
        types = [features.labels[name] for name, _ in images if features.labels.get(name, 0) > 0]
        if not normal or not types:
            raise DataError(f"{self.title}: it learns from labelled normal and defective images; allow both")
        rows = torch.cat(normal)
        found = [_farthest(own, rows) for name, own in images if features.labels[name] > 0]
        numbers = torch.tensor(types).repeat_interleave(torch.tensor(list(map(len, found))))
        self.learned = {"normal": rows, "abnormal": torch.cat(found), "types": numbers}

    def _grids(self, part: Features) -> list[tuple[str, Tensor]]:
        return list(zip(part.ids, part.need_patches(self.title), strict=True))

    @property
    def normal(self) -> Tensor:
        return self.learned["normal"]

    @property
    def abnormal(self) -> Tensor:
        return self.learned["abnormal"]

    @property
    def types(self) -> Tensor:
        """[L] int64: the type of defect of each abnormal patch, from 1."""
        return self.learned["types"]

    def state(self) -> dict[str, Tensor]:
        return dict(self.learned)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.learned = dict(state)


class ToyClasses(Scorer):
    """Probabilities of normal and of each type of defect, by the strangest patch and the nearest defects."""

    name = "toy-classes"
    bank: ClassVar[type[Bank]] = ToyExemplars
    needs = frozenset({"patches"})

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"image", "classes"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        return {"bank": "toy-exemplars", "aggregate": "scorer"}

    def score(self, query: Features, bank: ToyExemplars) -> Scores:
        import torch

        images = query.need_patches(self.title).flatten(1, 2).float()
        strangest = torch.stack([torch.cdist(rows, bank.normal.to(rows)).amin(1).amax() for rows in images])
        defects = torch.stack([torch.cdist(rows, bank.abnormal.to(rows)).amin(0) for rows in images])
        nearest = [defects[:, bank.types == one].amin(1) for one in sorted(set(bank.types.tolist()))]
        logits = -torch.stack([strangest, *nearest], 1)
        return Scores(image=logits[:, 1:].logsumexp(1) - logits[:, 0], classes=logits.softmax(1))


def _farthest(rows: Tensor, normal: Tensor) -> Tensor:
    """The `SHARE` of rows [N, C], at least one, that are farthest from their nearest normal row."""
    import torch

    away = torch.cdist(rows, normal).amin(1)
    return rows[away.topk(max(1, round(SHARE * len(rows)))).indices]
