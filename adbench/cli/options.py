"""Options that several commands share, and their values: a recipe, a dataset, a protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from adbench.cli.completion import categories, components, datasets, recipes
from adbench.engine.images.contamination import MOST
from adbench.engine.images.corruption import NAMES as CORRUPTIONS
from adbench.engine.plan.recipe import SLOTS, Part, Recipe, name_of, named_recipe
from adbench.errors import UsageError
from adbench.registration.registry import Registry

if TYPE_CHECKING:
    from adbench.engine.plan.threshold_rule import Rule

Function = TypeVar("Function", bound=Callable[..., Any])


class SectionedOption(click.Option):
    """An option below a heading of the help."""

    def __init__(self, *names: Any, section: str, **rest: Any) -> None:
        super().__init__(*names, **rest)
        self.section = section


class SectionedCommand(click.Command):
    """A command with headings in its help."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, heading by heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            entry = parameter.get_help_record(ctx)
            if entry is not None:
                sections.setdefault(getattr(parameter, "section", "Other"), []).append(entry)
        for title, entries in sections.items():
            with formatter.section(title):
                formatter.write_dl(entries)


class FiniteRange(click.FloatRange):
    """A range of finite numbers: it refuses "nan" and "inf"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number of an option.

        Raises:
            BadParameter: the value is not a finite number, or is out of range.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


option = partial(click.option, cls=SectionedOption)
_COMPUTING: dict[str, dict[str, Any]] = {
    "--device": {
        "type": click.Choice(["auto", "cpu", "cuda"]),
        "default": "auto",
        "help": "The device; auto takes a GPU if there is one.",
    },
    "--runtime": {
        "type": click.Choice(["auto", "torch", "onnxruntime", "openvino"]),
        "default": "auto",
        "help": "The runtime of the backbone; auto takes OpenVINO, else ONNX Runtime, if installed and equal to torch"
        " (to 1e-4), else torch.",
    },
    "--batch-size": {
        "type": click.IntRange(1),
        "default": 8,
        "metavar": "N",
        "help": "Number of images in a batch.",
    },
    "--workers": {
        "type": click.IntRange(1),
        "default": 2,
        "metavar": "N",
        "help": "Number of threads that read images.",
    },
}
_task = partial(option, section="Task")


def _part(name: str, **rest: Any) -> Callable[[Any], Any]:
    """The option of a slot."""
    completion = components(SLOTS[name.removeprefix("--")])
    return option(name, section="Method", metavar="PART", shell_complete=completion, **rest)


def _parse_place(_: click.Context, __: click.Parameter, value: str) -> Path:
    from adbench.engine.process.location import place

    return place(value)


def places(_: click.Context, __: click.Parameter, value: Sequence[str]) -> tuple[Path, ...]:
    """Folders of runs, each a path or an address."""
    from adbench.engine.process.location import place

    return tuple(map(place, value))


def _parse_shard(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """The two numbers of a shard such as ``2/5``.

    Raises:
        UsageError: the value has another form.
    """
    if value is None:
        return None
    number, slash, of = value.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and int(of)):
        raise UsageError(f"--shard {value!r}: write I/N, such as 1/3 for the first of three machines")
    return int(number), int(of)


def parse_rule(_: click.Context, __: click.Parameter, value: str | None) -> Rule | None:
    """The rule of the threshold; None for ``none`` and for a missing option.

    Raises:
        UsageError: no such rule.
    """
    from adbench.engine.plan.threshold_rule import Rule

    return None if value in (None, "none") else Rule.parse(value)


def _parse_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """The bytes of a size such as ``20GB``.

    Raises:
        UsageError: the value is not a size.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return None if value is None else int(TypeAdapter(ByteSize).validate_python(value))
    except ValidationError:
        raise UsageError(f"--cache-size {value!r}: give a size such as 500MB or 20GB") from None


def _parse_cache(_: click.Context, __: click.Parameter, value: str | None) -> Path | None:
    from adbench.engine.process.location import cache_folder

    return None if value == "none" else cache_folder(value)


