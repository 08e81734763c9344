"""Real-IAD, 151,050 images of 30 objects, and its larger sister: five views of each sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

from adbench import GOOD, DataError, Field, Sample, StorageError
from adbench.datasets import DataSource
from adbench.errors import printable
from adbench.files import read_json
from adbench.reports import Survey
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item, Part
from adbench_data.texts import MAX_BYTES

_LISTS = {"multi-view": "realiad_jsons", "single-view": "realiad_jsons_sv"}
_CONTAMINATED = "realiad_jsons_fuiad_"


class RealIad(PublishedSet):
    """Real-IAD: 30 objects seen from five sides (Wang et al., CVPR 2024), CC BY-NC-SA 4.0.

    The authors' lists say which images are learned from and judged, and what each shows: some views of a defective
    sample show no defect and are normal images. Every image is judged by itself; `sample-auroc` takes the highest score
    of a sample's views. The option `contaminated` follows the authors' lists of unsorted training images, of which some
    show a defect that no method is told of.
    """

    name = "real-iad"
    year = "2024"
    known = tuple(
        sorted(
            str.split(
                "audiojack bottle_cap button_battery end_cap eraser fire_hood mint mounts pcb phone_battery plastic_nut"
                " plastic_plug porcelain_doll regulator rolled_strip_base sim_card_set switch tape terminalblock"
                " toothbrush toy toy_brick transistor1 u_block usb usb_adaptor vcpill wooden_beads woodstick zipper"
            )
        )
    )
    source = DataSource(
        title="Real-IAD",
        page="https://huggingface.co/datasets/Real-IAD/Real-IAD",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        images=151_050,
        paper="Wang et al., Real-IAD: A Real-World Multi-View Dataset, CVPR 2024",
        advice="ask for it at https://huggingface.co/datasets/Real-IAD/Real-IAD, and unpack the images of one size"
        " (such as realiad_256) and realiad_jsons into one folder",
    )
    unpacked = ("Real-IAD",)
    images: ClassVar[str] = "realiad"
    """How the names of the folders of images begin; their size follows."""

    class Config(PublishedSet.Config):
        size: Literal["256", "512", "1024", "raw"] = Field("1024", description="which of the published sizes is read")
        views: Literal["multi-view", "single-view"] = Field(
            "multi-view", description="which of the authors' lists is followed: all five views, or the one from above"
        )

        contaminated: Literal["none", "0.0", "0.1", "0.2", "0.4"] = Field(
            "none",
            description="which of the authors' lists with so large a share of defective training images is followed",
        )

    config: Config

    def folder_of(self, category: str) -> str:
        return f"{self.images}_{self.config.size}/{category}"

    def is_in(self, folder: Path) -> bool:
        return any((folder / f"{self.images}_{size}").is_dir() for size in ("256", "512", "1024", "raw"))

    def specimen(self, sample: Sample) -> str:
        """The folder of the views of one piece."""
        return self.image_path(sample).parent.relative_to(self.root).as_posix()

    def items(self, category: str) -> Iterator[Item]:
        lists = self._lists(category)
        for part in (TRAIN, TEST):
            entries = lists.get(part)
            for entry in entries if isinstance(entries, list) else [None]:
                item = self._item(entry, part, category)
                if part == TRAIN and self._contaminated:
                    yield from (Item(mask, LEFT_OUT) for mask in item.masks)
                    item = item._replace(defect=GOOD, masks=())
                yield item

    def survey(self, category: str = "") -> Survey:
        """As for every list; of contaminated training images it says how many show a defect."""
        survey = super().survey(category)
        if not category or not self._contaminated:
            return survey
        entries = self._lists(category)[TRAIN]
        hidden = sum(entry["anomaly_class"] != "OK" for entry in entries)
        words = f"{hidden} of the {len(entries)} training images show a defect, which no method is told"
        return replace(survey, labels=f"{survey.labels}; {words}")

    @property
    def _contaminated(self) -> bool:
        """Whether the lists that are followed hide defects among the training images."""
        return bool(self.config.contaminated != "none")

    def _folder_of_lists(self) -> str:
        """The folder of the authors' lists that the options name.

        Raises:
            DataError: there are no such lists.
        """
        if not self._contaminated:
            return _LISTS[self.config.views]
        if self.config.views != "multi-view":
            raise DataError(
                f"{self.title}: its lists with contaminated training images are of all views; leave out views"
            )
        return _CONTAMINATED + self.config.contaminated

    def _lists(self, category: str) -> dict[str, Any]:
        path = self.root / self._folder_of_lists() / f"{category}.json"
        try:
            lists = read_json(path, "a list of Real-IAD", MAX_BYTES)
        except StorageError as error:
            raise DataError(f"{self.title}: {error}; put the folder {path.parent.name} beside the images") from None
        return lists if isinstance(lists, dict) else {}

    def _item(self, entry: Any, part: Part, category: str) -> Item:
        """The image that an entry of a list names."""
        try:
            image, mask, kind = entry["image_path"], entry["mask_path"] or "", entry["anomaly_class"]
            folder = self.folder_of(category)
            masks = (f"{folder}/{mask}",) if mask and kind != "OK" else ()
            return Item(f"{folder}/{image}", part, GOOD if kind == "OK" else str(kind), masks)
        except (TypeError, KeyError):
            text = printable(json.dumps(entry)[:200])
            raise DataError(
                f"{self.title}, category {category!r}: its list has the odd entry {text}; get it anew"
            ) from None


class RealIadVariety(RealIad):
    """Real-IAD Variety: 160 objects of many kinds seen from five sides (arXiv 2511.00540).

    The folders are Real-IAD's with other names: ``realiadvariety_1024`` or ``realiadvariety_raw``, and
    ``realiadvariety_jsons`` with a list for each category. The categories are those of the lists whose
    images are there.
    """

    name = "real-iad-variety"
    year = "2025"
    known = ()
    source = DataSource(
        title="Real-IAD Variety",
        page="https://huggingface.co/datasets/Real-IAD/Real-IAD_Variety",
        licence="the page says it",
        paper="Real-IAD Variety, arXiv 2511.00540",
        advice="ask for it at https://huggingface.co/datasets/Real-IAD/Real-IAD_Variety, and unpack realiadvariety_1024"
        " and realiadvariety_jsons into one folder",
    )
    unpacked = ("Real-IAD_Variety",)
    images = "realiadvariety"

    class Config(PublishedSet.Config):
        size: Literal["1024", "raw"] = Field("1024", description="which of the published sizes is read")

    @cached_property
    def _there(self) -> list[str]:
        folder = self._folder_of_lists()
        lists = [name.removesuffix(".json") for name in self.tree.files(folder) if name.endswith(".json")]
        there = sorted(name for name in lists if self.tree.has_folder(self.folder_of(name)))
        if not there:
            raise DataError(
                f"{self.title}: {printable(self.root)} holds no list in {folder} with images in"
                f" {self.images}_{self.config.size}; {self._how_to_get()}"
            )
        return there

    @property
    def _contaminated(self) -> bool:
        return False

    def _folder_of_lists(self) -> str:
        return f"{self.images}_jsons"
