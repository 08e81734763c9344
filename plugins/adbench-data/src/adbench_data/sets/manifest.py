"""One's own images, wherever they lie below a folder: a table says what each of them is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Literal

from adbench import GOOD, DataError, Field
from adbench.errors import printable
from adbench_data.listed import ListedDataset
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item, Part
from adbench_data.texts import Row, read_lines, read_table

MOST = 1_000_000
"""Images that a manifest may list: the largest set of the field has 151,050."""

_NORMAL = frozenset(("good", "normal", "ok", "0", "false"))
_DEFECTIVE = frozenset(("1", "true"))
_PARTS: dict[str, Part] = {"train": TRAIN, "training": TRAIN, "test": TEST, "testing": TEST, "": LEFT_OUT}
_COLUMNS = ("image", "split", "label")
_NAME = re.compile(r"[\w .+-]{1,100}")
_OUTSIDE = re.compile(r"[a-zA-Z][\w+.-]*:|[/\\~]|.*(?:^|[/\\])\.\.(?:[/\\]|$)")
"""How a path begins that does not lie below the manifest: an address, a drive, the root, a home; or leads upwards."""


class ManifestDataset(ListedDataset):
    """Your own images in any folders, listed in a table: CSV or JSON lines.

    Its columns are ``image`` (the file, relative to the table), ``split`` (train, test, or empty to leave it out) and
    ``label`` (good, normal, ok or 0 is normal; any other text is the type of defect), and, if wanted, ``mask`` and
    ``category``. A folder of Hugging Face's ``datasets`` has such a table, ``metadata.csv`` or ``metadata.jsonl``; its
    column ``file_name`` is read as ``image``.
    """

    name = "manifest"

    class Config(ListedDataset.Config):
        file: Path = Field(
            description="the table, whose name ends with .csv, .tsv or .jsonl; images lie below its folder"
        )
        called: str = Field(
            "",
            pattern=r"^[A-Za-z0-9._-]{0,80}$",
            description="what records call the data; the folder's name when left out",
        )
        white: float | None = Field(
            None, gt=0, allow_inf_nan=False, description="the number that is white in images of more than 8 bits"
        )
        marks: Literal["auto", "light", "dark"] = Field(
            "auto", description="whether light or dark marks a defect in masks"
        )

    config: Config

    @property
    def white(self) -> float | None:
        return self.config.white

    @property
    def marks(self) -> Literal["auto", "light", "dark"]:
        return self.config.marks

    def _pixel_options(self) -> Iterator[str]:
        if self.config.white is not None:
            yield f"white={self.config.white!r}"
        if self.config.marks != "auto":
            yield f"marks={self.config.marks}"

    @property
    def board_name(self) -> str:
        named = re.sub(r"[^a-z0-9._-]+", "-", self.root.name.lower()).strip("-._")
        return self.config.called or named or self.name

    @cached_property
    def root(self) -> Path:
        return self._file.parent

    @cached_property
    def _file(self) -> Path:
        path = self.config.file.expanduser().resolve()
        if not path.is_file():
            raise DataError(f"{self.title}: {printable(path)} is no file; give the table of images")
        return path

    def revision(self) -> str:
        return "manifest"

    def categories(self) -> Sequence[str]:
        return sorted(self._by_category)

    def items(self, category: str) -> Iterable[Item]:
        return self._by_category[category]

    def _files_of(self, category: str) -> Iterable[str]:  # noqa: ARG002  files that the table does not name are not reported
        return ()

    @cached_property
    def _by_category(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for number, row in enumerate(islice(self._rows(), MOST + 1), 1):
            if number > MOST:
                raise DataError(
                    f"{printable(self._file)}: lists more than {MOST:,} images; split it into several tables"
                )
            category, item = self._item(row, f"{printable(self._file)}, image {number}")
            found.setdefault(category, []).append(item)
        if not found:
            raise DataError(f"{printable(self._file)}: lists no image")
        return found

    def _rows(self) -> Iterator[Row]:
        if self._file.suffix.lower() not in {".jsonl", ".ndjson"}:
            return read_table(self._file, ("split", "label"))
        return (_object(line, self._file, number) for number, line in enumerate(read_lines(self._file), 1))

    def _item(self, row: Row, where: str) -> tuple[str, Item]:
        image = _below(row.get("image") or row.get("file_name", ""), "image", where)
        mask = row.get("mask", "")
        masks = (_below(mask, "mask", where),) if mask else ()
        split = row.get("split", "").lower()
        if split not in _PARTS:
            raise DataError(f"{where}: the split {printable(split)!r} is neither train nor test; correct it")
        label = _defect(row.get("label", ""), where)
        category = _name(row.get("category", "") or "images", "category", where)
        return category, Item(image, _PARTS[split], label, masks, image.rpartition(".")[0] or image)


def _object(line: str, path: Path, number: int) -> Row:
    """One line of JSON as a row."""
    try:
        return {key.lower(): _text(cell) for key, cell in dict.items(json.loads(line))}
    except (ValueError, TypeError, RecursionError):
        raise DataError(
            f"{printable(path)}, line {number}: is no object of texts and numbers in JSON; correct it"
        ) from None


def _text(cell: object) -> str:
    if isinstance(cell, dict | list):
        raise TypeError
    return "" if cell is None else str(cell).strip()


def _below(path: str, what: str, where: str) -> str:
    """A path that stays below the manifest's folder."""
    if not path:
        raise DataError(f"{where}: has no {what}; name its file, relative to the table")
    if _OUTSIDE.match(path) or path[0] in "=@" or not path.isprintable():
        raise DataError(
            f"{where}: the {what} {printable(path[:200])} is no path below the table's folder; copy the file there, and"
            " write its path relative to the table"
        )
    return path.replace("\\", "/").removeprefix("./")


def _defect(label: str, where: str) -> str:
    if label.lower() in _NORMAL:
        return GOOD
    return "defect" if label.lower() in _DEFECTIVE else _name(label, "label", where)


def _name(text: str, what: str, where: str) -> str:
    """A name that can stand in ids and in the names of folders."""
    if not _NAME.fullmatch(text) or text.strip(". ") != text or text[0] in "+-":
        raise DataError(
            f"{where}: the {what} {printable(text[:100])!r} is no name; use letters, digits, spaces and any of . _ + -"
        )
    return text
