"""Detectors through the command line: from a folder of good images to tables, and the ways in which that goes wrong."""

import csv
import errno
import json
import os
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.datasets import read_image
from adbench.files import sha256_of

METHOD = ["--backbone", "toy-pixels", "--scorer", "toy-nearest"]
QUICK = ["--cache", "none", "--runtime", "torch", "--device", "cpu"]


def fit(parts, out, *more):
    good = parts / "bolt" / "train" / "good"
    return call(["fit", *METHOD, "--normal", str(good), "--out", str(out), *more, *QUICK])


@pytest.fixture
def bolt(parts, tmp_path, capsys):
    """A detector's file."""
    out = tmp_path / "bolt.adbench"
    assert fit(parts, out, "--threshold", "quantile:alpha=0.01") == 0
    capsys.readouterr()
    return out


def rows(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == [row["file"] for row in found]
    assert ["" if line["score"] is None else str(line["score"]) for line in lines] == [row["score"] for row in found]
    return found


@pytest.mark.slow
def test_from_good_images_to_tables_pictures_and_contours(parts, bolt, tmp_path, capsys):
    out = tmp_path / "predictions"
    assert call(["predict", str(bolt), str(parts / "bolt" / "test"), "--out", str(out), *QUICK]) == 0
    assert "6 images" in capsys.readouterr().out
    found = {row["file"]: row for row in rows(out)}
    assert sorted(found) == [f"{kind}/{number:03}.png" for kind in ("good", "spot") for number in range(3)]
    assert {found[f"spot/{number:03}.png"]["alarm"] for number in range(3)} == {"yes"}
    assert all(float(row["p_value"]) > 0 and float(row["ms"]) > 0 and row["error"] == "" for row in found.values())
    mask = read_image(out / "masks" / "spot" / "000.png")[:, :, 0]
    assert mask[10:22, 18:30].min() == 255
    assert mask[40:, 40:].max() == 0
    assert read_image(out / "heatmaps" / "good" / "000.png").shape == (64, 64, 3)
    shapes = json.loads((out / "labelme" / "spot" / "000.png.json").read_text())
    assert os.path.normpath(out / "labelme" / "spot" / shapes["imagePath"]) == str(parts / "bolt/test/spot/000.png")
    coco = json.loads((out / "coco.json").read_text())
    assert len(coco["images"]) == 6
    assert {one["image_id"] for one in coco["annotations"]} >= {4, 5, 6}


def test_tables_alone_and_another_rule(parts, bolt, tmp_path):
    out = tmp_path / "predictions"
    test = str(parts / "bolt" / "test" / "spot")
    assert (
        call(["predict", str(bolt), test, "--out", str(out), "--tables-only", "--threshold", "sigma:k=1e5", *QUICK])
        == 0
    )
    assert sorted(path.name for path in out.iterdir()) == ["predictions.csv", "predictions.jsonl"]
    assert {row["alarm"] for row in rows(out)} == {"no"}


def test_defective_images_measure_the_detector_and_teach_it_nothing(parts, bolt, tmp_path, capsys):
    spots, masks = parts / "bolt" / "test" / "spot", parts / "bolt" / "ground_truth" / "spot"
    measured = tmp_path / "measured.adbench"
    assert fit(parts, measured, "--abnormal", str(spots), "--masks", str(masks)) == 0
    message = capsys.readouterr().out
    assert "image-auroc 100.0 %" in message
    assert "4 normal, 3 defective images" in message
    with zipfile.ZipFile(measured) as one, zipfile.ZipFile(bolt) as other:
        assert one.read("bank.safetensors") == other.read("bank.safetensors")


def test_masks_without_images_and_masks_of_no_image_are_refused(parts, tmp_path, capsys):
    spots = str(parts / "bolt" / "test" / "spot")
    assert fit(parts, tmp_path / "a.adbench", "--masks", spots) == 2
    assert "--abnormal" in capsys.readouterr().err
    (tmp_path / "masks").mkdir()
    shutil.copy(parts / "bolt" / "ground_truth" / "spot" / "000_mask.png", tmp_path / "masks" / "900_mask.png")
    assert fit(parts, tmp_path / "a.adbench", "--abnormal", spots, "--masks", str(tmp_path / "masks")) == 1
    assert "a mask of no image" in capsys.readouterr().err


def test_an_image_that_cannot_be_read_is_a_row(parts, bolt, tmp_path, capsys):
    test = parts / "bolt" / "test" / "good"
    (test / "001.png").write_bytes((test / "001.png").read_bytes()[:100])
    out = tmp_path / "predictions"
    assert call(["predict", str(bolt), str(test), "--out", str(out), *QUICK]) == 1
    assert "1 cannot be read" in capsys.readouterr().out
    found = rows(out)
    assert [bool(row["error"]) for row in found] == [False, True, False]
    assert [row["score"] == "" for row in found] == [False, True, False]


def test_pictures_of_another_kind_and_paths_of_nothing_are_told_of(parts, bolt, tmp_path, capsys):
    test = parts / "bolt" / "test" / "good"
    (test / "IMG_1.HEIC").write_bytes(b"x")
    assert call(["predict", str(bolt), str(test), "--out", str(tmp_path / "out"), "--tables-only", *QUICK]) == 0
    assert "1 x .heic" in capsys.readouterr().err
    assert call(["bank", "add", str(bolt), str(tmp_path / "none")]) == 1
    message = capsys.readouterr().err
    assert "none: there is no such file" in message
    assert "--skip-bad" not in message


def test_images_of_another_size_are_reported(bolt, tmp_path, capsys):
    Image.fromarray(np.full((20, 30), 100, np.uint8)).save(tmp_path / "small.png")
    assert call(["predict", str(bolt), str(tmp_path / "small.png"), "--out", str(tmp_path / "out"), *QUICK]) == 0
    message = capsys.readouterr().err
    assert "1 image: it has 20 x 30 pixels, where the detector learned from 64 x 64" in message
    assert "1 image: it has gray alone" in message


def test_show_says_what_a_detector_is(bolt, capsys):
    assert call(["show", str(bolt)]) == 0
    message = capsys.readouterr().out
    assert "learned from: 4 normal images, seed 0" in message
    assert "threshold: threshold" in message
    assert call(["show", str(bolt), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["recipe"] == "toy-pixels+toy-nearest"


def test_a_bank_grows_and_shrinks(parts, tmp_path, capsys):
    good, more, file = parts / "bolt" / "train" / "good", parts / "bolt" / "test" / "good", tmp_path / "b.adbench"
    options = ["--backbone", "toy-pixels", "--bank", "full", "--scorer", "knn"]
    assert call(["fit", *options, "--normal", str(good), "--out", str(file), *QUICK]) == 0
    assert call(["bank", "add", str(file), str(more), *QUICK]) == 0
    assert "3 images added, 7 in all" in capsys.readouterr().out
    assert call(["bank", "add", str(file), str(more), *QUICK]) == 2
    assert "learned from all of these images already" in capsys.readouterr().err
    out = tmp_path / "predictions"
    assert call(["predict", str(file), str(more), "--out", str(out), "--tables-only", *QUICK]) == 0
    assert {row["score"] for row in rows(out)} == {"0.0"}
    capsys.readouterr()
    assert call(["bank", "show", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "3 images added (000.png, 001.png, 002.png)" in shown
    assert "7 images" in shown
    digest = shown.splitlines()[-3].split()[0]
    assert call(["bank", "remove", str(file), digest, *QUICK]) == 0
    assert "1 image removed, 6 left" in capsys.readouterr().out
    assert call(["bank", "remove", str(file), "nothing.png", *QUICK]) == 2
    assert "unknown image 'nothing.png'" in capsys.readouterr().err


def test_a_bank_that_learns_from_all_images_at_once_says_so(parts, bolt, capsys):
    assert call(["bank", "add", str(bolt), str(parts / "bolt" / "test" / "good"), *QUICK]) == 2
    assert "fit the detector again" in capsys.readouterr().err
    assert call(["bank", "remove", str(bolt), "000.png", *QUICK]) == 2
    assert "cannot forget single images" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["show"], ["bank", "show"]])
def test_a_file_that_is_no_detector_is_a_sentence(command, tmp_path, capsys):
    (tmp_path / "x.adbench").write_text("hello")
    assert call([*command, str(tmp_path / "x.adbench")]) == 1
    message = capsys.readouterr().err
    assert "not readable as a detector of adbench" in message
    assert "give another file, copy this one again, or make it anew with 'adbench fit'" in message


def test_a_file_that_is_not_there_and_a_folder_say_a_way_out(parts, tmp_path, capsys):
    for path, fault in ((tmp_path / "none.adbench", "there is no such file"), (parts, "a folder")):
        assert call(["predict", str(path), str(parts / "bolt"), "--out", str(tmp_path / "out"), *QUICK]) == 1
        assert f"{path}: {fault}; give a detector of adbench, a file that 'adbench fit'" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_reported_before_the_work(parts, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert fit(parts, tmp_path / "file" / "x.adbench") == 1
    message = capsys.readouterr().err
    assert "error:" in message
    assert "Traceback" not in message


@pytest.mark.parametrize("command", ["fit", "export"])
def test_a_folder_or_a_pipe_is_no_file_to_write(parts, bolt, tmp_path, capsys, command):
    os.mkfifo(tmp_path / "pipe")
    for place, fault in ((parts, "is a folder; give the name of a file, such as"), (tmp_path / "pipe", "is a pipe")):
        out = ["--out", str(place), *QUICK]
        code = fit(parts, place) if command == "fit" else call(["export", str(bolt), *out])
        assert code == 2
        error = capsys.readouterr().err
        assert f"{place} {fault}" in error
        assert error.count("\n") == 1, "nothing was computed before"


def test_what_is_no_file_is_a_row_with_the_reason_and_nothing_waits(bolt, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.png")
    given = [str(tmp_path / "pipe.png"), "/dev/zero"]
    assert call(["predict", str(bolt), *given, "--out", str(tmp_path / "out"), *QUICK]) == 1
    shown = capsys.readouterr()
    assert "2 cannot be read" in shown.out
    assert shown.err.count("a pipe, a socket or a device, not an image; give the file of an image") == 2
    assert len(rows(tmp_path / "out")) == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full here")  # noqa: PTH110
def test_a_full_disk_keeps_what_is_written_whole(parts, bolt, tmp_path, capsys, monkeypatch):
    from adbench.detector.outputs import lines as module

    written, real = [], os.write

    def write(handle, content):
        if len(written) >= 6 and bytes(content[:5]) != b"file,":
            real(handle, content[: len(content) // 2])
            raise OSError(28, "No space left on device")
        written.append(1)
        return real(handle, content)

    monkeypatch.setattr(module.os, "write", write)
    out = tmp_path / "predictions"
    assert call(["predict", str(bolt), str(parts / "bolt" / "test"), "--out", str(out), "--tables-only", *QUICK]) == 1
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert "2 images are written whole" in message
    assert len(rows(out)) == 2


@pytest.fixture
def full(monkeypatch, tmp_path):
    """Folders whose disk is full once something was written, and a folder for temporary files with room."""
    from adbench.detector.store import archive

    folders, real = [], archive.temporary_file
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def temporary_file(path):
        if any(path.is_relative_to(folder) for folder in folders):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(archive, "temporary_file", temporary_file)
    return folders


def test_a_disk_that_is_full_after_the_fit_costs_no_fit(parts, tmp_path, capsys, full):
    full.append(tmp_path / "out")
    assert fit(parts, tmp_path / "out" / "bolt.adbench") == 1
    message = capsys.readouterr().err
    assert message.count("error:") == 1
    [kept] = (tmp_path / "temporary").rglob("bolt.adbench")
    assert f"No space left on device; what was learned is whole in {kept}: use it there, or move it" in message
    assert not (tmp_path / "out" / "bolt.adbench").exists()
    assert call(["predict", str(kept), str(parts / "bolt/test"), "--out", str(tmp_path / "p"), *QUICK]) == 0


def test_where_no_place_has_room_the_sentence_says_so(parts, tmp_path, capsys, full):
    full.append(Path("/"))
    assert fit(parts, tmp_path / "out" / "bolt.adbench") == 1
    message = capsys.readouterr().err
    assert "free some space or choose another folder with --out; no other place has room" in message
    assert not list((tmp_path / "temporary").iterdir())


def run_and_save(parts, out, *more):
    data = ["--data", str(parts), "--out", str(out), "--threshold", "quantile:alpha=0.1", "--no-figures"]
    return call(["run", *METHOD, *data, "--save", *more, *QUICK])


def same_scores(parts, runs, tmp_path):
    """How many runs have a detector that gives the scores of the run, to the last bit, and the id of its record."""
    from adbench.engine.store.predictions import read_predictions
    from adbench.engine.store.record import read_record

    count = 0
    for file in sorted(runs.glob("*/detector.adbench")):
        record, out = read_record(file.parent), tmp_path / "predictions" / file.parent.name
        category = record.task.category
        assert call(["predict", str(file), str(parts / category), "--out", str(out), "--tables-only", *QUICK]) == 0
        scores = {f"{category}/{row['file'].removesuffix('.png')}": float(row["score"]) for row in rows(out)}
        run = read_predictions(file.parent, record.predictions)
        assert [scores[name] for name in run.ids] == run.scores.tolist()
        with zipfile.ZipFile(file) as archive:
            assert json.loads(archive.read("detector.json"))["figures"]["record"] == record.id
        count += 1
    return count


def test_a_run_keeps_detectors_that_give_its_own_scores(parts, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert run_and_save(parts, runs) == 0
    assert same_scores(parts, runs, tmp_path) == 2
    capsys.readouterr()
    assert call(["show", str(next(runs.glob("bolt-*/detector.adbench")))]) == 0
    assert "measured on parts/bolt: image-ap 100.0 %" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [["--model-per", "dataset"], ["--contaminate", "0.3"], ["--shots", "2"]])
def test_detectors_of_other_protocols_know_their_images(parts, tmp_path, protocol):
    runs = tmp_path / "runs"
    assert run_and_save(parts, runs, *protocol) == 0
    for file in runs.glob("*/detector.adbench"):
        with zipfile.ZipFile(file) as archive:
            images = json.loads(archive.read("detector.json"))["images"]
        assert all((parts / image["path"]).is_file() for image in images)
        assert all(sha256_of(parts / image["path"]) == (image["content"] or image["sha256"]) for image in images)
    assert same_scores(parts, runs, tmp_path) == 2


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["process:workers=1", "ray"])
def test_workers_keep_detectors_too(parts, tmp_path, executor):
    if executor == "ray" and find_spec("ray") is None:  # imported here, it would not have the plugin's settings
        pytest.skip("ray is not installed: pip install ray")
    runs = tmp_path / "runs"
    assert run_and_save(parts, runs, "--executor", executor) == 0
    assert same_scores(parts, runs, tmp_path) == 2


def test_shards_keep_detectors_too(parts, tmp_path):
    runs = tmp_path / "runs"
    assert run_and_save(parts, runs, "--shard", "1/2") == run_and_save(parts, runs, "--shard", "2/2") == 0
    assert same_scores(parts, runs, tmp_path) == 2


@pytest.mark.slow
def test_a_finished_unit_without_a_detector_is_told_of(parts, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert call(["run", *METHOD, "--data", str(parts), "--out", str(runs), "--no-figures", *QUICK]) == 0
    capsys.readouterr()
    assert run_and_save(parts, runs) == 0
    assert "no detector: the unit ended before without a detector; give --redo with --save" in capsys.readouterr().err
    assert run_and_save(parts, runs, "--redo") == 0
    assert same_scores(parts, runs, tmp_path) == 2


def test_predictions_are_explained_in_rows_and_pictures(parts, bolt, tmp_path, capsys):
    out, spots = tmp_path / "explained", parts / "bolt" / "test" / "spot"
    (spots / "bad.png").write_bytes(b"no image")
    assert call(["predict", str(bolt), str(spots), "--out", str(out), "--tables-only", "--explain", *QUICK]) == 1
    rows(out)
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["explanation"] is None for line in lines] == [False, False, False, True]
    first = lines[0]["explanation"]
    left, top, right, bottom = first["box"]
    assert 16 <= left < right <= 32
    assert 8 <= top < bottom <= 24
    assert first["nearest"]["path"].startswith("parts/bolt/train/good/")
    pictures = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert pictures == [f"explanations/{number:03}.png" for number in range(3)]
    assert read_image(out / "explanations" / "000.png").shape[1] > 700


def test_a_folder_of_normal_images_is_for_explanations_alone(parts, bolt, tmp_path, capsys):
    spots, normal = str(parts / "bolt" / "test" / "spot"), str(parts / "bolt" / "train" / "good")
    options = ["--out", str(tmp_path / "out"), "--tables-only", "--normal", normal, *QUICK]
    assert call(["predict", str(bolt), spots, *options]) == 2
    assert "give --explain" in capsys.readouterr().err
    assert call(["predict", str(bolt), spots, *options, "--explain"]) == 0
