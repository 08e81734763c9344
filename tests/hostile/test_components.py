"""Components that misbehave: each costs its own unit at most. Many of them share a run, for the sake of time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adbench.cli import call
from adbench.engine.store.record import MAX_RECORD_BYTES, find_runs, read_record

PLUGIN = '''
import ctypes, gc, os, random, signal, sys, tempfile, threading, time, warnings
import numpy, torch
from adbench import Field, Scores, WeightsError, hookimpl
from adbench.builtin.toy import ToyNearest, ToyVectors


class Mute(Exception):
    def __str__(self):
        raise SystemExit(0)


class Stubborn(Exception):
    def __init__(self, first, second):
        super().__init__("cannot be pickled and made again")
        self.lock = threading.Lock()


def forever(*caught):
    while True:
        try:
            time.sleep(0.05)
        except caught:
            pass


def deep():
    deep()


def raise_it(error):
    raise error


def close_all(first, last):
    os.closerange(first, last)


def blocked():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def sleep_deaf(seconds):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(seconds)


def convert():
    try:
        time.sleep(60)
    except BaseException:
        raise KeyError("interrupted")


def swallow_once():
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)


def fork_and_return(s):
    os.fork()


def fork_and_stay(s):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)


def fork_and_raise(s):
    if os.fork() == 0:
        raise ValueError("in the child")


def leave_folder():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def set_default_device(s):
    torch.set_default_device("meta")


RAISES = {
    "exit-0": SystemExit(0), "exit-5": SystemExit(5), "exit-text": SystemExit("bye"), "interrupt": KeyboardInterrupt(),
    "base": BaseException("base"), "generator": GeneratorExit(), "iteration": StopIteration(3), "memory": MemoryError(),
    "mute": Mute(), "stubborn": Stubborn(1, 2), "long": ValueError("A" * 50_000_000),
    "long-trap": ValueError(chr(27) * 3_000_000),
    "terminal": ValueError("\\x1b[31m \\x1b]0;own\\x07 \\x00 \\u202e [bold]x[/bold]"),
    "surrogate": ValueError("\\ud800 a"),
    "lines": ValueError("one\\ntwo\\r\\nthree"), "bytes": ValueError(b"\\xff"), "nothing": Exception(),
    "cancelled": type("CancelledError", (BaseException,), {})("c"), "group": ExceptionGroup("g", [ValueError("x")])
    if sys.version_info >= (3, 11) else ValueError("x"), "os": OSError(28, "No space left on device"),
    "unicode": UnicodeDecodeError("utf-8", b"\\xff", 0, 1, "bad"), "assert": AssertionError(), "name": type("N" * 5000,
    (Exception,), {})("x"), "timeout": TimeoutError("mine"), "warning": UserWarning("as an error"),
}

DEEDS = {
    "recursion": lambda s: deep(),
    "hang": lambda s: time.sleep(60),
    "hang-c": lambda s: ctypes.CDLL(None).sleep(60),
    "convert": lambda s: convert(),
    "swallow-once": lambda s: swallow_once(),
    "deaf": lambda s: sleep_deaf(1.6),
    "sigterm": lambda s: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.1)),
    "sigint": lambda s: (os.kill(os.getpid(), signal.SIGINT), time.sleep(0.1)),
    "sighup": lambda s: (os.kill(os.getpid(), signal.SIGHUP), time.sleep(0.1)),
    "deaf-to-ctrl-c": lambda s: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "umask": lambda s: os.umask(0o777),
    "chdir": lambda s: os.chdir("/"),
    "environment": lambda s: (os.environ.clear(), os.environ.update(HOSTILE="1")),
    "double": lambda s: torch.set_default_dtype(torch.float64),
    "device": set_default_device,
    "gradients": lambda s: torch.set_grad_enabled(True),
    "threads": lambda s: torch.set_num_threads(3),
    "seeds": lambda s: (torch.manual_seed(1), random.seed(1), numpy.random.seed(1)),
    "depth": lambda s: sys.setrecursionlimit(5000),
    "warnings": lambda s: warnings.simplefilter("error"),
    "collector": lambda s: gc.disable(),
    "errors": lambda s: numpy.seterr(all="raise"),
    "streams": lambda s: (setattr(sys, "stdout", None), setattr(sys, "stderr", None)),
    "close-stdout": lambda s: os.close(1),
    "close-stderr": lambda s: os.close(2),
    "print": lambda s: print("GARBAGE"),
    "print-c": lambda s: os.write(1, b"GARBAGE"),
    "print-child": lambda s: os.system("echo GARBAGE"),
    "fork-and-return": fork_and_return,
    "fork-and-raise": fork_and_raise,
    "fork-and-stay": fork_and_stay,
    "thread": lambda s: threading.Thread(target=time.sleep, args=(20,), daemon=True).start(),
    "leave-folder": lambda s: leave_folder(),
    "none": lambda s: None,
    "leave-process": lambda s: os._exit(0),
    "crash": lambda s: ctypes.string_at(0),
    "swallow": lambda s: forever(BaseException),
    "hang-deaf": lambda s: (blocked(), ctypes.PyDLL(None).sleep(60)),
    "blocked": lambda s: blocked(),
    "kill": lambda s: os.kill(os.getpid(), signal.SIGKILL),
    "close-all": lambda s: close_all(3, 256),
    "living-thread": lambda s: threading.Thread(target=time.sleep, args=(60,)).start(),
    "living-child": fork_and_stay,
    "bus": lambda s: os.kill(os.getpid(), signal.SIGBUS),
    "at-exit": lambda s: __import__("atexit").register(time.sleep, 60),
}


class Hostile(ToyNearest):
    """Misbehaves as it is told."""

    name = "hostile"

    class Config(ToyNearest.Config):
        mode: str = Field("none", description="how")

    def score(self, query, bank):
        scores = super().score(query, bank)
        mode = self.config.mode
        if mode == "grads":
            return Scores(scores.patches.clone().requires_grad_(True))
        if mode == "facts":
            type(bank).facts = lambda self: {"x": object()}
        if mode in RAISES:
            raise RAISES[mode]
        DEEDS.get(mode, DEEDS["none"])(scores.patches)
        return scores


class Unmade(ToyNearest):
    """Cannot be made."""

    name = "unmade"

    def __init__(self, **options):
        raise SystemExit(0)


class HostileBank(ToyVectors):
    """Has facts that are none, and raises where nobody thinks of it."""

    name = "hostile-bank"

    class Config(ToyVectors.Config):
        mode: str = Field("none", description="how")

    def prepare(self, ctx):
        if self.config.mode == "prepare":
            sys.exit(0)

    def fit(self, features, ctx):
        if self.config.mode == "fit":
            raise KeyboardInterrupt
        super().fit(features, ctx)

    def facts(self):
        if self.config.mode == "facts":
            return {"x": object()}
        if self.config.mode == "facts-exit":
            sys.exit(0)
        return {}

    def state(self):
        if self.config.mode == "state":
            raise GeneratorExit
        return super().state()


@hookimpl
def register_components(register):
    for part in (Hostile, Unmade, HostileBank):
        register(part)


@hookimpl
def job_finished(record):
    sys.exit(0)
'''

RAISED = {
    "exit-0": "raised SystemExit in score(): 0",
    "exit-5": "raised SystemExit in score(): 5",
    "exit-text": "raised SystemExit in score(): bye",
    "interrupt": "raised KeyboardInterrupt in score()",
    "base": "raised BaseException in score(): base",
    "generator": "raised GeneratorExit in score()",
    "iteration": "raised StopIteration in score(): 3",
    "mute": "raised Mute in score(): (its message cannot be read: that raises SystemExit)",
    "stubborn": "raised Stubborn in score(): cannot be pickled",
    "long": "AAA ... (50,000,000 characters)",
    "long-trap": "\\x1b\\x1b\\x1b",
    "terminal": "\\x1b[31m \\x1b]0;own\\x07 \\x00 \\u202e [bold]x[/bold]",
    "surrogate": "\\ud800 a",
    "lines": "one two three",
    "bytes": "b'\\xff'",
    "nothing": "raised Exception in score()",
    "cancelled": "raised CancelledError in score(): c",
    "group": "raised ",
    "os": "No space left on device",
    "unicode": "raised UnicodeDecodeError in score()",
    "assert": "raised AssertionError in score()",
    "name": "raised NNNN",
    "timeout": "raised TimeoutError in score(): mine",
    "warning": "raised UserWarning in score(): as an error",
    "recursion": "raised RecursionError in score()",
    "sigterm": "the process sent itself SIGTERM",
    "sigint": "the process sent itself SIGINT",
    "sighup": "the process sent itself SIGHUP",
}
LATE = ("hang", "hang-c", "convert", "swallow-once", "deaf")
HARMLESS = (
    "deaf-to-ctrl-c", "blocked", "umask", "chdir", "environment", "double", "device", "gradients", "threads", "seeds",
    "depth", "warnings", "collector", "errors", "streams", "close-stdout", "close-stderr", "print", "print-c",
    "print-child", "fork-and-return", "fork-and-raise", "fork-and-stay", "thread", "leave-folder", "grads", "none",
)  # fmt: skip
FATAL = {
    "crash": ("failed", "its process was killed (signal 11)"),
    "swallow": ("timeout", "stopped after 2 s (--timeout), with its process"),
}
SLOWLY_FATAL = {
    "leave-process": ("failed", "its process ended by itself (status 0)"),
    "hang-deaf": ("timeout", "stopped after 2 s (--timeout), with its process"),
    "kill": ("failed", "its process was killed (signal 9"),
    "bus": ("failed", "its process was killed (signal 7)"),
    "sigterm": ("failed", "its process was killed (signal 15)"),
    "exit-0": ("failed", "raised SystemExit in score(): 0"),
    "interrupt": ("failed", "raised KeyboardInterrupt in score()"),
    "long": ("failed", "(50,000,000 characters)"),
    "surrogate": ("failed", "\\ud800 a"),
    "living-thread": ("ok", ""),
    "living-child": ("ok", ""),
    "fork-and-return": ("ok", ""),
    "at-exit": ("ok", ""),
    "print-c": ("ok", ""),
    "grads": ("ok", ""),
}


def noise(path, rng, bright=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(90, 110, (32, 32, 3), dtype=np.uint8)
    if bright:
        pixels[8:20, 8:20] = 220
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A small dataset, and the plugin where another process finds it too."""
    folder, rng = tmp_path_factory.mktemp("hostile"), np.random.default_rng(0)
    for index in range(3):
        noise(folder / "parts" / "bolt" / "train" / "good" / f"{index}.png", rng)
    noise(folder / "parts" / "bolt" / "test" / "good" / "0.png", rng)
    noise(folder / "parts" / "bolt" / "test" / "spot" / "0.png", rng, bright=True)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:20, 8:20] = 255
    (folder / "parts" / "bolt" / "ground_truth" / "spot").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "parts" / "bolt" / "ground_truth" / "spot" / "0_mask.png")
    (folder / "hostile_for_test.py").write_text(PLUGIN)
    info = folder / "hostile_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[adbench]\nhostile = hostile_for_test\n")
    return folder


