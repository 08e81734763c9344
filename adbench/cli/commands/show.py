"""``adbench show``: one component, recipe, dataset, record or detector."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adbench.cli.completion import everything
from adbench.cli.dataset_lines import about_source, found
from adbench.cli.forms import form_options, print_facts, print_rows
from adbench.cli.screen import echo, echo_json
from adbench.errors import StorageError, UnknownName

if TYPE_CHECKING:
    from adbench.engine.plan.recipe import Part, Recipe
    from adbench.engine.store.class_report import ClassReport
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Entry, Registry

_SUFFIXES = {".adbench", ".json", ".yaml", ".yml"}

Facts = dict[str, Any]
"""What is shown, by name: texts, numbers, or a mapping of names to texts."""


@click.command("show")
@click.argument("what", metavar="NAME|FILE", shell_complete=everything)
@form_options("csv", "json")
def command(what: str, form: str | None) -> None:
    """Show one thing: a component, recipe or dataset by NAME; a detector's FILE, a run's folder, or a recipe's FILE.

    \b
    adbench show patchcore-lite        the recipe: parts in order, options, differences from the paper
    adbench show knn                   the component: what it does, options, package
    adbench show elpv                  the dataset: licence, source, where it is
    adbench show bolt.adbench          the detector: method, images, threshold, weights, versions, figures
    adbench show runs/brick-...        the record of a run: figures, regime, cost
    """  # noqa: D301  \b tells click not to wrap the paragraph
    things = [_of_file(Path(what), as_json=form == "json")] if _is_path(what) else _of_name(what)
    if form == "json":
        echo_json(things if len(things) > 1 else things[0], indent=1)
        return
    if form == "csv":
        print_rows(("name", "value"), [row for facts in things for row in _flat(facts)])
        return
    for number, facts in enumerate(things):
        echo(*([""] if number else []))
        print_facts(facts)


def _is_path(what: str) -> bool:
    """Whether a word means a file; a folder that is called like a component needs ./ before its name."""
    from adbench.cli.plugins import installed

    path, registry = Path(what), installed()
    known = what in registry.recipe_files or any(entry.name == what for entry in registry.entries())
    return not known and (len(path.parts) > 1 or path.suffix in _SUFFIXES or path.exists())


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values without nesting: the name of an inner one stands behind a colon."""
    for name, value in facts.items():
        yield from _flat(value, f"{before}{name}: ") if isinstance(value, Mapping) else [(f"{before}{name}", value)]


def _of_file(path: Path, *, as_json: bool) -> Facts:
    """A recipe (.yaml), a record (.json, a run's folder) or a detector (any other file)."""
    from adbench.detector.store.file import read_description, read_facts
    from adbench.engine.plan.recipe import read_recipe
    from adbench.engine.store.record import read_record

    if path.suffix in (".yaml", ".yml"):
        return _of_recipe(read_recipe(path))
    if path.suffix == ".json" or path.is_dir():
        _require_run(path)
        record = read_record(path)
        return record.to_json() if as_json else {**_of_record(record), **_classes_of(path)}
    return read_description(path).model_dump(mode="json", by_alias=True) if as_json else dict(read_facts(path))


def _require_run(path: Path) -> None:
    """Raise `StorageError` for a folder that is no run; the message names what in it can be shown, if anything can."""
    from adbench.engine.store.record import find_runs

    runs = find_runs(path)
    if not path.is_dir() or path in runs:
        return
    inside = [*runs, *sorted(file for file in path.glob("*.*") if file.suffix in _SUFFIXES and file.is_file())]
    if inside:
        way = f"name one thing in it, such as 'adbench show {inside[0]}'"
    else:
        way = (
            "give the folder of a run, a file (.adbench, .json, .yaml), or a name that 'adbench list' has;"
            f" 'adbench data show {path}' draws a folder of images"
        )
    raise StorageError(f"{path}: no run, for it has no record.json, and no detector; {way}")


def _of_name(name: str) -> list[Facts]:
    """Whatever has this name: a recipe, and components of any kind.

    Raises:
        UnknownName: nothing has it.
    """
    from adbench.cli.plugins import installed
    from adbench.engine.plan.recipe import read_recipe
    from adbench.registration.elsewhere import advice_for

    registry = installed()
    recipes = [registry.recipe(name)] if name in registry.recipe_files else []
    things = [
        {
            **_of_recipe(read_recipe(file.path), registry),
            "package": f"{file.dist} {file.dist_version}",
            "run it": f"adbench run --recipe {name} --data PATH",
        }
        for file in recipes
    ]
    things += [_of_component(entry) for entry in registry.entries() if entry.name == name]
    if not things:
        names = {entry.name for entry in registry.entries()} | set(registry.recipe_files)
        raise UnknownName("component, recipe or dataset", name, names, advice_for(name), see="adbench list")
    return things


