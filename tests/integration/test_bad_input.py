"""What a user can get wrong: one clear error, and nothing that was finished is lost."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from adbench import StorageError
from adbench.cli import call
from adbench.engine.store.record import find_runs, read_record

TOY = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--no-figures")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def run(parts, out, capsys):
    def run(*arguments, data=parts, method=TOY):
        code = call(["run", *method, "--data", str(data), "--out", str(out), *arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.err

    return run


def statuses(out):
    return {record.task.category: record.status for record in map(read_record, find_runs(out))}


def only_record(out, category="bolt"):
    (record,) = [record for record in map(read_record, find_runs(out)) if record.task.category == category]
    return record


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "name a method"),
        (["run", "--recipe", "patchcor"], "did you mean 'patchcore'"),
        (["run", "--recipe", "none.yaml"], "none.yaml"),
        (["run", "--backbone", "toy-pixel", "--scorer", "toy-nearest", "--data", "demo"], "did you mean 'toy-pixels'"),
        (["run", "--backbone", "toy-pixels:cel=3", "--scorer", "toy-nearest", "--data", "demo"], "did you mean 'cell'"),
        (["run", *TOY, "--data", "dem"], "did you mean 'demo'"),
        (["run", *TOY, "--data", "demo", "--category", "bric"], "did you mean 'brick'"),
        (["run", *TOY, "--data", "demo", "--evaluation", "big"], "--evaluation"),
        (["run", "--backbone", "my net", "--scorer", "toy-nearest", "--data", "demo"], "unknown backbone 'my net'"),
        (
            ["run", "--backbone", "toy-pixels", "--scorer", "toy-nearest:self=1", "--data", "demo"],
            "unknown option 'self'",
        ),
        (["run", *TOY, "--data", "demo", "--root", "here"], "unknown option 'root' of dataset 'demo'"),
        (["run", *TOY, "--data", "demo", "--bank", "toy-gaussian"], "reads a VectorBank"),
        (["lst"], "did you mean 'list'"),
        (["list", "backbones"], "did you mean 'backbone'"),
    ],
)
def test_what_cannot_be_meant_is_reported_and_exits_2(arguments, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert call(arguments) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.out == ""
    assert not (tmp_path / "runs").exists()


def test_a_missing_folder_is_named(run, tmp_path):
    code, message = run(data=tmp_path / "nowhere")
    assert code == 1
    assert "nowhere" in message


def test_an_empty_folder_is_named(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, message = run(data=tmp_path / "empty")
    assert code == 1
    assert "empty" in message


def test_mvtec_ad_absent_says_how_to_get_it(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert call(["run", *TOY]) == 1
    message = capsys.readouterr().err
    assert "adbench data get mvtec-ad" in message
    assert "--data demo" in message


def test_a_category_without_normal_images_fails_and_the_other_goes_on(run, parts, out):
    shutil.rmtree(parts / "bolt" / "train" / "good")
    (parts / "bolt" / "train" / "good").mkdir()
    code, message = run()
    assert code == 1
    assert "bolt" in message
    assert statuses(out).get("nut") == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"no image at all", None], ids=["empty", "text", "truncated"])
def test_a_bad_image_is_named_and_can_be_left_out(run, parts, out, content):
    file = parts / "bolt" / "train" / "good" / "001.png"
    file.write_bytes(file.read_bytes()[:300] if content is None else content)
    code, message = run()
    assert code == 1
    assert "001.png" in message
    assert "--skip-bad" in message
    assert statuses(out) == {"bolt": "failed", "nut": "ok"}
    assert run("--skip-bad")[0] == 0
    skipped = [record.task.skipped for record in map(read_record, find_runs(out)) if record.task.skipped]
    assert len(skipped) == 1
    assert "001" in skipped[0][0]


def test_a_mask_of_another_size_is_named(run, parts, out):
    file = parts / "bolt" / "ground_truth" / "spot" / "000_mask.png"
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(file)
    code, message = run()
    assert code == 1
    assert "000_mask.png" in message
    assert statuses(out) == {"bolt": "failed", "nut": "ok"}


def test_a_missing_mask_is_named(run, parts, out):
    (parts / "bolt" / "ground_truth" / "spot" / "000_mask.png").unlink()
    code, message = run()
    assert code == 1
    assert "000" in message
    assert statuses(out).get("nut") == "ok"


def test_more_shots_than_images(run, out):
    """If no category has enough of them, the command is invalid and nothing runs."""
    code, message = run("--shots", "9")
    assert code == 2
    assert "use fewer shots" in message
    assert len(message.splitlines()) == 1
    assert statuses(out) == {}


def test_more_shots_than_one_category_has_images(run, parts, out):
    for image in sorted((parts / "bolt" / "train" / "good").iterdir())[2:]:
        image.unlink()
    code, message = run("--shots", "3")
    assert code == 1
    assert "use fewer shots" in message
    assert statuses(out) == {"bolt": "failed", "nut": "ok"}


def test_output_that_cannot_be_written_is_found_out_before_the_work(parts, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call(["run", *TOY, "--data", str(parts), "--out", str(tmp_path / "file")]) == 1
    message = capsys.readouterr().err
    assert "--out" in message
    assert "bolt" not in message


def test_a_disk_that_fills_up_loses_no_figure(run, out, monkeypatch):
    def full(*_):
        raise StorageError("cannot write: No space left on device")

    monkeypatch.setattr("adbench.engine.run.result.write_predictions", full)
    monkeypatch.setattr("adbench.cli.commands.run.require_writable", lambda out: None)
    code, message = run()
    assert code == 1
    assert "No space left on device" in message
    assert "stopped: 1 of 2 units not run" in message
    assert find_runs(out) == []


def test_a_folder_called_probe_is_left_alone(run, out):
    (out / "probe").mkdir(parents=True)
    (out / "probe" / "mine").write_text("kept")
    assert run()[0] == 0
    assert (out / "probe" / "mine").read_text() == "kept"
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_a_decompression_bomb_is_named_and_not_unpacked(run, parts, out):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    (parts / "bolt" / "test" / "good" / "000.png").write_bytes(bomb + chunk(b"IEND", b""))
    code, message = run()
    assert code == 1
    assert "000.png: has more than 170,000,000 pixels" in message
    assert statuses(out) == {"bolt": "failed", "nut": "ok"}


def test_json_prints_the_records_and_nothing_else_on_failure_too(parts, out, capsys):
    (parts / "bolt" / "test" / "good" / "000.png").write_bytes(b"")
    assert call(["run", *TOY, "--data", str(parts), "--out", str(out), "--json"]) == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(record["task"]["category"], record["status"]) for record in records] == [("bolt", "failed"), ("nut", "ok")]


def test_plan_says_which_category_would_fail_and_shows_the_rest(parts, out, capsys):
    shutil.rmtree(parts / "bolt" / "train" / "good")
    (parts / "bolt" / "train" / "good").mkdir()
    assert call(["plan", *TOY[:4], "--data", str(parts), "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    message = " ".join(printed.replace("│", " ").split())
    assert "seed 0: fails: category 'bolt' has no training image" in message
    assert "on parts/nut" in message
    assert "seed 0: to run" in message


def evaluate(parts, out, capsys, *options):
    code = call(["evaluate", str(out), "--data", str(parts), *options])
    return code, capsys.readouterr()


def test_evaluate_leaves_failed_runs_out(run, parts, out, capsys):
    good = parts / "bolt" / "test" / "good" / "000.png"
    whole = good.read_bytes()
    good.write_bytes(b"")
    run()
    good.write_bytes(whole)
    code, printed = evaluate(parts, out, capsys, "--json")
    assert code == 0
    assert [json.loads(line)["task"]["category"] for line in printed.out.splitlines()] == ["nut"]
    assert "left out: it ended as 'failed'" in printed.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda record: record["task"]["protocol"].update(shots="many"), "protocol"),
        (lambda record: record["recipe"]["spec"].pop("map"), "map"),
        (lambda record: record["predictions"].update(sha256="0" * 64), "--redo"),
        (lambda record: record.update(id="x"), "not a record"),
    ],
    ids=["protocol", "map", "predictions", "id"],
)
def test_evaluate_says_what_is_wrong_with_a_record_and_goes_on(run, parts, out, capsys, edit, words):
    run()
    file = next(out.glob("bolt-*")) / "record.json"
    record = json.loads(file.read_text())
    edit(record)
    file.write_text(json.dumps(record))
    code, printed = evaluate(parts, out, capsys)
    assert code == 1
    assert words in printed.err
    assert printed.out == "1 run: nothing has changed\n"
    assert json.loads(file.read_text()) == record, "it is left as it is"


def test_a_tracker_that_is_down_is_reported_and_costs_nothing(faults, run, out):
    code, message = run()
    assert code == 0
    assert "plugin 'faults-for-test': its job_finished hook raised RuntimeError: a tracker that is down" in message


FAULTS = '''
import time
import torch
from adbench import Scores, hookimpl
from adbench.builtin.toy import ToyNearest, ToyPixels, ToyVectors


class Crash(ToyVectors):
    """Crashes."""
    name = "crash"
    def fit(self, features, ctx):
        raise ZeroDivisionError("by nothing")


class Hang(ToyVectors):
    """Hangs."""
    name = "hang"
    def fit(self, features, ctx):
        time.sleep(60)


class Hungry(ToyVectors):
    """Wants too much memory."""
    name = "hungry"
    def fit(self, features, ctx):
        torch.empty(1 << 60, dtype=torch.uint8)


class Nan(ToyNearest):
    """Scores NaN."""
    name = "nan"
    def score(self, query, bank):
        return Scores(super().score(query, bank).patches * float("nan"))


class Shape(ToyNearest):
    """Scores the wrong shape."""
    name = "shape"
    def score(self, query, bank):
        return Scores(super().score(query, bank).patches[:, :1])


@hookimpl
def register_components(register):
    for cls in (Crash, Hang, Hungry, Nan, Shape):
        register(cls)


@hookimpl
def job_finished(record):
    raise RuntimeError("a tracker that is down")
'''


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """A plugin of components that each break one rule."""
    from adbench.registration.registry import installed

    (tmp_path / "faults_for_test.py").write_text(FAULTS)
    info = tmp_path / "faults_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faults-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[adbench]\nfaults = faults_for_test\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    yield
    sys.modules.pop("faults_for_test", None)
    installed.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        (("--bank", "crash"), "failed", "bank 'crash' raised ZeroDivisionError in fit(): by nothing"),
        (("--bank", "hang", "--timeout", "0.3"), "timeout", "bank 'hang' was still in fit()"),
        (("--bank", "hungry"), "out-of-memory", "out of memory on cpu"),
        (("--scorer", "nan"), "failed", "scorer 'nan' broke its contract"),
        (("--scorer", "shape"), "failed", "must return patches of the grid's shape"),
    ],
)
def test_a_bad_component_is_named_in_the_record(faults, run, out, options, status, reason):
    scorer = TOY[2:4] if "--scorer" not in options else ()
    code, message = run(*options, method=(*TOY[:2], *scorer, *TOY[4:]))
    assert code == 1
    assert statuses(out) == {"bolt": status, "nut": status}, "the other category goes on"
    assert reason in only_record(out).reason
    assert only_record(out).reason in message.replace("\n", "")


def test_a_crash_leaves_its_traceback_beside_the_record(faults, run, out):
    run("--bank", "crash")
    (trace, _) = out.glob("*/traceback.txt")
    assert "ZeroDivisionError: by nothing" in trace.read_text()


def test_a_failed_unit_is_run_again_when_that_is_asked_for(faults, run, out, monkeypatch):
    run("--bank", "crash", "--category", "bolt")
    first = only_record(out)
    monkeypatch.setattr(sys.modules["faults_for_test"].Crash, "fit", sys.modules["faults_for_test"].ToyVectors.fit)
    code, message = run("--bank", "crash", "--category", "bolt")
    assert code == 1
    assert "failed in an earlier run (--retry failed runs it again)" in message
    assert only_record(out) == first
    assert run("--bank", "crash", "--category", "bolt", "--retry", "failed")[0] == 0
    assert (only_record(out).id, only_record(out).status) == (first.id, "ok")


def hear_ctrl_c():
    """Tests that a shell runs in the background inherit that SIGINT is ignored; a user's terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(faults, parts, out, tmp_path):
    script = "from adbench.cli import main; main()"
    common = [sys.executable, "-c", script, "run", *TOY, "--data", str(parts), "--out", str(out)]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    surroundings = {**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(scratch)}
    subprocess.run([*common, "--category", "bolt"], check=True, env=surroundings)
    hanging = subprocess.Popen(
        [*common, "--bank", "hang", "--category", "nut"],
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509  no thread runs here
    )
    for line in hanging.stderr:
        if "nut" in line:
            break
    time.sleep(1)
    hanging.send_signal(signal.SIGINT)
    _, message = hanging.communicate(timeout=30)
    assert hanging.returncode == 130
    assert "0 of 1 unit finished" in message
    assert "same command" in message
    assert "Traceback" not in message
    assert statuses(out) == {"bolt": "ok"}
    assert list(scratch.iterdir()) == []
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []
