"""A recipe made of real components: learns from one stream of images, then scores another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.bank import Bank
from adbench.api.component import Component
from adbench.api.context import Context
from adbench.api.features import Features, FeatureStream, ImageScores, Scores
from adbench.api.scorer import Scorer
from adbench.api.stages import Aggregator, Masker, Neck, Preprocessor
from adbench.engine.contract import blame, check_image_scores, check_scores
from adbench.engine.stream import NeckedStream, apply_necks


@dataclass(frozen=True)
class Method:
    """The parts of a recipe, by slot."""

    preprocess: tuple[Preprocessor, ...]
    backbone: Backbone
    necks: tuple[Neck, ...]
    masker: Masker | None
    bank: Bank
    scorer: Scorer
    aggregator: Aggregator

    @classmethod
    def of(cls, components: Mapping[str, Sequence[Component]]) -> Method:
        """From parts by slot, as `spec.components_of` makes them."""
        maskers = components["masker"]
        return cls(
            preprocess=tuple(cast("Preprocessor", part) for part in components["preprocess"]),
            backbone=cast("Backbone", components["backbone"][0]),
            necks=tuple(cast("Neck", part) for part in components["neck"]),
            masker=cast("Masker", maskers[0]) if maskers else None,
            bank=cast("Bank", components["bank"][0]),
            scorer=cast("Scorer", components["scorer"][0]),
            aggregator=cast("Aggregator", components["aggregate"][0]),
        )

    @property
    def walks(self) -> int:
        """How often the images that the bank learns from are walked over while fitting."""
        return sum(neck.learns for neck in self.necks) + self.bank.passes

    def prepare(self, ctx: Context) -> None:
        """Prepare every part but the backbone, which outlives the method."""
        parts = [*self.preprocess, *self.necks, self.masker, self.bank, self.scorer, self.aggregator]
        for part in filter(None, parts):
            with blame(part, "prepare"):
                part.prepare(ctx)

    def fit(self, stream: FeatureStream, ctx: Context) -> None:
        """Fit the necks that learn, in order, then the bank."""
        for index, neck in enumerate(self.necks):
            if neck.learns:
                with blame(neck, "fit"):
                    neck.fit(NeckedStream(stream, self.necks[:index]), ctx)
        with blame(self.bank, "fit"):
            self.bank.fit(NeckedStream(stream, self.necks), ctx)

    def score(self, features: Features) -> tuple[Features, Scores]:
        """Scores of a batch, and the features as the scorer saw them. Outside the foreground an image scores lowest."""
        query = apply_necks(self.necks, features)
        if self.masker is not None:
            with blame(self.masker, "mask"):
                query = query.having(foreground=self.masker.mask(query))
        with blame(self.scorer, "score"), torch.no_grad():
            scores = self.scorer.score(query, self.bank)
            check_scores(self.scorer, query, scores, self.scorer.gives(self.scorer.config))
        return query, _only_foreground(query, scores)

    def aggregate(self, images: Sequence[ImageScores]) -> Tensor:
        """[N] float32 image scores of the whole test set."""
        with blame(self.aggregator, "aggregate"):
            scores = self.aggregator.aggregate(images)
            check_image_scores(self.aggregator, scores, [image.id for image in images])
        return scores

    def bank_bytes(self) -> int:
        """Size of what the bank learned."""
        with blame(self.bank, "state"):
            return sum(tensor.nbytes for tensor in self.bank.state().values())


def _only_foreground(query: Features, scores: Scores) -> Scores:
    if query.foreground is None or scores.patches is None:
        return scores
    lowest = scores.patches.amin(dim=(1, 2), keepdim=True)
    return Scores(torch.where(query.foreground, scores.patches, lowest), scores.image)


def split_scores(query: Features, scores: Scores) -> list[ImageScores]:
    """A batch's scores image by image, on the CPU."""
    patches = None if scores.patches is None else scores.patches.float().cpu()
    image = None if scores.image is None else scores.image.tolist()
    vector = None if query.image is None else query.image.float().cpu()
    return [
        ImageScores(
            id=name,
            patches=None if patches is None else patches[index],
            image=None if image is None else image[index],
            vector=None if vector is None else vector[index],
        )
        for index, name in enumerate(query.ids)
    ]
