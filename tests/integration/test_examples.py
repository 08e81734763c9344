"""The examples: the C++ program scores as the detector does, and the Dockerfiles name what is there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import Detector

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "examples" / "cpp" / "score.cpp"
DOCKERFILES = sorted((ROOT / "examples" / "docker").glob("*.Dockerfile"))


@pytest.fixture
def program(tmp_path):
    """The compiled program; skipped where ONNX Runtime's header or a compiler is missing."""
    compiler, release = shutil.which("g++"), Path(os.environ.get("ONNXRUNTIME", "/usr"))
    folders = (release / "include" / below for below in ("", "onnxruntime", "onnxruntime/core/session"))
    header = next((path for folder in folders if (path := folder / "onnxruntime_c_api.h").is_file()), None)
    if compiler is None:
        pytest.skip("no g++ here: apt-get install g++")
    if header is None:
        pytest.skip("no onnxruntime_c_api.h here: set ONNXRUNTIME to a release of ONNX Runtime (include, lib)")
    libraries = next(release.glob("lib*/libonnxruntime.so")).parent
    built = tmp_path / "score"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    paths = [f"-I{header.parent}", f"-L{libraries}", f"-Wl,-rpath,{libraries}"]
    subprocess.run(
        [compiler, "-std=c++17", *warnings, str(PROGRAM), *paths, "-lonnxruntime", "-o", str(built)], check=True
    )
    return built


@pytest.fixture
def exported(tmp_path):
    """A detector of small parts, and its ONNX file."""
    for module in ("onnx", "onnxruntime", "adbench_memory", "adbench_reconstruction"):
        pytest.importorskip(module)
    parts = {"preprocess": "resize:size=32", "backbone": "pixels:cell=4", "bank": "full", "scorer": "knn:k=1"}
    quick = {"cache": None, "runtime": "torch", "device": "cpu"}
    detector = Detector(**parts, **quick).fit(photographs(24), threshold="conformal:alpha=0.1")
    return detector, detector.export(tmp_path / "it.onnx").path


def photographs(count, seed=0):
    drawn = np.random.default_rng(seed)
    return [drawn.integers(80, 120, (40, 60, 3), np.uint8) for _ in range(count)]


def test_the_cpp_program_scores_as_the_detector_does(program, exported, tmp_path):
    detector, model = exported
    images = photographs(3, seed=1)
    images[1][10:20, 30:40] = 250
    paths = [tmp_path / f"{number}.ppm" for number in range(3)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    lines = subprocess.run([program, model, *paths], capture_output=True, text=True, check=True).stdout.splitlines()
    for line, prediction in zip(lines, detector.predict(images), strict=True):
        _, score, p_value, verdict, row, column = line.split(",")
        assert float(score) == pytest.approx(prediction.score, rel=1e-4)
        assert float(p_value) == pytest.approx(prediction.p_value, rel=1e-3)
        assert verdict == prediction.verdict
        assert prediction.map[int(row), int(column)] == pytest.approx(prediction.map.max(), rel=1e-4)
    assert "defective" in lines[1]


def test_mistakes_of_the_cpp_program_are_sentences(program, exported, tmp_path):
    (cut := tmp_path / "cut.ppm").write_bytes(b"P6\n60 40\n255\n" + bytes(100))
    (wrong := tmp_path / "wrong.ppm").write_bytes(b"P6\n4 4\n255\n" + bytes(48))
    for arguments in ([exported[1], cut], [exported[1], wrong], [tmp_path / "none.onnx", wrong]):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)
def test_dockerfiles_name_what_is_there_and_leave_root(path):
    text = path.read_text()
    assert "ARG BASE=" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "adbench"
    named = re.findall(r"/source/plugins/(adbench-\w+)", text)
    for names in re.findall(r'^ARG PLUGINS="(.*)"$', text, re.MULTILINE):
        named += [f"adbench-{name}" for name in names.split()]
    assert named
    for name in named:
        assert (ROOT / "plugins" / name / "pyproject.toml").is_file()
    extras = re.search(r'"/source\[(.*?)\]"', text)[1].split(",")
    for extra in extras:
        assert f"\n{extra} = [" in (ROOT / "pyproject.toml").read_text()
