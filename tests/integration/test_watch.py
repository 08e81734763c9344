"""`adbench watch`: every file exactly once, whatever ends the process."""

import csv
import errno
import json
import os
import random
import shutil
import signal
import time

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.datasets import read_image

QUICK = ["--cache", "none", "--runtime", "torch", "--device", "cpu"]
FILES = 12


@pytest.fixture
def line(parts, tmp_path):
    """A detector's file, the folder in which images arrive, and the folder of predictions."""
    detector, incoming = tmp_path / "bolt.adbench", tmp_path / "incoming"
    method = ["--backbone", "toy-pixels", "--scorer", "toy-nearest", "--threshold", "quantile:alpha=0.01"]
    good = str(parts / "bolt" / "train" / "good")
    assert call(["fit", *method, "--normal", good, "--out", str(detector), *QUICK]) == 0
    incoming.mkdir()
    return detector, incoming, tmp_path / "out"


def command(line, *more):
    detector, incoming, out = map(str, line)
    return ["watch", detector, incoming, "--out", out, "--every", "0.01", *more, *QUICK]


def arrive(folder, numbers, level=100):
    rng = np.random.default_rng(0)
    for number in numbers:
        image = rng.integers(level - 10, level + 10, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / f"{number:03}.png")


def rows(out):
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_pictures_are_those_of_predict(line, tmp_path, capsys):
    detector, incoming, out = line
    arrive(incoming, range(2))
    assert call(command(line, "--once")) == 0
    (incoming / "box").mkdir()
    arrive(incoming / "box", range(2, 4))
    (incoming / "zz.png").write_bytes(b"no image")
    assert call(command(line, "--once")) == 0
    said = capsys.readouterr()
    assert "5 images in" in said.out
    assert "zz.png" in said.err
    other = tmp_path / "predictions"
    assert call(["predict", str(detector), str(incoming), "--out", str(other), *QUICK]) == 1
    for one, same in zip(rows(out), rows(other), strict=True):
        assert {**one, "ms": ""} == {**same, "ms": ""}
    contours = [json.loads((folder / "coco.json").read_text()) for folder in (out, other)]
    assert contours[0] == contours[1]
    assert len(contours[0]["images"]) == 4
    for kind in ("heatmaps", "masks"):
        for picture in sorted(path.relative_to(other) for path in (other / kind).rglob("*.png")):
            assert np.array_equal(read_image(out / picture), read_image(other / picture))
    assert rows(out)[-1]["error"] != ""


@pytest.mark.slow
def test_drift_is_told_once_and_goes_on_after_a_restart(line, tmp_path, capsys):
    detector, incoming, out = line
    for level, numbers in ((100, range(8)), (160, range(8, 40)), (160, range(40, 60))):
        arrive(incoming, numbers, level)
        assert call(command(line, "--once", "--tables-only")) == 0
        said = capsys.readouterr().err
        assert ("drift: from about image" in said) == (numbers.start == 8)
    other = tmp_path / "predictions"
    assert call(["predict", str(detector), str(incoming), "--out", str(other), "--tables-only", *QUICK]) == 0
    assert "drift: from about image" in capsys.readouterr().err
    assert [row["drift"] for row in rows(out)] == [row["drift"] for row in rows(other)]
    assert float(rows(out)[7]["drift"]) < 100 < float(rows(out)[-1]["drift"])


def test_wrong_folders_are_refused(line, tmp_path, capsys):
    detector, incoming, _ = line
    assert call(command((detector, incoming, incoming / "out"))) == 2
    assert "give a folder outside" in capsys.readouterr().err
    assert call(command((detector, tmp_path / "none", tmp_path / "out"))) == 1
    assert "is no folder" in capsys.readouterr().err


def test_pictures_of_another_kind_are_told_of_once(line, capsys):
    arrive(line[1], range(2))
    (line[1] / "IMG_1.HEIC").write_bytes(b"x")
    assert call(command(line, "--once")) == 0
    assert capsys.readouterr().err.count("1 x .heic") == 1


def test_a_full_disk_ends_the_command_and_the_same_command_goes_on(line, monkeypatch, capsys):
    arrive(line[1], range(4))
    fsync, calls = os.fsync, iter(range(100))

    def full(handle):
        if next(calls) == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert call(command(line, "--once")) == 1
    said = capsys.readouterr().err
    assert "No space left" in said
    assert "images are written whole; the same command goes on" in said
    assert call(command(line, "--once")) == 0
    assert [row["file"] for row in rows(line[2])] == [f"{number:03}.png" for number in range(4)]


def test_an_image_that_is_moved_away_while_it_is_scored_keeps_its_row(line, monkeypatch):
    from adbench.detector.prediction import Prediction

    arrive(line[1], range(1))
    heatmap = Prediction.heatmap

    def moved(self):
        shutil.rmtree(line[1])
        line[1].mkdir()
        return heatmap(self)

    monkeypatch.setattr(Prediction, "heatmap", moved)
    assert call(command(line, "--once")) == 0
    (row,) = rows(line[2])
    assert row["score"] != ""
    assert "no heatmap" in row["notes"]


def _kill_after(line, start_command, rows_more, pause):
    """Start the command, and kill it a moment after it has written so many more rows."""
    journal = line[2] / "predictions.jsonl"
    before = journal.read_bytes().count(b"\n") if journal.exists() else 0
    watch = start_command(command(line, "--batch-size", "1"), line[0].with_name("errors"), {})
    deadline = time.monotonic() + 120
    while watch.is_alive() and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= before + rows_more:
            break
        time.sleep(0.001)
    time.sleep(pause)
    watch.kill()
    watch.join()
    assert watch.exitcode == -signal.SIGKILL


def _survives(line, start_command, kills):
    draws = random.Random(kills)
    for kill in range(kills):
        arrive(line[1], range(kill * FILES, (kill + 1) * FILES))
        _kill_after(line, start_command, draws.randrange(1, FILES), draws.random() * 0.05)
    assert call(command(line, "--once")) == 0
    names = [row["file"] for row in rows(line[2])]
    assert sorted(names) == [f"{number:03}.png" for number in range(kills * FILES)]
    assert sorted(path.name for path in (line[2] / "heatmaps").iterdir()) == sorted(names)
    contours = json.loads((line[2] / "coco.json").read_text())
    assert sorted(image["file_name"] for image in contours["images"]) == sorted(names)


@pytest.mark.slow
def test_kill_9_loses_and_doubles_nothing_at_random_moments(line, start_command):
    _survives(line, start_command, 10)
