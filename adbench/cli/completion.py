"""What the shell completes: names of recipes, components, datasets and their categories. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from adbench.cli.plugins import listing
from adbench.errors import AdbenchError

VARIABLE = "_ADBENCH_COMPLETE"
"""The environment variable by which a shell asks for completions."""

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def recipes(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Recipes by name; a path when no name begins like that."""
    return _matching(begun, listing().of("recipe")) or _path(begun)


def components(kind: str) -> Completion:
    """A completion of the components of one kind, and of the options of a component after its colon."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        name, colon, _rest = begun.partition(":")
        rows = listing().of(kind)
        if not colon:
            return _matching(begun, rows)
        options = rows[name]["options"] if name in rows else ()
        before = begun[: max(begun.rfind(":"), begun.rfind(",")) + 1]
        return _matching(begun, (f"{before}{option}=" for option in options))

    return complete


def datasets(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Datasets by name; a path when no name begins like that."""
    return _matching(begun, listing().of("dataset")) or _path(begun)


def everything(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Components, recipes and datasets by name; a path when no name begins like that."""
    return _matching(begun, {row["name"] for row in listing().rows}) or _path(begun)


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


def kinds(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Kinds of components, and recipes."""
    return _matching(begun, {row["kind"] for row in listing().rows})


def _path(begun: str) -> list[CompletionItem]:
    """Tells the shell to complete a path; fish needs its beginning, bash and zsh know it."""
    return [CompletionItem(begun, type="file")]


def _matching(begun: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(begun)]
