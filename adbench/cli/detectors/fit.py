"""``adbench fit``: from a folder of normal images to a detector in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.completion import components, recipes
from adbench.cli.detectors.choices import computing, computing_options, require_file_name
from adbench.cli.forms import print_facts
from adbench.cli.options import SectionedCommand, option, recipe_from
from adbench.cli.screen import echo
from adbench.engine.plan.recipe import SLOTS
from adbench.errors import UsageError

if TYPE_CHECKING:
    from adbench.detector.detector import Detector

_MANY = {"preprocess", "neck"}


def _slot_options(function: Any) -> Any:
    for slot in reversed(SLOTS):
        add = option(
            f"--{slot}",
            section="Method",
            metavar="PART",
            multiple=slot in _MANY,
            shell_complete=components(SLOTS[slot]),
            help=f"The {slot} in place of the recipe's own; see 'adbench list'.",
        )
        function = add(function)
    return function


@click.command("fit", cls=SectionedCommand)
@option(
    "--recipe",
    section="Method",
    metavar="NAME|FILE",
    shell_complete=recipes,
    help="A method; see 'adbench list recipe'.",
)
@_slot_options
@option(
    "--seed", section="Method", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="For draws."
)
@option("--class-name", section="Method", metavar="NAME", help="What the images show, for methods that read it.")
@option(
    "--normal",
    section="Images",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of normal images; images in folders below it are not learned from.",
)
@option(
    "--abnormal",
    section="Images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A folder of defective images, to measure the detector with; it never learns from them.",
)
@option(
    "--masks",
    section="Images",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of their masks, called like the images: 000.png or 000_mask.png for 000.png.",
)
@option(
    "--white",
    section="Images",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="The number that is white in images of more than 8 bits, such as 4095.",
)
@option(
    "--ignore",
    section="Images",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An image, or a file of labelme, that marks pixels of all images that nobody looks at.",
)
@option(
    "--threshold",
    section="Detector",
    default="conformal",
    show_default=True,
    metavar="RULE",
    help="How the threshold follows from normal images that the bank has not seen: conformal:alpha=0.05,"
    " quantile:alpha=0.05 or sigma:k=3.",
)
@option(
    "--out",
    section="Detector",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.adbench",
    help="The file of the detector.",
)
@option("--bundle", section="Detector", is_flag=True, help="Put files that options name, such as weights, into it.")
@computing_options
def command(**options: Any) -> int:
    """Learn from a folder of normal images, and keep the detector in a file.

    Good images alone give a detector with a threshold. Defective images, if there are any, measure it.

    \b
    adbench fit --recipe patchcore-lite --normal good/ --out bolt.adbench
    adbench fit --recipe patchcore-lite --normal good/ --abnormal bad/ --masks masks/ --out bolt.adbench
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is
    if options["masks"] is not None and options["abnormal"] is None:
        raise UsageError("--masks says where defects are in the images of --abnormal; give that, too")
    from adbench.detector.store.keeping import save_or_keep

    detector = _fitted(options)
    if options["abnormal"] is not None:
        from adbench.detector.measuring import measure_with

        measure_with(detector, options["abnormal"], options["masks"])
    path = save_or_keep(detector, options["out"], bundle=options["bundle"])
    print_facts(detector.facts())
    echo(f"written: {path}, {path.stat().st_size / 1e6:.1f} MB")
    return 0


def _fitted(options: dict[str, Any]) -> Detector:
    from adbench.cli.commands.run import require_writable
    from adbench.cli.plugins import installed
    from adbench.detector.detector import Detector

    recipe = recipe_from(installed(), options["recipe"], {slot: options[slot] for slot in SLOTS})
    require_file_name(options["out"], "detector.adbench")
    require_writable(options["out"].absolute().parent)
    detector = Detector(
        recipe,
        seed=options["seed"],
        class_name=options["class_name"],
        note=lambda sentence: echo(sentence, err=True),
        **computing(options),
    )
    given = {name: options[name] for name in ("threshold", "white", "ignore")}
    return detector.fit(options["normal"], **given)
