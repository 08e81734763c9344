"""``adbench fuse``: late fusion of finished runs of the same samples, such as colour and depth, by p-values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench.cli.forms import form_options, print_tables
from adbench.cli.options import FiniteRange
from adbench.cli.robustness_tables import share_cells
from adbench.cli.screen import echo, echo_json
from adbench.cli.summary import METRICS
from adbench.cli.text_table import Column, TextTable
from adbench.engine.images.pooling import mean_of_all, sum_of_all
from adbench.engine.plan.data_origin import Datasets
from adbench.errors import DataError, StorageError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.metric import Metric
    from adbench.detector.fusion import DetectorScores
    from adbench.engine.store.record import MetricInfo, ResultRecord

Unit = tuple[str, int]
"""A category and a seed."""


class _Member(NamedTuple):
    """A run that is joined with others: its scores, and the truth of its images."""

    scores: DetectorScores
    ids: tuple[str, ...]
    labels: np.ndarray


class _Fusion(NamedTuple):
    """Figures of a unit: the image AUROC of each run and of their fusion, the alarms, and the fused maps' metrics."""

    unit: Unit
    aurocs: Sequence[float | None]
    normals: int
    defective: int
    false_alarms: int | None
    found: int | None
    maps: Mapping[str, Mapping[str, float | None]]


