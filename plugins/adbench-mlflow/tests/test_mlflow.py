"""A record becomes one run in MLflow, as its client reads it back; a server that is away loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adbench.cli import call
from adbench.records import read_runs

mlflow = pytest.importorskip("mlflow", reason="pip install mlflow-skinny")
from adbench_mlflow import VARIABLE  # noqa: E402
from adbench_mlflow.tracking import MOST_OF_A_VALUE, Tracker, _bounded, _name  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::Warning")  # MLflow's own


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A tracking store in a folder, as MLflow's default without a server was."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.delenv(VARIABLE, raising=False)
    return mlflow.MlflowClient(f"file:{tmp_path / 'mlruns'}")


@pytest.fixture
def make_run(tmp_path):
    def make(*options):
        toy = ["--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu", "--cache", "none"]
        few = ["--data", "demo", "--category", "brick", "--limit-train", "4", "--limit-test", "2"]
        assert call(["run", *toy, *few, "--out", str(tmp_path / "runs"), *options]) == 0
        (stored,) = read_runs(tmp_path / "runs")
        return stored

    return make


def found(client, name="adbench"):
    experiment = client.get_experiment_by_name(name)
    return [] if experiment is None else client.search_runs([experiment.experiment_id])


def artifacts(client, one):
    return sorted(file.path for file in client.list_artifacts(one.info.run_id))


def test_nothing_is_sent_unless_an_experiment_is_named(server, make_run, tmp_path):
    make_run("--no-figures")
    assert not any(file.name == "params" for file in (tmp_path / "mlruns").rglob("*"))


@pytest.mark.slow
def test_a_run_sends_its_record_when_it_is_written(server, make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, "bricks")
    stored = make_run()
    (one,) = found(server, "bricks")
    assert "adbench-mlflow" not in "".join(capsys.readouterr())
    assert one.info.status == "FINISHED"
    assert one.info.run_name == "toy-pixels+toy-nearest on brick, seed 0"
    assert one.data.metrics["image-auroc"] == stored.record.metrics["image-auroc"].value
    assert one.data.params["backbone"] == "toy-pixels"
    assert one.data.tags["adbench.id"] == stored.record.id
    assert artifacts(server, one) == ["curves.png", "histogram.png", "record.json", "sheet.png"]
    sent = server.download_artifacts(one.info.run_id, "record.json", str(tmp_path))
    assert json.loads(Path(sent).read_text()) == stored.record.to_json()


def test_a_record_that_is_sent_again_keeps_its_run(server, make_run, tmp_path, capsys):
    make_run("--no-figures")
    for _ in range(2):
        assert call(["mlflow", str(tmp_path / "runs")]) == 0
    (one,) = found(server)
    assert one.data.tags["adbench.status"] == "ok"
    assert capsys.readouterr().out.count("records sent: 1; experiment 'adbench'") == 2


def test_a_failed_unit_is_a_failed_run(server, make_run):
    record = make_run("--no-figures").record.to_json()
    record |= {"status": "timeout", "reason": "too slow", "metrics": {}, "facts": {}, "cost": None}
    Tracker("adbench").send(record, None)
    (one,) = found(server)
    assert (one.info.status, one.data.tags["adbench.reason"]) == ("FAILED", "too slow")
    assert one.data.metrics == {}
    assert artifacts(server, one) == ["record.json"]


def test_a_server_that_is_away_costs_one_sentence_and_no_result(make_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv(VARIABLE, "bricks")
    assert make_run("--no-figures").record.status == "ok"
    shown = "".join(capsys.readouterr())
    assert shown.count("plugin 'adbench-mlflow'") == 1
    assert "'adbench mlflow RUNS' sends it again" in " ".join(shown.split())
    assert call(["mlflow", str(tmp_path / "runs")]) != 0
    message = capsys.readouterr().err
    assert "MLflow (http://127.0.0.1:9) does not take the record" in message
    assert "Traceback" not in message


def test_more_parameters_than_mlflow_takes_at_once(server, make_run):
    record = make_run("--no-figures").record.to_json()
    record["recipe"]["spec"]["map"] = {f"option{number}": number for number in range(250)}
    Tracker("adbench").send(record, None)
    (one,) = found(server)
    assert one.data.params["map.option249"] == "249"


def test_names_and_values_are_such_as_mlflow_takes():
    assert _name("fact.höhe:1") == "fact.h_he_1"
    assert _bounded("a" * MOST_OF_A_VALUE) == "a" * MOST_OF_A_VALUE
    assert len(_bounded("a" * 10**6)) <= MOST_OF_A_VALUE
    assert _bounded("a" * 10**6).endswith("(1,000,000 characters)")
