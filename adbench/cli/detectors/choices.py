"""Options that the commands about detectors share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adbench.cli.options import cache_option, computing_option, option
from adbench.cli.screen import echo

if TYPE_CHECKING:
    from adbench.detector.detector import Detector

Function = TypeVar("Function", bound=Callable[..., Any])

detector_file = click.argument("file", metavar="FILE.adbench", type=click.Path(path_type=Path))
weights_option = option(
    "--weights",
    "files",
    multiple=True,
    section="Detector",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A file that the detector was made with and does not hold, such as its weights; known by its content.",
)
drift_option = option(
    "--drift",
    section="Detector",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    metavar="ALPHA",
    help="The highest probability of a false drift alarm, however many images come.",
)

_COMPUTING = (
    *(computing_option(name, "Computing") for name in ("--device", "--runtime", "--batch-size", "--workers")),
    cache_option,
)


def computing_options(function: Function) -> Function:
    """Add the options that say how a detector computes."""
    for decorate in reversed(_COMPUTING):
        function = decorate(function)
    return function


def computing(options: dict[str, Any]) -> dict[str, Any]:
    """What they say, as `Detector` takes it."""
    return {name: options[name] for name in ("device", "runtime", "batch_size", "workers", "cache")}


def loaded(file: Path, options: dict[str, Any]) -> Detector:
    """The detector in a file."""
    from adbench.detector.detector import Detector

    return Detector.load(
        file, files=options["files"], note=lambda sentence: echo(sentence, err=True), **computing(options)
    )
