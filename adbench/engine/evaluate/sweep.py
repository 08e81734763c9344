"""A sweep of post-processing over stored scores, without a backbone: some images choose, the others report.

An aggregator and a map are two choices, each ranked by a metric of its own level: image scores come from patch scores,
and only aggregators that read the map depend on it. One choice holds for all categories.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from adbench.api.context import Context
from adbench.api.features import ImageScores
from adbench.api.metric import Metric
from adbench.engine.evaluate.aggregation import aggregable
from adbench.engine.evaluate.evaluator import Evaluator, measure
from adbench.engine.evaluate.holdout import HoldoutSplit
from adbench.engine.features.contract import check_image_scores, naming_component
from adbench.engine.plan.aliases import aliases_of, blind_order
from adbench.engine.plan.compat import cannot_aggregate
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import Part
from adbench.engine.store.lazy_sequence import LazySequence
from adbench.engine.store.record import ResultRecord, canonical_json
from adbench.errors import DataError, StorageError, UsageError
from adbench.registration.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.scorer import Scorer
    from adbench.api.stages import Aggregator

Role = Literal["choosing", "reporting"]


class Setting(NamedTuple):
    """The settings that a sweep may change: from stored scores to image scores and maps.

    Attributes:
        aggregate: the aggregator with all its options.
        map: the recipe's rule for the map.
    """

    aggregate: Part
    map: MapSpec


class Tried(NamedTuple):
    """A setting, and its figure on the images that choose."""

    setting: Setting
    value: float


class SettingRanking(NamedTuple):
    """The ranking of settings of one slot, best first; among equals the recipe's own comes first.

    Attributes:
        slot: "aggregate" or "map".
        metric: the name of the metric that ranks.
        tried: the settings with their figures.
    """

    slot: Literal["aggregate", "map"]
    metric: str
    tried: tuple[Tried, ...]


class MeanFigure(NamedTuple):
    """A mean over categories of the mean over seeds; None, with the first reason, if a figure is undefined."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Run:
    """A finished run with its scores, and the split of its test images."""

    record: ResultRecord
    evaluator: Evaluator
    split: HoldoutSplit


@dataclass(frozen=True)
class Sweep:
    """A sweep of settings over the runs of one method.

    Attributes:
        registry: the installed aggregators and metrics.
        runs: of one recipe, dataset and protocol; every category with its seeds.
        own: the recipe's own setting.
    """

    registry: Registry
    runs: tuple[Run, ...]
    own: Setting
    _scores: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)

    def rank(self, slot: Literal["aggregate", "map"], settings: Sequence[Setting], metric: Metric) -> SettingRanking:
        """Rank settings by a metric on the images that choose; the recipe's own setting always takes part.

        Raises:
            DataError: the metric is undefined on them.
            StorageError: the runs do not store what an aggregator reads.
        """
        different: dict[str, Setting] = {}
        for setting in (self.own, *settings):
            different.setdefault(canonical_json(_identity(setting)), setting)
        tried = []
        for setting in different.values():
            lacking = MeanFigure(None, f"it needs {', '.join(sorted(metric.needs))}, which these runs do not give")
            mean = self.means(setting, [metric], "choosing").get(metric.name, lacking)
            if mean.value is None:
                raise DataError(f"{metric.name} cannot choose: {mean.reason}; choose by another metric with --by")
            tried.append(Tried(setting, mean.value))
        return SettingRanking(slot, metric.name, tuple(sorted(tried, key=lambda one: -one.value)))

    def means(self, setting: Setting, metrics: Sequence[Metric], role: Role) -> dict[str, MeanFigure]:
        """The figures of a setting on the images of a role, by metric; without metrics that lack what they need."""
        found: dict[str, dict[str, list[float]]] = {metric.name: {} for metric in metrics}
        reasons: dict[str, str] = {}
        for run in self.runs:
            category = run.record.task.category
            for name, info in measure(metrics, self._evaluator_of(run, setting, role).evidence()).items():
                if info.value is None:
                    reasons.setdefault(name, f"{category}: {info.reason}")
                else:
                    found[name].setdefault(category, []).append(info.value)
        return {
            name: MeanFigure(None, reasons[name])
            if name in reasons
            else MeanFigure(fmean(map(fmean, by_category.values())))
            for name, by_category in found.items()
            if by_category or name in reasons
        }

    def _evaluator_of(self, run: Run, setting: Setting, role: Role) -> Evaluator:
        """Who judges a setting on some of the images."""
        places, whole = getattr(run.split, role), run.evaluator.predictions
        patches, scores = whole.patches, self._image_scores(run, setting)
        some = replace(
            whole,
            ids=tuple(whole.ids[place] for place in places),
            geometry=tuple(whole.geometry[place] for place in places),
            scores=scores[list(places)],
            patches=None if patches is None else LazySequence(places, patches.__getitem__),
            normal=None,  # other maps have other pixels
        )
        samples = [run.evaluator.samples[place] for place in places]
        return replace(run.evaluator, samples=samples, predictions=some, spec=setting.map)

    def _image_scores(self, run: Run, setting: Setting) -> np.ndarray:
        """[N] float32 of all test images: an aggregator may look at them together, since it sees no label."""
        aggregator = cast("Aggregator", setting.aggregate.make("aggregator", self.registry))
        spec = setting.map if aggregator.reads == "map" else self.own.map  # no other aggregator depends on the map
        if (setting.aggregate, spec) == (self.own.aggregate, self.own.map):
            return run.evaluator.predictions.scores
        key = run.record.id, setting.aggregate.model_dump_json(), canonical_json(spec.identity())
        if key not in self._scores:
            self._scores[key] = self._aggregated(run, aggregator, spec)
        return self._scores[key]

    def _aggregated(self, run: Run, aggregator: Aggregator, spec: MapSpec) -> np.ndarray:
        aliases = _aliases(run)
        images, dropped = _stored_scores(run, aliases, image_known=self.own.aggregate.name == "scorer")
        stored = aggregable(images, aggregator, spec, dropped=dropped)
        with tempfile.TemporaryDirectory(prefix="adbench-") as scratch, naming_component(aggregator, "aggregate"):
            aggregator.prepare(Context(seed=run.record.task.seed, workdir=Path(scratch)))
            scores = check_image_scores(aggregator, aggregator.aggregate(stored), list(aliases))
        places = {name: place for place, name in enumerate(aliases)}
        found: np.ndarray = scores.cpu().numpy()[[places[sample.id] for sample in run.evaluator.samples]]
        return found


