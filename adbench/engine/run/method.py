"""A recipe made of real components: learns from one stream of images, then scores another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import torch
from torch import Tensor

from adbench.api.backbone import Backbone, Weights
from adbench.api.bank import Bank, Source
from adbench.api.component import Component
from adbench.api.context import Context
from adbench.api.features import Features, FeatureStream, ImageScores, Scores
from adbench.api.scorer import Scorer
from adbench.api.stages import Aggregator, Augmenter, Masker, Neck, Preprocessor
from adbench.api.training.tuner import Tuner
from adbench.engine.evaluate.aggregation import aggregable
from adbench.engine.features.after_backbone import apply_necks, find_object
from adbench.engine.features.contract import (
    check_facts,
    check_image_scores,
    check_losses,
    check_scores,
    naming_component,
)
from adbench.engine.features.ignoring import ignored_patches
from adbench.engine.features.sealed_stream import Seal, SealedStream
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.tuning.tuned_network import TunedNetwork


@dataclass(frozen=True)
class Method:
    """The parts of a recipe, by slot.

    Attributes:
        tuned: what the tuner made of the backbone's network; None without a tuner, and before the backbone is there.
        map: how patch scores become an anomaly map, for aggregators that read it.
        without_foreground: aliases of the images so far of which the masker left nothing.
    """

    preprocess: tuple[Preprocessor, ...]
    backbone: Backbone
    necks: tuple[Neck, ...]
    masker: Masker | None
    bank: Bank
    scorer: Scorer
    aggregator: Aggregator
    augmenter: Augmenter | None = None
    tuner: Tuner | None = None
    tuned: TunedNetwork | None = None
    map: MapSpec = field(default_factory=MapSpec)
    without_foreground: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, components: Mapping[str, Sequence[Component]], spec: MapSpec | None) -> Method:
        """From parts by slot, as `recipe.components_of` makes them, and the recipe's map."""
        maskers, augmenters, tuners = components["masker"], components.get("augment"), components.get("tune")
        return cls(
            preprocess=tuple(cast("Preprocessor", part) for part in components["preprocess"]),
            backbone=cast("Backbone", components["backbone"][0]),
            necks=tuple(cast("Neck", part) for part in components["neck"]),
            masker=cast("Masker", maskers[0]) if maskers else None,
            bank=cast("Bank", components["bank"][0]),
            scorer=cast("Scorer", components["scorer"][0]),
            aggregator=cast("Aggregator", components["aggregate"][0]),
            augmenter=cast("Augmenter", augmenters[0]) if augmenters else None,
            tuner=cast("Tuner", tuners[0]) if tuners else None,
            map=spec or MapSpec(),
        )

    @property
    def reads_images(self) -> bool:
        """Whether a part needs the prepared images themselves."""
        parts = [*self.necks, self.masker, self.bank, self.scorer]
        return any("images" in part.needs for part in parts if part is not None)

    @property
    def masks_bank(self) -> bool:
        """Whether the bank is given a foreground: where it is to drop what lies outside, or reads it anyway."""
        return self.masker is not None and (self.masker.config.bank == "drop" or "foreground" in self.bank.needs)

    def passes(self, source: Source) -> int:
        """How often fitting reads the images of a source. Necks always learn from the normal ones.

        A bank that learns from labelled images reads the normal ones too.
        """
        by_necks = sum(neck.learns for neck in self.necks) if source is Source.TRAIN else 0
        read = {self.bank.learns_from}
        if Source.LABELLED in read:
            read.add(Source.TRAIN)
        return by_necks + (self.bank.passes if source in read else 0)

    @property
    def learns_from_normal(self) -> bool:
        """Whether a part learns from the normal images."""
        return self.tuner is not None or self.passes(Source.TRAIN) > 0

    def images_read(self, train: int, test: int, exemplars: int = 0) -> int:
        """How many images fitting reads, each counted as often as it is read.

        Args:
            train: number of normal images.
            test: number of test images.
            exemplars: number of labelled defective images.
        """
        views = 1 if self.augmenter is None else 1 + self.augmenter.count
        learned = self.passes(Source.TRAIN) * train + self.passes(Source.LABELLED) * exemplars
        return views * learned + self.passes(Source.TEST) * test

    def prepare(self, ctx: Context) -> None:
        """Prepare every part but the backbone, which outlives the method."""
        parts = [self.augmenter, *self.preprocess, *self.necks, self.masker, self.bank, self.scorer, self.aggregator]
        for part in filter(None, parts):
            with naming_component(part, "prepare"):
                part.prepare(ctx)

    def fit(self, streams: Mapping[Source, FeatureStream], ctx: Context) -> None:
        """Fit the necks that learn, in order, then the bank. They read nothing of a stream but its features.

        A bank that learns from labelled images is given their labels; nothing else ever is.
        """
        seal = Seal()
        for index, neck in enumerate(self.necks):
            if neck.learns:
                stream = SealedStream(streams[Source.TRAIN], partial(apply_necks, self.necks[:index]), seal)
                with seal.reopened(), naming_component(neck, "fit"):
                    neck.fit(stream, ctx)
        with seal.reopened(), naming_component(self.bank, "fit"):
            source = streams[self.bank.learns_from]
            labels = source.labels if self.bank.learns_from is Source.LABELLED else {}
            self.bank.fit(SealedStream(source, self.bank_features, seal, labels), ctx)

    def bank_features(self, features: Features) -> Features:
        """The features that the bank gets: after all necks, with the foreground if `masks_bank`.

        Where pixels are ignored, a bank that drops patches gets all others as the foreground.
        """
        if self.masks_bank:
            return self.scorer_features(features)
        after = apply_necks(self.necks, features)
        return find_object(None, after) if self.bank.drops else after

    def scorer_features(self, features: Features) -> Features:
        """The features that the scorer gets: after all necks, with the foreground."""
        return find_object(self.masker, apply_necks(self.necks, features), self.without_foreground.add)

    def score(self, features: Features) -> tuple[Features, Scores]:
        """Score a batch. Patches outside the foreground get the lowest score of their image.

        Returns:
            The features that the scorer got, and the scores.
        """
        query = self.scorer_features(features)
        with naming_component(self.scorer, "score"), torch.no_grad():
            scores = self.scorer.score(query, self.bank)
            scores = check_scores(self.scorer, query, scores, self.scorer.gives(self.scorer.config))
        lowest = _only_foreground(query, scores)
        return (query.having(foreground=None) if self.masker is None else query), lowest

    def aggregate(self, images: Sequence[ImageScores]) -> Tensor:
        """[N] float32 image scores of the whole test set."""
        with naming_component(self.aggregator, "aggregate"):
            dropped = self.masker is not None and self.masker.config.test == "drop"
            scores = self.aggregator.aggregate(aggregable(images, self.aggregator, self.map, dropped=dropped))
            return check_image_scores(self.aggregator, scores, [image.id for image in images])

    def losses(self) -> Sequence[float]:
        """The loss of each training step of the bank, or else of the tuner; empty where neither trains in steps."""
        with naming_component(self.bank, "losses"):
            losses = self.bank.losses()
            check_losses(self.bank, losses)
        return tuple(map(float, losses or (self.tuned.told.losses if self.tuned else ())))

    def later_weights(self) -> tuple[Weights, ...]:
        """The weights of the parts after the backbone: of the masker, if there is one, and of the bank."""
        found: list[Weights] = []
        parts: list[Masker | Bank] = [self.bank] if self.masker is None else [self.masker, self.bank]
        for part in parts:
            with naming_component(part, "weights"):
                found.extend(part.weights())
        return tuple(found)

    def facts(self) -> dict[str, float]:
        """Figures of the tuner and the bank."""
        with naming_component(self.bank, "facts"):
            facts = self.bank.facts()
            check_facts(self.bank, facts)
        tuned = {} if self.tuned is None else self.tuned.facts
        return {**tuned, **{name: float(value) for name, value in facts.items()}}

    def bank_bytes(self) -> int:
        """The size of the bank's state in bytes."""
        with naming_component(self.bank, "state"):
            return sum(tensor.nbytes for tensor in self.bank.state().values())


def _only_foreground(query: Features, scores: Scores) -> Scores:
    """Scores where patches outside the foreground, and ignored ones, have the lowest of their image."""
    if scores.patches is None:
        return scores
    foreground = query.foreground
    if foreground is None:  # a method without a patch grid of its own
        ignored = ignored_patches(query, scores.patches.shape[1:])
        if ignored is None:
            return scores
        foreground = ~ignored
    return replace(scores, patches=with_lowest_outside(scores.patches, foreground.to(scores.patches.device)))


def with_lowest_outside(patches: Tensor, foreground: Tensor) -> Tensor:
    """Patch scores [B, H, W] that are the lowest of their image outside a foreground ([B, H, W] or [H, W] bool)."""
    return torch.where(foreground, patches, patches.amin(dim=(1, 2), keepdim=True))


def split_scores(query: Features, scores: Scores) -> list[ImageScores]:
    """A batch's scores image by image, on the CPU."""
    patches = None if scores.patches is None else scores.patches.detach().float().cpu()
    image = None if scores.image is None else scores.image.tolist()
    classes = None if scores.classes is None else scores.classes.cpu()
    vector = None if query.image is None else query.image.detach().float().cpu()
    foreground = None if query.foreground is None else query.foreground.cpu()
    ignored = ignored_patches(query, None if patches is None else patches.shape[1:])
    return [
        ImageScores(
            id=name,
            patches=None if patches is None else patches[index],
            image=None if image is None else image[index],
            vector=None if vector is None else vector[index],
            foreground=None if foreground is None else foreground[index],
            size=query.geometry[index].size,
            ignored=None if ignored is None else ignored[index],
            classes=None if classes is None else classes[index],
        )
        for index, name in enumerate(query.ids)
    ]
