"""MVTec LOCO AD: logical and structural defects, each in a mask of its own, with saturation areas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from adbench import GOOD, BadImage, DataError, Field, Sample, StorageError
from adbench.datasets import MASK_SUFFIXES, DataSource, read_image, read_size
from adbench.errors import printable
from adbench.files import read_json
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.tree import stem

if TYPE_CHECKING:
    from adbench.metrics import Region

_CONFIG = "defects_config.json"


class Saturation(NamedTuple):
    """How much of a defect has to be found: a number of pixels, or a share of its own."""

    threshold: float
    relative: bool

    def area(self, pixels: int) -> float:
        """The saturation area of a defect of so many pixels."""
        return self.threshold * pixels if self.relative else self.threshold


class MVTecLoco(PublishedSet):
    """MVTec LOCO AD: five scenes with logical and structural defects (Bergmann et al., IJCV 2022), CC BY-NC-SA 4.0.

    The original split. ``validation/good`` is left out unless the option `validation` says so: adbench finds its
    threshold from training images that the bank has not seen. Each defect of an image has a mask of its own, whose
    number says what it is; ``defects_config.json`` says which area of it has to be found. Figures for each type of
    defect, logical and structural, are in every run's details.
    """

    name = "mvtec-loco"
    year = "2022"
    known = ("breakfast_box", "juice_bottle", "pushpins", "screw_bag", "splicing_connectors")
    source = DataSource(
        title="MVTec LOCO AD",
        page="https://www.mvtec.com/company/research/datasets/mvtec-loco",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        images=3651,
        paper="Bergmann et al., Beyond Dents and Scratches, IJCV 2022",
    )
    published: ClassVar[dict[str, tuple[int, int]]] = {
        "breakfast_box": (351, 275),
        "juice_bottle": (335, 330),
        "pushpins": (372, 310),
        "screw_bag": (360, 341),
        "splicing_connectors": (360, 312),
    }
    validated: ClassVar[dict[str, int]] = {
        "breakfast_box": 62,
        "juice_bottle": 54,
        "pushpins": 69,
        "screw_bag": 60,
        "splicing_connectors": 60,
    }
    unpacked = ("mvtec_loco_anomaly_detection", "mvtec_loco")
    kinds: ClassVar[tuple[str, ...]] = ("logical_anomalies", "structural_anomalies")

    class Config(PublishedSet.Config):
        validation: bool = Field(False, description="learn from the images of validation/good, too")

    config: Config

    def has_mark(self, folder: Path) -> bool:
        return any((folder / name / _CONFIG).is_file() for name in self.known)

    def items(self, category: str) -> Iterator[Item]:
        tree = self.tree
        for part in ("train", "validation"):
            where = TRAIN if part == "train" or self.config.validation else LEFT_OUT
            for path in tree.images(f"{category}/{part}/{GOOD}"):
                yield Item(path, where, name=stem(path) if part == "train" else f"validation-{stem(path)}")
        yield from (Item(path, TEST) for path in tree.images(f"{category}/test/{GOOD}"))
        for kind in self.kinds:
            for path in tree.images(f"{category}/test/{kind}"):
                yield Item(path, TEST, kind, self._masks(category, kind, path))

    def expected(self, category: str) -> tuple[int, int] | None:
        train, test = self.published[category]
        return (train + self.validated[category] if self.config.validation else train), test

    def _masks(self, category: str, kind: str, image: str) -> tuple[str, ...]:
        folder = f"{category}/ground_truth/{kind}/{stem(image)}"
        masks = tuple(self.tree.images(folder, MASK_SUFFIXES))
        if not masks:
            raise DataError(f"{self.title}: {printable(folder)} holds no mask of {printable(image)}; unpack it again")
        return masks

    def regions(self, sample: Sample) -> Sequence[Region] | None:
        if not sample.anomalous:
            return ()
        size = read_size(self.image_path(sample))
        return [self._region(path, size, sample.id.split("/")[0]) for path in self.mask_paths(sample)]

    def _region(self, path: Path, size: tuple[int, int], category: str) -> Region:
        """The defect that a mask marks."""
        from adbench.metrics import Region  # imports NumPy, which lists of components do without

        pixels = read_image(path)[:, :, 0]
        number, known = int(pixels.max()), self._saturations(category)
        if pixels.shape != size or number not in known:
            problem = f"has {pixels.shape} pixels" if pixels.shape != size else f"marks with {number}"
            raise BadImage(
                path, f"{problem}, which does not fit its image or {_CONFIG}", advice="unpack the archive again"
            )
        marked = pixels > 0
        return Region.of(marked, known[number].area(int(marked.sum())))

    def _saturations(self, category: str) -> dict[int, Saturation]:
        if category not in self._known_saturations:
            self._known_saturations[category] = _read(self.root / category / _CONFIG)
        return self._known_saturations[category]

    @cached_property
    def _known_saturations(self) -> dict[str, dict[int, Saturation]]:
        return {}


def _read(path: Path) -> dict[int, Saturation]:
    """The saturation areas of a category, by the numbers in masks."""
    try:
        entries: Any = read_json(path, "a list of defects")
        return {
            int(entry["pixel_value"]): Saturation(
                float(entry["saturation_threshold"]), bool(entry["relative_saturation"])
            )
            for entry in entries
        }
    except StorageError as error:
        raise DataError(str(error)) from None
    except (TypeError, KeyError, ValueError):
        raise DataError(f"{printable(path)}: is no list of defects with saturation areas; unpack it again") from None
