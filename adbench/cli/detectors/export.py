"""``adbench export``: a detector as a file for other programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from adbench.cli.detectors.choices import computing_options, detector_file, loaded, require_file_name, weights_option
from adbench.cli.options import SectionedCommand, option
from adbench.cli.screen import echo
from adbench.errors import UsageError


@click.command("export", cls=SectionedCommand)
@detector_file
@option(
    "--format",
    "form",
    section="Export",
    type=click.Choice(["onnx", "openvino", "torch"]),
    default="onnx",
    show_default=True,
    help="ONNX, OpenVINO's IR (.xml and .bin), or a program of torch.export (.pt2).",
)
@option("--out", section="Export", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The file.")
@option(
    "--images",
    section="Export",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Normal images to compare scores on; without them, scores of synthetic images are compared.",
)
@option(
    "--size",
    section="Export",
    metavar="HEIGHTxWIDTH",
    help="Pixels of the images that the file takes; by default those of the images that the detector learned from.",
)
@option(
    "--batch",
    section="Export",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Images a call.",
)
@weights_option
@computing_options
def command(
    file: Path, form: Any, out: Path, images: Path | None, size: str | None, batch: int, **options: Any
) -> None:
    """Write a detector as an ONNX, OpenVINO or PyTorch file, and prove that it gives the same scores.

    The file holds all steps from the image to score and map. It is written only if no score differs from the
    detector's by more than 1e-4 relative; it holds the report of that comparison.
    """
    pixels = None if size is None else pixels_of(size)
    from adbench.detector.export.formats import SUFFIXES

    require_file_name(out, f"{file.stem}{SUFFIXES[form]}")
    detector = loaded(file, options)
    done = detector.export(out, format=form, images=() if images is None else images, size=pixels, batch=batch)
    echo(f"{done.path}: {done.report.words}")


def pixels_of(text: str) -> tuple[int, int]:
    """Height and width of a text such as ``480x640``.

    Raises:
        UsageError: the text has another form.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise UsageError(f"--size {text!r} is no size; write height and width in pixels, such as 480x640")
    return int(match[1]), int(match[2])
