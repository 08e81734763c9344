"""Folders as strangers have them: each is read right, or refused or told in one sentence; nothing is lost silently."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import AdbenchError, BadImage, DataError, Dataset, Sample, Split
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.images.reading import read_image
from adbench.cli import call
from adbench.engine.images.dataset_audit import problems
from adbench.engine.store.record import find_runs, read_record

NFC, NFD = (unicodedata.normalize(form, "rayé") for form in ("NFC", "NFD"))
LATIN = os.fsdecode(b"ray\xe9")


@dataclass(frozen=True)
class Case:
    """A folder, and what has to be known of it.

    Attributes:
        name: for people.
        files: below the category; what lies in a folder of masks is one.
        normal: test images that are normal.
        defective: test images that are not.
        masked: defective images that have a mask.
        over: files that are passed over.
        train: training images.
        links: paths below the category, and what they lead to: below the category, or absolute.
        options: of the dataset.
    """

    name: str
    files: Sequence[str]
    normal: int = 1
    defective: int = 1
    masked: int = 0
    over: int = 0
    train: int = 1
    links: Sequence[tuple[str, str]] = ()
    options: dict[str, Sequence[str]] = field(default_factory=dict)


BASE = ("train/good/0.png", "test/good/0.png", "test/cut/0.png")

READ = [
    Case("as MVTec AD", (*BASE, "ground_truth/cut/0_mask.png"), masked=1),
    Case("as BTAD", ("train/ok/0.bmp", "test/ok/0.bmp", "test/ko/0.bmp", "ground_truth/ko/0.png"), masked=1),
    Case("as MVTec LOCO", (*BASE, "ground_truth/cut/0/000.png", "ground_truth/cut/0/001.png"), masked=1),
    Case("LOCO's validation images", (*BASE, "validation/good/0.png"), over=1),
    Case("as VisA for one class", ("train/good/0.JPG", "test/good/0.JPG", "test/bad/0.JPG", "ground_truth/bad/0.png"),
         masked=1),
    Case("upper case", ("TRAIN/GOOD/0.PNG", "TEST/OK/0.PNG", "TEST/NG/0.PNG", "GROUND_TRUTH/NG/0_MASK.PNG"), masked=1),
    Case("more normal images under another name", (*BASE, "test/ok/0.png", "test/Normal/0.png"), normal=3),
    Case("normal images of three spellings", (*BASE, "train/Good/1.png", "train/defect-free/2.png"), train=3),
    Case("training images that lie flat", ("train/0.png", "train/1.png", *BASE[1:]), train=2),
    Case("a stray image beside the folders of train", (*BASE, "train/preview.png"), over=1),
    Case("images one folder deeper", (*BASE, "train/good/cam1/1.png", "test/cut/cam1/1.png"), over=2),
    Case("other suffixes that are read", (*BASE, "train/good/1.ppm", "train/good/2.jfif", "train/good/3.PGM",
                                          "train/good/4.webp", "train/good/5.jpe"), train=6),
    Case("other suffixes that are not", (*BASE, "train/good/1.gif", "train/good/2.heic", "train/good/3.npy",
                                         "train/good/4"), over=4),
    Case("masks called label", (*BASE, "ground_truth/cut/0_label.png"), masked=1),
    Case("masks called gt", (*BASE, "ground_truth/cut/0_gt.png"), masked=1),
    Case("masks called MASK", (*BASE, "ground_truth/cut/0_MASK.png"), masked=1),
    Case("masks with the word in front", (*BASE, "ground_truth/cut/mask_0.png"), masked=1),
    Case("masks without a word", (*BASE, "ground_truth/cut/0.bmp"), masked=1),
    Case("masks that keep the image's suffix", (*BASE, "ground_truth/cut/0.png.png"), masked=1),
    Case("numbered masks", (*BASE, "ground_truth/cut/0_mask_1.png", "ground_truth/cut/0_mask_2.png"), masked=1),
    Case("masks that lie flat", (*BASE, "ground_truth/0_mask.png"), masked=1),
    Case("flat masks that two images may mean", (*BASE, "test/dent/0.png", "ground_truth/0_mask.png"), defective=2,
         over=1),
    Case("masks in a folder of another case", (*BASE, "ground_truth/Cut/0_mask.png"), masked=1),
    Case("groundtruth in one word", (*BASE, "groundtruth/cut/0_mask.png"), masked=1),
    Case("gt in short", (*BASE, "GT/cut/0_mask.png"), masked=1),
    Case("a folder of masks of another name", (*BASE, "annotations/cut/0_mask.png"), over=1),
    Case("masks as polygons", (*BASE, "ground_truth/0.json", "ground_truth/0.xml"), over=2),
    Case("marked masks of normal images", (*BASE, "ground_truth/good/0_mask.png", "ground_truth/cut/0_mask.png"),
         masked=1, over=1),
    Case("accents taken apart in the masks", (*BASE[:2], f"test/cut/{NFC}.png", f"ground_truth/cut/{NFD}_mask.png"),
         masked=1),
    Case("accents taken apart in the images", (*BASE[:2], f"test/cut/{NFD}.png", f"ground_truth/cut/{NFC}.png"),
         masked=1),
    Case("accents taken apart in a folder", (*BASE[:2], f"test/{NFC}/0.png", f"ground_truth/{NFD}/0.png"), masked=1),
    Case("names that are no UTF-8", (*BASE[:2], f"test/{LATIN}/{LATIN}.png", f"ground_truth/{LATIN}/{LATIN}_mask.png",
                                     f"train/good/{LATIN}.png", f"train/good/{LATIN}/0.png"),
         masked=1, train=2, over=1),
    Case("names that a terminal obeys", (*BASE[:2], "test/\x1b]0;x\x07/\x1b[31m.png", "train/good/a\nb.png",
                                         "val/\x1b[2J.png"), train=2, over=1),
    Case("names of markup and shells", (*BASE[:2], "test/[red]$(id)/`x` #1; é.png", "train/good/--help.png"), train=2),
    Case("names with dots", (*BASE, "train/good/1.2.3.png", "ground_truth/cut/0.mask.png"), train=2, masked=1),
    Case("numbers for defects", (*BASE, "test/0/0.png", "test/1/0.png"), defective=3),
    Case("a name that an option settles", ("train/good/0.png", "test/negative/0.png", "test/cut/0.png"),
         options={"normal": ["negative"]}),
    Case("a kind of defect called ok", (*BASE[:2], "test/ok/0.png"), options={"normal": ["good"]}),
    Case("training folders of other names", ("train/cam1/0.png", "train/cam2/0.png", *BASE[1:]), train=2,
         options={"normal": ["cam1", "cam2"]}),
    Case("a link to nothing", BASE, over=1, links=[("train/good/1.png", "nowhere.png")]),
    Case("a link to itself", BASE, over=1, links=[("train/good/1.png", "train/good/1.png")]),
    Case("a link out of the root", BASE, over=1, links=[("train/good/1.png", "/etc/hostname")]),
    Case("a linked folder out of the root", BASE, over=1, links=[("test/dent", "/etc")]),
    Case("a linked folder within", BASE, normal=2, links=[("test/ok", "test/good")]),
    Case("a folder that leads to its parent", BASE, over=1, links=[("train/good/up", "train")]),
    Case("what systems and archives leave", (*BASE, "train/good/._0.png", "train/@eaDir/0.png", "__MACOSX/train/0.png",
                                             "train/good/Thumbs.db", ".git/0.png", "license.txt", "readme.md")),
    Case("no defect at all", BASE[:2], defective=0),
    Case("no normal test image", (BASE[0], BASE[2]), normal=0),
]  # fmt: skip

REFUSED = [
    ("defective training images", (*BASE, "train/crack/0.png"), "training images are normal; move .*test/crack if"),
    ("casting's names", ("train/ok_front/0.png", "train/def_front/0.png", *BASE[1:]), r"normal=good\+def_front if"),
    ("training images of any name", ("train/images/0.png", *BASE[1:]), r"or say --data .*normal=good\+images if"),
    ("a name for either", (*BASE, "test/negative/0.png"), "test/negative: the name may mean normal or defective"),
    ("more of the good ones", (*BASE, "test/good_2/0.png"), "test/good_2: the name may mean normal or defective"),
    ("classes by number", ("train/good/0.png", "test/0/0.png", "test/1/0.png"), "test/0: the name may mean"),
    ("no labels", ("train/good/0.png", "test/images/0.png"), "test/images: the name may mean normal or defective"),
    ("masks among the folders", (*BASE, "test/ground_truth/0.png"), "test/ground_truth: the name may mean"),
    ("flat test images", ("train/good/0.png", "test/0.png"), "no test image: .*1 file is passed over, such as"),
    ("all images deeper", ("train/good/a/0.png", *BASE[1:]), "train/good/a/0.png, which lies in a folder inside"),
    ("as MVTec AD 2", ("train/good/0.png", "test_public/good/0.png"), "test_public/good/0.png, which lies beside"),
    ("masks beside images", (*BASE, "test/cut/0_label.bmp"), "is called like the mask of 0.png and lies among"),
    ("a mask of nothing", (*BASE, "ground_truth/cut/7_mask.png"), "a mask with no partner in .*; call it like"),
    ("a folder of nothing", (*BASE, "ground_truth/dent/0.png"), "a mask with no partner in .*; call its folder"),
    ("two masks", (*BASE, "ground_truth/cut/0.png", "ground_truth/cut/0_gt.png"), "are masks of one image; keep"),
    ("two images", (*BASE, "test/cut/0.bmp"), "have one name but for the suffix; rename one"),
    ("two folders for one", (*BASE[:2], "Test/good/0.png", "train/ok/0.png", "TRAIN/ok/0.png"), None),
    ("two spellings", ("Train/ok/0.png", "TRAIN/ok/0.png", *BASE[1:]), "holds TRAIN and Train; call the one"),
    ("accents of either kind", (*BASE[:2], f"test/cut/{NFC}.png", f"test/cut/{NFD}.png", "ground_truth/cut/RAYÉ.png"),
     "may belong to .* and .*; call it exactly like"),
]  # fmt: skip


@pytest.fixture
def lay(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """Writes a category; every picture is another one, and every mask marks something."""

    def write(files: Sequence[str]) -> Path:
        folder = tmp_path / "data" / "nut"
        for serial, name in enumerate(files):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(serial).integers(0, 200, (8, 9), dtype=np.uint8)
            if part(name) not in {"train", "test", "validation"}:
                pixels = np.zeros((8, 9), np.uint8)
                pixels[2:4, serial % 8] = 255
            kind = {".ppm": "PPM", ".pgm": "PPM", ".webp": "WEBP", ".bmp": "BMP"}.get(path.suffix.lower(), "PNG")
            Image.fromarray(pixels).save(path, format="JPEG" if path.suffix.lower().startswith(".j") else kind)
        return folder

    return write


def part(name: str) -> str:
    return name.partition("/")[0].lower()


@pytest.mark.parametrize("case", READ, ids=lambda case: case.name)
def test_what_is_read_is_what_is_there(case, lay):
    folder = lay(case.files)
    for name, target in case.links:
        (folder / name).symlink_to(folder / target)
    data = Folder(root=folder.parent, **case.options)
    split = data.split("nut")
    assert len(split.train) == case.train
    assert sum(not sample.anomalous for sample in split.test) == case.normal
    assert sum(sample.anomalous for sample in split.test) == case.defective
    masks = [data.mask(sample) for sample in split.test if sample.anomalous]
    assert sum(mask is not None and bool(mask.any()) for mask in masks) == case.masked
    survey = data.survey("nut")
    assert len(survey.passed_over) == case.over
    message = [survey.labels, *map(str, survey.passed_over), *(sample.id for sample in (*split.train, *split.test))]
    "\n".join(message).encode("utf-8")
    assert all("\x1b" not in line for line in message[: 1 + case.over]), "no terminal is told what to do"
    found = list(problems(data, lambda *_: None))
    assert len(found) == case.over, found


@pytest.mark.parametrize(("files", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_meant_is_refused_in_one_sentence(files, words, lay):
    data = Folder(root=lay(files).parent)
    if words is None:  # of several spellings the usual one counts, and the others are told
        assert {item.file.split("/")[1] for item in data.survey("nut").passed_over} == {"TRAIN", "Test"}
        return
    with pytest.raises(DataError, match=words) as caught:
        data.split("nut")
    assert "\n" not in str(caught.value)
    assert "remove" not in str(caught.value)
    assert "delete" not in str(caught.value)


TOY = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures", "--threshold", "none")


@pytest.mark.parametrize("executor", ["inline", "process:workers=1"])
def test_a_run_on_names_that_are_no_utf8(parts, tmp_path, capsys, executor):
    root = tmp_path / os.fsdecode(b"parts\xff")
    (parts / "bolt" / "test" / "spot").rename(parts / "bolt" / "test" / LATIN)
    (parts / "bolt" / "ground_truth" / "spot").rename(parts / "bolt" / "ground_truth" / LATIN)
    (parts / "bolt" / "train" / "good" / "000.png").rename(parts / "bolt" / "train" / "good" / f"{LATIN}.png")
    (parts / "nut" / "train" / "good" / f"{LATIN}.png").write_bytes(b"no image")
    (parts / "nut").rename(parts / os.fsdecode(b"nut\xe9"))
    parts.rename(root)
    code = call(["run", *TOY, "--data", str(root), "--out", str(tmp_path / "runs"), "--executor", executor])
    printed = capsys.readouterr()
    assert code == 1
    assert r"ray\xe9 3 defective" in printed.err
    records = {record.task.category: record for record in map(read_record, find_runs(tmp_path / "runs"))}
    assert records["bolt"].status == "ok"
    assert records[r"nut\xe9"].status == "failed"
    assert r"nut\xe9/train/good/ray\xe9.png: is no image" in records[r"nut\xe9"].reason


class Surveyed(Dataset):
    """Somebody else's dataset, whose survey fails."""

    name = "surveyed"

    def categories(self) -> Sequence[str]:
        return ["nut"]

    def split(self, category: str) -> Split:
        return Split((Sample("nut/0"),), (Sample("nut/1"), Sample("nut/2", "cut")))

    def image(self, sample: Sample) -> np.ndarray:
        return np.full((16, 16, 3), 60 * int(sample.id[-1]), np.uint8)

    def mask(self, sample: Sample) -> np.ndarray | None:
        return np.full((16, 16), sample.anomalous)

    def digest(self, sample: Sample) -> str:
        return sample.id[-1] * 64

    def revision(self) -> str:
        return "1"

    def survey(self, category: str = "") -> None:
        raise RuntimeError(f"no survey of {category}")


