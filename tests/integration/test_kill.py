"""A suite is killed at random moments, again and again, and ends as if nothing had happened."""

import os
import random
import re
import signal
import subprocess
import sys

import pytest

from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

KILLS = 20
SUITE = """
suite: killed
tasks: [{data: ../parts, seeds: [0, 1, 2]}]
grid:
  backbone: [toy-pixels, {toy-pixels: {cell: 16}}]
  scorer: [toy-nearest]
  aggregate: [max, mean]
"""


def start(tmp_path, out):
    words = [
        "run",
        "--suite",
        str(tmp_path / "suites" / "killed.yaml"),
        "--out",
        str(tmp_path / out),
        "--device",
        "cpu",
    ]
    environment = {**os.environ, "ADBENCH_CACHE": str(tmp_path / f"cache-of-{out}")}
    code = "from adbench.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def board(tmp_path, out):
    """The board of some runs without what they cost, which differs from run to run."""
    assert call(["board", "build", str(tmp_path / out), "--out", str(tmp_path / f"boards-of-{out}")]) == 0
    text = (tmp_path / f"boards-of-{out}" / "parts" / "full-shot" / "README.md").read_text()
    return re.sub(r"## Cost.*", "", text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_leave_no_trace(tmp_path, parts, capsys):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "killed.yaml").write_text(SUITE)
    undisturbed = start(tmp_path, "calm")
    assert undisturbed.communicate()[1] is not None
    assert undisturbed.returncode == 0
    chance = random.Random(7)
    killed = 0
    while killed < KILLS:
        process = start(tmp_path, "stormy")
        for _ in range(chance.randint(1, 5)):  # so many lines into its work, and a little more
            process.stderr.readline()
        try:
            process.wait(chance.uniform(0, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
        if process.returncode == 0:  # all was done: something is taken away
            runs = find_runs(tmp_path / "stormy")
            subprocess.run(["rm", "-r", *map(str, chance.sample(runs, 6))], check=True)
    last = start(tmp_path, "stormy")
    message = last.communicate()[1]
    assert last.returncode == 0, message
    for out in ("calm", "stormy"):
        assert len(find_runs(tmp_path / out)) == 24
        assert {read_record(run).status for run in find_runs(tmp_path / out)} == {"ok"}
    assert board(tmp_path, "stormy") == board(tmp_path, "calm")
    capsys.readouterr()
