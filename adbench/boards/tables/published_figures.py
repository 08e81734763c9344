"""Figures of papers beside our own: never ranked, and compared where a recipe claims to reproduce them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adbench import StorageError
from adbench.boards.board import Board
from adbench.boards.tables.table import DASH, figure
from adbench.boards.tables.tidy import BoardData, MethodRow, UnitKey, method_name, shots_of
from adbench.boards.text import plain
from adbench.files import read_yaml
from adbench.reports import Table

PUBLISHED_FILE = "published.yaml"
MAX_PUBLISHED_BYTES = 4 << 20
PUBLISHED_NOTE = (
    "Published, not measured: figures of papers and repositories, each under its own convention, in percent. They are"
    " no rows of this board and have no rank: between two conventions the same method's figure moves by points, see"
    " docs/aupro-conventions.md."
)
FIDELITY_NOTE = (
    "Measured minus published, in points, for recipes that claim to reproduce a figure; only metrics on which both"
    " conventions agree. A recipe's file says where it differs from its paper."
)

COLUMNS = ("recipe", "reproduces", "metric", "published", "measured", "difference", "tolerance", "result", "furthest")

_Percent = Annotated[float, Field(ge=0, le=100)]
_Points = Annotated[float, Field(gt=0, le=100)]


class Published(BaseModel):
    """One set of figures that somebody published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(max_length=200, description="as its authors call it, with its variant")
    dataset: str
    shots: int | Literal["all"] = Field(description="normal images a category; 0 for none")
    regime: str = Field("", description="what else sets it apart, such as one model for all categories")
    figures: dict[str, _Percent] = Field(min_length=1, description="metric to the mean over categories, in percent")
    categories: dict[str, dict[str, _Percent]] = Field(default_factory=dict, description="metric to figure by category")
    convention: str = Field(description="how these figures came about")
    evidence: Literal["authors' files", "repository", "transcription"] = Field(description="where they were read")
    source: str
    recipe: str = Field("", description="the recipe of adbench that claims to reproduce them")
    tolerance: dict[str, _Points] = Field(
        default_factory=dict, description="metrics to compare, and by how many points"
    )

    @model_validator(mode="after")
    def _compares_what_there_is(self) -> Published:
        if bool(self.recipe) != bool(self.tolerance) or not self.tolerance.keys() <= self.figures.keys():
            raise ValueError(f"{self.method}: 'recipe' and 'tolerance' go together, and compare published figures")
        return self

    def concerns(self, board: Board) -> bool:
        """Whether the figures belong beside a board."""
        return self.dataset == board.dataset and (self.shots == "all") == (not board.protocol.draws)

    @property
    def given(self) -> str:
        """The training images, in words."""
        learned = "all normal images" if self.shots == "all" else f"{self.shots}-shot" if self.shots else "zero-shot"
        return ", ".join(filter(None, [learned, self.regime]))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    published: list[Published]


def read_published(path: Path) -> list[Published]:
    """The figures in a file, none if it is not there.

    Raises:
        StorageError: it does not hold such figures.
    """
    if not path.is_file():
        return []
    try:
        return _File.model_validate(read_yaml(path, "a file of published figures", MAX_PUBLISHED_BYTES)).published
    except ValidationError as error:
        first = error.errors()[0]
        raise StorageError(f"{path}: {plain('.'.join(map(str, first['loc'])))}: {first['msg']}") from None


def published_tables(board: Board, published: Sequence[Published]) -> list[Table]:
    """Published figures on the board's dataset, by method; no table if there are none."""
    shown = [entry for entry in published if entry.concerns(board)]
    if not shown:
        return []
    named = {name for entry in shown for name in entry.figures}
    metrics = [*(name for name in board.metrics if name in named), *sorted(named - set(board.metrics))]
    rows = tuple(
        (
            entry.method,
            entry.given,
            *(f"{entry.figures[name]:.1f}" if name in entry.figures else DASH for name in metrics),
            entry.convention,
            f"{entry.source} ({entry.evidence})",
        )
        for entry in sorted(shown, key=lambda entry: (entry.method.lower(), str(entry.shots).zfill(3)))
    )
    columns = ("method", "learned from", *metrics, "convention", "source")
    return [Table("Published, not measured", columns, rows, (PUBLISHED_NOTE,))]


def fidelity_tables(data: BoardData, published: Sequence[Published]) -> list[Table]:
    """Published and measured figures of recipes that reproduce a paper; no table where none claims to."""
    claims = [entry for entry in published if entry.recipe and entry.concerns(data.board)]
    if not claims:
        return []
    rows = tuple(row for entry in claims for row in _rows(entry, data))
    return [Table("Fidelity", COLUMNS, rows, (FIDELITY_NOTE,))]


def _rows(entry: Published, data: BoardData) -> Iterator[tuple[str, ...]]:
    methods = [method for method in data.methods if _is(method, entry) and not method.unverified]
    for metric, tolerance in entry.tolerance.items():
        target = entry.figures[metric]
        head = (f"{entry.method} ({entry.given})", metric, f"{target:.1f}")
        for method in methods:
            found = figure(data.readings(method, metric), data.units)
            if found.mean is None:
                yield (method.label, *head, found.mark, DASH, f"{tolerance:.1f}", "not measured", DASH)
                continue
            apart = 100 * found.mean - target
            result = "pass" if abs(apart) <= tolerance else "fail"
            furthest = _furthest(entry, data, method, metric)
            yield (method.label, *head, str(found), f"{apart:+.1f}", f"{tolerance:.1f}", result, furthest)
        if not methods:
            yield (entry.recipe, *head, DASH, DASH, f"{tolerance:.1f}", "not measured", DASH)


def _is(method: MethodRow, entry: Published) -> bool:
    records = list(method.records.values())
    shots = 0 if entry.shots == "all" else entry.shots
    return method_name(records) == entry.recipe and all(shots_of(record) == shots for record in records)


def _furthest(entry: Published, data: BoardData, method: MethodRow, metric: str) -> str:
    """The category whose figure is furthest from the published one."""
    readings, apart = data.readings(method, metric), {}
    for category, target in entry.categories.get(metric, {}).items():
        found = figure(readings, [UnitKey(category, seed) for seed in data.seeds])
        if found.mean is not None:
            apart[category] = 100 * found.mean - target
    name = max(apart, key=lambda category: (abs(apart[category]), category), default="")
    return f"{plain(name)} {apart[name]:+.1f}" if name else DASH
