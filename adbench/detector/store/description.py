"""`detector.json`: the description of a detector in its file, and the checks of its form."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adbench.api.untrusted import parse_json
from adbench.detector.fit.appearance import Learned
from adbench.detector.fit.state import Figures, FitCost, LearnedImage
from adbench.engine.plan.recipe import SLOTS, Recipe
from adbench.engine.store.record import PartInfo, Provenance, WeightsInfo
from adbench.errors import StorageError
from adbench.safe_text import one_line

MANIFEST = "detector.json"
SCHEMA = 2
"""2 added the paths of images, the places of patches and the id of the record; detectors of schema 1 open as before."""
MAX_MANIFEST_BYTES = 64 << 20


class ForeignFile(BaseModel):
    """A file that an option of the recipe names. Its path is not stored, because it holds on one machine only.

    Attributes:
        slot, place, option: whose option it is: the part's place in its slot, from 0.
        file: its name.
        sha256: of its content.
        inside: whether it is in the detector's file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slot: str = Field(pattern=f"^({'|'.join(SLOTS)})$")
    place: int = Field(ge=0, lt=100)
    option: str = Field(max_length=100)
    file: str = Field(max_length=255, pattern=r"^[^/\\\x00]*[^/\\\x00.][^/\\\x00]*$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    inside: bool = False

    @property
    def entry(self) -> str:
        """Its name in the detector's file."""
        return f"files/{self.sha256}"


class IgnoreInfo(BaseModel):
    """The ignore mask, whose pixels lie beside the description.

    Attributes:
        name: of the file that it came from.
        height, width: in pixels.
        sha256: its `IgnoreMask.digest`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=1000)
    height: int = Field(ge=1, le=1 << 16)
    width: int = Field(ge=1, le=1 << 16)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class NormalSource(BaseModel):
    """The source of the normal scores, and the rule of the threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(max_length=100)
    reason: str = Field("", max_length=2000)
    rule: str = Field(max_length=100)


class DetectorDescription(BaseModel):
    """The whole description in the file; tensors are separate entries."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(SCHEMA, alias="schema", ge=1, le=SCHEMA)
    recipe: Recipe
    spec: dict[str, Any]
    parts: list[PartInfo]
    seed: int = Field(ge=0)
    class_name: str | None = Field(None, max_length=200)
    images: list[LearnedImage]
    learned: Learned | None
    white: float | None = Field(None, gt=0, allow_inf_nan=False)
    ignore: IgnoreInfo | None = None
    normal: NormalSource
    weights: list[WeightsInfo]
    provenance: Provenance
    cost: FitCost
    figures: Figures | None = None
    history: list[str] = Field(default_factory=list)
    files: list[ForeignFile] = Field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The JSON of the description."""
        data = self.model_dump(mode="json", by_alias=True, exclude=None if self.ignore else {"ignore"})
        return (json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def parse_description(content: bytes, where: str) -> DetectorDescription:
    """A description from an untrusted source.

    Raises:
        StorageError: it is none, or of a newer adbench.
    """
    try:
        data = parse_json(content.decode(), where)
        if isinstance(data, dict) and isinstance(data.get("schema"), int) and data["schema"] > SCHEMA:
            raise StorageError(
                f"{where}: made by a newer adbench (schema {data['schema']}, known is {SCHEMA}); upgrade adbench-core"
            )
        return DetectorDescription.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        spot = one_line(".".join(map(str, first["loc"])), 100)
        raise StorageError(f"{where}: not a detector of adbench: {spot}: {one_line(first['msg'], 300)}") from None
    except UnicodeDecodeError:
        raise StorageError(f"{where}: not a detector of adbench: {MANIFEST} is no UTF-8 text") from None
