"""Pictures of a board's test images: photographs, which methods share, and a method's heat to lay over each of them.

A photograph is a file that is named after its content, so that each lies there once. A line of a record holds its name,
the heat and the outline of the defect.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from adbench.api.untrusted import open_plain
from adbench.engine.store.record import canonical_json

MAX_PICTURES = 64
MAX_SIDE = 1024
"""Of a picture, in pixels; adbench draws them 144 wide."""
MAX_PHOTOGRAPH_BYTES = 64 << 10
PHOTOGRAPH = ".webp"
_NAMES = re.compile(r'"photograph":"([0-9a-f]{32}\.webp)"')

_Address = Annotated[
    str, StringConstraints(max_length=64 << 10, pattern=r"^data:image/(?:webp|jpeg|png);base64,[A-Za-z0-9+/]+={0,2}$")
]
DrawnPicture: TypeAlias = tuple[bytes, bytes, str]
"""A photograph and a heat to lay over it, both WebP, and the defect's outline, as `LayeredPicture` has it."""


class LayeredPicture(BaseModel):
    """A picture in layers: the photograph, the heat over it, and the outline of the defect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    photograph: str = Field(pattern=r"^[0-9a-f]{32}\.webp$", description="the file's name: 128 bits of its sha256")
    heat: _Address
    outline: str = Field("", max_length=8 << 10, pattern=r"^[MLZ0-9 ]*$", description="SVG path on a square of 1000")


class Pictures(BaseModel):
    """Pictures of one record's test images. Older boards hold each as one address, photograph and heatmap in one."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: int = Field(1, alias="schema", ge=1, le=1)
    id: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the record")
    pictures: dict[str, LayeredPicture | _Address] = Field(max_length=MAX_PICTURES, description="by the image's id")

    def to_line(self) -> str:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    def fault(self, photographs: Mapping[str, bytes]) -> str:
        """Why a page cannot show them; empty if it can.

        Args:
            photographs: the board's, by name.
        """
        layers = [one for one in self.pictures.values() if isinstance(one, LayeredPicture)]
        addresses = [one.heat if isinstance(one, LayeredPicture) else one for one in self.pictures.values()]
        if missing := {one.photograph for one in layers} - photographs.keys():
            return f"the photograph {min(missing)} is not there; take it from the repository again"
        if not all(map(is_small_picture, addresses)):
            return f"one is no picture of at most {MAX_SIDE} pixels a side; its row goes without"
        return ""


def layered(drawn: DrawnPicture, photographs: dict[str, bytes]) -> LayeredPicture:
    """A picture for a record's line.

    Args:
        drawn: of a test image.
        photographs: takes the photograph, by name.
    """
    photograph, heat, outline = drawn
    name = photograph_name(photograph)
    photographs[name] = photograph
    return LayeredPicture(photograph=name, heat=address(heat), outline=outline)


def photograph_name(content: bytes) -> str:
    """The name of a photograph's file."""
    return f"{hashlib.sha256(content).hexdigest()[:32]}{PHOTOGRAPH}"


def photograph_names(line: str) -> set[str]:
    """Names of the photographs that a line of pictures refers to."""
    return set(_NAMES.findall(line))


def address(content: bytes) -> str:
    """A WebP as an address that holds all of it."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode()}"


def read_photographs(folder: Path, problems: list[str]) -> dict[str, bytes]:
    """The photographs in a folder, by name.

    Args:
        folder: the board's folder of pictures.
        problems: takes a sentence for each file that is no photograph, or not the one that its name says.

    Raises:
        StorageError: one cannot be read.
    """
    found = {}
    for file in sorted(folder.glob(f"*{PHOTOGRAPH}")):
        with open_plain(file, "a photograph", folder) as opened:
            content = opened.read(MAX_PHOTOGRAPH_BYTES + 1)
        if file.name == photograph_name(content) and is_small_picture(address(content)):
            found[file.name] = content
        else:
            problems.append(f"{file}: not the photograph that its name says; take it from the repository again")
    return found


def is_small_picture(text: str) -> bool:
    """Whether an address holds a picture, by its head, that a browser can show in little memory."""
    from PIL import Image

    try:
        content = io.BytesIO(base64.b64decode(text.partition(",")[2]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(content, formats=["WEBP", "JPEG", "PNG"]) as found:
                return max(found.size) <= MAX_SIDE and getattr(found, "n_frames", 1) == 1
    except Exception:  # noqa: BLE001  whatever a library makes of untrusted bytes, a picture it is not
        return False
