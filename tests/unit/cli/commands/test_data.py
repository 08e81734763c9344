from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from adbench import DataError, UsageError
from adbench.builtin.folders.datasets import MVTecAD
from adbench.cli.commands.data import command


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One category with two training images and three test images."""
    rng = np.random.default_rng(0)
    root = tmp_path / "nut"
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/bent/0", "test/bent/1"):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 8), dtype=np.uint8)).save(path)
        if "bent" in name:
            mask = root / "ground_truth" / "bent" / f"{path.stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 8), 255, np.uint8)).save(mask)
    return root


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("ADBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MVTecAD, "_home", lambda self: tmp_path / "home")


def call(*arguments: str, expect: int = 0) -> str:
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if isinstance(result.exception, Exception):
        raise result.exception
    assert (result.return_value or 0) == expect, result.output
    return result.output


def test_list_says_what_is_there_and_what_is_not():
    output = call("list")
    assert "demo: " in output
    assert "embedded: 3 categories, 84 + 108 images (brick, grass, gravel)" in output
    assert "needs root" in output
    assert "'adbench data get mvtec-ad'" in output


def test_list_says_licence_size_and_source():
    output = call("list")
    assert "licence: CC BY-NC-SA 4.0" in output
    assert "5,354 images; 5.3 GB to download" in output
    assert "source: https://www.mvtec.com/company/research/datasets/mvtec-ad" in output


def test_show_draws_a_sheet_of_each_category(root, tmp_path):
    output = call("show", str(root), "--out", str(tmp_path / "sheets"))
    assert f"{tmp_path / 'sheets'}/{tmp_path.name}-nut.png: train: good 2 normal; test: good 1 normal; bent 2" in output
    assert (tmp_path / "sheets" / f"{tmp_path.name}-nut.png").read_bytes().startswith(b"\x89PNG")
    (root / "test" / "bent" / "0.png").write_bytes(b"")
    assert "0.png: is empty" in call("show", "folder", "--root", str(root), "--category", "nut", expect=1)


def test_a_sound_folder(root):
    assert f"sound: {root}: 1 category, 2 + 3 images (nut)" in call("verify", str(root))
    assert "sound" in call("verify", "folder", "--root", str(root))


def test_the_demo_is_sound():
    assert "sound: embedded" in call("verify", "demo")


def test_everything_that_is_wrong_is_listed(root):
    shutil.copy(root / "train" / "good" / "1.png", root / "test" / "good" / "9.png")
    (root / "train" / "good" / "0.png").write_bytes(b"")
    (root / "test" / "bent" / "2.png").write_bytes((root / "test" / "bent" / "0.png").read_bytes()[:70])
    (root / "ground_truth" / "bent" / "0_mask.png").unlink()
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(root / "ground_truth" / "bent" / "1_mask.png")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(root / "ground_truth" / "bent" / "2_mask.png")
    output = call("verify", str(root), expect=1)
    assert "nut/test/good/9 is the same picture as the training image nut/train/good/1" in output
    assert "0.png: is empty" in output
    assert "2.png: is damaged" in output
    assert "0.png: has no mask 0_mask.png" in output
    assert "nut/test/bent/1: the mask of a defective image is empty" in output
    assert "5 problems" in output


def test_a_mask_of_another_size_and_one_without_an_image(root):
    mask = root / "ground_truth" / "bent" / "1_mask.png"
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(mask)
    assert "1_mask.png: the mask has 3x3 pixels, its image has 6x8" in call("verify", str(root), expect=1)
    mask.rename(mask.with_name("7_mask.png"))
    assert "7_mask.png: a mask with no partner" in call("verify", str(root), expect=1)


def test_what_was_passed_over_is_listed_and_nothing_is_sound_then(root):
    deeper = root / "train" / "good" / "cam" / "7.png"
    deeper.parent.mkdir()
    shutil.copy(root / "train" / "good" / "0.png", deeper)
    shutil.copy(root / "train" / "good" / "0.png", root / "test" / "bent" / "7.gif")
    output = call("verify", str(root), expect=1)
    assert "train/good/cam/7.png: lies in a folder inside a folder of images" in output
    assert "test/bent/7.gif: is of the kind gif" in output
    assert "2 problems" in output
    assert "sound" not in output


def test_how_folders_were_read_is_reported(root):
    (root / "test" / "good").rename(root / "test" / "OK")
    assert "nut: train: good 2 normal; test: OK 1 normal; bent 2 defective" in call("verify", str(root))


def test_what_lies_beside_the_categories_is_listed(root):
    (root.parent / "bolt" / "Images").mkdir(parents=True)
    shutil.copy(root / "train" / "good" / "0.png", root.parent / "bolt" / "Images" / "0.png")
    output = call("verify", str(root.parent), expect=1)
    assert "bolt: holds images, but neither train nor test" in output


def test_names_that_are_no_utf8_or_that_a_terminal_would_obey(root):
    shutil.copy(root / "train" / "good" / "0.png", root / "test" / "good" / os.fsdecode(b"\xe9.png"))
    (root / "train" / "\x1b[31m.png").write_bytes(b"")
    output = call("verify", str(root), expect=1)
    assert r"nut/test/good/\xe9 is the same picture as the training image nut/train/good/0" in output
    assert r"train/\x1b[31m.png: lies beside the folders of images" in output
    output.encode("utf-8")


def test_a_copy_in_another_format_is_a_duplicate(root):
    Image.open(root / "train" / "good" / "0.png").save(root / "test" / "good" / "5.bmp")
    assert "nut/test/good/5 is the same picture" in call("verify", str(root), expect=1)


def test_a_picture_that_was_changed_a_little_is_a_warning(tmp_path):
    for name in ("train/good/0", "train/good/1", "test/good/0", "test/bent/0"):
        picture(tmp_path / f"nut/{name}.png", seed=name.count("1") + 2 * name.count("test") + 4 * name.count("bent"))
    path = tmp_path / "nut/train/good/1.png"
    shrunk = Image.open(path).resize((96, 72))
    shrunk.point(lambda level: min(255, level * 1.1)).save(tmp_path / "nut/test/bent/9.jpg", quality=60)
    output = call("verify", str(tmp_path / "nut"))
    assert output.count("warning") == 1
    assert "warning: nut/test/bent/9 looks like the training image nut/train/good/1" in output
    assert "sound" in output


def test_training_images_that_look_alike_are_one_warning(tmp_path):
    for name in ("train/good/0", "train/good/1", "train/good/2", "test/good/0", "test/bent/0"):
        picture(tmp_path / f"nut/{name}.png", seed=sum(map(ord, name)))
    path = tmp_path / "nut/train/good/1.png"
    for number in (3, 4):
        Image.open(path).save(tmp_path / f"nut/train/good/{number}.jpg", quality=60 + number)
    output = call("verify", str(tmp_path / "nut"))
    assert output.count("warning") == 1
    assert "nut: 2 training images look like another training image" in output


def test_what_looks_for_twins_may_be_missing(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    assert "warning: the search for near-duplicates needs imagehash; run 'pip install" in call("verify", str(root))


def picture(path: Path, seed: int) -> None:
    """Something with structure, coarse and fine."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12), dtype=np.uint8)).resize((128, 96), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((0.8 * np.asarray(coarse) + rng.integers(0, 50, (96, 128))).astype(np.uint8)).save(path)


