"""The ``adbench`` command. Subcommands are imported when they are used, so that ``--help`` stays fast."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from io import StringIO, TextIOWrapper
from threading import Thread
from typing import Any

import click

import adbench
from adbench.cli.plugins import told_once
from adbench.cli.screen import echo, visible
from adbench.engine.process.interrupts import stoppable
from adbench.errors import AdbenchError, UnknownName, UsageError

PATIENCE = 3.0
"""Seconds that threads which components left behind, and what runs at exit, may take when all is done."""

_COMMANDS = {
    "board": "Build, show and check leaderboards.",
    "cache": "Show or clear what is kept between runs.",
    "check": "Check that a plugin's components keep their contracts.",
    "data": "List, get and verify datasets.",
    "evaluate": "Compute metrics anew from runs on disk.",
    "list": "List what is installed: components and recipes.",
    "plan": "Show what 'run' would do, what is done already, and what cannot run.",
    "run": "Run a method, or many, on every category of a dataset.",
    "sweep": "Try post-processing on finished runs: some test images choose, others report.",
}
"""Name and short help of the built-in commands; each lives in the module of its name."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Built-in commands and those of plugins."""
        self._load_plugins()
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or an error that suggests the nearest name."""
        if cmd_name in _COMMANDS:
            module = import_module(f"adbench.cli.commands.{cmd_name if cmd_name != 'list' else 'listing'}")
            return module.command  # type: ignore[no-any-return]
        self._load_plugins()
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise UnknownName("command", cmd_name, self.list_commands(ctx))
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """One line for each command, without importing the built-in ones."""
        self._load_plugins()
        extra = {name: command.get_short_help_str() for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**_COMMANDS, **extra}.items()))

    def _load_plugins(self) -> None:
        from adbench.cli.plugins import tell
        from adbench.registry import load_registry

        registry = load_registry(parts=False)
        tell([*registry.problems, *registry.call_each("register_commands", cli=self)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(adbench.__version__, prog_name="adbench")
def group() -> None:
    """A benchmark for industrial visual anomaly detection, made of plugins.

    \b
    adbench run --recipe patchcore-lite --data demo
    adbench run --backbone dinov3 --scorer knn --data PATH
    """  # noqa: D301  \b is click's mark for a paragraph to keep as it is


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code, also where components left threads behind."""
    if isinstance(sys.stdout, TextIOWrapper):  # what an encoding cannot say is shown as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    code = call(arguments)
    Thread(target=_leave, args=(code,), daemon=True).start()
    sys.exit(code)


def _leave(code: int) -> None:
    """End the process, if threads or what runs at its exit have not let it end by itself."""
    time.sleep(PATIENCE)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def call(arguments: list[str] | None = None) -> int:
    """Run the command line; errors meant for the user become one line on standard error.

    Returns:
        0 when all went well, 1 when something failed, 2 when the command cannot be meant, 128 and the signal's number
        after one: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """
    with stoppable():
        return _call(arguments)


def _call(arguments: list[str] | None) -> int:
    given = sys.stdout
    try:
        with told_once():
            result: Any = group.main(args=arguments, prog_name="adbench", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.ClickException, click.Abort, KeyboardInterrupt, SystemExit, AdbenchError, OSError) as error:
        unheard = isinstance(error, SystemExit) and sys.stdout is not given  # click's answer to a reader that has gone
        sys.stdout = given
        return _told(BrokenPipeError() if unheard else error)
    return result if isinstance(result, int) else 0


def _told(error: BaseException) -> int:
    """Say what went wrong in one line; the exit code."""
    if isinstance(error, click.ClickException):
        said = StringIO()
        error.show(said)  # several lines: usage, and maybe a page of help
        echo(*said.getvalue().rstrip("\n").split("\n"), err=True)
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _stopped(error)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: the rest goes nowhere
        return 1
    if isinstance(error, SystemExit):
        echo(f"error: a component ended the command, by SystemExit({error.code!r})", err=True)
        return 1
    echo(f"error: {visible(_sentence(error))}", err=True)
    return 2 if isinstance(error, UsageError) else 1


def _stopped(error: BaseException) -> int:
    """Say which signal ended the command; 128 and its number."""
    number = signal.Signals(getattr(error.__cause__ or error, "number", signal.SIGINT))
    with suppress(OSError):  # the terminal may be gone
        echo("interrupted" if number == signal.SIGINT else f"stopped by {number.name}", err=True)
    return 128 + number


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
