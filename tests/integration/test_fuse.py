"""Late fusion of finished runs, from the command line."""

import json

import pytest

from adbench.cli import call

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
