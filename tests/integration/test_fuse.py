"""Late fusion of finished runs, from the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from adbench.cli import call
from adbench.engine.store.predictions import read_predictions, write_predictions
from adbench.engine.store.record import read_record

TOY = ("--backbone", "toy-pixels", "--device", "cpu", "--no-figures", "--category", "bolt", "--threshold", "quantile")


@pytest.fixture
def run(parts, tmp_path, capsys):
    def run(out, *arguments, scorer="toy-nearest"):
        where = str(tmp_path / out)
        code = call(["run", *TOY, "--scorer", scorer, "--data", str(parts), "--out", where, *arguments])
        assert code == 0, capsys.readouterr().err
        capsys.readouterr()
        return where

    return run


@pytest.fixture
def fuse(capsys):
    def fuse(*arguments):
        code = call(["fuse", *arguments])
        return code, capsys.readouterr()

    return fuse


@pytest.mark.slow
def test_two_methods_are_fused(run, fuse):
    first, second = run("one"), run("two", scorer="toy-aligned-nearest")
    code, printed = fuse(first, second)
    assert code == 0
    heading, row = printed.out.splitlines()[1:3]
    methods = "AUROC toy-pixels+toy-nearest AUROC toy-pixels+toy-aligned-nearest"
    expected = f"category, seed {methods} AUROC sum AUROC max false alarms, % 95 % interval found %"
    assert heading.split() == expected.split()
    assert row.split()[:2] == ["bolt,", "0"]
    assert "needs 39 normal scores of each run" in printed.err
    code, printed = fuse(first, second, "--alpha", "0.5", "--json")
    found = json.loads(printed.out)
    assert (found["category"], found["normals"], found["defective"]) == ("bolt", 3, 3)
    assert set(found["image_auroc"]) == {"toy-pixels+toy-nearest", "toy-pixels+toy-aligned-nearest", "sum", "max"}
    assert found["image_auroc"]["sum"] == 1
    assert found["found"] == 3


@pytest.mark.slow
def test_runs_that_do_not_belong_together_are_refused(run, fuse, tmp_path):
    first, other = run("one"), run("two", "--seed", "1")
    for arguments, what in (
        ((first,), "name two or more"),
        ((first, other), "runs of other categories or seeds"),
        ((first, run("three", "--limit-test", "2")), "of other samples"),
        ((first, run("four", "--threshold", "none")), "no scores of normal images"),
    ):
        code, printed = fuse(*arguments)
        assert (code, what in printed.err) == (2, True) or (code == 1 and what in printed.err), printed.err
    run("one", scorer="toy-aligned-nearest")
    code, printed = fuse(first, other)
    assert (code, "are of one category and seed" in printed.err) == (2, True)
    (tmp_path / "empty").mkdir()
    code, printed = fuse(other, str(tmp_path / "empty"))
    assert (code, "no run with scores" in printed.err) == (2, True)


@pytest.mark.slow
def test_maps_are_fused_pixel_by_pixel(run, fuse, parts, tmp_path):
    first, second = run("one"), run("two", scorer="toy-aligned-nearest")
    code, printed = fuse(first, second, "--maps", "--json")
    assert code == 0, printed.err
    pixels = json.loads(printed.out)["pixels"]
    names = ["toy-pixels+toy-nearest", "toy-pixels+toy-aligned-nearest", "sum", "max"]
    assert set(pixels) == set(names)
    assert {"pixel-auroc", "pixel-aupro-30"} <= set(pixels["sum"])
    assert all(0.9 < pixels[name]["pixel-auroc"] <= 1 for name in names)
    shutil.copytree(first, tmp_path / "copy")
    same = json.loads(fuse(first, str(tmp_path / "copy"), "--maps", "--json")[1].out)["pixels"]
    for how in ("sum", "max"):  # evidence keeps the order of pixels, but may round neighbours to one value
        assert same[how]["pixel-auroc"] == pytest.approx(pixels[names[0]]["pixel-auroc"], abs=1e-4)
    code, printed = fuse(first, second, "--maps")
    assert "metrics of maps in %" in printed.out
    code, printed = fuse(first, run("three", "--evaluation", "64", scorer="toy-aligned-nearest"), "--maps")
    assert (code, "on different grids" in printed.err) == (2, True)


@pytest.mark.slow
def test_runs_of_before_normal_pixels_were_kept_are_refused(run, fuse, tmp_path):
    first, second = run("one"), run("two", scorer="toy-aligned-nearest")
    for folder in sorted(Path(second).rglob("predictions.safetensors")):
        predictions = read_predictions(folder.parent, read_record(folder.parent).predictions)
        older = replace(predictions, normal=replace(predictions.normal, evidence=None))
        info = write_predictions(tmp_path, older)
        (tmp_path / info.file).replace(folder)
        record = read_record(folder.parent).to_json()
        (folder.parent / "record.json").write_text(json.dumps({**record, "predictions": info.model_dump()}))
    code, printed = fuse(first, second, "--maps")
    assert code != 0
    assert "no pixel scores of normal images" in printed.err
    assert fuse(first, second)[0] == 0