_METHOD_OPTIONS = (
    option(
        "--suite",
        section="Method",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file with many methods and tasks; task options of the command replace the file's.",
    ),
    option(
        "--all",
        "combine",
        is_flag=True,
        section="Method",
        help="Run every combination of the given backbones, banks and scorers; a missing kind means all installed.",
    ),
    option(
        "--recipe",
        section="Method",
        multiple=True,
        metavar="NAME|FILE",
        shell_complete=recipes,
        help="A published method (see 'adbench list recipe') or a recipe file; a given PART replaces the recipe's."
        " Repeat it to run several.",
    ),
    _part("--backbone", multiple=True, help="Computes features of patches from images."),
    _part("--scorer", multiple=True, help="Computes the distance of a patch from normal."),
    _part(
        "--bank", multiple=True, help="Learns what is normal from normal images.", show_default="the scorer's choice"
    ),
    _part("--augment", help="Makes several views of each normal image.", show_default="none"),
    _part(
        "--preprocess", multiple=True, help="Prepares images, such as a resize.", show_default="the backbone's choice"
    ),
    _part("--tune", help="Adapts the backbone's network to normal images.", show_default="none"),
    _part(
        "--neck",
        multiple=True,
        help="Changes features before bank and scorer.",
        show_default="the backbone's choice",
    ),
    _part("--masker", help="Finds the object, to leave out the background.", show_default="none"),
    _part("--aggregate", help="Computes the image score from patch scores.", show_default="the scorer's choice"),
)
_TASK_OPTIONS = (
    _task(
        "--data",
        default="mvtec-ad",
        show_default=True,
        metavar="NAME|PATH",
        shell_complete=datasets,
        help="A dataset or a folder.",
    ),
    _task("--root", metavar="PATH", help="The folder of the dataset NAME, if not the usual one."),
    _task("--ignore", metavar="FILE", help="An image or labelme's file that marks pixels of all images to ignore."),
    _task(
        "--category",
        multiple=True,
        metavar="NAME",
        shell_complete=categories,
        help="Only this category; repeat for several.",
    ),
    _task(
        "--shots",
        type=click.IntRange(1),
        metavar="N",
        help="Learn from N normal images; the seed chooses them.",
        show_default="all",
    ),
    _task("--limit-train", type=click.IntRange(1), metavar="N", help="Learn from the first N normal images by name."),
    _task("--limit-test", type=click.IntRange(1), metavar="N", help="Test on the first N images of each test folder."),
    _task(
        "--seed",
        "seeds",
        type=click.IntRange(0),
        multiple=True,
        default=(0,),
        show_default=True,
        metavar="N",
        help="Sets all random numbers; repeat for several.",
    ),
    _task(
        "--evaluation",
        default="original",
        show_default=True,
        metavar="original|N",
        help="Compute pixel metrics at the images' original resolution, or on a square of N x N.",
    ),
    _task(
        "--allow",
        type=click.Choice(["test", "class-names", "labelled"]),
        multiple=True,
        help="Allow more input than normal images: the unlabelled test set, the objects' names, or labelled defects;"
        " records show it.",
    ),
    _task(
        "--defect-shots",
        type=click.IntRange(1),
        metavar="N",
        help="Learn from N labelled images of each type of defect too, which are not judged.",
        show_default="none",
    ),
    _task(
        "--model-per",
        type=click.Choice(["category", "dataset"]),
        default="category",
        show_default=True,
        help="Learn a model for each category, or one from the training images of all categories.",
    ),
    _task(
        "--contaminate",
        type=FiniteRange(0, MOST, min_open=True),
        metavar="SHARE",
        help="Add defective test images to the training images, without a label, until they are this share of them; the"
        " others are judged.",
        show_default="none",
    ),
    _task(
        "--corrupt",
        multiple=True,
        metavar="all|NAME[:N]",
        help="Score corrupted test images too: all corruptions, or one, in all strengths or in strength N, 1 to 5:"
        f" {', '.join(CORRUPTIONS)}; or imagenet-c, or one of its names, such as c-fog (extra imagenet-c).",
    ),
    _task(
        "--drift",
        multiple=True,
        metavar="all|NAME[:N]",
        help="Score the test images as a stream in which such a corruption grows from nothing to strength N, by default"
        " 5: with the method as it is, and with a bank that learns from images without an alarm.",
    ),
    _task("--skip-bad", is_flag=True, help="Leave out unreadable files; the record lists them."),
    _task(
        "--shard",
        metavar="I/N",
        callback=_parse_shard,
        help="Run only the I-th of N equal parts, on machines without a shared disk; 'board build' merges their runs.",
    ),
)


