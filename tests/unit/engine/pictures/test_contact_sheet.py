"""A page of what was read of a dataset."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from adbench import UnknownName
from adbench.builtin.demo import Demo
from adbench.builtin.folders.datasets import Folder
from adbench.engine.pictures.contact_sheet import IMAGES_A_ROW, contact_sheet, rows_of


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_rows_are_training_images_normal_test_images_and_each_type_of_defect():
    rows = rows_of(Demo(), "grass")
    assert [(row.part, row.defect) for row in rows][:2] == [("train", "good"), ("test", "good")]
    kinds = [row.defect for row in rows[2:]]
    assert kinds == sorted(kinds)
    split = Demo().split("grass")
    assert sum(len(row.samples) for row in rows) == len(split.train) + len(split.test)


def test_images_that_are_shown_are_spread_over_all():
    row = rows_of(Demo(), "grass")[0]
    assert len(row.shown) == IMAGES_A_ROW
    assert (row.shown[0], row.shown[-1]) == (row.samples[0], row.samples[-1])


@pytest.mark.slow
def test_masks_are_outlined_and_the_rest_is_the_image(tmp_path, monkeypatch):
    assert contact_sheet(Demo(), "grass", tmp_path / "a.png") == []
    marked = pixels(tmp_path / "a.png")
    monkeypatch.setattr(Demo, "mask", lambda self, sample: np.zeros(self.image(sample).shape[:2], bool))
    contact_sheet(Demo(), "grass", tmp_path / "b.png")
    plain = pixels(tmp_path / "b.png")
    outline = (marked == (0x22, 0xE6, 0xFF)).all(axis=2)
    assert outline.any()
    below = marked.shape[0] - outline[::-1].any(axis=1).argmax()
    assert below > marked.shape[0] // 4
    assert not (plain == (0x22, 0xE6, 0xFF)).all(axis=2).any()


def test_an_image_that_cannot_be_read_is_a_gap_and_a_sentence(tmp_path):
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/bent/0"):
        path = tmp_path / f"nut/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((30, 40), len(name), np.uint8)).save(path)
    (tmp_path / "nut/train/good/1.png").write_bytes(b"nothing")
    problems = contact_sheet(Folder(root=tmp_path), "nut", tmp_path / "sheet.png")
    assert len(problems) == 1
    assert "1.png" in problems[0]
    assert pixels(tmp_path / "sheet.png").shape[1] > 1000


def test_an_unknown_category(tmp_path):
    with pytest.raises(UnknownName):
        contact_sheet(Demo(), "sand", tmp_path / "sheet.png")
