"""Masks that go out as annotations and come back are the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adbench import StorageError, UsageError
from adbench.annotations.export import export_masks
from adbench.annotations.masks import import_masks
from adbench.builtin.demo import Demo
from adbench.builtin.folders.datasets import Folder
from adbench.cli.commands.data import command
from adbench.datasets import read_mask


def drawn(root, seed=0, density=0.3):
    """A category with a normal and two defective test images, and random masks."""
    rng = np.random.default_rng(seed)
    for name in (
        "train/good/0",
        "test/good/0",
        "test/cut/0",
        "test/cut/1",
        "ground_truth/cut/0_mask",
        "ground_truth/cut/1_mask",
    ):
        pixels = rng.integers(0, 256, (9, 14), dtype=np.uint8)
        if "mask" in name:
            pixels = np.where(rng.random((9, 14)) < density, 255, 0).astype(np.uint8)
            pixels[rng.integers(9), rng.integers(14)] = 255
        path = root / "nut" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from(["labelme", "coco"]))
def test_masks_come_back_pixel_by_pixel(tmp_path_factory, seed, density, form):
    if form == "coco":
        pytest.importorskip("pycocotools", reason="pip install adbench-core[annotations]")
    root = drawn(tmp_path_factory.mktemp("data"), seed, density)
    folder, place = Folder(root=root, marks="light"), root / "out"
    place = place / "a.json" if form == "coco" else place
    assert export_masks(folder, ["nut"], place, form) == 3
    done = import_masks(place, root, root / "back")
    assert (done.masks, done.normal) == (2, 1)
    for sample in folder.split("nut").test:
        if sample.anomalous:
            back = read_mask(root / "back/nut/test/cut" / f"{sample.id[-1]}_mask.png", (9, 14), "light")
            assert np.array_equal(back, folder.mask(sample))


def test_coco_says_box_and_area(tmp_path):
    root = drawn(tmp_path, density=0.0)
    export_masks(Folder(root=root), ["nut"], tmp_path / "a.json", "coco")
    content = json.loads((tmp_path / "a.json").read_text())
    entry = content["annotations"][0]
    assert (entry["area"], entry["bbox"][2:]) == (1, [1, 1])
    assert [image["file_name"] for image in content["images"]] == [
        "nut/test/cut/0.png",
        "nut/test/cut/1.png",
        "nut/test/good/0.png",
    ]
    assert content["categories"] == [{"id": 1, "name": "cut"}]


def test_nothing_is_overwritten(tmp_path):
    root = drawn(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(StorageError, match=r"a\.json: is there already"):
        export_masks(Folder(root=root), ["nut"], tmp_path / "a.json", "coco")


def test_images_that_are_no_files_have_no_annotations(tmp_path):
    with pytest.raises(UsageError, match="dataset 'demo': its images are no files"):
        export_masks(Demo(), ["grass"], tmp_path / "a.json", "coco")


def test_the_command_says_what_it_wrote(tmp_path):
    root = drawn(tmp_path / "set")
    arguments = ["export", str(root), "--form", "labelme", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    assert f"3 images in {tmp_path / 'out'}; paths of images are relative to {root}" in result.output
    assert (tmp_path / "out/nut/test/cut/0.json").exists()
