from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench.builtin.folders.leftovers import beside, leads_out, leftovers

READ = ("train/good/0.png", "test/good/0.png", "test/cut/0.png", "ground_truth/cut/0_mask.png")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    for name in READ:
        touch(root / "nut" / name)
    return root


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def left(root: Path) -> dict[str, str]:
    folder = root / "nut"
    found = leftovers(folder, root, {folder / name for name in READ}, lambda name: name == "good")
    return {item.file.removeprefix("nut/"): item.why for item in found}


@pytest.mark.parametrize(("marked", "why"), [(True, "marks a defect in an image that is normal"), (False, None)])
def test_a_mask_of_a_normal_image_may_mark_nothing(root, marked, why):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[2, 3] = 255 * marked
    Image.fromarray(pixels).save(touch(root / "nut/ground_truth/good/0_mask.png"))
    touch(root / "nut/ground_truth/good/torn_mask.png")
    found = left(root)
    assert list(found) == ["ground_truth/good/0_mask.png"] * marked
    assert not marked or why in found["ground_truth/good/0_mask.png"]


def test_nothing_is_left_of_what_was_read(root):
    for name in ("license.txt", "readme.md", "train/good/notes.txt", "test/cut/0.json", "ground_truth/README.md"):
        touch(root / "nut" / name)
    assert left(root) == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("train/good/cam/0.png", "lies in a folder inside a folder of images; move it up into train/good"),
        ("test/cut/a/b/c/0.jpg", "lies in a folder inside a folder of images; move it up into test/cut"),
        ("ground_truth/cut/9/0.png", "lies in a folder called like no image; move it up into ground_truth/cut"),
        ("train/0.png", "lies beside the folders of images"),
        ("test/0.png", "lies in no folder that says what it shows"),
        ("ground_truth/9.png", "is called like no defective image, or like several"),
        ("0.png", "lies beside train, test and ground_truth, which alone are read"),
        ("val/good/0.png", "lies beside train, test and ground_truth, which alone are read"),
        ("masks/cut/0.webp", "lies beside train, test and ground_truth, which alone are read"),
        ("Train/good/1.png", "was not read, as another folder is train"),
        ("test/cut/1.gif", "is of the kind gif; what is read is png, jpg"),
        ("train/good/1.HEIC", "is of the kind heic; what is read is png, jpg"),
        ("train/good/1.npy", "is of the kind npy; what is read is png, jpg"),
        ("train/good/1", "is no image by its name; what is read is png, jpg"),
        ("train/good/1.png.bak", "is no image by its name; what is read is png, jpg"),
        ("train/images.zip", "is no image by its name; what is read is png, jpg"),
        ("ground_truth/cut/0.json", "is no image by its name; what is read is png, jpg"),
        ("ground_truth/cut/0.xml", "is no image by its name; what is read is png, jpg"),
        ("extra/0.tga", "is of the kind tga; what is read is png, jpg"),
    ],
)
def test_what_is_left_is_reported_with_its_reason(root, name, why):
    touch(root / "nut" / name)
    (file, message), *others = left(root).items()
    assert file == name
    assert message.startswith(why)
    assert others == []


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "train/good/._0.png", "train/good/Thumbs.db", "train/@eaDir/0.png", "__MACOSX/train/0.png",
     ".git/0.png", "ground_truth/good/0_mask.png", "LICENSE", "docs/readme.html", "train/good/README"],
)  # fmt: skip
def test_what_nobody_misses_is_not_told(root, name):
    touch(root / "nut" / name)
    assert left(root) == {}


def test_links(root, tmp_path):
    outside, good = touch(tmp_path / "outside" / "0.png"), root / "nut" / "train" / "good"
    (good / "out.png").symlink_to(outside)
    (good / "gone.png").symlink_to(root / "nowhere.png")
    (good / "circle.png").symlink_to(good / "circle.png")
    (root / "nut" / "test" / "more").symlink_to(outside.parent)
    (good / "up").symlink_to(good.parent)
    found = left(root)
    outward = "is a link that leads out of the dataset's folder; copy what it leads to"
    assert found.pop("train/good/circle.png") in {outward, "is a link to nothing"}
    assert found == {
        "test/more": outward,
        "train/good/gone.png": "is a link to nothing",
        "train/good/out.png": outward,
        "train/good/up": "is a link to another folder",
    }


def test_a_linked_folder_that_was_read_is_looked_through(root):
    (root / "nut" / "test" / "ok").symlink_to(root / "nut" / "test" / "good")
    folder = root / "nut"
    read = {folder / name for name in (*READ, "test/ok/0.png")}
    touch(folder / "test" / "good" / "1.gif")
    found = [item.file for item in leftovers(folder, root, read, lambda _: False)]
    assert found == ["nut/test/good/1.gif", "nut/test/ok/1.gif"]


def test_what_is_no_regular_file(root):
    os.mkfifo(root / "nut" / "train" / "good" / "1.png")
    assert left(root) == {"train/good/1.png": "is no regular file"}


def test_a_folder_that_cannot_be_listed(root, monkeypatch):
    shut, scan = touch(root / "nut" / "train" / "good" / "shut" / "0.png").parent, os.scandir

    def scandir(path):
        if str(path) == str(shut):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert left(root) == {"train/good/shut": "cannot be listed; make it readable"}


def test_beside_the_categories(root, tmp_path):
    touch(root / "poster.jpg")
    touch(root / "bolt" / "Images" / "Normal" / "0.JPG")
    touch(root / "docs" / "readme.txt")
    touch(root / ".cache" / "0.png")
    (root / "screw").symlink_to(tmp_path)
    assert {item.file: item.why for item in beside(root, {root / "nut"})} == {
        "bolt": "holds images, but neither train nor test",
        "poster.jpg": "lies in no category",
        "screw": "is a link that leads out of the dataset's folder; copy what it leads to",
    }


def test_names_that_a_terminal_would_obey(root):
    touch(root / "nut" / "val" / "\x1b[31m.png")
    touch(root / "nut" / "val" / os.fsdecode(b"\xe9.png"))
    assert list(left(root)) == [r"val/\x1b[31m.png", r"val/\xe9.png"]


def test_leading_out(root, tmp_path):
    (root / "in").symlink_to(root / "nut")
    (root / "out").symlink_to(tmp_path)
    assert [leads_out(root / name, root) for name in ("nut", "in", "out")] == [False, False, True]
