"""MVTec 3D-AD: ten objects as colour images and as organised points of the same pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from adbench import GOOD, BadImage, Field, Sample
from adbench.datasets import DataSource
from adbench_data.listed import PublishedSet
from adbench_data.listing import LEFT_OUT, TEST, TRAIN, Item
from adbench_data.tree import stem

if TYPE_CHECKING:
    import numpy as np


class MVTec3D(PublishedSet):
    """MVTec 3D-AD: ten objects scanned in colour and depth (Bergmann et al., VISAPP 2022), CC BY-NC-SA 4.0.

    The option `modality` says which of the aligned images of a sample is looked at: ``rgb``, ``depth`` (near is light,
    between the 1st and the 99th percentile of the image) or ``normals`` (the surface's normals as colours). Samples
    have the same ids in all of them, so ``adbench fuse`` joins runs on several. Pixels without a point are ignored: no
    fit, score or pixel metric reads them. ``validation/good`` is left out: adbench finds its threshold from training
    images that the bank has not seen.
    """

    name = "mvtec-3d"
    year = "2021"
    known = ("bagel", "cable_gland", "carrot", "cookie", "dowel", "foam", "peach", "potato", "rope", "tire")
    source = DataSource(
        title="MVTec 3D-AD",
        page="https://www.mvtec.com/company/research/datasets/mvtec-3d-ad",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): not for commercial use",
        images=4147,
        paper="Bergmann et al., The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection, VISAPP 2022",
    )
    published: ClassVar[dict[str, tuple[int, int]]] = {
        "bagel": (244, 110),
        "cable_gland": (223, 108),
        "carrot": (286, 159),
        "cookie": (210, 131),
        "dowel": (288, 130),
        "foam": (236, 100),
        "peach": (361, 132),
        "potato": (300, 114),
        "rope": (298, 101),
        "tire": (210, 112),
    }
    unpacked = ("mvtec_3d_anomaly_detection", "mvtec_3d")

    class Config(PublishedSet.Config):
        modality: Literal["rgb", "depth", "normals"] = Field(
            "rgb", description="which image of a sample is looked at: colours, or depth or normals of its points"
        )

    config: Config

    def has_mark(self, folder: Path) -> bool:
        return any((folder / name / "train" / GOOD / "xyz").is_dir() for name in self.known)

    def items(self, category: str) -> Iterator[Item]:
        tree, points = self.tree, self.config.modality != "rgb"
        for part in ("train", "validation", "test"):
            for kind in tree.folders(f"{category}/{part}"):
                folder = f"{category}/{part}/{kind}"
                seen, other = (f"{folder}/{name}" for name in (("xyz", "rgb") if points else ("rgb", "xyz")))
                masks = tree.by_stem(f"{folder}/gt", (".png",))
                for path in tree.images(seen):
                    yield self._item(path, part, kind, masks)
                unused = [*tree.images(other), *(masks.values() if kind == GOOD or part != "test" else ())]
                yield from (Item(path, LEFT_OUT) for path in unused)

    def _item(self, path: str, part: str, kind: str, masks: dict[str, str]) -> Item:
        if part == "validation":
            return Item(path, LEFT_OUT)
        mask = masks.get(stem(path)) if part == "test" and kind != GOOD else None
        return Item(path, TRAIN if part == "train" else TEST, kind, () if mask is None else (mask,))

    def image(self, sample: Sample) -> np.ndarray:
        from adbench_data import points

        if self.config.modality == "rgb":
            return super().image(sample)
        make = points.depth_image if self.config.modality == "depth" else points.normals_image
        return make(points.read_points(self.image_path(sample)))

    def ignored(self, sample: Sample) -> np.ndarray | None:
        from adbench_data import points

        marked = super().ignored(sample)
        if self.config.modality == "rgb":
            return marked
        path = self.image_path(sample)
        found = points.read_points(path)
        nothing = points.missing(found) if self.config.modality == "depth" else points.without_normal(found)
        ignored = nothing if marked is None else nothing | marked
        if ignored.all():
            raise BadImage(path, "has no pixel with a point", advice="unpack the archive again")
        return ignored if ignored.any() else None

    def digest(self, sample: Sample) -> str:
        digest = super().digest(sample)
        return digest if self.config.modality == "rgb" else self._of_modality(digest)

    def _of_modality(self, digest: str) -> str:
        """Another digest for each image that is made of one file."""
        import hashlib

        return hashlib.sha256(f"{digest} modality={self.config.modality}".encode()).hexdigest()
