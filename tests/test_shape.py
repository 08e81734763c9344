"""The code's shape, held as a ratchet: lower a number when you can, never raise one."""

import ast
import statistics
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("adbench/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])
FILE_CAP, FILE_MEDIAN = 400, 120
LEADERBOARDS_CAP = 4_000_000
"""Bytes."""
FUNCTION_CAP, FUNCTION_P90, FUNCTION_MEDIAN = 40, 16, 6
VAGUE = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "base.py"}


@cache
def functions(path):
    tree = ast.walk(ast.parse(path.read_text()))
    return [node for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def body_lines(node):
    """Lines of a function without its signature and docstring."""
    first = node.body[0]
    doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    start = first.end_lineno + 1 if doc else first.lineno
    return node.end_lineno - start + 1


def found_in_functions(rule):
    """What a rule finds, by the place of the function. One test looks at all files: a test for each costs more."""
    return {
        f"{name_of(path)}:{node.lineno} {node.name}": found
        for path in SOURCES
        for node in functions(path)
        if (found := rule(node))
    }


def test_each_file_is_small():
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert len(sizes) > 400
    assert {name: size for name, size in sizes.items() if size > FILE_CAP} == {}


def test_each_function_is_small():
    assert found_in_functions(lambda node: max(0, body_lines(node) - FUNCTION_CAP)) == {}


def test_each_function_says_what_it_returns():
    assert found_in_functions(lambda node: node.returns is None) == {}


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


def test_the_shipped_leaderboards_are_small():
    """Everybody who clones the repository loads them."""
    assert sum(file.stat().st_size for file in ROOT.glob("leaderboards/**/*") if file.is_file()) <= LEADERBOARDS_CAP


def unannotated(node):
    """The arguments of a function without a type, but for `self` and `cls`."""
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, [given.vararg, given.kwarg])]
    return [each.arg for each in named if each.annotation is None and each.arg not in {"self", "cls"}]


def test_every_argument_has_a_type():
    assert found_in_functions(unannotated) == {}


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
