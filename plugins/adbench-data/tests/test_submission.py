"""A submission to MVTec AD 2: made by the command line, and checked whoever made it."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import numpy as np
import pytest
import tifffile
from adbench_data.sets.mvtec_ad_2 import MVTecAD2
from adbench_data.submission import checking, files
from adbench_data.submission.checking import check
from adbench_data.submission.files import MAPS, MASKS, Place
from adbench_data.submission.half import LEVELS, HalfScale, distinct
from adbench_data.submission.making import pixel_threshold, seg_f1
from adbench_data.submission.package import new_package, png_of, tiff_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image

from adbench import StorageError
from adbench.cli import call

SIZE = (10, 12)
PLACES = [Place("can", split, f"005_{word}") for split, word in files.SPLITS.items()]


@pytest.fixture(autouse=True)
def one_object(monkeypatch):
    """An object with one image in each split, as the small tree has it."""
    monkeypatch.setattr(files, "PRIVATE", {"can": 1})
    monkeypatch.setattr(MVTecAD2, "published", {})


@pytest.fixture
def write(tmp_path):
    """A package with some files changed, added or left out (None)."""

    def write(changes=None, entries=()):
        half = np.arange(120, dtype=np.float16).reshape(SIZE)
        good = {place.file(MAPS): tiff_of(half) for place in PLACES}
        good |= {place.file(MASKS): png_of(half > 50) for place in PLACES}
        path = tmp_path / "package.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name, content in {**good, **(changes or {})}.items():
                if content is not None:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
            for entry in entries:
                archive.addfile(entry)
        return path

    return write


SIZES = dict.fromkeys(PLACES, SIZE)
FIRST = PLACES[0].file(MAPS)
FIRST_MASK = PLACES[0].file(MASKS)


# The scale


SCORES = nps.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-(2.0**99), 2.0**99, width=32)
)


@given(SCORES)
def test_no_score_overtakes_another_and_nothing_overflows(scores):
    half = HalfScale(float(scores.min()), float(scores.max())).half(scores)
    assert half.dtype == np.float16
    assert np.isfinite(half * np.float16(2)).all()
    order = np.argsort(scores, axis=None, kind="stable")
    assert (np.diff(half.ravel()[order].astype(np.float64)) >= 0).all()
    if scores.min() < scores.max():
        assert (half.min(), half.max()) == (0, np.float16(32752))


def test_there_are_more_levels_than_a_cast_has():
    scores = np.linspace(40, 60, 1 << 16, dtype=np.float32).reshape(256, 256)
    assert distinct(scores.astype(np.float16)) < 1000
    assert distinct(HalfScale(40, 60).half(scores)) == LEVELS
    assert distinct(HalfScale(0, 60).half(scores)) > 10_000


def test_a_plain_map_stays_plain():
    assert HalfScale(3, 3).half(np.full(SIZE, 3, np.float32)).tolist() == np.zeros(SIZE).tolist()


# Threshold and SegF1


def test_the_threshold_is_that_of_all_pixels_together():
    maps = [np.random.default_rng(seed).normal(5, 2, (30, 40)).astype(np.float32) for seed in range(5)]
    values = np.concatenate([one.ravel() for one in maps]).astype(np.float64)
    assert pixel_threshold(maps, 3) == pytest.approx(values.mean() + 3 * values.std())


@given(st.lists(st.tuples(nps.arrays(bool, (4, 5)), nps.arrays(bool, (4, 5))), min_size=1, max_size=4))
def test_seg_f1_is_the_f1_of_all_pixels(pairs):
    found, masks = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    if not masks.any():
        assert seg_f1(pairs) is None
        return
    hits = (found & masks).sum()
    precision = hits / found.sum() if found.any() else 0
    recall = hits / masks.sum()
    wanted = 0 if not hits else 2 * precision * recall / (precision + recall)
    assert seg_f1(pairs) == pytest.approx(wanted)


# The check


def test_a_good_package_is_good(write):
    found = check(write(), SIZES)
    assert (found.well, found.files) == (True, 4)
    assert found.notes == ["can: only 120 different values in all maps; scale its scores before they become float16"]
    assert check(write(), {}).notes[-1].startswith("names and sizes were not compared")


def test_a_folder_is_checked_too(write, tmp_path):
    with tarfile.open(write()) as archive:
        archive.extractall(tmp_path / "folder", filter="data")
    assert check(tmp_path / "folder", SIZES).well
    (tmp_path / "folder" / FIRST).unlink()
    os.mkfifo(tmp_path / "folder" / FIRST)
    assert "is a link or a device" in check(tmp_path / "folder", SIZES).problems[0]


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


HALF = np.zeros(SIZE, np.float16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({FIRST: None}, "anomaly_images/can/test_private has 0 files, and 1 images were published"),
        ({FIRST_MASK: None}, "anomaly_images_thresholded/can/test_private has 0 files"),
        ({"anomaly_images/can/test_private/006_regular.tiff": tiff_of(HALF)}, "006_regular.tiff is no file of a"),
        ({"anomaly_images/can/test_private/005_mixed.tiff": tiff_of(HALF)}, "005_mixed.tiff is no file of a"),
        ({"anomaly_images/jar/test_private/005_regular.tiff": tiff_of(HALF)}, "is no file of a submission"),
        ({"../../escape.tiff": b"x"}, "escape.tiff is no file of a submission"),
        ({"/etc/passwd": b"x"}, "is no file of a submission"),
        ({"readme.txt": b"x"}, "readme.txt is no file of a submission"),
        ({FIRST: tiff_of(HALF[:5])}, "has 5x12 pixels, its image 10x12; undo every resize"),
        ({FIRST: tiff(HALF.astype(np.float32))}, "has values of the type float32; the server wants float16"),
        ({FIRST: tiff(np.zeros((*SIZE, 3), np.float16), photometric="rgb")}, "a map has one channel"),
        ({FIRST: tiff(np.zeros((2, *SIZE), np.float16), photometric="minisblack")}, "has 2 pages"),
        ({FIRST: tiff_of(np.full(SIZE, np.inf, np.float16))}, "float16 ends at 65504"),
        ({FIRST: tiff_of(np.full(SIZE, np.nan, np.float16))}, "120 values that are not finite"),
        ({FIRST: b"no TIFF"}, f"{FIRST}: "),
        ({FIRST: b""}, f"{FIRST}: "),
        ({FIRST: tiff_of(HALF)[:60]}, f"{FIRST}: "),
        ({FIRST_MASK: png(np.full(SIZE, 128, np.uint8))}, "has other values than 0 and 255; threshold it"),
        ({FIRST_MASK: png(np.zeros((*SIZE, 3), np.uint8))}, "is of mode RGB"),
        ({FIRST_MASK: b"GIF89a"}, f"{FIRST_MASK}: "),
    ],
)
def test_what_is_wrong_is_named(write, changes, message):
    found = check(write(changes), SIZES)
    assert not found.well
    assert any(message in problem for problem in found.problems), found.problems


def test_masks_may_be_left_out_together(write):
    found = check(write({place.file(MASKS): None for place in PLACES}), SIZES)
    assert found.well
    assert "no thresholded masks: the server then gives no SegF1" in found.notes


def entry(name, kind=tarfile.REGTYPE, **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("link", tarfile.SYMTYPE, linkname="/etc/passwd")], "link is a link or a device"),
        ([entry(FIRST, tarfile.LNKTYPE, linkname="x")], "is a link or a device"),
        ([entry("pipe", tarfile.FIFOTYPE)], "pipe is a link or a device"),
        ([entry(FIRST)], "is there twice"),
        ([entry(f"{number}.txt") for number in range(5000)], "more of this kind (unknown)"),
    ],
)
def test_hostile_entries_are_named_and_never_followed(write, entries, message):
    assert any(message in problem for problem in check(write(entries=entries), SIZES).problems)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "MAX_BYTES", 1 << 16)
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(entry(FIRST, size=1 << 40).tobuf())
        file.write(b"\0" * (1 << 20))
    assert "the check ends here" in check(path, SIZES).problems[0]


def test_a_huge_header_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "MAX_BYTES", 1 << 16)
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(entry("header", tarfile.XHDTYPE, size=1 << 30).tobuf(format=tarfile.GNU_FORMAT))
        file.write(b"\0" * (1 << 20))
    with pytest.raises(StorageError, match=r"no whole .tar.gz file"):
        check(path, SIZES)


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"no tar", mtime=0), gzip.compress(b"x" * 4096, mtime=0)[:30]],
    ids=["empty", "text", "no tar", "cut off"],
)
def test_what_is_no_archive_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(content)
    try:
        assert not check(path, SIZES).well
    except StorageError as error:
        assert "no whole .tar.gz file" in str(error)  # noqa: PT017  an empty archive is no error


# Writing


def test_the_same_maps_give_the_same_bytes(tmp_path):
    for name in ("a.tar.gz", "b.tar.gz"):
        with new_package(tmp_path / name) as package:
            for place in PLACES:
                package.add(place, HALF, HALF > 0)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert check(tmp_path / "a.tar.gz", SIZES).well


def test_a_package_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyError), new_package(tmp_path / "a.tar.gz") as package:
        package.add(PLACES[0], HALF, HALF > 0)
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="choose another file with --out"), new_package(tmp_path / "no/a.tar.gz"):
        pass


# The command


TOYS = ("--backbone", "toy-pixels:cell=2", "--scorer", "toy-nearest")


@pytest.fixture
def tree(drawn):
    """The small tree, with enough normal images of one object."""
    root = drawn("mvtec-ad-2")
    for part in ("train", "validation"):
        folder = root / "can" / part / "good"
        first = min(folder.iterdir())
        for number in range(50, 53):
            pixels = np.asarray(Image.open(first)).copy()
            pixels[0, 0] = number
            Image.fromarray(pixels).save(folder / f"{number:03}_regular.png")
    return root


@pytest.mark.slow
def test_the_runs_of_a_method_become_a_package(bench, tree, tmp_path, capsys):
    done = bench.run("--data", f"mvtec-ad-2:root={tree}", *TOYS, "--category", "can")
    assert done.code == 0, done.err
    out = tmp_path / "mine.tar.gz"
    arguments = ["submit-ad2", str(done.folder), "--root", str(tree), "--device", "cpu"]
    assert call([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "can: 2 images, threshold " in printed
    assert "SegF1 of test_public " in printed
    assert "4 files; complete and well-formed" in printed
    with tarfile.open(out) as archive:
        assert archive.getnames() == [place.file(folder) for place in PLACES for folder in (MAPS, MASKS)]
        half = tifffile.imread(io.BytesIO(archive.extractfile(FIRST).read()))
    assert (half.shape, half.dtype) == (SIZE, np.float16)
    assert call([*arguments, "--out", str(tmp_path / "again.tar.gz")]) == 0
    assert out.read_bytes() == (tmp_path / "again.tar.gz").read_bytes()
    assert call(["submit-ad2", "--check", str(out)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "name one method: RUN"),
        (("--recipe", "no-such-recipe"), 2, "no-such-recipe"),
        ((".", "--recipe", "patchcore-lite"), 2, "name one method: RUN"),
        ((".", "--check", "."), 2, "leave out RUN and --recipe"),
        (("--check", "."), 1, "the server would refuse it"),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(tree, capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    given_root = () if "--check" in arguments else ("--root", str(tree))
    assert call(["submit-ad2", *arguments, *given_root]) == code
    printed = capsys.readouterr()
    assert message in printed.err + printed.out


def test_a_dataset_in_part_is_refused_before_anything_is_computed(tree, capsys, tmp_path):
    (tree / "can/test_private_mixed/005_mixed.png").unlink()
    out = tmp_path / "a.tar.gz"
    assert call(["submit-ad2", "--recipe", "patchcore-lite", "--root", str(tree), "--out", str(out)]) == 1
    assert "can/test_private_mixed: 0 images are there, and 1 were published" in capsys.readouterr().err
    assert not out.exists()
