"""A record's recipe as a file, and the command that reproduces its row, quoted for a shell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from adbench import Source
from adbench.boards.board import BoardProtocol
from adbench.boards.text import plain, words
from adbench.engine.store.record import ResultRecord

SLOTS = ("augment", "preprocess", "backbone", "tune", "neck", "masker", "bank", "scorer", "aggregate")
_MANY = ("preprocess", "neck")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def recipe_lines(record: ResultRecord) -> list[str]:
    """The recipe as YAML, one slot a line, every option written out; ASCII only. Empty if the spec is no recipe's."""
    spec = record.recipe.spec
    name = record.recipe.name if _NAME.fullmatch(record.recipe.name) else words(record.recipe.name) or "unnamed"
    try:
        slots = [f"{slot}: {json.dumps(value, sort_keys=True)}" for slot in SLOTS for value in _slot(spec, slot)]
    except (KeyError, TypeError, AttributeError):
        return []
    rest = [f"{key}: {json.dumps(spec[key], sort_keys=True)}" for key in ("map", "features", "tuned_on") if key in spec]
    return [f"recipe: {name}", *slots, *rest]


def _slot(spec: Mapping[str, Any], slot: str) -> Iterator[Any]:
    """The parts of a slot as a recipe writes them; None for an empty slot that takes one part."""
    parts = [
        {part["name"]: _options(part["options"])} if part.get("options") else part["name"]
        for part in spec.get(slot) or ()
    ]
    if slot in _MANY:
        yield parts
    elif parts:
        yield parts[0]


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A record knows a file by its content: its name is all that a recipe can say."""
    return {key: value["file"] if is_file(value) else value for key, value in options.items()}


def is_file(value: Any) -> bool:
    """Whether an option of a spec stands for a file."""
    return isinstance(value, dict) and value.keys() == {"file", "sha256"}


def command_line(recipe: str, dataset: str, protocol: BoardProtocol, seeds: Sequence[int]) -> str:
    """The command that runs a recipe's file under a board's protocol.

    Args:
        recipe: the file.
        dataset: as records name it.
        protocol: the board's rules.
        seeds: those of the row.
    """
    words = ["adbench", "run", "--recipe", recipe, "--data", plain(dataset)]
    rules: dict[str, object] = {
        "--shots": protocol.shots,
        "--limit-train": protocol.limit_train,
        "--limit-test": protocol.limit_test,
    }
    rules["--contaminate"] = protocol.contaminate
    rules["--defect-shots"] = protocol.defect_shots
    rules["--model-per"] = None if protocol.model_per == "category" else protocol.model_per
    words += [word for option, value in rules.items() if value is not None for word in (option, str(value))]
    words += ["--evaluation", protocol.evaluation] if protocol.evaluation != "original" else []
    words += [
        word
        for source in (Source.TEST, Source.LABELLED)
        if source in protocol.allow
        for word in ("--allow", source.value)
    ]
    words += ["--allow", "class-names"] if protocol.class_names else []
    words += [word for seed in seeds for word in ("--seed", str(seed))]
    return " ".join(map(quote, words))


def file_name(record: ResultRecord) -> str:
    """The name of the recipe's file in a command."""
    return f"{words(record.recipe.name) or 'recipe'}.yaml"