@pytest.fixture(scope="module")
def plugin(place):
    """The plugin, installed in this process and those it starts."""
    from adbench.registration.registry import installed

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))
        patch.setenv("PYTHONPATH", f"{place}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        installed.cache_clear()
        yield place
    sys.modules.pop("hostile_for_test", None)
    installed.cache_clear()


def words(place, out, modes, *options, bank="toy-vectors"):
    """A run of the hostile scorer in many modes, and of a good one at the end."""
    scorers = [word for mode in modes for word in ("--scorer", f"hostile:mode={mode}")]
    common = ["--data", str(place / "parts"), "--out", str(out), "--device", "cpu", "--cache", "none", "--json"]
    quick = ["--no-figures", "--threshold", "none"]
    method = ["--all", "--backbone", "toy-pixels:cell=16", "--bank", bank, *scorers, "--scorer", "toy-nearest"]
    return ["run", *method, *common, *quick, *options]


def by_mode(text):
    """What was printed, by mode; every line is a record."""
    found = {}
    for line in text.splitlines():
        record = json.loads(line)
        part = record["recipe"]["spec"]["scorer"][0]
        assert found.setdefault(part["options"].get("mode", part["name"]), record) is record, "one record a unit"
    return found


class Spoken:
    """What a run of many modes came to."""

    def __init__(self, code, out, err, folder):
        self.code, self.err, self.folder = code, err, folder
        self.records = by_mode(out)


def run_here(place, out, modes, *options, **more):
    message, calls = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(message), contextlib.redirect_stderr(calls):
        code = call(words(place, out, modes, *options, **more))
    return Spoken(code, message.getvalue(), calls.getvalue(), out)


def globals_now():
    return {
        "folder": Path.cwd(),
        "mask": _mask(),
        "environment": dict(os.environ),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "depth": sys.getrecursionlimit(),
        "errors": np.geterr(),
        "listeners": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "streams": (sys.stdout, sys.stderr),
        "descriptors": [os.fstat(number).st_ino for number in (1, 2)],
    }


def _mask():
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


@pytest.fixture(scope="module")
def inline(plugin, tmp_path_factory):
    """One run of all that a process survives."""
    out = tmp_path_factory.mktemp("inline") / "runs"
    run_here(plugin, out.with_name("warm"), ["none"])  # some imports draw random numbers
    before = globals_now()
    spoken = run_here(plugin, out, [*RAISED, "memory", *LATE, *HARMLESS], "--timeout", "1.5")
    spoken.before, spoken.after = before, globals_now()
    return spoken


@pytest.mark.parametrize("mode", RAISED)
def test_whatever_is_raised_costs_its_unit_and_is_reported(inline, mode):
    record = inline.records[mode]
    assert record["status"] == "failed"
    assert record["reason"].startswith("scorer 'hostile' raised")
    assert RAISED[mode] in record["reason"]
    assert len(record["reason"]) < 1600
    assert record["reason"].isprintable()


def test_memory_that_runs_out_is_a_status(inline):
    assert inline.records["memory"]["status"] == "out-of-memory"


@pytest.mark.parametrize("mode", LATE)
def test_whoever_hides_a_timeout_has_had_one(inline, mode):
    assert inline.records[mode]["status"] == "timeout"
    assert "--timeout" in inline.records[mode]["reason"]


@pytest.mark.parametrize("mode", HARMLESS)
def test_what_a_component_changes_ends_with_its_unit(inline, mode):
    record, calm = inline.records[mode], inline.records["toy-nearest"]
    assert (record["status"], record["reason"]) == ("ok", "")
    assert record["metrics"] == calm["metrics"]


def test_everything_global_is_as_before(inline):
    changed = {name for name, value in inline.before.items() if inline.after[name] != value}
    assert changed == set()


def test_the_others_go_on_and_the_exit_code_says_so(inline):
    assert inline.records["toy-nearest"]["status"] == "ok"
    assert inline.code == 1
    assert "Traceback" not in inline.err
    assert "its job_finished hook raised SystemExit" in inline.err


def test_every_record_is_on_disk_and_can_be_read(inline):
    runs = find_runs(inline.folder)
    assert len(runs) == len(inline.records)
    assert {read_record(run).id for run in runs} == {record["id"] for record in inline.records.values()}
    assert all((run / "record.json").stat().st_size < MAX_RECORD_BYTES / 100 for run in runs)
    assert all((run / "traceback.txt").stat().st_size < 1 << 20 for run in runs if (run / "traceback.txt").exists())


def test_nothing_is_left_among_the_runs(inline):
    assert [path.name for path in inline.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("mode", ["prepare", "fit", "facts", "facts-exit", "state"])
def test_a_bank_fails_wherever_it_does(plugin, tmp_path, mode):
    spoken = run_here(plugin, tmp_path / "runs", [], bank=f"hostile-bank:mode={mode}")
    (record,) = spoken.records.values()
    assert (spoken.code, record["status"]) == (1, "failed")
    assert record["reason"]
    assert "Traceback" not in spoken.err


def test_a_part_that_cannot_be_made_is_named(plugin, tmp_path, capsys):
    method = ["--backbone", "toy-pixels", "--scorer", "unmade", "--data", str(plugin / "parts")]
    assert call(["run", *method, "--out", str(tmp_path / "runs")]) != 0
    assert "scorer 'unmade' cannot be made: it raised SystemExit: 0" in capsys.readouterr().err


def run_elsewhere(place, out, modes, *options, scratch):
    scratch.mkdir()
    command = [sys.executable, "-c", "from adbench.cli import main; main()", *words(place, out, modes, *options)]
    surroundings = {**os.environ, "TMPDIR": str(scratch)}
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, check=False, timeout=280)
    spoken = Spoken(done.returncode, done.stdout, done.stderr, out)
    spoken.seconds, spoken.left = time.monotonic() - started, list(scratch.iterdir())
    return spoken


@pytest.fixture(scope="module")
def processes(plugin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    options = ("--executor", "process:workers=1", "--timeout", "2")
    return run_elsewhere(plugin, folder / "runs", FATAL, *options, scratch=folder / "scratch")


def ended_as(spoken, expected):
    for mode, (status, reason) in expected.items():
        record = spoken.records[mode]
        assert (record["status"], reason in record["reason"]) == (status, True), (mode, record["reason"])
    assert spoken.records["toy-nearest"]["status"] == "ok"
    assert spoken.code == 1
    assert "Traceback" not in spoken.err
    assert len(find_runs(spoken.folder)) == len(expected) + 1


@pytest.mark.parametrize("mode", FATAL)
def test_a_worker_that_is_lost_costs_the_unit_that_it_was_at(processes, mode):
    status, reason = FATAL[mode]
    assert processes.records[mode]["status"] == status
    assert reason in processes.records[mode]["reason"]


def test_the_units_of_a_lost_worker_go_on_and_nothing_is_left(processes):
    ended_as(processes, FATAL)
    assert processes.left == []
    assert [path.name for path in processes.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_more_that_a_worker_does_to_itself(plugin, tmp_path):
    options = ("--executor", "process:workers=1", "--timeout", "2")
    spoken = run_elsewhere(plugin, tmp_path / "runs", SLOWLY_FATAL, *options, scratch=tmp_path / "scratch")
    ended_as(spoken, SLOWLY_FATAL)
    assert spoken.left == []
    assert [path.name for path in spoken.folder.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "process:workers=1"])
def test_closed_files_cost_their_unit_at_most(plugin, tmp_path, executor):
    spoken = run_elsewhere(
        plugin, tmp_path / "runs", ["close-all"], "--executor", executor, scratch=tmp_path / "scratch"
    )
    kept = {
        read_record(run).recipe.spec["scorer"][0]["name"]: read_record(run).status for run in find_runs(spoken.folder)
    }
    assert kept.get("toy-nearest", "ok") == "ok"
    assert spoken.code in (0, 1)
    assert "Error" not in spoken.err.replace("OSError: [Errno 9] Bad file descriptor", ""), (
        "of closing it again at most"
    )


def test_a_thread_that_lives_does_not_keep_the_command(plugin, tmp_path):
    spoken = run_elsewhere(plugin, tmp_path / "runs", ["living-thread", "at-exit"], scratch=tmp_path / "scratch")
    assert spoken.seconds < 40
    assert (spoken.code, spoken.records["living-thread"]["status"]) == (0, "ok")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_of_the_user_stops_the_run_and_cleans_up(plugin, tmp_path, number):
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-c", "from adbench.cli import main; main()"]
    process = subprocess.Popen(
        [*command, *words(plugin, tmp_path / "runs", ["hang", "none"])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "scratch")},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509  no thread runs here
    )
    line = process.stderr.readline()
    while "hostile" not in line:
        line = process.stderr.readline()
    deadline = time.monotonic() + 20
    while not list((tmp_path / "scratch").glob("adbench-*/work")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "0 of 3 units finished" in message
    assert "Traceback" not in message
    assert list((tmp_path / "scratch").iterdir()) == []
    assert [path for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")] == []
