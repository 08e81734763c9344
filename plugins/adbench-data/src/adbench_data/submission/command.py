"""``adbench submit-ad2``: a submission to the server of MVTec AD 2, and the check of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench import UsageError

if TYPE_CHECKING:
    from adbench import Detector
    from adbench_data.sets.mvtec_ad_2 import MVTecAD2
    from adbench_data.submission.files import Place


@click.command("submit-ad2")
@click.argument("runs", type=click.Path(exists=True, path_type=Path), required=False, metavar="[RUN]")
@click.option("--recipe", metavar="NAME|FILE", help="The method, if not that of RUN.")
@click.option("--root", metavar="PATH", help="The folder of MVTec AD 2, if not the usual one.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("submission.tar.gz"), show_default=True)
@click.option(
    "--sigmas",
    type=click.FloatRange(0, 1000),
    default=3.0,
    show_default=True,
    metavar="K",
    help="Mark pixels above the mean plus K standard deviations of the pixels of validation/good.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Sets all random numbers.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--check",
    "package",
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="Only check this package, or the folder of one, whoever made it.",
)
def command(runs: Path | None, package: Path | None, **options: Any) -> int:
    """Make a package for the evaluation server of MVTec AD 2, and check it.

    RUN is a run of the method on mvtec-ad-2, or a folder of such runs; its recipe learns from train/good of each
    object. The package holds a float16 map and a mask of each private image. Nothing is sent.

    \b
    adbench submit-ad2 runs --root mvtec_ad_2 --out mine.tar.gz
    adbench submit-ad2 --check mine.tar.gz

    \b
    Exit codes:
      0  the package is complete and well-formed
      1  it is not, or images are missing
      2  the command is invalid
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    if package is not None:
        if runs is not None or options["recipe"] is not None:
            raise UsageError("--check reads a package that is there; leave out RUN and --recipe")
        return _check(package, options["root"])
    if (runs is None) == (options["recipe"] is None):
        raise UsageError("name one method: RUN, a run on mvtec-ad-2, or --recipe NAME; or a package to --check")
    _make(runs, **options)
    return _check(options["out"], options["root"])


def _make(
    runs: Path | None, *, recipe: str | None, root: str | None, out: Path, sigmas: float, seed: int, device: str
) -> None:
    from adbench_data.submission.files import PRIVATE, images_of
    from adbench_data.submission.making import Submission
    from adbench_data.submission.package import new_package

    dataset = _dataset(root)
    detector = _detector(runs, recipe, seed, device)
    for category in PRIVATE:  # nothing is computed for a package that cannot become complete
        images_of(dataset.root, category)
    submission = Submission(dataset, dataset.root, detector, sigmas)
    with new_package(out) as package:
        for category in PRIVATE:
            report = submission.add_object(category, package)
            public = "n/a" if report.seg_f1 is None else f"{100 * report.seg_f1:.1f} %"
            click.echo(
                f"{category}: {report.images} images, threshold {report.threshold:.6g}; different values in a map"
                f" {report.before} -> {report.after}; SegF1 of test_public {public}"
            )


def _dataset(root: str | None) -> MVTecAD2:
    from adbench_data.sets.mvtec_ad_2 import MVTecAD2

    return MVTecAD2(**({} if root is None else {"root": root}))


def _detector(runs: Path | None, recipe: str | None, seed: int, device: str) -> Callable[[], Detector]:
    """What makes a detector of the named recipe, or of that of some runs."""
    from adbench import Detector
    from adbench_data.submission.method import recipe_file

    if runs is None:
        return lambda: Detector(recipe, seed=seed, device=device)

    def made() -> Detector:
        with recipe_file(runs) as file:
            return Detector(file, seed=seed, device=device)

    made()  # a recipe that cannot be meant is refused before anything is computed
    return made


def _check(package: Path, root: str | None) -> int:
    """Check a package, and print what is wrong; return the exit code."""
    from adbench_data.submission.checking import check

    found = check(package, _sizes(root))
    for problem in found.problems:
        click.echo(f"wrong: {problem}")
    for note in found.notes:
        click.echo(f"note: {note}")
    verdict = "complete and well-formed" if found.well else "the server would refuse it, or judge it wrongly"
    click.echo(f"{package}: {found.files} files; {verdict}")
    return 0 if found.well else 1


def _sizes(root: str | None) -> dict[Place, tuple[int, int]]:
    """Height and width of the private images; none where the dataset is not here and nobody says where."""
    from adbench import DataError
    from adbench.datasets import read_size
    from adbench_data.submission.files import PRIVATE, images_of

    try:
        dataset = _dataset(root)
        paths = [item for category in PRIVATE for item in images_of(dataset.root, category).items()]
    except DataError:
        if root is not None:
            raise
        return {}
    return {place: read_size(path) for place, path in paths}
