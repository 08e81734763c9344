"""The code's shape, held as a ratchet: lower a number when you can, never raise one."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("adbench/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
FILE_CAP, FILE_MEDIAN = 400, 120
FUNCTION_CAP, FUNCTION_P90, FUNCTION_MEDIAN = 40, 16, 6
VAGUE = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "base.py"}


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(node):
    """Lines of a function without its signature and docstring."""
    first = node.body[0]
    doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    start = first.end_lineno + 1 if doc else first.lineno
    return node.end_lineno - start + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_small_and_its_functions_too(path):
    assert len(path.read_text().splitlines()) <= FILE_CAP
    for node in functions(path):
        assert body_lines(node) <= FUNCTION_CAP, f"{path}:{node.lineno} {node.name}"
        assert node.returns is not None, f"{path}:{node.lineno} {node.name} says not what it returns"


@pytest.mark.slow
def test_sizes_stay_where_they_are():
    files = [len(path.read_text().splitlines()) for path in SOURCES]
    sizes = sorted(body_lines(node) for path in SOURCES for node in functions(path))
    assert statistics.median(files) <= FILE_MEDIAN
    assert statistics.median(sizes) <= FUNCTION_MEDIAN
    assert sizes[int(0.9 * len(sizes))] <= FUNCTION_P90


@pytest.mark.slow
def test_the_core_alone_is_as_small():
    """Small plugins must not hide large files of adbench itself."""
    core = [path for path in SOURCES if path.is_relative_to(ROOT / "adbench")]
    sizes = sorted(body_lines(node) for path in core for node in functions(path))
    assert statistics.median(len(path.read_text().splitlines()) for path in core) <= FILE_MEDIAN
    assert statistics.median(sizes) <= FUNCTION_MEDIAN
    assert sizes[int(0.9 * len(sizes))] <= FUNCTION_P90


def unannotated(node):
    """The arguments of a function without a type, but for `self` and `cls`."""
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]
    return [each.arg for each in named if each.annotation is None and each.arg not in {"self", "cls"}]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_argument_has_a_type(path):
    assert {f"{node.lineno} {node.name}": names for node in functions(path) if (names := unannotated(node))} == {}


def test_mypy_is_strict_about_all_of_the_core():
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"] is True
    assert "adbench" in " ".join(settings["files"])
    assert not any(each.get("ignore_errors") for each in settings.get("overrides", ()))


def test_no_file_has_a_vague_name():
    assert [path for path in SOURCES if path.name in VAGUE] == []


def test_no_two_public_classes_share_a_name():
    """One noun, one thing: a reader who knows a class knows it everywhere."""
    found = {}
    for path in sorted((ROOT / "adbench").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}
