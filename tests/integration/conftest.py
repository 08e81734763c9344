"""Processes of the command that start at once, for tests that kill many of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

LOADED = ["torch", "matplotlib.pyplot", "scipy.ndimage", "skimage.measure", "imagecodecs", "adbench.cli"]
LOADED += ["adbench.detector", "adbench.engine.run.runner", "adbench.engine.pictures.figures", "adbench.builtin.toy"]
LOADED += [plugin.module for plugin in entry_points(group="adbench")]
"""What takes seconds to import: one process does it, and all others begin as its copies."""

CODE = """
import os, sys
from adbench.cli import main
os.environ.update({environment!r})
errors = os.open({errors!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.dup2(errors, 2)
sys.argv = ["adbench", *{words!r}]
main()
"""

StartCommand = Callable[[Sequence[str], Path, Mapping[str, str]], BaseProcess]
"""Starts `adbench` with these words; its standard error goes to the end of a file."""


@pytest.fixture(scope="session")
def start_command() -> StartCommand:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)

    def start(words: Sequence[str], errors: Path, environment: Mapping[str, str]) -> BaseProcess:
        code = CODE.format(words=[*words], errors=str(errors), environment={**environment})
        process = context.Process(target=exec, args=(code, {}))
        process.start()
        return process

    return start
