"""The plan of a command line: one method, every combination of parts, or a suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from adbench.api.bank import Source
from adbench.cli.options import parse_part, parse_slots, recipe_from
from adbench.engine.images.exemplars import fault_of_labels
from adbench.engine.plan.data_origin import dataset_from
from adbench.engine.plan.protocol import Protocol
from adbench.errors import UsageError

if TYPE_CHECKING:
    from adbench.engine.plan.plan import Assignment, Plan
    from adbench.engine.plan.recipe import Recipe
    from adbench.engine.plan.suite import Suite, TaskSpec
    from adbench.registration.registry import Registry

_SLOTS = ("augment", "preprocess", "backbone", "tune", "neck", "masker", "bank", "scorer", "aggregate")
_AXES = ("backbone", "bank", "scorer")
_TASK_WORDS = {
    "data": "data",
    "root": "root",
    "ignore": "ignore",
    "category": "categories",
    "shots": "shots",
    "seeds": "seeds",
    "limit_train": "limit_train",
    "limit_test": "limit_test",
    "evaluation": "evaluation",
    "contaminate": "contaminate",
    "model_per": "model_per",
    "defect_shots": "defect_shots",
    "corrupt": "corrupt",
    "drift": "drift",
}
"""Options that replace fields of a suite's tasks, and the name of each field."""


_RULES = ("shots", "limit_train", "limit_test", "contaminate", "model_per", "defect_shots")
"""Options that are rules of the protocol under the same name."""
_GRANTED = (Source.TEST, Source.LABELLED)
"""Sources that somebody has to allow."""


def plan_from(registry: Registry, options: Mapping[str, Any]) -> tuple[Plan, list[str]]:
    """The plan of the options, and sentences about parts that were left out.

    Raises:
        UsageError: the options contradict each other, or a name does not exist.
        DataError: a dataset is missing.
    """
    from adbench.engine.plan.plan import make_plan

    if options["suite"] is not None:
        recipes, assignments, left_out = _from_suite(registry, options)
    else:
        recipes, left_out = _recipes(registry, options)
        assignments = [_assignment(registry, options)]
    plan = make_plan(recipes, assignments, registry)
    if options["shard"] is not None:
        plan = plan.shard(*options["shard"])
    return plan, left_out


def _recipes(registry: Registry, options: Mapping[str, Any]) -> tuple[list[Recipe], list[str]]:
    if not options["combine"]:
        parts = {slot: options[slot] for slot in _SLOTS}
        return [recipe_from(registry, name, parts) for name in dict.fromkeys(options["recipe"] or [None])], []
    if options["recipe"]:
        raise UsageError("--all combines parts; --recipe is one method: give one of them")
    from adbench.engine.plan.suite import Grid, installed_parts

    axes: dict[str, Any] = {}
    left_out: list[str] = []
    for slot in _AXES:
        axes[slot] = [parse_part(registry, slot, word) for word in options[slot]]
        if not axes[slot]:
            axes[slot], cannot = installed_parts(registry, slot)
            left_out += cannot
    others = parse_slots(registry, {slot: options[slot] for slot in _SLOTS if slot not in _AXES})
    axes |= {slot: [parts] for slot, parts in others.items() if parts is not None}
    return list(Grid(**axes).recipes()), left_out


def _assignment(registry: Registry, options: Mapping[str, Any]) -> Assignment:
    from adbench.engine.images.corruption import parse_corruptions
    from adbench.engine.images.drifting import parse_drifts
    from adbench.engine.plan.plan import Assignment

    dataset = dataset_from(registry, options["data"], options["root"], options["ignore"])
    extras = parse_corruptions(options["corrupt"]), parse_drifts(options["drift"])
    return Assignment(dataset, protocol_from(options), tuple(options["category"]), tuple(options["seeds"]), *extras)


def protocol_from(options: Mapping[str, Any]) -> Protocol:
    """The protocol of the options of `task_options`.

    Raises:
        UsageError: `evaluation` is neither "original" nor a side in pixels, or rules do not fit together.
    """
    evaluation, granted = options["evaluation"], options["allow"]
    if evaluation != "original" and not (evaluation.isdecimal() and 1 <= int(evaluation) <= 1 << 14):
        raise UsageError(f"--evaluation {evaluation!r}: give 'original' or the side of a square in pixels, such as 256")
    grid: Any = evaluation if evaluation == "original" else int(evaluation)
    allow = (Source.NOTHING, Source.TRAIN, *(source for source in _GRANTED if source.value in granted))
    fault = fault_of_labels(allow, options["defect_shots"], options["contaminate"], options["model_per"])
    if (Source.LABELLED in allow) != (options["defect_shots"] is not None):
        fault = "--allow labelled and --defect-shots N go together; give both, or none of them"
    if fault:
        raise UsageError(fault)
    return Protocol(
        **{name: options[name] for name in _RULES}, evaluation=grid, allow=allow, class_names="class-names" in granted
    )


def _from_suite(registry: Registry, options: Mapping[str, Any]) -> tuple[list[Recipe], list[Assignment], list[str]]:
    """Recipes and assignments of a suite, with its tasks changed by the other options."""
    from adbench.engine.plan.suite import assignments_of, read_suite, recipes_of

    given = [name for name in ("recipe", "combine", *_SLOTS) if options[name]]
    if given:
        raise UsageError(f"--suite names the methods; leave out --{given[0].replace('combine', 'all')}")
    suite = read_suite(options["suite"])
    recipes = recipes_of(suite, registry)
    changes = {_TASK_WORDS[word]: options[word] for word in _TASK_WORDS if _was_given(word)}
    assignments: list[Assignment] = []
    for task in (*suite.tasks, *_board_tasks(suite)):
        spec = _changed(task, changes)
        assignments += assignments_of(spec, dataset_from(registry, spec.data, spec.root, spec.ignore))
    return recipes, assignments, []


def _was_given(word: str) -> bool:
    return click.get_current_context().get_parameter_source(word) is ParameterSource.COMMANDLINE


def _changed(task: TaskSpec, changes: Mapping[str, Any]) -> TaskSpec:
    from pydantic import ValidationError

    try:
        return type(task).model_validate({**task.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _board_tasks(suite: Suite) -> list[TaskSpec]:
    """The tasks of the boards that a suite names."""
    from adbench.boards.board import BOARD_FILE, read_board
    from adbench.engine.plan.suite import TaskSpec

    tasks = []
    for name in suite.boards:
        board = read_board(Path("leaderboards") / name / BOARD_FILE)
        names = {"limit_train", "limit_test", "allow", "class_names", "contaminate", "model_per", "defect_shots"}
        rules = board.protocol.model_dump(include=names)
        grid = board.protocol.evaluation
        tasks.append(
            TaskSpec(
                data=board.dataset,
                categories=board.categories or (),
                shots=(board.protocol.shots or "all",),
                seeds=board.protocol.seeds,
                evaluation=grid if grid == "original" else int(grid),
                **rules,
            )
        )
    return tasks
