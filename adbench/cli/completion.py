"""What the shell completes: names of recipes, components, datasets and their categories. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from adbench.errors import AdbenchError

VARIABLE = "_ADBENCH_COMPLETE"
"""The environment variable by which a shell asks for completions."""

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_FILES = CompletionItem("", type="file")
"""Tells the shell to complete a path."""


def recipes(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Recipes by name; a path when no name begins like that."""
    from adbench.registration.registry import installed

    return _matching(begun, installed().recipe_files) or [_FILES]


def components(kind: str) -> Completion:
    """A completion of the components of one kind, and of the options of a component after its colon."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        from adbench.registration.registry import installed

        name, colon, _rest = begun.partition(":")
        entries = {entry.name: entry for entry in installed().entries(kind)}
        if not colon:
            return _matching(begun, entries)
        options = entries[name].cls.Config.model_fields if name in entries else ()
        before = begun[: max(begun.rfind(":"), begun.rfind(",")) + 1]
        return _matching(begun, (f"{before}{option}=" for option in options))

    return complete


def datasets(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Datasets by name; a path when no name begins like that."""
    from adbench.registration.registry import installed

    return _matching(begun, (entry.name for entry in installed().entries("dataset"))) or [_FILES]


def everything(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Components, recipes and datasets by name; a path when no name begins like that."""
    from adbench.registration.registry import installed

    registry = installed()
    return _matching(begun, {*registry.recipe_files, *(entry.name for entry in registry.entries())}) or [_FILES]


def categories(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The categories of the dataset that the command already names; none where it cannot be read."""
    return _matching(begun, _categories_of(ctx))


def _categories_of(ctx: click.Context) -> Iterable[str]:
    from adbench.engine.plan.data_origin import dataset_from
    from adbench.registration.registry import installed

    with suppress(AdbenchError, OSError):
        data = ctx.params.get("data") or next(iter(ctx.args), "mvtec-ad")  # click leaves arguments of a half line there
        return dataset_from(installed(), data, ctx.params.get("root")).categories()
    return ()


def _matching(begun: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]
