"""``adbench fiftyone``: runs as a dataset of FiftyOne."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("fiftyone")
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="adbench", show_default=True, metavar="NAME", help="The dataset in FiftyOne.")
@click.option(
    "--out",
    default="fiftyone",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder of maps and masks, which the dataset refers to; photographs stay where they are.",
)
@click.option("--data", metavar="NAME|PATH", help="The dataset, if it is no longer in the place that the runs stored.")
@click.option("--overwrite", is_flag=True, help="Replace a dataset of this name.")
def command(runs: tuple[Path, ...], name: str, out: Path, data: str | None, *, overwrite: bool) -> int:
    """Show the test images of the runs in RUNS in FiftyOne, with the scores and maps of every method.

    \b
    adbench fiftyone runs --name bricks
    fiftyone app launch bricks
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.records import read_runs, scored_runs
    from adbench_fiftyone.dataset import make_dataset, require_name
    from adbench_fiftyone.judged import judged_images

    require_name(name, overwrite=overwrite)
    images, methods = judged_images(scored_runs(read_runs(*runs), data), out / name)
    make_dataset(name, images, methods)
    click.echo(f"{len(images)} images with {len(methods)} methods are in dataset {name!r}: fiftyone app launch {name}")
    return 0
