"""ELPV: solar cells in electroluminescence images, from the package index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from adbench import DataError, Field
from adbench.datasets import DataSource
from adbench.errors import printable
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.texts import read_lines

_CELLS = 60
"""Cells of a module, as most modules have them: the table changes between mono and poly at multiples of it."""


class Cell(NamedTuple):
    """A line of the table: a file, the probability of a defect, and the module's type."""

    image: str
    probability: float
    kind: str


class Elpv(PublishedSet):
    """ELPV: 2,624 solar cells of 44 modules in electroluminescence images (Deitsch et al., 2019), CC BY-NC-SA 4.0.

    Two categories, mono- and polycrystalline cells. Experts' answers make a probability of a defect: 0 is normal, 1 is
    defective, and what lies between is left out unless the option `defective` says so. There are no masks.

    There is no official split. In the order of the sha256 of `draw` and a cell's file, the first third of the normal
    cells are test images, with all defective cells. The table names no module, but lists cells module after module: a
    cell's neighbours are on both sides. With ``keep=blocks`` up to 60 cells in a row of one type, as a module has, stay
    together. That is harder: `patchcore-lite` loses 5 points of image AUROC on mono and 9 on poly cells.
    """

    name = "elpv"
    year = "2019"
    known = ("mono", "poly")
    repair = "install it anew"
    sizes: ClassVar[dict[str, int]] = {"mono": 1074, "poly": 1550}
    source = DataSource(
        title="ELPV",
        page="https://github.com/zae-bayern/elpv-dataset",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        size=90_801_454,
        images=2624,
        paper="Deitsch et al., Automatic classification of defective photovoltaic module cells in electroluminescence"
        " images, Solar Energy 2019",
        advice="install it with 'pip install elpv-dataset' (90 MB)",
    )
    unpacked = ("src/elpv_dataset/data", "elpv_dataset/data")

    class Config(PublishedSet.Config):
        defective: Literal["1", "0.67", "0.33"] = Field(
            "1",
            description="the lowest probability of a defect that makes a cell defective; cells between are left out",
        )
        draw: int = Field(0, ge=0, description="which draw of the split")
        keep: Literal["cells", "blocks"] = Field(
            "cells",
            description="what is drawn: single normal cells, or blocks of up to 60 in a row, which are one module's",
        )

    config: Config

    def is_in(self, folder: Path) -> bool:
        return (folder / "labels.csv").is_file() and (folder / "images").is_dir()

    def _places(self) -> Iterator[Path]:
        package = find_spec("elpv_dataset")
        for place in (package.submodule_search_locations or []) if package else []:
            yield Path(place) / "data"
        yield from super()._places()

    @cached_property
    def _there(self) -> list[str]:
        return sorted({cell.kind for cell in self._cells})

    def _files_of(self, category: str) -> Iterable[str]:  # noqa: ARG002  the folder is that of both categories
        known = {cell.image for cell in self._cells}
        return (path for path in self.tree.images("images") if path not in known)

    @cached_property
    def _cells(self) -> list[Cell]:
        table = self.root / "labels.csv"
        return [_cell(line, table, number) for number, line in enumerate(read_lines(table), 1)]

    def items(self, category: str) -> Iterator[Item]:
        least = float(self.config.defective) - 0.01
        largest = _CELLS if self.config.keep == "blocks" else 1
        blocks = [block for block in _blocks(self._cells, largest) if block[0].kind == category]
        chosen = self._test_blocks(blocks)
        for block in blocks:
            for cell in block:
                if cell.probability == 0:
                    yield Item(cell.image, TEST if block[0] in chosen else TRAIN)
                else:
                    part = TEST if cell.probability >= least else LEFT_OUT
                    yield Item(cell.image, part, _type(cell.probability))

    def _test_blocks(self, blocks: list[list[Cell]]) -> set[Cell]:
        """The first cells of the blocks whose normal cells are test images: no more than a third of all."""
        normal = {block[0]: sum(cell.probability == 0 for cell in block) for block in blocks}
        room, chosen = sum(normal.values()) // 3, set[Cell]()
        for first in sorted(normal, key=self._draw_key):
            if normal[first] <= room:
                chosen.add(first)
                room -= normal[first]
        return chosen

    def _draw_key(self, cell: Cell) -> str:
        return hashlib.sha256(f"{self.config.draw}/{cell.image}".encode()).hexdigest()


def _cell(line: str, table: Path, number: int) -> Cell:
    try:
        image, probability, kind = line.split()
        cell = Cell(image, float(probability), kind)
    except ValueError:
        raise DataError(f"{printable(table)}, line {number}: is not 'file probability type'; install it anew") from None
    if kind not in Elpv.known or not 0 <= cell.probability <= 1:
        raise DataError(f"{printable(table)}, line {number}: {printable(line)} is no cell; install it anew")
    return cell


def _type(probability: float) -> str:
    """The name of the type of defect: how sure the experts were."""
    return {1.0: "defective", 0.67: "likely", 0.33: "possibly"}[round(probability, 2)]


def _blocks(cells: list[Cell], largest: int) -> Iterator[list[Cell]]:
    """So many cells in a row of one type, or fewer where the type changes."""
    for _, run in groupby(cells, key=lambda cell: cell.kind):
        row = list(run)
        yield from (row[start : start + largest] for start in range(0, len(row), largest))
