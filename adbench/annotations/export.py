"""Writes a dataset's masks as annotations that drawing tools open; an import gives the same masks, pixel by pixel."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from adbench.annotations.brush_rle import encode
from adbench.datasets import FileDataset
from adbench.errors import DataError, StorageError, UsageError
from adbench.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from adbench.api.dataset import Dataset

Form: TypeAlias = Literal["labelme", "coco", "label-studio"]


class Marked(NamedTuple):
    """One test image.

    Attributes:
        image: its file, relative to the dataset's root, with slashes.
        defect: its type of defect.
        mask: [H, W] bool; nothing is marked in a normal image.
    """

    image: str
    defect: str
    mask: np.ndarray


def export_masks(dataset: Dataset, categories: Iterable[str], out: Path, form: Form) -> int:
    """Write the masks of all annotated test images.

    Args:
        dataset: one whose images are files.
        categories: those that are written.
        out: COCO's or Label Studio's file, or the folder of labelme's files, which lie in it as the images lie in the
            dataset's folder.
        form: whose annotations.

    Returns:
        How many images were written.

    Raises:
        UsageError: the dataset's images are no files.
        DataError: an image or a mask cannot be read.
        StorageError: a file cannot be written, or is there already.
    """
    if not isinstance(dataset, FileDataset):
        raise UsageError(
            f"{dataset.title}: its images are no files that annotations could name; choose another dataset"
        )
    marked = _marked(dataset, categories)
    write = {"coco": _write_coco, "labelme": _write_labelme, "label-studio": _write_label_studio}
    return write[form](marked, out)


def _marked(dataset: FileDataset, categories: Iterable[str]) -> Iterator[Marked]:
    for category in categories:
        for sample in dataset.split(category).test:
            mask = dataset.mask(sample)
            if mask is not None:
                yield Marked(_relative(dataset.image_path(sample), dataset.root), sample.defect, mask)


def _relative(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    if not name.isprintable() or "\\" in name or ":" in name:
        raise DataError(f"{path}: other programs cannot read this name; rename the file")
    return name


def _write_coco(marked: Iterable[Marked], out: Path) -> int:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    classes: dict[str, int] = {}
    for number, (image, defect, mask) in enumerate(marked, 1):
        images.append({"id": number, "file_name": image, "height": mask.shape[0], "width": mask.shape[1]})
        if mask.any():
            kind = classes.setdefault(defect, len(classes) + 1)
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": kind, **_outline(mask)})
    named = [{"id": number, "name": name} for name, number in classes.items()]
    _write(out, {"images": images, "annotations": annotations, "categories": named})
    return len(images)


def _outline(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths down the columns, which begin with what is not marked; the box and the area around it."""
    import numpy as np

    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    runs = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "segmentation": {"size": list(mask.shape), "counts": runs},
        "area": int(mask.sum()),
        "bbox": [int(side) for side in box],
        "iscrowd": 1,
    }


def _write_labelme(marked: Iterable[Marked], out: Path) -> int:
    count = 0
    for count, (image, defect, mask) in enumerate(marked, 1):  # noqa: B007  how many there were
        shapes = [_bitmap(mask, defect)] if mask.any() else []
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": image.rpartition("/")[2],
            "imageData": None,
            "imageHeight": mask.shape[0],
            "imageWidth": mask.shape[1],
        }
        _write(out / f"{image.rpartition('.')[0]}.json", content)
    return count


def _write_label_studio(marked: Iterable[Marked], out: Path) -> int:
    """Tasks with what a brush has painted; Label Studio finds the images below the root of its local files."""
    tasks = [
        {
            "data": {"image": f"/data/local-files/?d={quote(image)}"},
            "annotations": [{"result": [_brush(mask, defect)] if mask.any() else []}],
        }
        for image, defect, mask in marked
    ]
    _write(out, tasks)
    return len(tasks)


def _brush(mask: np.ndarray, label: str) -> dict[str, Any]:
    """A result that a labelling page with ``<BrushLabels name="tag" toName="image">`` shows."""
    return {
        "type": "brushlabels",
        "from_name": "tag",
        "to_name": "image",
        "original_height": mask.shape[0],
        "original_width": mask.shape[1],
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode(mask), "brushlabels": [label]},
    }


def _bitmap(mask: np.ndarray, label: str) -> dict[str, Any]:
    """A shape of the kind ``mask``: a PNG of the box around it, and the corners of that box."""
    import numpy as np
    from PIL import Image

    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    (top, bottom), (left, right) = (rows[0], rows[-1]), (columns[0], columns[-1])
    file = io.BytesIO()
    Image.fromarray(mask[top : bottom + 1, left : right + 1].astype(np.uint8) * 255).save(file, format="PNG")
    return {
        "label": label,
        "points": [[int(left), int(top)], [int(right), int(bottom)]],
        "shape_type": "mask",
        "flags": {},
        "group_id": None,
        "mask": base64.b64encode(file.getvalue()).decode(),
    }


def _write(path: Path, content: Any) -> None:
    if path.exists():
        raise StorageError(f"{path}: is there already; move it, or choose another place with --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(content))
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}; choose another place with --out") from None
