"""Recipes as data: parts, YAML, the command line's short form, default parts, identity."""

from __future__ import annotations

import hashlib
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from adbench.api.component import Component
from adbench.api.untrusted import is_there, read_yaml
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.process.error_text import named
from adbench.engine.process.interrupts import is_stop
from adbench.engine.store.record import PartInfo
from adbench.errors import AdbenchError, PluginError, StorageError, UnknownName, UsageError
from adbench.registration.faults import made
from adbench.registration.registry import Registry
from adbench.safe_text import one_line

SLOTS = {
    "augment": "augmenter",
    "preprocess": "preprocessor",
    "backbone": "backbone",
    "tune": "tuner",
    "neck": "neck",
    "masker": "masker",
    "bank": "bank",
    "scorer": "scorer",
    "aggregate": "aggregator",
}
"""The slots of a recipe, in the order of the data flow, and the kind of component for each."""

LATER = {"augment", "tune"}
"""Slots that are newer than the first records: empty ones are not part of an identity, so ids stay."""

MAX_RECIPE_NODES = 10_000
"""Largest number of parts, options and values of a recipe; the largest known recipe has 60."""
MAX_NAME = 100
NAME = rf"^[A-Za-z0-9][A-Za-z0-9._+-]{{0,{MAX_NAME - 1}}}$"


