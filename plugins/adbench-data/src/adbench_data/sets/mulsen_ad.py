"""MulSen-AD: fifteen objects seen by a colour camera, an infrared camera and a laser scanner."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from adbench import GOOD, DataError, Field, Sample
from adbench.datasets import DataSource
from adbench.errors import printable
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.texts import read_lines
from adbench_data.tree import stem

_FOLDERS = {"rgb": "RGB", "infrared": "Infrared"}
_COLUMNS = {"rgb": 1, "infrared": 2}
"""Columns of ``data.csv``, which tells whether colour image, infrared image and points of an object show its defect."""


class MulSenAD(PublishedSet):
    """MulSen-AD: fifteen objects under three sensors (Li et al., CVPR 2025).

    The option `modality` says which image of a sample is looked at, ``rgb`` or ``infrared``. Its point clouds are no
    images and are not read. With `labels` ``own``, an image is defective if its own sensor shows the defect, as in the
    authors' settings with one sensor; with ``any``, if any of the three does, as in theirs with all of them. With
    ``any`` samples have the same ids in both modalities, so ``adbench fuse`` joins such runs.
    """

    name = "mulsen-ad"
    year = "2024"
    known = tuple(
        sorted(
            str.split(
                "capsule cotton cube spring_pad screw screen piggy nut flat_pad plastic_cylinder zipper button_cell"
                " toothbrush solar_panel light"
            )
        )
    )
    source = DataSource(
        title="MulSen-AD",
        page="https://huggingface.co/datasets/orgjy314159/MulSen_AD",
        licence="see the page of the dataset: its repository's MIT licence is for the code",
        paper="Li et al., Multi-Sensor Object Anomaly Detection, CVPR 2025 (arXiv 2412.14592)",
    )
    unpacked: ClassVar[tuple[str, ...]] = ("MulSen_AD", "Mulsen_AD")

    class Config(PublishedSet.Config):
        modality: Literal["rgb", "infrared"] = Field("rgb", description="which image of a sample is looked at")
        labels: Literal["own", "any"] = Field(
            "own", description="an image is defective if its own sensor shows the defect, or if any sensor does"
        )

    config: Config

    def has_mark(self, folder: Path) -> bool:
        return any((folder / name / "Infrared").is_dir() for name in self.known)

    def items(self, category: str) -> Iterator[Item]:
        folder = f"{category}/{_FOLDERS[self.config.modality]}"
        yield from (Item(path, TRAIN) for path in self.tree.images(f"{folder}/train"))
        for kind in self.tree.folders(f"{folder}/test"):
            yield from self._of_kind(category, folder, kind)
        for other in set(_FOLDERS.values()) - {_FOLDERS[self.config.modality]}:
            paths = self.tree.walk(f"{category}/{other}")
            yield from (Item(path, LEFT_OUT) for path in paths if not self.is_no_image(path))

    def _of_kind(self, category: str, folder: str, kind: str) -> Iterator[Item]:
        paths = sorted(self.tree.images(f"{folder}/test/{kind}"), key=lambda path: (len(stem(path)), stem(path)))
        masks = self.tree.by_stem(f"{folder}/GT/{kind}", (".png",))
        if kind == GOOD:
            yield from (Item(path, TEST) for path in paths)
            yield from (Item(path, LEFT_OUT) for path in masks.values())
            return
        for path, shown in zip(paths, self._shown(category, kind, len(paths)), strict=True):
            mask = masks.get(stem(path))
            own = shown[_COLUMNS[self.config.modality] - 1]
            if own:
                yield Item(path, TEST, kind, () if mask is None else (mask,))
            elif self.config.labels == "any" and any(shown):
                yield Item(path, TEST, kind)
            else:
                yield Item(path, TEST, name=f"{kind}-{stem(path)}")
            if mask is not None and not own:
                yield Item(mask, LEFT_OUT)

    def _shown(self, category: str, kind: str, images: int) -> list[tuple[bool, bool, bool]]:
        """Which sensors show the defect, for each image of a kind in the order of their numbers."""
        path = self.root / category / "RGB" / "GT" / kind / "data.csv"
        rows = list(csv.reader(read_lines(path)))[1:]
        odd = next((row for row in rows if len(row) != 4 or not {*map(str.strip, row[1:])} <= {"0", "1"}), None)
        if odd is not None or len(rows) != images:
            what = f"{len(rows)} rows for {images} images" if odd is None else f"the odd row {printable(odd)[:100]}"
            raise DataError(f"{self.title}, {printable(path)}: it has {what}; unpack the archive again")
        return [(row[1].strip() == "1", row[2].strip() == "1", row[3].strip() == "1") for row in rows]

    def mask_paths(self, sample: Sample) -> tuple[Path, ...]:
        """The masks of the own sensor; none where only another sensor shows the defect."""
        masks = self.listing(sample.id.split("/")[0]).masks
        if self.config.labels == "any" and sample.id not in masks:
            return ()
        return super().mask_paths(sample)
