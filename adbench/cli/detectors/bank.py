"""``adbench bank``: the images that a detector's bank learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adbench.cli.detectors.choices import computing_options, detector_file, loaded, print_left_out, weights_option
from adbench.cli.forms import form_options, print_rows
from adbench.cli.options import SectionedCommand
from adbench.cli.screen import counted, echo, echo_json


@click.group("bank")
def command() -> None:
    """Show, add and remove images of a detector's bank."""


@command.command("show")
@detector_file
@form_options("csv", "json")
def show_command(file: Path, form: str | None) -> None:
    """List the images that a detector learned from: name and the start of the sha256; then all changes."""
    from adbench.detector.store.file import read_description

    description = read_description(file)
    if form == "json":
        images = [{"sha256": image.sha256, "name": image.name} for image in description.images]
        echo_json({"images": images, "history": [str(change) for change in description.history]}, indent=1)
        return
    if form == "csv":
        print_rows(("sha256", "name"), [(image.sha256, image.name) for image in description.images])
        return
    for image in description.images:
        echo(f"{image.sha256[:12]}  {image.name}")
    for change in description.history:
        echo(change)
    echo(counted(len(description.images), "image"))


@command.command("add", cls=SectionedCommand)
@detector_file
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE|DIR...")
@weights_option
@computing_options
def add_command(file: Path, images: tuple[Path, ...], **options: Any) -> None:
    """Let a detector learn from more normal images; the file is replaced when that is done.

    Its threshold stays. Images that it knows already are left out.
    """
    from adbench.detector.fit.images import left_out_of_normal, normal_images

    detector = loaded(file, options)
    before = len(detector.about.images)
    print_left_out(map(left_out_of_normal, images))
    detector.add([image for path in images for image in normal_images(path)])
    detector.save(file, bundle=detector.is_bundled)
    echo(f"{file}: {counted(len(detector.about.images) - before, 'image')} added, {len(detector.about.images)} in all")


@command.command("remove", cls=SectionedCommand)
@detector_file
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@weights_option
@computing_options
def remove_command(file: Path, images: tuple[str, ...], **options: Any) -> None:
    """Let a detector forget images, named as 'adbench bank show' lists them: by file name or by sha256."""
    detector = loaded(file, options)
    before = len(detector.about.images)
    detector.remove(images)
    detector.save(file, bundle=detector.is_bundled)
    echo(f"{file}: {counted(before - len(detector.about.images), 'image')} removed, {len(detector.about.images)} left")