out_option = option(
    "--out",
    section="Run",
    default="runs",
    show_default=True,
    callback=_parse_place,
    metavar="PATH|ADDRESS",
    help="The folder of runs, or an address such as s3://bucket/runs if its fsspec package is installed.",
)
cache_option = option(
    "--cache",
    section="Cache",
    envvar="ADBENCH_CACHE",
    callback=_parse_cache,
    metavar="PATH|none",
    help="The folder for features and exported networks.",
    show_default="the user's cache folder",
)
_size_option = option(
    "--cache-size",
    "cache_limit",
    section="Cache",
    callback=_parse_size,
    metavar="SIZE",
    help="Limit for features, such as 20GB; the least recently used are deleted first.",
    show_default="a tenth of the free disk",
)


def cache_options(function: Function) -> Function:
    """Add the options of the cache."""
    return _add(function, (cache_option, _size_option))


def computing_option(name: str, section: str) -> Callable[[Function], Function]:
    """The option ``--device``, ``--runtime``, ``--batch-size`` or ``--workers``, below a heading of the help."""
    return option(name, section=section, show_default=True, **_COMPUTING[name])


def method_options(function: Function) -> Function:
    """Add the options that choose a method."""
    return _add(function, _METHOD_OPTIONS)


def task_options(function: Function) -> Function:
    """Add the options that choose data and protocol."""
    return _add(function, _TASK_OPTIONS)


def _add(function: Function, options: Sequence[Callable[[Any], Any]]) -> Function:
    for decorate in reversed(options):
        function = decorate(function)
    return function


def recipe_from(registry: Registry, recipe: str | None, slots: dict[str, Any]) -> Recipe:
    """The recipe of the options: a named one with replaced parts, or one from parts.

    Raises:
        UsageError: the options name neither a recipe nor a backbone and a scorer.
        UnknownName: no such recipe or component.
    """
    parts = parse_slots(registry, slots)
    if recipe is not None:
        return named_recipe(recipe, registry).with_parts(parts)
    if "backbone" not in parts or "scorer" not in parts:
        raise UsageError(
            "name a method: --recipe adbench-lite to begin with (two CPU cores will do; 'adbench list recipe' has"
            " more), or --backbone and --scorer, such as --backbone dinov3 --scorer knn"
        )
    return Recipe(name=name_of(parts), **parts)


def parse_slots(registry: Registry, slots: Mapping[str, Any]) -> dict[str, Any]:
    """The parsed parts of the slots on the command line.

    Raises:
        UnknownName: no such component.
        UsageError: a slot of one part has several.
    """
    parts: dict[str, Any] = {}
    for slot, value in slots.items():
        words = value if isinstance(value, tuple) else () if value is None else (value,)
        chosen = () if words == ("none",) else tuple(parse_part(registry, slot, word) for word in words)
        if slot in ("preprocess", "neck"):
            parts |= {slot: chosen} if words else {}
        elif len(chosen) > 1:
            raise UsageError(f"several --{slot}: {', '.join(words)}; name one, or add --all to run every combination")
        elif words:
            parts[slot] = chosen[0] if chosen else None
    return parts


def parse_part(registry: Registry, slot: str, text: str) -> Part:
    """A part of a slot, whose component exists.

    Raises:
        UnknownName: no such component.
    """
    part = Part.parse(text)
    return part.settled(registry.get(SLOTS[slot], part.name).cls)
