"""Figures of papers in `published.yaml`, the file beside all boards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from adbench import StorageError
from adbench.boards.board import Board
from adbench.boards.text import plain
from adbench.files import read_yaml

PUBLISHED_FILE = "published.yaml"
MAX_PUBLISHED_BYTES = 4 << 20

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
