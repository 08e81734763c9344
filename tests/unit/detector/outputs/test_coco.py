"""A COCO file of all images is valid, and numbered through."""

import json

import numpy as np

from adbench.detector.outputs.coco import CocoFile
from adbench.detector.outputs.contours import regions_of
from adbench.detector.outputs.lines import LineFile


def marked(*places):
    mask = np.zeros((20, 30), bool)
    for row, column in places:
        mask[row : row + 4, column : column + 4] = True
    return regions_of(mask, mask.astype(np.float32))


def test_images_and_annotations_are_numbered_from_one(tmp_path):
    lines = LineFile(None)
    coco = CocoFile(tmp_path / "coco.json", lines)
    for name, places in {"a.png": [(2, 2), (10, 10)], "b.png": [], "c.png": [(5, 20)]}.items():
        coco.add(name, (20, 30), marked(*places))
    coco.write()
    found = json.loads((tmp_path / "coco.json").read_text())
    assert [(one["id"], one["file_name"]) for one in found["images"]] == [(1, "a.png"), (2, "b.png"), (3, "c.png")]
    assert [(one["id"], one["image_id"]) for one in found["annotations"]] == [(1, 1), (2, 1), (3, 3)]
    assert found["images"][0].keys() == {"id", "file_name", "height", "width"}
    coco.add("d.png", (20, 30), marked((0, 0)))
    coco.write()
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"][-1]["image_id"] == 4


def test_no_image_is_a_valid_file(tmp_path):
    CocoFile(tmp_path / "coco.json", LineFile(None)).write()
    assert json.loads((tmp_path / "coco.json").read_text())["images"] == []
