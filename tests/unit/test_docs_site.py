"""The documentation's pages are true, and make a site without a warning and without anything from elsewhere."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:  # pydantic's extra knows it; any reader will do
    tomllib = pytest.importorskip("tomli")

from adbench import Component
from adbench.cli import call, group
from adbench.testing import Status, checks_for, run_checks

ROOT = Path(__file__).parents[2]
NEW = [
    *("index.md", "start.md", "tour.md"),
    *(path.relative_to(ROOT / "docs").as_posix() for path in sorted(ROOT.glob("docs/how-to/*.md"))),
    *(path.relative_to(ROOT / "docs").as_posix() for path in sorted(ROOT.glob("docs/explanation/*.md"))),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def page(name):
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def commands(text):
    """The lines of shell blocks that start with adbench, without comments."""
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True)) and words[0] == "adbench"]


def script(name):
    """A script of the repository as a module; their names have no suffix."""
    loader = importlib.machinery.SourceFileLoader(f"script_{name}", str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


COMMANDS = [
    (name, words) for name in ["README.md", *NEW] for words in commands(README if name[0] == "R" else page(name))
]


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=[" ".join([name, *words])[:100] for name, words in COMMANDS])
def test_a_shown_command_has_options_that_exist(name, words):
    command, context, words = group, click.Context(group, info_name="adbench"), words[1:]
    while isinstance(command, click.Group):
        command = command.get_command(context, words[0])
        context, words = click.Context(command, parent=context, info_name=words[0]), words[1:]
    _, left, _ = command.make_parser(context).parse_args(list(words))
    assert left == []


def classes_of(text):
    """The components that a page defines."""
    space = {"__name__": "each_kind"}
    exec(compile("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), "the page", "exec"), space)
    return {value for value in space.values() if isinstance(value, type) and value.__module__ == "each_kind"}


def test_there_is_one_component_of_each_kind():
    kinds = sorted(cls.kind for cls in classes_of(page("how-to/each-kind-of-component.md")))
    own = [cls for cls in Component.__subclasses__() if cls.__module__.startswith("adbench.api.")]  # no other test's
    every = {cls.kind for cls in own if hasattr(cls, "kind")} | {"executor", "report"}
    assert kinds == sorted(every)


@pytest.fixture(scope="module")
def each_kind(tmp_path_factory):
    """The page's code as an installed module: one check imports it in a process of its own."""
    folder = tmp_path_factory.mktemp("module")
    blocks = re.findall(r"```python\n(.*?)```", page("how-to/each-kind-of-component.md"), re.DOTALL)
    (folder / "each_kind.py").write_text("\n".join(blocks), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield importlib.import_module("each_kind")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(cls.__name__ for cls in classes_of(page("how-to/each-kind-of-component.md"))))
def test_a_shown_component_keeps_its_contract(each_kind, name):
    results = list(run_checks(checks_for(getattr(each_kind, name)())))
    assert [result for result in results if result.status is Status.FAILED] == []
    assert sum(result.status is Status.PASSED for result in results) >= 5


@pytest.mark.slow
def test_the_tours_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder, count in (("good", 20), ("new", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.fromarray(rng.integers(90, 110, (64, 64, 3), dtype=np.uint8)).save(
                tmp_path / folder / f"{number}.png"
            )
    for words in commands(page("tour.md")):
        quick = ["--limit-train", "6", "--limit-test", "2"] if words[1] == "run" else []
        assert call([*words[1:], *quick]) == 0, words
    assert (tmp_path / "boards" / "index.html").is_file()
    assert len(list(tmp_path.glob("why/**/*.png"))) >= 4


def block(text):
    return text.split("<!-- demo: scripts/demo_output -->\n\n```\n")[1].split("\n```\n\n<!-- end of demo -->")[0]


def test_the_readme_and_the_tour_show_one_output_of_the_demo():
    assert block(README) == block(page("tour.md"))


def test_the_readme_shows_rows_of_the_board_as_it_is():
    excerpt = script("board_excerpt")
    assert f"{excerpt.BEGIN}\n{excerpt.excerpt()}\n{excerpt.END}" in README
    assert all(f"| {title} |" in README for title in excerpt.METHODS.values())


@pytest.mark.slow
def test_the_demo_prints_what_the_readme_shows_and_keeps_its_promise(tmp_path):
    """Line by line, up to the digits of figures; times differ and so may a score's last digit.

    At most 5 % of all normal test images raise a false alarm. One run shows both.
    """
    whole = script("demo_output").output(tmp_path)
    form = re.compile(r"[\d.]+")
    assert [form.sub("0", line).split() for line in script("demo_output").shown(whole).splitlines()] == [
        form.sub("0", line).split() for line in block(README).splitlines()
    ]
    shares = [float(share) for share in re.findall(r"false alarms ([\d.]+) %", whole)]
    assert len(shares) == 3
    assert sum(shares) / 3 <= 5.0


def test_the_table_of_sizes_has_every_extra_and_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shown = re.findall(r"^\| `(?:adbench-core\[)?([\w-]+)\]?` \|", page("start.md"), re.MULTILINE)
    plugins = sorted(path.name for path in ROOT.glob("plugins/adbench-*"))
    extras = [extra for extra in project["optional-dependencies"] if extra != "dev"]
    assert sorted(shown) == sorted(["adbench-core", *extras, *plugins])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not importlib.util.find_spec("mkdocs"):
        pytest.skip("mkdocs is not installed; make docs installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "REPOSITORY_URL": "https://example.org/adbench"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_builds_without_a_warning(site):
    assert (site / "index.html").is_file()
    assert (site / "leaderboards" / "index.html").is_file()
    assert 'href="https://example.org/adbench/blob/main/adbench/builtin/toy.py"' in (
        site / "tutorial-plugin.html"
    ).read_text(encoding="utf-8")
    assert 'href="leaderboards/index.html"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    pages = [path for path in site.rglob("*.html") if "leaderboards" not in path.parts]
    assert len(pages) > 100
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]+src="?(?:https?:)?//|<link[^>]+rel="?(?:stylesheet|preconnect|icon)[^>]+https?://'
    )
    assert [path.name for path in pages if loaded.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_every_page_of_docs_is_in_the_navigation(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert {name for name in pages if f'href="{name}"' not in home} == set()
