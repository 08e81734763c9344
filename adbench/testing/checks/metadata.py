"""Rules about a component's class and options, for every kind. Nothing here imports torch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from functools import lru_cache

from adbench import Component, Features, UnknownName, UsageError
from adbench.api.component import Config
from adbench.engine.plan.recipe import defaults_of, require_default
from adbench.errors import near_to
from adbench.registration.faults import class_faults, object_fault
from adbench.registration.registry import installed
from adbench.testing.check import Broken, Rule, Subject, Unavailable, require

HEAVY = ("torch", "tensorflow", "jax", "cv2", "sklearn", "onnxruntime", "openvino")
"""Modules that take long to import; whatever else is built on one of them pulls it in."""

OF_EVIDENCE = {"maps", "regions", "specimens", "pixel_threshold", "classes"}
READABLE = {field.name for field in fields(Features)} | {"class_name"}


def check_class_is_whole(subject: Subject[Component]) -> None:
    """The class has what its contract asks for: a Config, attributes, and methods that can be called."""
    faults = class_faults(type(subject.original)) or list(filter(None, [object_fault(subject.original)]))
    require(not faults, f"In {type(subject.original).__name__}: {'; '.join(faults)}.")


def check_name_is_a_slug(subject: Subject[Component]) -> None:
    """The name is lower case words joined by '-', and the version a whole number from 1."""
    name, version = subject.original.name, subject.original.version
    require(bool(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)), f"The name is {name!r}.")
    require(type(version) is int and version >= 1, f"The version is {version!r}.")


def check_class_has_a_docstring(subject: Subject[Component]) -> None:
    """The class says in a docstring of its own what it does; it is what `adbench list` shows."""
    require(bool((vars(type(subject.original)).get("__doc__") or "").strip()), "There is none.")


def check_options_are_described(subject: Subject[Component]) -> None:
    """Every option has a description; it is the command line's help."""
    bare = [name for name, field in subject.original.Config.model_fields.items() if not field.description]
    require(not bare, f"There is none for {', '.join(bare)}; write Field(..., description='...').")


def check_options_are_frozen(subject: Subject[Component]) -> None:
    """Options are frozen and unknown ones are refused: `Config` extends `Component.Config`."""
    config = subject.original.Config
    require(issubclass(config, Config), f"{config.__qualname__} does not extend it.")
    settings = config.model_config
    require(settings.get("frozen") is True and settings.get("extra") == "forbid", "model_config was changed.")


def check_default_constructible(subject: Subject[Component]) -> None:
    """The component is made without options, or an error names an option that it cannot do without."""
    cls = type(subject.original)
    needed = [name for name, field in cls.Config.model_fields.items() if field.is_required()]
    try:
        cls()
    except UsageError as error:
        require(any(repr(name) in str(error) for name in needed), f"It said: {error}")


def check_options_round_trip(subject: Subject[Component]) -> None:
    """Options survive JSON, and the component made again from them has the same ones."""
    config = subject.original.config
    back = type(config).model_validate_json(config.model_dump_json())
    require(back == config, f"{config!r} came back as {back!r}.")
    require(subject.fresh().config == config, "Made from its own options, the component has others.")


def check_unknown_option_is_refused(subject: Subject[Component]) -> None:
    """An unknown option raises UnknownName, which suggests the nearest one."""
    options = subject.original.config.model_dump()
    nearest = next(iter(options), "option")
    try:
        type(subject.original)(**options, **{f"{nearest}x": 1})
    except UnknownName as error:
        hinted = not options or f"did you mean {nearest!r}?" in str(error)
        require(hinted, f"For {nearest + 'x'!r} it said: {error}")
    else:
        raise Broken(f"{nearest + 'x'!r} was taken; do not override __init__ or `extra`.")


def check_needs_exist(subject: Subject[Component]) -> None:
    """What the component needs are fields of Features, or class_name; of Evidence, if it is a metric."""
    readable = OF_EVIDENCE if subject.original.kind == "metric" else READABLE
    unknown = set(subject.original.needs) - readable
    require(not unknown, f"There is no {', '.join(sorted(unknown))}; fields are {', '.join(sorted(readable))}.")


def check_defaults_fill_slots(subject: Subject[Component]) -> None:
    """The defaults that the component names are a mapping whose keys are slots of a recipe."""
    defaults_of(subject.original)


def check_defaults_can_be_made(subject: Subject[Component]) -> None:
    """The defaults that the component names are parts that exist, with options that those have."""
    for slot, value in defaults_of(subject.original).items():
        try:
            require_default(slot, subject.original, value, installed())
        except UsageError as error:
            _require_installed(error)
            raise


def _require_installed(error: UsageError) -> None:
    """Raise `Unavailable` where a part is merely not installed: nothing here has a name like it."""
    cause = error.__cause__
    if isinstance(cause, UnknownName) and cause.what != "option" and near_to(cause.name, cause.known) is None:
        advice = "no installed plugin has it; install the one that does, or correct the name"
        raise Unavailable(f"{str(error).partition(': ')[0]}: {advice}") from None


def check_import_is_light(subject: Subject[Component]) -> None:
    """Importing the plugin pulls in no torch, cv2 or another heavy module; such imports belong inside methods."""
    module = type(subject.original).__module__
    pulled = _pulled_in(module)
    require(not pulled, f"'import {module}' pulls in {', '.join(pulled)}.")


@lru_cache(maxsize=64)
def _pulled_in(module: str) -> tuple[str, ...]:
    """Heavy packages that a fresh interpreter holds after it imported a module."""
    code = f"import sys, importlib; importlib.import_module({module!r}); print(*set(sys.modules) & set({HEAVY!r}))"
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    require(done.returncode == 0, f"'import {module}' fails: {done.stderr.strip().rpartition(chr(10))[2]}")
    return tuple(sorted(done.stdout.split()))


FIRST: tuple[Rule, ...] = (check_class_is_whole,)
"""What has to hold before anything else can be said."""

RULES: tuple[Rule, ...] = (
    *FIRST,
    check_name_is_a_slug,
    check_class_has_a_docstring,
    check_options_are_described,
    check_options_are_frozen,
    check_default_constructible,
    check_options_round_trip,
    check_unknown_option_is_refused,
    check_needs_exist,
    check_defaults_fill_slots,
    check_defaults_can_be_made,
    check_import_is_light,
)