class Part(BaseModel):
    """A component's name and options. In YAML a name alone, or a mapping with one key: ``{knn: {k: 3}}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and len(value) == 1 and "name" not in value:
            ((name, options),) = value.items()
            return {"name": name, "options": {} if options is None else options}
        return value

    @classmethod
    def parse(cls, text: str) -> Part:
        """The command line's form: ``name`` or ``name:option=value,option=value``; lists are joined by ``+``.

        A value, or an item of a list, that begins with a quote (single or double) goes to the next such quote that
        ``,``, ``+`` or the end follows, and is taken as it stands, commas, plus signs and other quotes included. A
        backslash is a letter like any other.

        Raises:
            UsageError: an option without ``=``, or named twice, or a quote that is not closed.
        """
        name, _, rest = text.partition(":")
        options: dict[str, Any] = {}
        for item in filter(str.strip, split_unquoted(rest, ",")):
            key, equals, value = (word.strip() for word in item.partition("="))
            if not equals:
                raise UsageError(f"{text!r}: {item!r} has no '='; write NAME:OPTION=VALUE,OPTION=VALUE{_QUOTING}")
            if key in options:
                raise UsageError(f"{text!r} gives {key!r} twice; give it once{_QUOTING}")
            options[key] = _unquoted(text, value)
        return cls(name=name.strip(), options=options)

    def settled(self, cls: type[Component]) -> Part:
        """The same, a quoted text being the list that an option wants: it means the same once written as JSON."""
        fitted = {key: _fit(cls, key, value) for key, value in self.options.items() if isinstance(value, Quoted)}
        return Part(name=self.name, options={**self.options, **fitted}) if fitted else self

    def make(self, kind: str, registry: Registry) -> Component:
        """The component itself, made but not prepared.

        Raises:
            UnknownName, UsageError: no such component or option.
            PluginError: the component's class is at fault.
        """
        cls = registry.get(kind, self.name).cls
        try:
            return made(cls, {key: _fit(cls, key, value) for key, value in self.options.items()})
        except AdbenchError:
            raise
        except BaseException as error:
            if is_stop(error):
                raise
            raise PluginError(f"{kind} {self.name!r} cannot be made: it raised {named(error)}") from error


def value_text(value: Any) -> str:
    """The value of an option in the command line's form, without quotes."""
    if isinstance(value, list | tuple):
        return "+".join(map(value_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


class Quoted(str):
    """A text from quotes: a ``+`` in it does not make a list."""

    __slots__ = ()


_QUOTED = r"""(?:"[^"]*(?:"(?!\s*(?:[,+]|$))[^"]*)*"|'[^']*(?:'(?!\s*(?:[,+]|$))[^']*)*')"""
"""The pattern of a quoted item: from a quote to the next one of its kind that ends an item."""

_QUOTING = """; put a value with a comma into quotes, and in a shell the whole PART into others: 'NAME:OPTION="a,b"'"""


def split_unquoted(text: str, mark: str) -> list[str]:
    """The pieces of a text between marks (a comma or a plus sign) outside quotes."""
    begin = r"(?<![^=,+\s])"  # a quote elsewhere is a letter: 'it's here'
    pieces, start = [], 0
    for found in re.finditer(rf"{begin}{_QUOTED}|{re.escape(mark)}", text):
        if found[0] == mark:
            pieces.append(text[start : found.start()])
            start = found.end()
    return [*pieces, text[start:]]


def _unquoted(text: str, value: str) -> Any:
    """A value of the command line without its quotes; a list if it has quoted items."""
    items = [_item(text, item.strip()) for item in split_unquoted(value, "+")]
    return value if not any(isinstance(item, Quoted) for item in items) else items if len(items) > 1 else items[0]


def _item(text: str, item: str) -> str:
    if item[:1] not in ('"', "'"):
        return item
    if len(item) < 2 or not re.fullmatch(_QUOTED, item):
        raise UsageError(f"{text!r}: the quote before {item[1:21]!r} is not closed; close it after the value{_QUOTING}")
    return Quoted(item[1:-1])


def _fit(cls: type[Component], option: str, value: Any) -> Any:
    """A value of an option; a text from the command line such as ``2+3`` becomes a list if the option takes one."""
    field = cls.Config.model_fields.get(option)
    if field is None or not isinstance(value, str) or not _takes_list(field.annotation):
        return value
    if isinstance(value, Quoted):
        return value if _takes_text(field.annotation) else [value]
    return value if value == "" or (_takes_text(field.annotation) and "+" not in value) else value.split("+")


def _takes_list(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_takes_list(choice) for choice in get_args(annotation))
    return (get_origin(annotation) or annotation) in (list, tuple)


def _takes_text(annotation: Any) -> bool:
    """Whether an option takes a single value too; then only a ``+`` makes a list."""
    choices = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else ()
    return any(not _takes_list(choice) and choice is not type(None) for choice in choices)


class Recipe(BaseModel):
    """A method: the part of each slot, and the rule that makes an anomaly map of patch scores.

    A file may leave out slots: `complete` fills them with the defaults of backbone and scorer. With `features` of
    "float16", features are rounded to 16 bits right after the backbone, cached or not. `tuned_on` names datasets whose
    test labels chose options of the recipe: on them its rows are listed separately. `differs` describes differences
    from the paper or its authors' code: a slot, one of its options (``bank.fraction``) or ``evaluation``, with an
    explanation. It has no effect on scores and is not part of the identity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(alias="recipe", pattern=NAME)
    title: str = ""
    paper: str = ""
    augment: Part | None = None
    preprocess: tuple[Part, ...] | None = None
    backbone: Part
    tune: Part | None = None
    neck: tuple[Part, ...] | None = None
    masker: Part | None = None
    bank: Part | None = None
    scorer: Part
    aggregate: Part | None = None
    map: MapSpec | None = None
    features: Literal["float32", "float16"] = "float32"
    tuned_on: tuple[str, ...] = ()
    differs: dict[str, str] = Field(default_factory=dict)

    @field_validator("differs")
    @classmethod
    def _known_places(cls, differs: dict[str, str]) -> dict[str, str]:
        for place in differs:
            if place.partition(".")[0] not in {*SLOTS, "map", "evaluation"}:
                raise ValueError(f"{place!r} is not a slot, an option of a slot (bank.fraction) or 'evaluation'")
        return differs

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            single = {
                slot: [value[slot]] for slot in ("preprocess", "neck") if isinstance(value.get(slot), str | Mapping)
            }
            return {**value, **single}
        return value

    def with_parts(self, parts: Mapping[str, Any]) -> Recipe:
        """A copy with other parts, or none, in the given slots."""
        emptied = [f"no-{slot}" for slot in SLOTS if slot in parts and not parts[slot]]
        words = "+".join(filter(None, [self.name, name_of(parts), *emptied]))
        return self.model_copy(update={**parts, "name": _fitting(words)})

    def named(self, name: str) -> Recipe:
        """A copy with another name.

        Raises:
            UsageError: the name is not allowed.
        """
        if not re.fullmatch(NAME, name):
            raise UsageError(f"{name!r} is not a recipe's name: use letters, digits and . _ + -, at most {MAX_NAME}")
        return self.model_copy(update={"name": name})


def name_of(parts: Mapping[str, Any]) -> str:
    """A name for a recipe from parts: the parts with their given options, joined by ``+``."""
    chosen = [parts[slot] for slot in SLOTS if parts.get(slot)]
    return _fitting("+".join(_words(item) for item in chosen))


def _fitting(name: str) -> str:
    """A name of at most `MAX_NAME` characters: a longer one becomes its beginning and a hash."""
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME - 9]}-{digest}"


def _words(part: Part | tuple[Part, ...]) -> str:
    """Parts in characters that a file's name allows: ``coreset-fraction-0.01``."""
    if isinstance(part, tuple):
        return "-".join(map(_words, part))
    options = [f"{key}-{_word(value)}" for key, value in part.options.items()]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join([part.name, *options])).strip("-")


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "-".join(map(_word, value))
    return Path(value).stem if isinstance(value, str) and "/" in value else str(value)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a YAML file.

    Raises:
        UsageError: the file is unreadable, is not YAML, or is not a recipe.
    """
    try:
        return Recipe.model_validate(read_yaml(path, "a recipe", nodes=MAX_RECIPE_NODES))
    except ValidationError as error:
        first = error.errors()[0]
        spot = one_line(".".join(str(part) for part in first["loc"]), 100)
        raise UsageError(f"recipe {path}: {spot}: {first['msg']}") from None
    except StorageError as error:
        inside = next((f", such as {file}" for file in sorted(path.glob("*.y*ml"))), "; see 'adbench list recipe'")
        raise UsageError(f"recipe {error}{inside if path.is_dir() else ''}") from None


def named_recipe(name: str | Path, registry: Registry) -> Recipe:
    """The recipe in a YAML file, or the installed one of a name.

    Raises:
        UnknownName, UsageError: there is no such recipe, or its file is invalid.
    """
    path = Path(name)
    written = path.suffix in (".yaml", ".yml") or (str(name) not in registry.recipe_files and is_there(path))
    return read_recipe(path if written else registry.recipe(str(name)).path)


FILLABLE: dict[str, Any] = {"preprocess": [], "neck": [], "bank": None, "aggregate": "max", "map": {}}
"""Slots for which backbone and scorer may name a default, and the framework's own defaults."""


def complete(recipe: Recipe, registry: Registry) -> Recipe:
    """Fill the empty slots of a recipe with the defaults of backbone and scorer, or else of the framework.

    Raises:
        UnknownName, UsageError: a part or option does not exist.
        PluginError: a component names invalid defaults.
    """
    offered: dict[str, tuple[Component, Any]] = {}
    for slot in ("scorer", "backbone"):
        component = getattr(recipe, slot).make(slot, registry)
        offered.update({slot: (component, value) for slot, value in defaults_of(component).items()})
    empty = [slot for slot in FILLABLE if getattr(recipe, slot) is None]
    for slot in empty:
        if slot in offered:
            require_default(slot, *offered[slot], registry)
    filled = {slot: offered[slot][1] if slot in offered else FILLABLE[slot] for slot in empty}
    whole = Recipe.model_validate({**recipe.model_dump(by_alias=True), **filled})
    if whole.bank is None:
        raise UsageError(f"scorer {recipe.scorer.name!r} names no default bank; choose one with --bank")
    return whole


def defaults_of(component: Component) -> dict[str, Any]:
    """The defaults that a component names for empty slots of a recipe.

    Raises:
        PluginError: they are not a mapping, or name a slot that does not exist.
    """
    try:
        chosen = component.defaults(component.config)
    except AdbenchError:
        raise
    except BaseException as error:
        if is_stop(error):
            raise
        raise PluginError(f"{component.title}: its defaults() raised {named(error)}") from error
    if not isinstance(chosen, Mapping):
        fault = f"its defaults() returned {type(chosen).__name__}, not a mapping from slot to part"
        raise PluginError(f"{component.title}: {fault}, such as {{'bank': 'full'}}")
    for slot in chosen:
        if slot not in FILLABLE:
            raise PluginError(str(UnknownName("slot", str(slot), FILLABLE, f"in the defaults of {component.title}")))
    return dict(chosen)


def require_default(slot: str, component: Component, value: Any, registry: Registry) -> None:
    """Refuse a component's default for a slot that cannot be made; the error names the component.

    Raises:
        UnknownName, UsageError: no such part or option.
        PluginError: the default is not a part, or its class is faulty.
    """
    where = f"{component.title} names {value!r} as its default for {slot!r}"
    try:
        holder = Recipe.model_validate({"recipe": "default", "backbone": "none", "scorer": "none", slot: value})
        for part in parts_in(holder, slot) if slot in SLOTS else ():
            part.make(SLOTS[slot], registry)
    except ValidationError as error:
        raise PluginError(f"{where}: {error.errors()[0]['msg']}") from None
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def components_of(recipe: Recipe, registry: Registry) -> dict[str, list[Component]]:
    """The components of a complete recipe by slot, not yet prepared.

    Raises:
        UnknownName, UsageError: a part or option does not exist.
    """
    return {slot: [part.make(kind, registry) for part in parts_in(recipe, slot)] for slot, kind in SLOTS.items()}


def parts_in(recipe: Recipe, slot: str) -> tuple[Part, ...]:
    """The parts of one slot; an empty tuple for an empty slot."""
    value = getattr(recipe, slot)
    return value if isinstance(value, tuple) else () if value is None else (value,)


def spec_of(recipe: Recipe, components: Mapping[str, list[Component]]) -> dict[str, Any]:
    """The spec of a recipe, as JSON: everything that decides scores. Every part has its version and all options."""
    spec: dict[str, Any] = {
        slot: [{"name": part.name, "version": part.version, "options": part.identity()} for part in components[slot]]
        for slot in SLOTS
        if components[slot] or slot not in LATER
    }
    spec["map"] = (recipe.map or MapSpec()).identity()
    if recipe.features != "float32":
        spec["features"] = recipe.features
    if recipe.tuned_on:
        spec["tuned_on"] = sorted(set(recipe.tuned_on))
    return spec


def part_infos(components: Mapping[str, list[Component]], registry: Registry) -> list[PartInfo]:
    """The distribution of each part."""
    entries = [registry.get(part.kind, part.name) for parts in components.values() for part in parts]
    return [
        PartInfo(kind=e.kind, name=e.name, version=e.cls.version, dist=e.dist, dist_version=e.dist_version)
        for e in entries
    ]