@click.command("fuse")
@click.argument("folders", metavar="RUNS...", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option(
    "--alpha",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="The bound on the share of false alarms.",
)
@click.option(
    "--maps", is_flag=True, help="Fuse anomaly maps too, pixel by pixel, for runs whose images show the same places."
)
@click.option(
    "--data", metavar="NAME|PATH", help="The dataset of all RUNS for --maps, if it is no longer in its place."
)
@form_options(json="Print only JSON on stdout, one line for each unit.")
def command(folders: tuple[Path, ...], alpha: float, maps: bool, data: str | None, form: str | None) -> int:
    """Join the image scores of finished runs of the same samples: each RUNS is a folder of runs of one method.

    The samples are those of a dataset with several aligned images of each, such as colour and depth, or of one dataset
    under several methods. Each run's scores become p-values on its own scores of normal images. 'sum' adds their
    logarithms, 'max' takes the smallest p-value. An alarm is a p-value of at most alpha over the number of runs. With
    --maps, each pixel's score becomes a p-value on the pixels of normal images' maps, and maps are joined as scores
    are; masks are read from the dataset. The command writes nothing.

    \b
    adbench run --recipe patchcore-lite --data mvtec-3d --out runs/rgb
    adbench run --recipe patchcore-lite --data mvtec-3d:modality=normals --out runs/normals
    adbench fuse runs/rgb runs/normals

    \b
    Exit codes:
      0  all units were fused
      2  the command is invalid, or the runs are of different samples
    """  # noqa: D301  \b tells click not to wrap the paragraph
    if len(folders) < 2:
        raise UsageError("fuse joins several folders of runs; name two or more")
    groups = [_runs(folder) for folder in folders]
    names = _names(folders, groups)
    units = sorted(groups[0])
    for folder, group in zip(folders[1:], groups[1:], strict=True):
        if sorted(group) != units:
            raise UsageError(f"{folder} and {folders[0]} have runs of other categories or seeds; name runs of the same")
    mapping = _Mapping.of(data) if maps else None
    fusions = [_fused(unit, [group[unit] for group in groups], names, alpha, mapping) for unit in units]
    if form == "json":
        for fusion in fusions:
            echo_json(_to_json(fusion, names))
        return 0
    print_tables([_table(fusions, names, alpha), *([_map_table(fusions)] if maps else [])], form)
    if any(fusion.false_alarms is None for fusion in fusions):
        from adbench.detector.fusion import normals_needed

        needed = normals_needed(len(folders), alpha)
        echo(f"no alarms: alpha {alpha:g} of {len(folders)} runs needs {needed} normal scores of each run", err=True)
    return 0


def _runs(folder: Path) -> dict[Unit, tuple[Path, ResultRecord]]:
    """The runs in a folder that ended well, by unit.

    Raises:
        UsageError: there is none, or there are several of one unit.
    """
    from adbench.engine.store.record import find_runs, read_record

    found: dict[Unit, tuple[Path, ResultRecord]] = {}
    for run in find_runs(folder):
        record = read_record(run)
        unit = record.task.category, record.task.seed
        if record.predictions is None:
            continue
        if unit in found:
            other = found[unit][0].name
            raise UsageError(f"{folder}: {other} and {run.name} are of one category and seed; name runs of one method")
        found[unit] = run, record
    if not found:
        raise UsageError(f"{folder}: no run with scores is there; name a folder of finished runs")
    return found


def _names(folders: Sequence[Path], groups: Sequence[Mapping[Unit, tuple[Path, ResultRecord]]]) -> list[str]:
    """The name of each method; where methods share one, that of the folder, or the method's with a number."""
    recipes = [next(iter(group.values()))[1].recipe.name for group in groups]
    names = [folder.resolve().name for folder in folders]
    unique = [found for found in (recipes, names) if len(set(found)) == len(found)]
    return unique[0] if unique else [f"{number} {name}" for number, name in enumerate(recipes, start=1)]


@dataclass(frozen=True)
class _Mapping:
    """The fusion of maps: where images are, and which metrics are measured."""

    datasets: Datasets
    metrics: Sequence[Metric]

    @classmethod
    def of(cls, data: str | None) -> _Mapping:
        from adbench.cli.plugins import installed

        registry = installed()
        return cls(Datasets(registry, data), [metric for metric in registry.metrics() if metric.level == "pixel"])

    def fused(
        self, runs: Sequence[tuple[Path, ResultRecord]], names: Sequence[str]
    ) -> dict[str, dict[str, float | None]]:
        """The pixel metrics of each run, as its record has them, and of each fusion of the maps, by name."""
        from adbench.detector.fused_maps import FusedMaps, MapMember, require_aligned
        from adbench.detector.fusion import WAYS
        from adbench.engine.evaluate.evaluator import measure
        from adbench.engine.evaluate.reproduce import evaluator_of

        members = [
            MapMember.of(name, evaluator_of(folder, record, self.datasets.of(folder, record)))
            for (folder, record), name in zip(runs, names, strict=True)
        ]
        require_aligned(members)
        known = {name: record.metrics for (_, record), name in zip(runs, names, strict=True)}
        known |= {how: measure(self.metrics, FusedMaps.of(members, how).evidence()) for how in WAYS}
        measured = known[WAYS[0]]
        shown = [name for name in METRICS if name in measured]
        shown += [name for name in measured if name not in METRICS]
        return {name: {one: _value(found.get(one)) for one in shown} for name, found in known.items()}


def _value(info: MetricInfo | None) -> float | None:
    return None if info is None else info.value


def _fused(
    unit: Unit,
    runs: Sequence[tuple[Path, ResultRecord]],
    names: Sequence[str],
    alpha: float,
    mapping: _Mapping | None,
) -> _Fusion:
    from adbench.detector.fusion import alarms, auroc, fused

    members = [_member(folder, record, name) for (folder, record), name in zip(runs, names, strict=True)]
    first = members[0]
    for member, name in zip(members[1:], names[1:], strict=True):
        if member.ids != first.ids or (member.labels != first.labels).any():
            raise UsageError(
                f"{unit[0]}, seed {unit[1]}: {names[0]} and {name} are of other samples, or call other samples"
                " defective; name runs on the same samples with the same labels"
            )
    scores = [member.scores for member in members]
    every = [*(one.scores for one in scores), fused(scores, "sum"), fused(scores, "max")]
    raised, labels = alarms(scores, alpha), first.labels
    return _Fusion(
        unit,
        [auroc(labels, values) for values in every],
        int((~labels).sum()),
        int(labels.sum()),
        None if raised is None else int((raised & ~labels).sum()),
        None if raised is None else int((raised & labels).sum()),
        {} if mapping is None else mapping.fused(runs, names),
    )


def _member(folder: Path, record: ResultRecord, name: str) -> _Member:
    """The scores of a run, with labels from its details.

    Raises:
        StorageError: a file is missing or damaged.
        DataError: the run has no scores of normal images.
    """
    import numpy as np

    from adbench.api.dataset import GOOD
    from adbench.detector.fusion import DetectorScores
    from adbench.engine.evaluate.details import read_details
    from adbench.engine.store.predictions import read_predictions

    assert record.predictions is not None
    predictions, details = read_predictions(folder, record.predictions), read_details(folder)
    ids = tuple(image.id for image in details.images)
    if details.id != record.id or ids != predictions.ids:
        raise StorageError(f"{folder}: details.json is of another run; make it anew with 'adbench evaluate'")
    normal = predictions.normal
    if normal is None:
        raise DataError(
            f"{folder}: the run has no scores of normal images, and p-values follow from them; run it again with --redo"
            " --threshold conformal"
        )
    labels = np.array([image.defect != GOOD for image in details.images])
    return _Member(DetectorScores(name, predictions.scores, normal.values), ids, labels)


def _to_json(fusion: _Fusion, names: Sequence[str]) -> dict[str, Any]:
    category, seed = fusion.unit
    return {
        "category": category,
        "seed": seed,
        "image_auroc": dict(zip([*names, "sum", "max"], fusion.aurocs, strict=True)),
        "normals": fusion.normals,
        "defective": fusion.defective,
        "false_alarms": fusion.false_alarms,
        "found": fusion.found,
        **({"pixels": fusion.maps} if fusion.maps else {}),
    }


def _table(fusions: Sequence[_Fusion], names: Sequence[str], alpha: float) -> TextTable:
    columns = [
        Column("category, seed"),
        *(Column(f"AUROC\n{name}", "auroc") for name in names),
        Column("AUROC\nsum", "fused"),
        Column("AUROC\nmax", "fused"),
        Column("false\nalarms, %", "alarms"),
        Column("95 %\ninterval", "alarms"),
        Column("found\n%", "alarms"),
    ]
    table = TextTable(f"image AUROC in %, and alarms of any of {len(names)} runs at alpha {alpha:g}", columns)
    for fusion in fusions:
        table.add(f"{fusion.unit[0]}, {fusion.unit[1]}", *map(_percent, fusion.aurocs), *_alarm_cells([fusion]))
    if len(fusions) > 1:
        means = (mean_of_all(column) for column in zip(*(fusion.aurocs for fusion in fusions), strict=True))
        table.add("mean", *map(_percent, means), *_alarm_cells(fusions), apart=True)
    return table


def _map_table(fusions: Sequence[_Fusion]) -> TextTable:
    """The pixel metrics of each run's maps and of the fused ones: rows for each unit, then their means."""
    metrics = list(next(iter(fusions[0].maps.values())))
    columns = [
        Column("category, seed"),
        Column("maps", words=True),
        *(METRICS.get(one, Column(one)) for one in metrics),
    ]
    table = TextTable("metrics of maps in %", columns)
    groups = [(f"{fusion.unit[0]}, {fusion.unit[1]}", [fusion]) for fusion in fusions]
    for title, members in [*groups, *([("mean", list(fusions))] if len(fusions) > 1 else [])]:
        for number, name in enumerate(fusions[0].maps):
            cells = [mean_of_all(one.maps[name][metric] for one in members) for metric in metrics]
            table.add("" if number else title, name, *map(_percent, cells), apart=not number)
    return table


def _alarm_cells(fusions: Sequence[_Fusion]) -> Iterator[str]:
    alarms, found = sum_of_all(one.false_alarms for one in fusions), sum_of_all(one.found for one in fusions)
    yield from share_cells(alarms, sum(fusion.normals for fusion in fusions))
    yield share_cells(found, sum(fusion.defective for fusion in fusions))[0]


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"
