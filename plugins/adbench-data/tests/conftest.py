"""Small trees in exactly the form of the published sets."""

from __future__ import annotations

import csv
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

SIZE = (10, 12)


def picture(path: Path, size=SIZE) -> Path:
    """A picture that no other path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.as_posix().encode()))
    Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(path)
    return path


def mask(path: Path, value: int = 255, marked: bool = True, size=SIZE) -> Path:
    """A mask of a small square, or of nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size, np.uint8)
    if marked:
        pixels[2:5, 3:7] = value
    Image.fromarray(pixels).save(path)
    return path


def btad(root: Path) -> Path:
    for product in ("01", "02"):
        for name in ("0000.bmp", "0001.bmp", "0002.png"):
            picture(root / product / "train/ok" / name)
        picture(root / product / "test/ok/0000.bmp")
        picture(root / product / "test/ko/0000.bmp")
        picture(root / product / "test/ko/0001.png")
        mask(root / product / "ground_truth/ko/0000.png")
        mask(root / product / "ground_truth/ko/0001.bmp")
    return root


def mpdd(root: Path) -> Path:
    for part in ("bracket_black", "tubes"):
        for name in ("train/good/000", "train/good/001", "test/good/000", "test/hole/000", "test/hole/001"):
            picture(root / part / f"{name}.png")
        for name in ("000", "001"):
            mask(root / part / f"ground_truth/hole/{name}_mask.png")
    return root


def magnetic_tile(root: Path) -> Path:
    for number in range(7):
        picture(root / f"MT_Free/Imgs/exp1_num_{100 + number}.jpg")
        mask(root / f"MT_Free/Imgs/exp1_num_{100 + number}.png", marked=False)
    for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven"):
        for number in range(2):
            picture(root / f"MT_{kind}/Imgs/exp2_num_{number}.jpg")
            mask(root / f"MT_{kind}/Imgs/exp2_num_{number}.png", marked=kind != "Uneven" or number > 0)
    return root


