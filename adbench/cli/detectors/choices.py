"""Options that the commands about detectors share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adbench.cli.options import cache_option, computing_option, option
from adbench.cli.screen import echo
from adbench.detector.outputs.kinds import KINDS
from adbench.engine.process.collecting import no_collecting
from adbench.errors import UsageError

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

_PREDICTING = (
    option(
        "--write",
        section="Detector",
        type=click.Choice(KINDS),
        multiple=True,
        help="What is written beside the tables; repeat for several.",
        show_default="all of them",
    ),
    option(
        "--tables-only", section="Detector", is_flag=True, help="Write predictions.csv and predictions.jsonl alone."
    ),
    option("--threshold", section="Detector", metavar="RULE", help="Another rule than the detector's own."),
    option(
        "--drift",
        section="Detector",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.01,
        show_default=True,
        metavar="ALPHA",
        help="The highest probability of a false drift alarm, however many images come.",
    ),
    weights_option,
)

_COMPUTING = (
    *(computing_option(name, "Computing") for name in ("--device", "--runtime", "--batch-size", "--workers")),
    cache_option,
)


def predicting_options(function: Function) -> Function:
    """Add the options of all commands that write a folder of predictions, but for the folder itself."""
    for decorate in reversed(_PREDICTING):
        function = decorate(function)
    return function


def kinds_of(options: dict[str, Any]) -> Sequence[str]:
    """What they ask for beside the tables."""
    return () if options["tables_only"] else options["write"] or KINDS


def computing_options(function: Function) -> Function:
    """Add the options that say how a detector computes."""
    for decorate in reversed(_COMPUTING):
        function = decorate(function)
    return function


def computing(options: dict[str, Any]) -> dict[str, Any]:
    """What they say, as `Detector` takes it."""
    return {name: options[name] for name in ("device", "runtime", "batch_size", "workers", "cache")}


def loaded(file: Path, options: dict[str, Any]) -> Detector:
    """The detector in a file, with the threshold's rule that is asked for."""
    with no_collecting():
        from adbench.detector.detector import Detector

        detector = Detector.load(
            file, files=options["files"], note=lambda sentence: echo(sentence, err=True), **computing(options)
        )
    if options.get("threshold") is not None:
        detector.threshold(options["threshold"])
    return detector


def require_file_name(out: Path, example: str) -> None:
    """Check, before anything is computed, that a file can be written there.

    Args:
        out: as ``--out`` has it.
        example: a file's name, for the message.

    Raises:
        UsageError: a folder, a pipe or a device lies there.
    """
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; give the name of a file, such as {out / example}")
    if out.exists() and not out.is_file():
        raise UsageError(f"--out {out} is a pipe or a device; give the name of a file, such as {example}")


def print_left_out(sentences: Iterable[str]) -> None:
    """Print which pictures of folders are not read; an empty sentence is none."""
    for sentence in filter(None, sentences):
        echo(sentence, err=True, fg="yellow")
