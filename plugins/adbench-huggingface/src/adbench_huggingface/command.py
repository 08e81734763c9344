"""``adbench huggingface``: folders that can be uploaded to the Hub."""

from __future__ import annotations

from pathlib import Path

import click

_PATH = click.Path(exists=True, path_type=Path)
_NEW = click.Path(path_type=Path)


@click.group("huggingface")
def group() -> None:
    """Write runs and leaderboards as folders for the Hugging Face Hub. Nothing is uploaded."""


@group.command("dataset")
@click.argument("runs", nargs=-1, required=True, type=_PATH)
@click.option("--out", required=True, type=_NEW, metavar="FOLDER", help="A new or empty folder.")
@click.option("--data", metavar="NAME|PATH", help="The dataset, if it is no longer in the place that the runs stored.")
@click.option(
    "--images/--no-images",
    default=None,
    help="Copy the photographs, too.",
    show_default="if their licence lets anybody publish them",
)
def dataset_command(runs: tuple[Path, ...], out: Path, data: str | None, *, images: bool | None) -> int:
    """Write scores, maps and masks of the runs in RUNS as a dataset with a card.

    \b
    adbench huggingface dataset runs --out bricks
    hf upload NAME/bricks bricks --repo-type dataset
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench.records import read_runs, scored_runs
    from adbench_huggingface.dataset import write_dataset

    written = write_dataset(out, scored_runs(read_runs(*runs), data), photographs=images)
    without = (
        "" if written.photographs == written.rows else f", {written.rows - written.photographs} without photograph"
    )
    click.echo(f"{written.rows} rows of {written.runs} runs in {out}{without}")
    for name in written.forced:
        click.echo(
            f"not everybody may publish the images of {name}, as far as adbench knows: keep this private", err=True
        )
    click.echo(f"to upload: hf upload NAME/DATASET {out} --repo-type dataset")
    return 0


@group.command("space")
@click.argument("leaderboards", type=_PATH)
@click.option("--out", required=True, type=_NEW, metavar="FOLDER", help="A new or empty folder.")
@click.option("--title", default="Leaderboards", show_default=True, metavar="TEXT", help="The title of the Space.")
def space_command(leaderboards: Path, out: Path, title: str) -> int:
    """Copy the folder LEADERBOARDS as a static Space: its index is the Space's page.

    \b
    adbench huggingface space leaderboards --out space
    hf upload NAME/boards space --repo-type space
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    from adbench_huggingface.space import write_space

    count = write_space(leaderboards, out, title)
    click.echo(f"{count} files in {out}; to upload: hf upload NAME/SPACE {out} --repo-type space")
    return 0
