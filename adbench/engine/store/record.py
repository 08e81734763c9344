"""The record of one unit: one recipe on one category with one seed. The only place that writes records."""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)

from adbench.api.atomic_file import atomic_write
from adbench.api.untrusted import is_there, parse_json, read_plain, require_shallow
from adbench.engine.process.location import is_here
from adbench.errors import StorageError
from adbench.safe_text import one_line

SCHEMA = 3
RECORD_FILE = "record.json"
MAX_RECORD_BYTES = 4 << 20

Status = Literal["ok", "failed", "out-of-memory", "timeout"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartInfo(_Model):
    """The component in a slot, and the package that it comes from."""

    kind: str
    name: str
    version: int
    dist: str
    dist_version: str


class RecipeInfo(_Model):
    """The method: `spec` decides the scores, `parts` names its components."""

    name: str
    spec: dict[str, Any]
    parts: list[PartInfo]

    @cached_property
    def spec_json(self) -> str:
        """The spec as canonical JSON."""
        return canonical_json(self.spec)

    @cached_property
    def spec_sha(self) -> str:
        """sha256 of the spec alone: records of one method share it."""
        return hashlib.sha256(self.spec_json.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def member(self) -> str:
        """The member of a record's canonical JSON that holds this recipe."""
        return f"{_MEMBER}{canonical_json(self.model_dump(mode='json'))}"


_MEMBER = '"recipe":'
_AS_BEFORE = secrets.token_hex(16)
"""Stands for a recipe in the text of a record; no text from elsewhere can hold it."""


def _given_or_read(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """The recipe of the context where the text says so; else the one in the text."""
    return info.context if value == _AS_BEFORE else read(value)


_LATER = {"tuned_on_test", "contamination", "all_categories", "exemplars"}
"""Fields that came later, which records leave out where they do not hold."""


class _Grown(_Model):
    """A part of records that has fields of `_LATER`."""

    @model_serializer(mode="wrap")
    def _as_older_records(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later fields that are empty, so that older records keep their bytes."""
        given: dict[str, Any] = write(self)
        return {name: value for name, value in given.items() if name not in _LATER or value}


class TaskInfo(_Grown):
    """The task: dataset, category, seed, protocol and images."""

    dataset: str
    revision: str
    category: str
    seed: int
    protocol: dict[str, Any]
    train: int = Field(description="normal images learned from")
    test: int = Field(description="images judged")
    samples_sha: str = Field(
        description="sha256 over ids and contents of all of them, and where training ends and test begins"
    )
    skipped: list[str] = Field(default_factory=list, description="files left out by --skip-bad")
    duplicates: list[str] | None = Field(None, description="test images that are training images too, by content")
    exemplars: list[str] = Field(
        default_factory=list,
        description="labelled defective images that a bank may learn from, and nobody is judged on",
    )


class Regime(_Grown):
    """The regime, computed from the components' declarations. Rows of different regimes are never ranked together."""

    train_images: int
    test_set: bool = Field(description="the bank learned from the test images: transductive")
    class_names: bool
    anomalies: bool = Field(description="the bank learned from labelled anomalies")
    tuned_per_category: bool
    tuned_on_test: bool = Field(False, description="labels of this dataset's test images have chosen options")
    all_categories: bool = Field(False, description="one model learned from the training images of every category")
    contamination: float = Field(
        0.0, ge=0, le=0.5, description="the share of the training images that show a defect, without a label"
    )
    random_weights: bool


class MetricInfo(_Model):
    """A figure; `value` is null with a `reason` where the metric is undefined."""

    value: float | None
    version: int
    reason: str = ""
    interval: tuple[float, float] | None = Field(None, description="95 % confidence, over draws of the test images")


class Quantiles(_Model):
    """Of a time a image, in milliseconds."""

    p50: float
    p95: float


class Cost(_Model):
    """The cost of the unit: memory in MB (2**20 bytes), times in seconds unless the name gives another unit."""

    extract_s: float = Field(description="reading and seeing the training images")
    fit_s: float = Field(description="fitting necks and bank, extraction included")
    test_s: float = Field(description="reading, seeing and scoring the test images")
    test_extract_s: float = Field(0.0, description="reading and seeing the test images, a part of test_s")
    evaluate_s: float = Field(0.0, description="maps and metrics")
    threshold_s: float = Field(0.0, description="fitting without some normal images, and scoring those")
    wall_s: float = Field(0.0, description="the whole unit as it ran here, whatever it shared with others")
    recalled: int = Field(0, description="images whose features were kept; their times are those of when they were new")
    ms_per_image: Quantiles = Field(description="a test image from file to patch scores, batch time over batch size")
    peak_memory_mb: float = Field(description="highest resident memory of the process during the unit")
    peak_gpu_mb: float | None = None
    bank_mb: float = Field(description="size of the bank's state")


class PredictionsInfo(_Model):
    """The file of raw scores beside the record."""

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    sha256: str


class WeightsInfo(_Model):
    """Name and sha256 of weights that were loaded."""

    name: str
    sha256: str


class Provenance(_Model):
    """The circumstances of a run, which are never part of the identity."""

    adbench: str
    git: str | None
    dirty: bool | None
    python: str
    torch: str
    device: str
    runtime: str = Field("torch", description="what computed the backbone")
    started: str
    weights: list[WeightsInfo]
    packages: dict[str, str]


class ResultRecord(_Model):
    """The whole record. `id` is the sha256 of what decides the score."""

    schema_version: int = Field(SCHEMA, alias="schema", ge=1)
    id: str = Field(pattern=r"^[0-9a-f]{64}$")
    status: Status
    reason: str = ""
    recipe: Annotated[RecipeInfo, WrapValidator(_given_or_read)]
    task: TaskInfo
    regime: Regime
    metrics: dict[str, MetricInfo]
    cost: Cost | None
    facts: dict[str, float] = Field(
        default_factory=dict,
        description="figures of the bank, such as its recall, and images of which the masker left nothing",
    )
    drew: bool | None = Field(
        None, description="whether another seed could have given other scores; null in records of older schemas"
    )
    predictions: PredictionsInfo | None
    provenance: Provenance

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @cached_property
    def former_id(self) -> str:
        """The id that the record had in the older schema that it was read from; else empty. No part of the record."""
        return ""

    def to_json(self) -> dict[str, Any]:
        """JSON-compatible, keys as in the schema; without `drew` where it is unknown."""
        return self.model_dump(mode="json", by_alias=True, exclude={"drew"} if self.drew is None else None)


def bounded_sha(sequence_sha: str, train: int, test: int) -> str:
    """The sha256 that stands for the images of a unit.

    Args:
        sequence_sha: sha256 over ids, defects and contents, training images first. Schemas 1 and 2 had that alone, so
            that two and three images were the same as three and two.
        train: how many of the images are training images.
        test: how many are test images.
    """
    return hashlib.sha256(f"{train} {test} {sequence_sha}".encode()).hexdigest()


def identity(spec_json: str, category: str, samples_sha: str, protocol: Mapping[str, Any], seed: int) -> str:
    """The id of a record: sha256 of what decides the score. The dataset's name does not, its content does.

    Args:
        spec_json: the recipe's spec as canonical JSON, which takes longest to make.
        category: of the dataset.
        samples_sha: over the content of all images.
        protocol: as the record has it.
        seed: of the unit.
    """
    task = canonical_json({"category": category, "samples": samples_sha, "protocol": protocol, "seed": seed})
    return hashlib.sha256(f'{{"recipe":{spec_json},"task":{task}}}'.encode()).hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def canonical_json(value: Any) -> str:
    """The only JSON text of a value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def parse_record(text: str, where: str, before: RecipeInfo | None = None) -> ResultRecord:
    """A record from JSON that may come from an untrusted source.

    Args:
        text: the JSON.
        where: it was found, for the message.
        before: a recipe that the record probably has, such as the one of the line before. The record gets this very
            object if it does: a recipe is a third of a record, and records of one method then share what is made of it.

    Raises:
        StorageError: it is too large, no JSON, of a newer schema, or does not fit the schema.
    """
    if len(text) > MAX_RECORD_BYTES:
        raise StorageError(f"{where}: larger than {MAX_RECORD_BYTES >> 20} MiB; this is no record of adbench")
    record = before and _parse_around(text, before)
    if not record:
        try:
            record = ResultRecord.model_validate_json(text)  # a third faster than _parse_slowly
        except ValidationError:
            return _parse_slowly(text, where)
        if record.schema_version == SCHEMA:
            require_shallow(record.recipe.spec, where)
    if record.schema_version != SCHEMA:
        return _parse_slowly(text, where)
    require_shallow(record.task.protocol, where)
    return record


def _parse_around(text: str, before: RecipeInfo) -> ResultRecord | None:
    """A record whose recipe has the text of another, which is not parsed; None if it has not, or on any fault."""
    start = text.find(_MEMBER)
    if not text.startswith(before.member, start):
        return None
    around = f'{text[:start]}{_MEMBER}"{_AS_BEFORE}"{text[start + len(before.member) :]}'
    try:
        record = ResultRecord.model_validate_json(around, context=before)
    except ValidationError:
        return None
    return record if record.recipe is before else None


def _parse_slowly(text: str, where: str) -> ResultRecord:
    """A record of an older schema; raises `StorageError` with the reason if the content is no record."""
    data = parse_json(text, where)
    if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > SCHEMA:
        raise StorageError(f"{where}: schema {data['schema']} is newer than {SCHEMA}; upgrade adbench-core")
    try:
        return _upgraded(ResultRecord.model_validate(data))
    except ValidationError as error:
        first = error.errors()[0]
        spot = one_line(".".join(str(part) for part in first["loc"]), 100)
        raise StorageError(f"{where}: not a record of adbench: {spot}: {first['msg']}") from None
    except ValueError as error:
        raise StorageError(f"{where}: not writable as JSON: {one_line(str(error), 200)}") from None


def _upgraded(record: ResultRecord) -> ResultRecord:
    """A record of an older schema as one of today's.

    Schema 2 only added fields that have a default. Schema 3 keeps the boundary between training and test images in
    `samples_sha`, and with it the id. Where the old id does not follow from the old record, it stays, and gives the
    record away as edited.
    """
    if record.schema_version == SCHEMA:
        return record
    task, recipe = record.task, record.recipe
    new_sha = task.samples_sha and bounded_sha(task.samples_sha, task.train, task.test)
    followed = record.id == identity(recipe.spec_json, task.category, task.samples_sha, task.protocol, task.seed)
    new_id = identity(recipe.spec_json, task.category, new_sha, task.protocol, task.seed) if followed else record.id
    upgraded = record.model_copy(
        update={
            "schema_version": SCHEMA,
            "id": new_id,
            "task": task.model_copy(update={"samples_sha": new_sha}),
        }
    )
    upgraded.__dict__["former_id"] = record.id  # as `cached_property` keeps it: records that differ in it are equal
    return upgraded


def read_record(path: Path) -> ResultRecord:
    """The record in a file, or in a run's folder.

    Raises:
        StorageError: it cannot be read or is no record.
    """
    folder = path if path.is_dir() else None
    file = path / RECORD_FILE if folder else path
    if folder and not is_there(file):
        raise StorageError(f"{path}: no run, for it has no {RECORD_FILE}; give a folder that 'adbench run' wrote")
    return parse_record(read_plain(file, MAX_RECORD_BYTES, "a record of adbench", folder), str(file))


def find_runs(root: Path) -> list[Path]:
    """Folders below `root` (or `root` itself) that hold a record, or what is called one, sorted.

    What is called one may be a pipe, or a link to nowhere: `read_record` says what is wrong with it.
    """
    if not is_here(root):
        return [root] if (root / RECORD_FILE).is_file() else sorted(_parents(root.glob(f"[!.]*/{RECORD_FILE}")))
    if is_there(root / RECORD_FILE):
        return [root]
    try:
        return sorted(child for child in root.iterdir() if child.name[0] != "." and is_there(child / RECORD_FILE))
    except OSError:
        return []


def _parents(files: Iterable[Path]) -> Iterator[Path]:
    return (file.parent for file in files)


def write_record(folder: Path, record: ResultRecord) -> None:
    """Write `record.json` into a run's folder; one that is there stays whole until the new one is.

    Raises:
        StorageError: disk full or read-only.
    """
    text = json.dumps(record.to_json(), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with storage_errors(folder):
        atomic_write(folder / RECORD_FILE, text + "\n")


@contextmanager
def storage_errors(where: Path) -> Iterator[None]:
    """Turn a failed write into one sentence."""
    try:
        yield
    except OSError as error:
        room = "free some space or " if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        raise StorageError(
            f"cannot write to {where}: {error.strerror or error}; {room}choose another folder with --out"
        ) from None
