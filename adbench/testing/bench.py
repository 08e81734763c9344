"""The whole tool on a tiny dataset, for the tests of plugins: what the pytest fixture ``bench`` gives.

```python
def test_my_scorer_finds_the_defects(bench):
    bench.register(MyScorer)                      # or install the plugin
    done = bench.run("--scorer", "my-scorer:k=3")
    assert done.code == 0, done.err
    assert all(record.metrics["image-auroc"].value > 0.9 for record in done.records)
```
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import Component
from adbench.errors import PluginError

if TYPE_CHECKING:
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Registry

_USUAL = {"--backbone": "toy-pixels", "--scorer": "toy-nearest"}
"""Parts of a method that a run of the bench adds by default; see `Bench.run`."""

_DIST = "this-test"
"""The distribution that components of the test's own seem to come from."""


@dataclass(frozen=True)
class Done:
    """The result of a command.

    Attributes:
        code: its exit code: 0 when all went well, 1 when something failed, 2 when the command cannot be meant.
        out: what it wrote to standard output.
        err: what it wrote to standard error.
        folder: where its results lie.
    """

    code: int
    out: str
    err: str
    folder: Path

    @cached_property
    def records(self) -> list[ResultRecord]:
        """The record of every unit below the folder, by method, category and seed; those that failed, too."""
        from adbench.engine.store.record import find_runs, read_record

        found = [read_record(path) for path in find_runs(self.folder)] if self.folder.is_dir() else []
        return sorted(found, key=lambda record: (record.recipe.name, record.task.category, record.task.seed))


@dataclass(eq=False)
class Bench:
    """Runs adbench inside the test's own process, in a folder of its own.

    Attributes:
        folder: where commands run, and where what they write lies. Give your own files by absolute paths.
        data: the dataset, in MVTec AD's layout: the categories "dots" and "lines" of 64 x 64 pixels, each of 20 normal
            images to learn from, and 4 normal and 4 defective ones to judge, with masks.
    """

    folder: Path
    _given: list[type[Component]] = field(default_factory=list)
    _runs: int = 0

    @cached_property
    def data(self) -> Path:
        from adbench.testing.drawn import draw_parts

        return draw_parts(self.folder / "drawn")

    def register(self, *components: type[Component]) -> None:
        """Offer components of the test's own, beside what is installed, to the commands that follow.

        Raises:
            PluginError: one cannot be used, and why.
        """
        self._given += components
        try:
            self._registry()
        except PluginError:
            del self._given[-len(components) :]
            raise

    def run(self, *words: str | Path) -> Done:
        """``adbench run`` with these words, on `data`, into a new folder.

        What the words leave out is filled in: the dataset, the folder, the CPU, no pictures, and, where they name no
        recipe and no suite, the backbone ``toy-pixels`` and the scorer ``toy-nearest``, which need no weights.

        Args:
            words: as on the command line, such as ``"--scorer", "mine:k=3", "--shots", "2"``.
        """
        given = [str(word) for word in words]
        self._runs += 1
        folder = self.folder / f"run-{self._runs}"
        usual = {"--data": str(self.data), "--out": str(folder), "--device": "cpu"}
        if not _names(given, "--recipe") and not _names(given, "--suite"):
            usual |= _USUAL
        added = [part for option, value in usual.items() if not _names(given, option) for part in (option, value)]
        done = self.adbench("run", *given, *added, *([] if "--no-figures" in given else ["--no-figures"]))
        return Done(done.code, done.out, done.err, self.folder / (_value(given, "--out") or folder))

    def adbench(self, *words: str | Path) -> Done:
        """Any command, in `folder`, such as ``bench.adbench("board", "build", done.folder)``."""
        from adbench.cli import call
        from adbench.registration.registry import instead

        out, err = io.StringIO(), io.StringIO()
        with instead(self._registry()), _inside(self.folder), redirect_stdout(out), redirect_stderr(err):
            code = call([str(word) for word in words])
        return Done(code, out.getvalue(), err.getvalue(), self.folder)

    def _registry(self) -> Registry:
        """The registry of installed and given components."""
        from adbench.registration.registry import load_registry

        registry = load_registry()
        for cls in self._given:
            registry.add_component(cls, _DIST, "0")
        faults = [problem.reason for problem in registry.problems if problem.dist == _DIST]
        if faults:
            raise PluginError("; ".join(faults))
        return registry


def _names(words: list[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _value(words: list[str], option: str) -> str | None:
    """The last value that the words give to an option."""
    found = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            found = following
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Relative paths go from the folder inside the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
