"""A board: one dataset under one protocol, the metrics it shows and the one it ranks by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adbench import Source, StorageError
from adbench.boards.text import plain, slug
from adbench.engine.images.contamination import MOST
from adbench.engine.images.exemplars import fault_of_labels
from adbench.engine.store.record import ResultRecord, canonical_json
from adbench.files import read_yaml

BOARD_FILE = "board.yaml"
DEFAULT_SEEDS = (0, 1, 2)
DEFAULT_METRICS = (
    "image-auroc",
    "image-ap",
    "image-f1-max",
    "pixel-auroc",
    "pixel-ap",
    "pixel-f1-max",
    "pixel-aupro-30",
    "pixel-aupro-05",
)


_DEFAULT_RULES = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "allow": [Source.TRAIN.value],
    "class_names": False,
    "contaminate": None,
    "model_per": "category",
    "defect_shots": None,
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BoardProtocol(_Frozen):
    """The rules that every row of a board obeys."""

    train: Literal["all"] | None = Field(None, description="'all' normal images; or else give shots")
    shots: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="normal images a method may learn from, drawn by seed; several numbers are ranked apart"
    )
    allow: tuple[Source, ...] = Field((Source.TRAIN,), description="what a bank may learn from")
    class_names: bool = Field(False, description="whether a method may be told the object's name")
    model_per: Literal["category", "dataset"] = Field(
        "category", description="one model a category, or one that learns from all of them"
    )
    seeds: tuple[int, ...] = Field(DEFAULT_SEEDS, min_length=1, description="the only seeds whose records count")
    evaluation: str = Field(
        "original", pattern=r"^(original|[1-9][0-9]{0,4})$", description="grid of the pixel metrics"
    )
    limit_train: int | None = Field(None, ge=1, description="the first N normal images by name")
    limit_test: int | None = Field(None, ge=1, description="the first N images of each test folder")
    contaminate: float | None = Field(
        None, gt=0, le=MOST, description="the share of the training images that are defects out of the test set"
    )
    defect_shots: int | None = Field(
        None, ge=1, description="labelled defective images of each type to learn from, out of the test set"
    )

    @field_validator("evaluation", mode="before")
    @classmethod
    def _size_as_text(cls, value: object) -> object:
        return str(value) if type(value) is int else value

    @model_validator(mode="after")
    def _train_or_shots(self) -> BoardProtocol:
        if (self.train is None) == (not self.shots):
            raise ValueError("give either 'train: all' or 'shots: N', or several as 'shots: [1, 2, 4]'")
        fault = fault_of_labels(self.allow, self.defect_shots, self.contaminate, self.model_per)
        if fault:
            raise ValueError(fault)
        return self

    @property
    def draws(self) -> tuple[int, ...]:
        """The numbers of shots that the board knows; none where methods learn from all normal images."""
        return () if self.shots is None else (self.shots,) if isinstance(self.shots, int) else self.shots

    def of_row(self, shots: int) -> BoardProtocol:
        """The protocol of one row of the board; 0 shots stand for all images."""
        return self.model_copy(update={"shots": shots or None})

    def rules(self) -> dict[str, Any]:
        """The rules in a record's `task.protocol`, without the shots."""
        return {
            "limit_train": self.limit_train,
            "limit_test": self.limit_test,
            "evaluation": self.evaluation,
            "allow": [source.value for source in self.allow],
            "class_names": self.class_names,
            **({} if self.contaminate is None else {"contaminate": self.contaminate}),
            **({} if self.model_per == "category" else {"model_per": self.model_per}),
            **({} if self.defect_shots is None else {"defect_shots": self.defect_shots}),
        }

    def takes(self, protocol: Mapping[str, Any]) -> bool:
        """Whether a record's `task.protocol` is one of this board's."""
        return _canonical(protocol) in _spellings(self)

    def sentence(self) -> str:
        """The protocol in words, for the head of a board."""
        pool = f"the first {self.limit_train} normal training images" if self.limit_train else "normal training images"
        shots = " or ".join(", ".join(map(str, self.draws)).rsplit(", ", 1))
        train = f"{shots} of {pool}" if shots else pool if self.limit_train else f"all {pool}"
        test = f"judged on the first {self.limit_test} images of each test folder" if self.limit_test else ""
        grid = (
            "original resolution" if self.evaluation == "original" else f"{self.evaluation} x {self.evaluation} pixels"
        )
        learns = "may learn from test images" if Source.TEST in self.allow else ""
        names = "class names may be told" if self.class_names else ""
        mixed = f"{100 * self.contaminate:g} % of the training images are defects" if self.contaminate else ""
        labels = f"{self.defect_shots} labelled defects of each type may be learned from" if self.defect_shots else ""
        together = "one model for all categories" if self.model_per == "dataset" else ""
        seeds = f"seeds {', '.join(map(str, self.seeds))}"
        parts = [train, together, mixed, labels, test, learns, names, f"evaluated at {grid}", seeds]
        return ", ".join(filter(None, parts))