def test_a_dataset_whose_survey_fails_fails_its_unit_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("adbench.engine.plan.data_origin.dataset_from", lambda *_: Surveyed())
    monkeypatch.setattr("adbench.cli.scope.dataset_from", lambda *_: Surveyed())
    code = call(["run", *TOY, "--data", "surveyed", "--out", str(tmp_path / "runs")])
    assert code == 1
    (record,) = map(read_record, find_runs(tmp_path / "runs"))
    assert "dataset 'surveyed' raised RuntimeError in survey(): no survey of nut" in record.reason
    assert "Traceback" not in capsys.readouterr().err


def test_messages_about_files_never_hold_what_cannot_be_written():
    error = BadImage(Path(os.fsdecode(b"/data/\xff\x1b[2J.png")), "is empty")
    assert isinstance(error, AdbenchError)
    assert str(error).startswith(r"/data/\xff\x1b[2J.png: is empty")


@pytest.mark.parametrize(
    ("name", "white", "channels"),
    [
        ("a.pgm", 255, 1),
        ("a.ppm", 255, 3),
        ("a.pnm", 7, 1),
        ("a.pgm", 4095, 1),
        ("a.pgm", 65535, 1),
        ("a.ppm", 1023, 3),
    ],
)
def test_the_ppm_family_is_read_exactly_or_refused(name, white, channels, tmp_path):
    pixels = np.random.default_rng(0).integers(0, white + 1, (5, 7, channels)).astype(">u2" if white > 255 else "u1")
    path = tmp_path / name
    path.write_bytes(b"P%d 7 5 %d\n" % (5 if channels == 1 else 6, white) + pixels.tobytes())
    if channels == 3 and white > 255:  # Pillow would cut it to 8 bits
        with pytest.raises(BadImage, match="more than 8 bits"):
            read_image(path)
        return
    image = read_image(path)
    scale = 1 if image.dtype == np.float32 else 255
    assert np.abs(image / scale - pixels / white).max() < (1e-5 if white > 255 else 1 / 500)
