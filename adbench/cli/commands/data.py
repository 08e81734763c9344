"""``adbench data``: list, download and verify datasets, without torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import click

from adbench.cli.completion import categories, datasets
from adbench.cli.dataset_lines import about_source, found, whereabouts
from adbench.cli.forms import form_options, print_rows
from adbench.cli.screen import counted, echo, echo_json, screen, visible
from adbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.progress import Progress

    from adbench.api.dataset import Dataset

_ROOT = click.option(
    "--root", type=click.Path(file_okay=False, path_type=Path), help="The dataset's folder, if not the usual one."
)
_NAME = click.argument("name", shell_complete=datasets)
_DATA = click.argument("data", metavar="NAME|PATH", shell_complete=datasets)
_CATEGORY = click.option(
    "--category",
    "wanted",
    multiple=True,
    shell_complete=categories,
    help="Only this category; may be given again.",
)


@runtime_checkable
class Obtainable(Protocol):
    """A dataset that adbench can download: an optional addition to the contract of a dataset."""

    source: Any
    """With `title`, `page` and `licence`, and `url` where it can be downloaded."""

    def download(self, target: Path | None, progress: Callable[[str, int, int | None], None]) -> Path:
        """Download the dataset into a folder; return the folder."""


@click.group("data")
def command() -> None:
    """List, get, verify and show datasets; import and export annotations."""


@command.command("list")
@form_options("csv", "json")
def list_command(form: str | None) -> None:
    """Show the datasets that adbench knows: licence, size, source, and where each of them is."""
    from adbench.cli.plugins import installed

    rows = [
        (entry.name, (entry.cls.__doc__ or "").strip().split("\n")[0], [*about_source(entry.cls)], found(entry.cls))
        for entry in installed().entries("dataset")
    ]
    if form == "json":
        echo_json([dict(zip(("name", "about", "source", "here"), row, strict=True)) for row in rows], indent=1)
    elif form == "csv":
        print_rows(("name", "about", "source", "here"), [(*row[:2], *map("; ".join, row[2:])) for row in rows])
    for name, about, source, here in [] if form else rows:
        echo(f"{name}: {about}", *(f"  {line}" for line in (*source, *here)))


@command.command("get")
@_NAME
@_ROOT
@click.option("--accept-licence", "accepted", is_flag=True, help="You accept the licence; a terminal asks instead.")
def get_command(name: str, root: Path | None, accepted: bool) -> None:
    """Download the dataset NAME, check the archive, and unpack it. A second call continues an interrupted download.

    Nothing is downloaded until its licence is accepted.
    """
    from adbench.cli.plugins import installed

    dataset = installed().get("dataset", name).cls()
    if not isinstance(dataset, Obtainable):
        raise UsageError(f"dataset {name!r} cannot be downloaded; see 'adbench data list'")
    source = dataset.source
    about = f"licence: {source.licence}", f"publisher: {source.page}"
    echo(f"{source.title}, from {getattr(source, 'url', source.page)}", *about, err=True)
    if hasattr(source, "url") and not accepted:
        _require_acceptance(source)
    with _byte_progress() as progress:
        target = dataset.download(root, progress)
    echo(f"{name} is in {target}")
    echo(f"check it with 'adbench data verify {name}{f' --root {root}' if root else ''}'", err=True)


def _require_acceptance(source: Any) -> None:
    """Raise `UsageError` unless somebody at a terminal accepts the licence."""
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if not (terminal and click.confirm("Do you accept this licence?", err=True)):
        raise UsageError(
            f"nothing was downloaded: the licence of {source.title} was not accepted; read it, and give"
            " --accept-licence"
        )


@command.command("import")
@click.argument("annotations", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder of the masks.")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of the images; default: that of the annotations.",
)
@click.option("--classes", default="", help="The classes that there may be, joined by commas; default: all.")
def import_command(annotations: Path, out: Path, images: Path | None, classes: str) -> None:
    """Make masks of ANNOTATIONS: a folder of labelme's JSON files, or the JSON file of COCO or Label Studio.

    Masks are called IMAGE_mask.png, and lie below --out as the images lie below --images. So masks of parts/bolt/test
    go into parts/bolt/ground_truth. Each class has a number; 0 is normal.
    """
    from adbench.annotations.masks import import_masks

    folder = images or (annotations if annotations.is_dir() else annotations.parent)
    done = import_masks(annotations, folder, out, list(filter(None, classes.split(","))))
    for remark in done.remarks:
        echo(f"warning: {remark}", err=True)
    shapes = ", ".join(f"{label} {count}" for label, count in sorted(done.shapes.items()))
    echo(f"{counted(done.masks, 'mask')} in {out}: {shapes or 'no shape'}; {done.normal} images have none")


@command.command("export")
@_DATA
@_ROOT
@click.option(
    "--form", type=click.Choice(["labelme", "coco", "label-studio"]), required=True, help="Whose annotations."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file; for labelme a folder.")
@_CATEGORY
def export_command(data: str, root: Path | None, form: Any, out: Path, wanted: tuple[str, ...]) -> None:
    """Write the masks of a dataset's test images as annotations that drawing tools open."""
    from adbench.annotations.export import export_masks
    from adbench.cli.plugins import installed
    from adbench.engine.plan.data_origin import dataset_from

    dataset = dataset_from(installed(), data, None if root is None else str(root))
    count = export_masks(dataset, wanted or dataset.categories(), out, form)
    echo(f"{counted(count, 'image')} in {out}; paths of images are relative to {getattr(dataset, 'root', '')}")


