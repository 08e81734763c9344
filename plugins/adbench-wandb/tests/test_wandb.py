"""A record becomes one run offline, as its own file says; without a login nothing is lost and nobody is asked."""

from __future__ import annotations

import json
import struct

import pytest

from adbench.cli import call
from adbench.records import read_runs

wandb = pytest.importorskip("wandb", reason="pip install wandb")
from adbench_wandb import VARIABLE  # noqa: E402
from adbench_wandb.tracking import ID_LENGTH, Tracker  # noqa: E402

BLOCK, FULL, LAST = 1 << 15, 1, 4

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # wandb's own


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """Nobody is logged in, and the work lies in the test's folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb.teardown()  # its process keeps the settings of the first run, which another module's test may have made
    yield
    wandb.teardown()


@pytest.fixture
def make_run(tmp_path):
    def make(*options):
        toy = ["--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--cache", "none"]
        few = ["--data", "demo", "--category", "brick", "--limit-train", "4", "--limit-test", "2"]
        assert call(["run", *toy, *few, "--out", str(tmp_path / "runs"), *options]) == 0
        (stored,) = read_runs(tmp_path / "runs")
        return stored

    return make


def messages(content):
    """The messages of an offline file: a head of 7 bytes, then LevelDB's log of blocks, each part with a head of 7."""
    place, whole = 7, b""
    while place + 7 <= len(content):
        if BLOCK - place % BLOCK < 7:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield whole
            whole = b""


def written(tmp_path):
    """What the file of each offline run holds, by kind: configuration, summary, and so on."""
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # its service writes what it still holds
    for file in sorted(tmp_path.glob("wandb/offline-run-*/*.wandb")):
        kinds = {}
        for message in messages(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            kinds.setdefault(record.WhichOneof("record_type"), []).append(record)
        yield file, kinds


def values(items):
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def test_nothing_is_written_unless_a_project_is_named(make_run, tmp_path):
    make_run("--no-figures")
    assert not (tmp_path / "wandb").exists()


@pytest.mark.slow
def test_a_run_is_written_offline_when_its_record_is(make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, "bricks")
    monkeypatch.setenv("WANDB_MODE", "offline")
    stored = make_run()
    assert "adbench-wandb" not in "".join(capsys.readouterr())
    ((file, kinds),) = written(tmp_path)
    run = kinds["run"][0].run
    assert (run.project, run.run_id) == ("bricks", stored.record.id[:ID_LENGTH])
    assert run.display_name == "toy-pixels+toy-nearest on brick, seed 0"
    config = values(run.config.update)
    assert config["backbone"] == "toy-pixels"
    assert config["adbench.status"] == "ok"
    summary = {name: value for record in kinds["summary"] for name, value in values(record.summary.update).items()}
    assert summary["image-auroc"] == stored.record.metrics["image-auroc"].value
    pictures = sorted(path.name.partition("_")[0] for path in (file.parent / "files" / "media").rglob("*.png"))
    assert pictures == ["curves", "histogram", "sheet"]
    assert kinds["exit"][0].exit.exit_code == 0


@pytest.mark.slow
def test_only_the_record_is_sent(make_run, tmp_path):
    stored = make_run("--no-figures")
    assert call(["wandb", str(stored.folder), "--offline"]) == 0
    ((file, kinds),) = written(tmp_path)
    assert not {"output", "output_raw", "stats"} & kinds.keys()
    assert [path.name for path in (file.parent / "files").rglob("*") if path.is_file()] == []
    assert kinds["run"][0].run.git.remote_url == ""


@pytest.mark.slow
def test_a_failed_unit_is_a_failed_run(make_run, tmp_path):
    record = make_run("--no-figures").record.to_json()
    record |= {"status": "timeout", "reason": "too slow", "metrics": {}, "facts": {}, "cost": None}
    Tracker("adbench", mode="offline").send(record, None)
    ((_, kinds),) = written(tmp_path)
    assert kinds["exit"][0].exit.exit_code == 1
    assert values(kinds["run"][0].run.config.update)["adbench.reason"] == "too slow"


def test_nobody_is_asked_for_a_key_and_nothing_is_lost(make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, "bricks")
    assert make_run("--no-figures").record.status == "ok"
    shown = " ".join("".join(capsys.readouterr()).split())
    assert shown.count("plugin 'adbench-wandb'") == 1
    assert "run 'wandb login', or set WANDB_MODE=offline" in shown
    assert call(["wandb", str(tmp_path / "runs")]) != 0
    message = capsys.readouterr().err
    assert "nobody is logged in" in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_a_server_that_is_away_is_one_sentence(make_run, tmp_path, monkeypatch, capsys):
    stored = make_run("--no-figures")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr("adbench_wandb.tracking.PATIENCE", 3.0)
    assert call(["wandb", str(stored.folder)]) != 0
    message = capsys.readouterr().err
    assert message.count("Weights & Biases does not take the record") == 1
    assert "Traceback" not in message