def _identity(setting: Setting) -> list[object]:
    return [setting.aggregate.model_dump(mode="json"), setting.map.identity()]


def whole_part(part: Part, registry: Registry) -> Part:
    """A part with all its options, so that equal parts compare equal.

    Raises:
        UnknownName, UsageError: no such aggregator or option.
    """
    return Part(name=part.name, options=part.make("aggregator", registry).identity())


def require_aggregable(part: Part, own: Part, scorer: Scorer, registry: Registry) -> None:
    """Refuse an aggregator that cannot run after this scorer, or that reads data which runs do not store.

    Raises:
        UsageError: the aggregator cannot be used; the message gives the reason.
    """
    aggregator = cast("Aggregator", part.make("aggregator", registry))
    for reason in cannot_aggregate(scorer, aggregator):
        raise UsageError(reason)
    if aggregator.needs:
        raise UsageError(f"{aggregator.title} reads {', '.join(sorted(aggregator.needs))}, which no run keeps; run it")
    if aggregator.reads in {"image", "both"} and own.name != "scorer":
        raise UsageError(
            f"{aggregator.title} reads the scorer's own image score, which these runs did not store; run the recipe"
            " with --aggregate scorer first"
        )


def _stored_scores(run: Run, aliases: Mapping[str, str], *, image_known: bool) -> tuple[Sequence[ImageScores], bool]:
    """What an aggregator reads, under aliases, and whether patches outside the object are left out.

    The scorer's own image score is there only where the run handed that on.

    Args:
        run: the run with the scores.
        aliases: the alias of each test image, by its id, in the order in which the aggregator sees them.
        image_known: whether the run's image scores are the scorer's own, so that an aggregator may read them.

    Raises:
        StorageError: the masker drops patches, and the run did not store the foreground.
    """
    import torch

    predictions = run.evaluator.predictions
    dropped = any(part["options"].get("test") == "drop" for part in run.record.recipe.spec["masker"])
    if dropped and predictions.foreground is None:
        raise StorageError(
            f"the scores of {run.record.recipe.name!r} were stored without the foreground, but with its masker"
            " (test=drop) an aggregator reads only the foreground; run it again with --redo, or sweep over maps only"
        )

    def read(place: int) -> ImageScores:
        patches = None if predictions.patches is None else torch.from_numpy(predictions.patches[place])
        inside = None if predictions.foreground is None else torch.from_numpy(predictions.foreground[place])
        image = float(predictions.scores[place]) if image_known else None
        size = predictions.geometry[place].size
        ignored = run.evaluator.ignored_patches(place)
        return ImageScores(
            aliases[predictions.ids[place]], patches, image, foreground=inside, size=size, ignored=ignored
        )

    places = {name: place for place, name in enumerate(predictions.ids)}
    return LazySequence([places[name] for name in aliases], read), dropped


def _aliases(run: Run) -> Mapping[str, str]:
    """The alias of each test image, by its id, in the neutral order of a run."""
    samples = run.evaluator.samples
    aliases = aliases_of(samples, {sample.id: sample.id for sample in samples}, run.record.id)
    return {sample.id: aliases[sample.id] for sample in blind_order(samples, aliases)}


@dataclass(frozen=True)
class SweepReport:
    """The report of a sweep.

    Attributes:
        rankings: one for each slot.
        chosen: the best setting of each slot, together.
        own_means, chosen_means: figures by metric, on the images that report.
        oracle: whether all images choose and report.
    """

    runs: tuple[Run, ...]
    rankings: tuple[SettingRanking, ...]
    own: Setting
    chosen: Setting
    own_means: Mapping[str, MeanFigure]
    chosen_means: Mapping[str, MeanFigure]
    oracle: bool

    def images(self, role: Role) -> int:
        """The number of images with a role; each counts once for all seeds."""
        by_category = {run.record.task.category: len(getattr(run.split, role)) for run in self.runs}
        return sum(by_category.values())


def decide(sweep: Sweep, rankings: Sequence[SettingRanking], metrics: Sequence[Metric], *, oracle: bool) -> SweepReport:
    """The report: the first of each ranking, and the figures of it and of the recipe's own setting."""
    first = {ranking.slot: getattr(ranking.tried[0].setting, ranking.slot) for ranking in rankings}
    chosen = sweep.own._replace(**first)
    own_means = sweep.means(sweep.own, metrics, "reporting")
    means = own_means if chosen == sweep.own else sweep.means(chosen, metrics, "reporting")
    return SweepReport(sweep.runs, tuple(rankings), sweep.own, chosen, own_means, means, oracle)