@command.command("show")
@_DATA
@_ROOT
@_CATEGORY
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="The folder that sheets go into."
)
def show_command(data: str, root: Path | None, wanted: tuple[str, ...], out: Path) -> int:
    """Draw a contact sheet of each category: up to six images of each type of defect, with masks and counts.

    Exit code 1 if an image or a mask of a sheet cannot be read.
    """
    from adbench.cli.plugins import installed
    from adbench.engine.pictures.contact_sheet import contact_sheet
    from adbench.engine.plan.data_origin import dataset_from

    dataset, problems = dataset_from(installed(), data, None if root is None else str(root)), 0
    for category in wanted or dataset.categories():
        dataset.split(category)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{dataset.board_name}-{category}.png"
        for problem in contact_sheet(dataset, category, path):
            problems += 1
            echo(problem, err=True)
        survey = dataset.survey(category)
        echo(f"{path}: {survey.labels if survey else category}")
    return 1 if problems else 0


@command.command("verify")
@_DATA
@_ROOT
def verify_command(data: str, root: Path | None) -> int:
    """Read every image and mask of a dataset, and list its problems; the exit code is 1 if there are any.

    Files that are passed over are problems too, because results do not cover them. Test images that only look like a
    training image give warnings.
    """
    from adbench.cli.plugins import installed
    from adbench.engine.images.dataset_audit import problems
    from adbench.engine.plan.data_origin import dataset_from

    dataset, count = dataset_from(installed(), data, None if root is None else str(root)), 0
    with _image_progress() as watch:
        for problem in problems(dataset, watch):
            count += 1
            echo(problem)
    _warn_of_near_duplicates(dataset)
    for line in _labels(dataset):
        echo(line)
    _warn_of_remarks(dataset)
    summary = "; ".join(whereabouts(dataset))
    echo(f"{counted(count, 'problem')} in {summary}" if count else f"sound: {summary}")
    return 1 if count else 0


def _labels(dataset: Dataset) -> Iterator[str]:
    """Lines about how the folders of each category were read."""
    for category in dataset.categories():
        with suppress(DataError):  # the problems contain it
            survey = dataset.survey(category)
            if survey is not None and survey.labels:
                yield f"{category}: {survey.labels}"


def _warn_of_near_duplicates(dataset: Dataset) -> None:
    from adbench.engine.images.dataset_audit import near_duplicates

    try:
        with _image_progress() as watch:
            for warning in near_duplicates(dataset, lambda name, done, total: watch(f"{name}, twins", done, total)):
                echo(f"warning: {warning}")
    except UsageError as error:
        echo(f"warning: {error}", err=True)


def _warn_of_remarks(dataset: Dataset) -> None:
    """Print remarks about files that were read in an unusual way; by now all files have been read."""
    for category in dataset.categories():
        with suppress(DataError):  # the problems contain it
            for remark in dataset.remarks(category):
                echo(f"warning: {remark}")


@contextmanager
def _byte_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress in bytes: bars with rate and remaining time on a terminal; otherwise a line for each tenth."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description:<12}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with _bars(*columns, TimeRemainingColumn()) as bars:
        yield _Reporter(bars, "MB", 1_000_000)


@contextmanager
def _image_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress in images: bars on a terminal; otherwise a line for each tenth."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with _bars(*columns) as bars:
        yield _Reporter(bars, "images", 1)


@contextmanager
def _bars(*columns: Any) -> Iterator[Progress]:
    from rich.progress import Progress

    console = screen(err=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


class _Reporter:
    """A reporter of progress: one bar for each stage, or plain lines without a terminal.

    Args:
        bars: disabled without a terminal.
        unit: the noun of the counts, in plain lines.
        per: the size of one unit.
    """

    def __init__(self, bars: Progress, unit: str, per: int) -> None:
        self._bars, self._unit, self._per = bars, unit, per
        self._tasks: dict[str, Any] = {}
        self._tenths: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(visible(stage), total=total)
        self._bars.update(self._tasks[stage], completed=done, total=total)
        tenth = done * 10 // total if total else 0
        if self._bars.disable and self._tenths.get(stage) != tenth:
            self._tenths[stage] = tenth
            of = f" of {total // self._per:,}" if total else ""
            echo(f"{stage}: {done // self._per:,}{of} {self._unit}", err=True)
