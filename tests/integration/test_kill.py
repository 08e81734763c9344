"""A suite is killed at random moments, again and again, and ends as if nothing had happened."""

import itertools
import random
import re
import shutil
import signal
import time

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
"""


@pytest.fixture
def start(tmp_path, start_command):
    """Starts the suite into a folder of runs; the second value is the file of its standard error."""
    numbers = itertools.count()

    def start(out):
        suite, errors = str(tmp_path / "suites" / "killed.yaml"), tmp_path / f"errors-{next(numbers)}"
        words = ["run", "--suite", suite, "--out", str(tmp_path / out), "--device", "cpu"]
        return start_command(words, errors, {"ADBENCH_CACHE": str(tmp_path / f"cache-of-{out}")}), errors

    return start


def wait_for_lines(process, errors, lines):
    """Wait until the process has printed so many lines, or has ended."""
    while process.is_alive() and (not errors.exists() or errors.read_bytes().count(b"\n") < lines):
        time.sleep(0.001)


def board(tmp_path, out):
    """The board of some runs without what they cost, which differs from run to run."""
    assert call(["board", "build", str(tmp_path / out), "--out", str(tmp_path / f"boards-of-{out}")]) == 0
    text = (tmp_path / f"boards-of-{out}" / "parts" / "full-shot" / "README.md").read_text()
    return re.sub(r"## Cost.*", "", text, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills_leave_no_trace(tmp_path, parts, start, capsys):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "killed.yaml").write_text(SUITE)
    undisturbed, errors = start("calm")
    undisturbed.join()
    assert undisturbed.exitcode == 0, errors.read_text()
    chance = random.Random(7)
    killed = 0
    while killed < KILLS:
        process, errors = start("stormy")
        wait_for_lines(process, errors, chance.randint(1, 5))  # so many lines into its work, and a little more
        process.join(chance.uniform(0, 0.4))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:  # all was done: something is taken away
            for run in chance.sample(find_runs(tmp_path / "stormy"), 4):
                shutil.rmtree(run)
    last, errors = start("stormy")
    last.join()
    assert last.exitcode == 0, errors.read_text()
    for out in ("calm", "stormy"):
        assert len(find_runs(tmp_path / out)) == 12
        assert {read_record(run).status for run in find_runs(tmp_path / out)} == {"ok"}
    assert board(tmp_path, "stormy") == board(tmp_path, "calm")
    capsys.readouterr()