def test_published_counts(root, tmp_path):
    root.rename(tmp_path / "bottle")
    output = call("verify", "mvtec-ad", "--root", str(tmp_path), expect=1)
    assert "category 'bottle' has 2 training and 3 test images; published are 209 and 83" in output
    assert output.count("is missing") == 14


def test_verify_says_how_to_get_what_is_not_there():
    with pytest.raises(DataError, match="adbench data get mvtec-ad"):
        call("verify", "mvtec-ad")


def test_get_shows_the_licence_and_where_it_went(monkeypatch, tmp_path):
    def fetched(archive, target, progress):
        for done in range(0, 5_000_001, 250_000):
            progress("downloading", done, 5_000_000)

    monkeypatch.setattr("adbench.builtin.folders.download.download", fetched)
    output = call("get", "mvtec-ad", "--root", str(tmp_path / "here"), "--accept-licence")
    assert "CC BY-NC-SA 4.0" in output
    assert f"mvtec-ad is in {tmp_path / 'here'}" in output
    assert output.count("downloading: ") == 11
    assert "downloading: 5 of 5 MB" in output


@pytest.mark.parametrize(("terminal", "answer", "accepted"), [(False, "y", 0), (True, "n", 0), (True, "y", 1)])
def test_nothing_is_downloaded_until_the_licence_is_accepted(monkeypatch, tmp_path, terminal, answer, accepted):
    fetched = []
    monkeypatch.setattr("adbench.builtin.folders.download.download", lambda *_: fetched.append(1))
    monkeypatch.setattr(
        "adbench.cli.commands.data.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: terminal))
    )
    monkeypatch.setattr("click.confirm", lambda *_, **__: answer == "y")
    if accepted:
        assert "is in" in call("get", "mvtec-ad", "--root", str(tmp_path))
    else:
        with pytest.raises(
            UsageError, match="nothing was downloaded: the licence of MVTec AD was not accepted; .* give"
        ):
            call("get", "mvtec-ad", "--root", str(tmp_path))
    assert len(fetched) == accepted


def test_get_of_a_dataset_that_has_no_download():
    with pytest.raises(UsageError, match="dataset 'demo' cannot be downloaded"):
        call("get", "demo")


def test_how_files_had_to_be_read_is_a_warning(root):
    rng = np.random.default_rng(5)
    for path in root.glob("t*/*/*.png"):
        Image.fromarray(rng.integers(0, 4000, (6, 8)).astype(np.uint16)).save(path)
    reported = call("verify", str(root))
    assert "fits 12: if the camera has 12 bits, all is 16 times too dark" in reported
    assert "the mask bent/0_mask.png marks the whole image (and 1 more masks like it)" in reported
