"""``adbench fuse``: late fusion of finished runs of the same samples, such as colour and depth, by p-values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from adbench.cli.options import FiniteRange
from adbench.cli.screen import echo, echo_json, screen
from adbench.cli.text_table import Column, TextTable
from adbench.errors import DataError, StorageError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from adbench.detector.fusion import DetectorScores
    from adbench.engine.store.record import ResultRecord

Unit = tuple[str, int]
"""A category and a seed."""


class _Member(NamedTuple):
    """A run that is joined with others: its scores, and the truth of its images."""

    scores: DetectorScores
    ids: tuple[str, ...]
    labels: np.ndarray


class _Fusion(NamedTuple):
    """Figures of a unit: the image AUROC of each run and of their fusion, and the alarms."""

    unit: Unit
    aurocs: Sequence[float | None]
    normals: int
    defective: int
    false_alarms: int | None
    found: int | None


@click.command("fuse")
@click.argument("folders", metavar="RUNS...", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option(
    "--alpha",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="The bound on the share of false alarms.",
)
@click.option("--json", "as_json", is_flag=True, help="Print only JSON on stdout, one line for each unit.")
def command(folders: tuple[Path, ...], alpha: float, as_json: bool) -> int:
    """Join the image scores of finished runs of the same samples: each RUNS is a folder of runs of one method.

    The samples are those of a dataset with several aligned images of each, such as colour and depth, or of one dataset
    under several methods. Each run's scores become p-values on its own scores of normal images. 'sum' adds their
    logarithms, 'max' takes the smallest p-value. An alarm is a p-value of at most alpha over the number of runs. The
    command reads stored scores and writes nothing.

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
    fusions = [_fused(unit, [group[unit] for group in groups], names, alpha) for unit in units]
    if as_json:
        for fusion in fusions:
            echo_json(_to_json(fusion, names))
        return 0
    _table(fusions, names, alpha).print(screen())
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


def _fused(unit: Unit, runs: Sequence[tuple[Path, ResultRecord]], names: Sequence[str], alpha: float) -> _Fusion:
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
        means = (_mean(column) for column in zip(*(fusion.aurocs for fusion in fusions), strict=True))
        table.add("mean", *map(_percent, means), *_alarm_cells(fusions), apart=True)
    return table


def _alarm_cells(fusions: Sequence[_Fusion]) -> Iterator[str]:
    from adbench.engine.images.pooling import wilson_interval

    alarms = [fusion.false_alarms for fusion in fusions if fusion.false_alarms is not None]
    found = [fusion.found for fusion in fusions if fusion.found is not None]
    normals, defective = sum(fusion.normals for fusion in fusions), sum(fusion.defective for fusion in fusions)
    if len(alarms) < len(fusions) or not normals:
        yield from ("n/a", "", "n/a")
        return
    low, high = wilson_interval(sum(alarms), normals)
    yield f"{100 * sum(alarms) / normals:.1f}"
    yield f"[{100 * low:4.1f}, {100 * high:4.1f}]"
    yield f"{100 * sum(found) / defective:.1f}" if defective else "n/a"


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{100 * value:.1f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