def visa(root: Path) -> Path:
    rows = []
    for name in ("candle", "pcb1"):
        for number in range(4):
            image = f"{name}/Data/Images/Normal/{number:04}.JPG"
            picture(root / image)
            rows.append((name, "test" if number == 3 else "train", "normal", image, ""))
        for number in range(2):
            image, truth = f"{name}/Data/Images/Anomaly/{number:03}.JPG", f"{name}/Data/Masks/Anomaly/{number:03}.png"
            picture(root / image)
            mask(root / truth, value=number + 1)
            rows.append((name, "test", "anomaly", image, truth))
    (root / "split_csv").mkdir()
    with (root / "split_csv/1cls.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("object", "split", "label", "image", "mask"), *rows])
    return root


def kolektor_sdd(root: Path) -> Path:
    for folder in range(1, 8):
        for part in range(2):
            picture(root / f"kos{folder:02}/Part{part}.jpg")
            mask(root / f"kos{folder:02}/Part{part}_label.bmp", marked=part == folder % 5)
    return root


def kolektor_sdd2(root: Path) -> Path:
    for part, numbers in (("train", range(10000, 10005)), ("test", range(20000, 20004))):
        for number in numbers:
            picture(root / part / f"{number}.png")
            mask(root / part / f"{number}_GT.png", marked=number % 2 == 1)
    mask(root / "train/10001_GT (copy).png")
    return root


def dagm(root: Path) -> Path:
    for name in ("Class1", "Class10"):
        for part, numbers in (("Train", range(4)), ("Test", range(10, 14))):
            for number in numbers:
                picture(root / name / part / f"{number:04}.PNG")
                if number % 3 == 0:
                    mask(root / name / part / "Label" / f"{number:04}_label.PNG")
            (root / name / part / "Label/Labels.txt").write_text("1\n")
    return root


def points(path: Path, size=SIZE, hole: tuple[int, int] | None = (1, 1)) -> Path:
    """A TIFF of organised points on a slope, with one pixel without a point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    bump = np.random.default_rng(zlib.crc32(path.as_posix().encode())).uniform(0, 0.01, size)
    grid = np.dstack([columns / 100, rows / 100, 0.5 + rows / 200 + bump]).astype(np.float32)
    if hole is not None:
        grid[hole] = 0
    tifffile.imwrite(path, grid, photometric="rgb")
    return path


def mvtec_3d(root: Path) -> Path:
    for name in ("bagel", "tire"):
        for part, kind, count in (
            ("train", "good", 3),
            ("validation", "good", 1),
            ("test", "good", 2),
            ("test", "hole", 2),
        ):
            for number in range(count):
                folder = root / name / part / kind
                picture(folder / f"rgb/{number:03}.png", (*SIZE, 3))
                points(folder / f"xyz/{number:03}.tiff")
                if part != "train":
                    mask(folder / f"gt/{number:03}.png", marked=kind != "good")
        (root / name / "calibration").mkdir()
        (root / name / "calibration/camera_parameters.json").write_text("{}")
    return root


def mulsen_ad(root: Path) -> Path:
    """Of the two images of a crack, the colour image shows one, the infrared image the other."""
    for name in ("capsule", "nut"):
        for modality in ("RGB", "Infrared"):
            for number in range(3):
                picture(root / name / modality / f"train/{number}.png", (*SIZE, 3))
            for number in range(2):
                picture(root / name / modality / f"test/good/{number}.png", (*SIZE, 3))
            for number in (2, 10, 11):
                picture(root / name / modality / f"test/crack/{number}.png", (*SIZE, 3))
        mask(root / name / "RGB/GT/crack/2.png")
        mask(root / name / "Infrared/GT/crack/10.png")
        (root / name / "RGB/GT/crack/data.csv").write_text("object,RGB,Infrared,PC\n2,1,0,0\n10,0,1,1\n11,0,0,1\n")
        for file in ("train/0.stl", "test/crack/2.stl", "GT/crack/10.txt"):
            path = root / name / "Pointcloud" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("solid\n")
    return root


def mvtec_ad_2(root: Path) -> Path:
    for name in ("can", "vial"):
        for file in (
            "train/good/000_regular",
            "train/good/001_regular",
            "validation/good/002_regular",
            "test_public/good/003_regular",
            "test_public/good/003_overexposed",
            "test_public/bad/004_regular",
            "test_private/005_regular",
            "test_private_mixed/005_mixed",
        ):
            picture(root / name / f"{file}.png")
        mask(root / name / "test_public/ground_truth/bad/004_regular_mask.png")
    return root


def mvtec_loco(root: Path) -> Path:
    for name in ("juice_bottle", "pushpins"):
        for file in ("train/good/000", "train/good/001", "validation/good/000", "test/good/000"):
            picture(root / name / f"{file}.png")
        for kind in ("logical_anomalies", "structural_anomalies"):
            for number in range(2):
                picture(root / name / f"test/{kind}/{number:03}.png")
                for defect in range(number + 1):
                    mask(root / name / f"ground_truth/{kind}/{number:03}/{defect:03}.png", value=255 - defect)
        config = [
            {"defect_name": "a", "pixel_value": 255, "saturation_threshold": 5, "relative_saturation": False},
            {"defect_name": "b", "pixel_value": 254, "saturation_threshold": 0.3, "relative_saturation": True},
        ]
        (root / name / "defects_config.json").write_text(json.dumps(config))
    return root


def real_iad(root: Path) -> Path:
    for name in ("audiojack", "zipper"):
        lists = {"meta": {"prefix": f"{name}/", "normal_class": "OK", "pre_transform": True}, "train": [], "test": []}
        for part, sample, kind, view in (
            ("train", "OK/S0001", "OK", 1),
            ("train", "OK/S0001", "OK", 2),
            ("test", "OK/S0002", "OK", 1),
            ("test", "NG/AK/S0001", "AK", 1),
            ("test", "NG/AK/S0001", "OK", 2),
        ):
            image = f"{sample}/{name}_{sample[-4:]}_{sample[:2]}_C{view}_2023.jpg"
            truth = image.replace(".jpg", "_mask.png") if kind != "OK" else None
            picture(root / "realiad_1024" / name / image)
            if truth:
                mask(root / "realiad_1024" / name / truth)
            entry = {"category": name, "anomaly_class": kind, "image_path": image, "mask_path": truth}
            lists[part].append(entry)
        unsorted = {**lists, "train": [*lists["train"], lists["test"][1]], "test": [lists["test"][0], lists["test"][2]]}
        for folder, content in (("realiad_jsons", lists), ("realiad_jsons_fuiad_0.4", unsorted)):
            (root / folder).mkdir(exist_ok=True)
            (root / folder / f"{name}.json").write_text(json.dumps(content))
    return root


def real_iad_variety(root: Path) -> Path:
    """Real-IAD's form under other names of folders."""
    real_iad(root)
    (root / "realiad_1024").rename(root / "realiadvariety_1024")
    (root / "realiad_jsons").rename(root / "realiadvariety_jsons")
    return root


def elpv(root: Path) -> Path:
    lines = []
    for number in range(1, 421):
        kind = "mono" if (number - 1) // 60 % 2 else "poly"
        probability = (0.0, 0.0, 0.0, 1.0, 0.3333333333333333, 0.6666666666666666)[number % 6]
        picture(root / f"images/cell{number:04}.png", (4, 4))
        lines.append(f"images/cell{number:04}.png  {probability}  {kind}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def manifest(root: Path) -> Path:
    """The table, in a folder with images."""
    rows = [("image", "split", "label", "mask", "category")]
    for name in ("bolt", "nut"):
        for number in range(6):
            image = picture(root / f"line {number % 2}/{name}_{number}.png").relative_to(root).as_posix()
            if number < 3:
                rows.append((image, "train", "ok", "", name))
            elif number == 3:
                rows.append((image, "test", "good", "", name))
            else:
                truth = mask(root / f"masks/{name}_{number}.png").relative_to(root).as_posix()
                rows.append((image, "test", "deep crack", truth, name))
    path = root / "parts.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


DRAWN = {
    "btad": btad,
    "dagm": dagm,
    "elpv": elpv,
    "kolektor-sdd": kolektor_sdd,
    "kolektor-sdd2": kolektor_sdd2,
    "magnetic-tile": magnetic_tile,
    "mpdd": mpdd,
    "mulsen-ad": mulsen_ad,
    "mvtec-3d": mvtec_3d,
    "mvtec-ad-2": mvtec_ad_2,
    "mvtec-loco": mvtec_loco,
    "real-iad": real_iad,
    "real-iad-variety": real_iad_variety,
    "visa": visa,
}
"""What draws each published set, by name."""


@pytest.fixture
def drawn(tmp_path):
    """Draws a set by name, and gives its folder."""

    def made(name: str) -> Path:
        return DRAWN[name](tmp_path / name)

    return made


@pytest.fixture
def table(tmp_path) -> Path:
    """A manifest of two categories."""
    return manifest(tmp_path / "parts")


@pytest.fixture
def copy_of_tiles() -> Path:
    """The public copy of the magnetic tiles in MVTec AD's layout."""
    data = Path(os.environ.get("ADBENCH_TEST_DATA") or Path(__file__).parents[3].parent / "shared" / "data")
    folder = data / "magnetic-tile" / "magnetic_tile"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def draw():
    """Draws a picture that no other path has."""
    return picture


@pytest.fixture
def scan():
    """Draws a TIFF of organised points."""
    return points


@pytest.fixture
def mark():
    """Draws a mask of a small square, or of nothing."""
    return mask