def _of_recipe(recipe: Recipe, registry: Registry | None = None) -> Facts:
    """The parts of a recipe in the order of the data flow, with the defaults of backbone and scorer filled in."""
    from adbench.engine.plan.recipe import SLOTS, complete, parts_in

    whole = complete(recipe, registry) if registry else recipe
    parts = {slot: " + ".join(map(_words, parts_in(whole, slot))) for slot in SLOTS if parts_in(whole, slot)}
    rule = {} if whole.map is None else {"map": _options(whole.map.model_dump(exclude_none=True))}
    facts = {
        "recipe": recipe.name,
        "title": recipe.title,
        "paper": recipe.paper,
        "parts": {**parts, **rule},
        "differs from the original": recipe.differs,
        "tuned on": ", ".join(recipe.tuned_on),
    }
    return {name: value for name, value in facts.items() if value}


def _words(part: Part) -> str:
    return f"{part.name}:{_options(part.options)}" if part.options else part.name


def _options(options: Mapping[str, Any]) -> str:
    """Options in the command line's form."""
    from adbench.engine.plan.recipe import value_text

    return ",".join(f"{name}={value_text(value)}" for name, value in options.items())


def _of_component(entry: Entry) -> Facts:
    from adbench.registration.listing import options_of

    options = {name: f"{option['help']} ({_may_be(option)})" for name, option in options_of(entry.cls).items()}
    facts: Facts = {
        entry.kind: entry.name,
        "version": entry.cls.version,
        "package": f"{entry.dist} {entry.dist_version}",
        "about": inspect.getdoc(entry.cls) or "",
        "options": options,
    }
    if entry.kind == "dataset":
        facts |= dict(_about_dataset(entry))
    return {name: value for name, value in facts.items() if value}


def _may_be(option: Mapping[str, Any]) -> str:
    """The default of an option, and its choices where they are named one by one."""
    default = "required" if option["required"] else f"default {option['default']}"
    others = [choice for choice in option.get("choices", ()) if choice != option["default"]]
    return f"{default}; or {', '.join(others)}" if others else default


def _about_dataset(entry: Entry) -> Iterator[tuple[str, str]]:
    for line in about_source(entry.cls):
        name, _, text = line.partition(": ")
        yield name, text
    yield "here", "; ".join(found(entry.cls))


def _of_record(record: ResultRecord) -> Facts:
    task, regime = record.task, record.regime
    given = {name: value for name, value in regime.model_dump().items() if value and name != "train_images"}
    metrics = {name: _figure(metric) for name, metric in record.metrics.items()}
    facts: Facts = {
        "record": record.id,
        "status": f"{record.status}{f': {record.reason}' if record.reason else ''}",
        "recipe": record.recipe.name,
        "data": f"{task.dataset}, {task.category}, seed {task.seed}: {task.train} + {task.test} images",
        "given beside normal images": ", ".join(name.replace("_", " ") for name in given),
        "metrics": metrics,
        "ran on": f"{record.provenance.device}, {record.provenance.started}",
    }
    return {name: value for name, value in facts.items() if value}


def _classes_of(path: Path) -> Facts:
    """What the details of a run's folder say of named classes; empty without details, or without classes."""
    from adbench.engine.evaluate.details import DETAILS_FILE, read_details

    report = read_details(path).classes if (path / DETAILS_FILE).is_file() else None
    if report is None:
        return {}
    figures = {name.replace("_", " "): f"{value:.4f}" for name, value in report.facts().items()}
    recalls = {name: f"{right / images:.4f} of {images} images" for name, right, images in report.recalls()}
    return {"classes": figures, "recall": recalls, "confusions (rows are the truth)": _confusions(report)}


def _confusions(report: ClassReport) -> dict[str, str]:
    """The table of confusions, a line for each class; the first line has the names."""
    names = report.names
    wide, first = max(5, *map(len, names)), max(5, *map(len, names))
    cells: list[tuple[str, Sequence[object]]] = [("named", names), *zip(names, report.confusion, strict=True)]
    return {head: " " * (first - len(head)) + " ".join(f"{cell:>{wide}}" for cell in row) for head, row in cells}


def _figure(metric: Any) -> str:
    return f"{metric.value:.4f}" if metric.value is not None else f"none: {metric.reason}"