class Board(_Frozen):
    """The content of a `board.yaml`."""

    title: str = Field(description="heading of the board")
    dataset: str = Field(description="name of the dataset, as records write it")
    protocol: BoardProtocol
    categories: tuple[str, ...] | None = Field(None, description="all that a row needs; default: all that records know")
    metrics: tuple[str, ...] = Field(DEFAULT_METRICS, min_length=1, description="columns, in order")
    rank_by: str = Field("image-auroc", description="the metric that decides the rank")

    @model_validator(mode="after")
    def _ranks_by_a_column(self) -> Board:
        if self.rank_by not in self.metrics:
            raise ValueError(f"rank_by {self.rank_by!r} is none of the metrics")
        return self


def read_board(path: Path) -> Board:
    """The board in a `board.yaml`.

    Raises:
        StorageError: it cannot be read, or does not describe a board.
    """
    try:
        return Board.model_validate(read_yaml(path, "a board"))
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"]) or "board"
        raise StorageError(f"{path}: {plain(spot)}: {first['msg']}; see docs/protocol.md") from None


def belongs(record: ResultRecord, board: Board) -> bool:
    """Whether the record was made on this dataset, under this protocol and with one of the board's seeds."""
    return same_task(record, board) and record.task.seed in board.protocol.seeds


def same_task(record: ResultRecord, board: Board) -> bool:
    """Whether the record has the board's dataset and protocol, with any seed."""
    return record.task.dataset == board.dataset and board.protocol.takes(record.task.protocol)


def describe(record: ResultRecord) -> str:
    """Dataset, seed and protocol of a record, for messages: the longest last, as it may be cut."""
    task = record.task
    return plain(f"dataset {task.dataset!r}, seed {task.seed}, protocol {_canonical(task.protocol)}")


def default_board(records: Sequence[ResultRecord]) -> Board:
    """A board with default rules, for records of one dataset and protocol.

    Raises:
        StorageError: no board can have their protocol.
    """
    first = records[0]
    shots = first.task.protocol.get("shots")
    measured = {name for record in records for name in record.metrics}
    known = [name for name in DEFAULT_METRICS if name in measured or not measured]
    metrics = (*known, *sorted(measured - set(known)))
    try:
        protocol = BoardProtocol.model_validate(
            {
                **first.task.protocol,
                "train": "all" if shots is None else None,
                "seeds": sorted({*DEFAULT_SEEDS, *(record.task.seed for record in records)}),
            }
        )
        board = Board(
            title=f"{first.task.dataset}, {protocol_slug(protocol)}",
            dataset=first.task.dataset,
            protocol=protocol,
            metrics=metrics,
            rank_by=metrics[0],
        )
    except ValidationError as error:
        raise StorageError(f"no board can have this protocol: {describe(first)}: {error.errors()[0]['msg']}") from None
    if not same_task(first, board):
        raise StorageError(f"no board can have this protocol: {describe(first)}: it has rules that are unknown here")
    return board


def board_folder(board: Board) -> Path:
    """The folder of a board below the leaderboards' root: `<dataset>/<protocol>`."""
    return Path(slug(board.dataset), protocol_slug(board.protocol))


def board_yaml(board: Board) -> str:
    """The text of a `board.yaml`, to be edited by hand from then on."""
    data = board.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)


def protocol_slug(protocol: BoardProtocol) -> str:
    """A short name such as `full-shot`, `4-shot`, `few-shot` or `full-shot-train-100-test-20-256`."""
    draws = protocol.draws
    parts = [f"{draws[0]}-shot" if len(draws) == 1 else "few-shot" if draws else "full-shot"]
    parts += [f"train-{protocol.limit_train}"] if protocol.limit_train else []
    parts += [f"test-{protocol.limit_test}"] if protocol.limit_test else []
    parts += [protocol.evaluation] if protocol.evaluation != "original" else []
    parts += ["learns-test"] if Source.TEST in protocol.allow else []
    parts += [f"labelled-{protocol.defect_shots}"] if protocol.defect_shots else []
    parts += ["class-names"] if protocol.class_names else []
    parts += ["one-model"] if protocol.model_per == "dataset" else []
    parts += [f"contaminated-{protocol.contaminate:g}"] if protocol.contaminate else []
    return "-".join(parts)


@lru_cache(maxsize=64)
def _spellings(protocol: BoardProtocol) -> frozenset[str]:
    """The protocols of records that a board takes."""
    return frozenset(_canonical({**protocol.rules(), "shots": shots}) for shots in protocol.draws or (None,))


def _canonical(protocol: Mapping[str, Any]) -> str:
    """A protocol in one spelling: absent rules have their defaults, and learning from nothing is always allowed."""
    rules = {**_DEFAULT_RULES, **protocol}
    if isinstance(rules["allow"], list) and all(isinstance(source, str) for source in rules["allow"]):
        rules["allow"] = sorted(set(rules["allow"]) - {Source.NOTHING.value})
    return canonical_json({**rules, "evaluation": str(rules["evaluation"])})
