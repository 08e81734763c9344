"""The command: a detector from a file, or one that learns first; what contradicts is refused at once."""

from __future__ import annotations

import socket
from unittest.mock import Mock

import numpy as np
import pytest
from adbench_serve.command import command
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

from adbench import Detector, StorageError, UsageError

RECIPE = "recipe: mine\nbackbone: toy-pixels\nscorer: toy-nearest\npreprocess: []\n"
COMPUTING = ["--device", "cpu", "--runtime", "torch"]


@pytest.fixture
def good(tmp_path):
    folder, draw = tmp_path / "good", np.random.default_rng(0)
    folder.mkdir()
    for number in range(24):
        Image.fromarray(draw.integers(90, 110, (32, 32, 3), np.uint8)).save(folder / f"{number:02}.png")
    return folder


def invoked(*words):
    return CliRunner().invoke(command, [str(word) for word in words])


REFUSED = {
    "nothing": ([], "give a detector .*, or --recipe NAME and --normal DIR"),
    "both": (["x.adbench", "--normal", "good", "--recipe", "mine"], "x.adbench has learned already"),
    "no recipe": (["--normal", "good"], "--normal needs a method; give --recipe NAME"),
    "no images": (["--recipe", "mine"], "give --normal DIR, too"),
    "a threshold alone": (["x.adbench", "--threshold", "sigma"], "give --normal DIR, too"),
    "weights": (["--normal", "good", "--recipe", "mine", "--weights", "w.pth"], "a recipe names its own"),
    "twice": (["a/x.adbench", "b/x.adbench"], "two detectors have the same file name"),
}


@pytest.mark.parametrize(("words", "why"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_is_refused_at_once(words, why):
    found = invoked(*words)
    assert isinstance(found.exception, UsageError)
    with pytest.raises(UsageError, match=why):
        raise found.exception


def test_a_taken_port_is_told_before_anything_is_learned(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = invoked("--normal", tmp_path / "nothing", "--recipe", "mine", "--port", port)
    assert isinstance(found.exception, UsageError)
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use; give another --port" in str(
        found.exception
    )


def test_a_place_for_the_file_is_required_before_anything_is_learned(tmp_path):
    words = ("--normal", tmp_path / "nothing", "--recipe", "mine", "--out", tmp_path / "no" / "x.adbench")
    found = invoked(*words)
    assert isinstance(found.exception, StorageError)
    assert "is no folder that can be written; give --out another place" in str(found.exception)


def test_it_learns_keeps_and_answers(good, tmp_path, image, monkeypatch):
    served = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: served.append(app))
    (tmp_path / "mine.yaml").write_text(RECIPE)
    words = ("--recipe", tmp_path / "mine.yaml", "--normal", good, "--threshold", "conformal:alpha=0.1")
    found = invoked(*words, "--out", tmp_path / "bolt.adbench", *COMPUTING)
    assert found.exception is None, found.output
    assert f"written: {tmp_path / 'bolt.adbench'}" in found.output
    with TestClient(served[0]) as client:
        answer = client.post("/v1/predict", files={"image": ("a.png", image)}).json()
    assert answer["detector"] == "bolt"
    kept = Detector.load(tmp_path / "bolt.adbench", device="cpu", runtime="torch", cache=None)
    (tmp_path / "a.png").write_bytes(image)
    prediction = kept.predict(tmp_path / "a.png")
    assert answer["predictions"][0]["score"] == pytest.approx(prediction.score)
    assert answer["predictions"][0]["threshold"] == pytest.approx(kept.threshold().value)


def test_a_full_disk_stops_no_server(good, tmp_path, monkeypatch):
    served = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: served.append(app))
    monkeypatch.setattr(
        "adbench.detector.store.archive.temporary_file", Mock(side_effect=OSError(28, "No space left on device"))
    )
    (tmp_path / "mine.yaml").write_text(RECIPE)
    words = ("--recipe", tmp_path / "mine.yaml", "--normal", good, "--out", tmp_path / "bolt.adbench")
    found = invoked(*words, *COMPUTING)
    assert found.exception is None, found.output
    assert served
    assert "No space left on device; free some space" in found.output
    assert "serves all the same, and is gone when the server stops" in found.output


def test_without_a_file_it_goes_by_the_recipes_name(good, tmp_path, monkeypatch):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    found = invoked("--recipe", tmp_path / "mine.yaml", "--normal", good, *COMPUTING)
    assert "mine: http://127.0.0.1:8000" in found.output
    assert not list(tmp_path.glob("*.adbench"))
