"""The ``adbench`` command. It imports a subcommand when it is used, so ``--help`` stays fast."""

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
from click.shell_completion import shell_complete

import adbench
from adbench.cli.completion import VARIABLE
from adbench.cli.plugins import reported_once
from adbench.cli.screen import echo, visible
from adbench.engine.process.interrupts import stoppable
from adbench.errors import AdbenchError, UnknownName, UsageError, near_to

PATIENCE = 3.0
"""Seconds for the threads that components left, and for exit handlers, after the command has ended."""

_COMMANDS = {
    "bank": "Show, add and remove the images that a detector learned from.",
    "board": "Build, show and check leaderboards.",
    "cache": "Show or clear the cache of features, networks and masks.",
    "check": "Check a plugin's components against their contracts.",
    "completion": "Print the script that makes a shell complete names and options.",
    "data": "List, get, verify and show datasets; import and export annotations.",
    "doctor": "Show versions, plugins, devices, caches and datasets, for a bug report.",
    "evaluate": "Compute the metrics of finished runs again.",
    "export": "Write a detector as an ONNX, OpenVINO or PyTorch file, and prove that it gives the same scores.",
    "fit": "Learn from a folder of normal images, and write the detector to a file.",
    "fuse": "Join the image scores of finished runs of the same samples, such as colour and depth.",
    "list": "List the installed components and recipes.",
    "plan": "Show the units that 'run' would run, finished units, and units that cannot run.",
    "predict": "Score images with a detector: tables, heatmaps, masks, contours.",
    "run": "Run one or more methods on every category of a dataset.",
    "show": "Show one component, recipe, dataset, record or detector.",
    "sweep": "Try post-processing on finished runs: some test images choose, the others report.",
    "watch": "Score image files as they arrive in a folder; survives restarts.",
}
"""Name and short help of the built-in commands; each lives in the module of its name."""

_SENTENCE = 200
"""The most characters of a plugin's line in the help: a whole sentence; click cuts at 45."""

_DETECTORS = {"bank", "export", "fit", "predict", "watch"}
"""Commands about detectors, whose modules are in `adbench.cli.detectors`; those of all others are in `commands`."""


_OF_RUN = {"torch": "torch", "imagecodecs": "imagecodecs", "matplotlib": "matplotlib", "skimage": "scikit-image"}
"""Modules that the extra `run` brings, and their packages."""


class MissingExtra(UsageError):
    """A command that reads images, draws or computes, where only the light core is installed.

    Args:
        package: the first one that is missing.
    """

    def __init__(self, package: str) -> None:
        super().__init__(
            f"this command needs {package}; pip install 'adbench-core[run]' (boards, records and lists do without)"
        )


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of built-in commands and of plugins' commands."""
        self._load_plugins()
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name.

        Raises:
            UnknownName: no such command; the message suggests the nearest name.
        """
        if cmd_name in _COMMANDS:
            room = "detectors" if cmd_name in _DETECTORS else "commands"
            module = import_module(f"adbench.cli.{room}.{cmd_name if cmd_name != 'list' else 'listing'}")
            return module.command  # type: ignore[no-any-return]
        self._load_plugins()
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise UnknownName("command", cmd_name, self.list_commands(ctx), see="adbench --help")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write one help line for each command, without importing the built-in ones."""
        self._load_plugins()
        extra = {name: command.get_short_help_str(_SENTENCE) for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(sorted({**_COMMANDS, **extra}.items()))

    def _load_plugins(self) -> None:
        from adbench.cli.plugins import report_problems
        from adbench.registration.registry import load_registry

        registry = load_registry(parts=False)
        report_problems([*registry.problems, *registry.call_each("register_commands", cli=self)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(adbench.__version__, prog_name="adbench")
def group() -> None:
    """A plugin-based benchmark for industrial visual anomaly detection.

    \b
    adbench run --recipe adbench-lite --data demo
    adbench run --backbone dinov3 --scorer knn --data PATH
    """  # noqa: D301  \b tells click not to wrap the paragraph


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code, even if components left threads."""
    if isinstance(sys.stdout, TextIOWrapper):  # shows characters outside the encoding as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    asked = os.environ.get(VARIABLE)
    code = shell_complete(group, {}, "adbench", VARIABLE, asked) if asked else call(arguments)
    Thread(target=_leave, args=(code,), daemon=True).start()
    sys.exit(code)


def _leave(code: int) -> None:
    """End the process if threads or exit handlers keep it alive."""
    time.sleep(PATIENCE)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def call(arguments: list[str] | None = None) -> int:
    """Run the command line; each error for the user becomes one line on standard error.

    Returns:
        0 for success, 1 for a failure, 2 for an invalid command, 128 plus the number after a signal: 130 after Ctrl-C,
        143 after SIGTERM, 129 after SIGHUP.
    """
    with stoppable():
        return _call(arguments)


def _call(arguments: list[str] | None) -> int:
    given = sys.stdout
    try:
        with reported_once():
            result: Any = group.main(args=arguments, prog_name="adbench", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except ModuleNotFoundError as error:
        if (module := (error.name or "").partition(".")[0]) not in _OF_RUN:
            raise
        return _report_error(MissingExtra(_OF_RUN[module]))
    except (click.ClickException, click.Abort, KeyboardInterrupt, SystemExit, AdbenchError, OSError) as error:
        # When a pipe is closed, click puts a wrapper in the place of standard output and exits; rich exits.
        replaced_or_broken = sys.stdout is not given or isinstance(error.__context__, BrokenPipeError)
        pipe_closed = isinstance(error, SystemExit) and replaced_or_broken
        sys.stdout = given
        return _report_error(BrokenPipeError() if pipe_closed else error)
    return result if isinstance(result, int) else 0


def _report_error(error: BaseException) -> int:
    """Print an error in one line; return the exit code."""
    if isinstance(error, click.ClickException):
        if isinstance(error, click.NoSuchOption):
            error = click.NoSuchOption(error.option_name, possibilities=_meant(error), ctx=error.ctx)
        message = StringIO()
        error.show(message)  # several lines: usage, and maybe a page of help
        echo(*message.getvalue().rstrip("\n").split("\n"), err=True)
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return _report_signal(error)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has closed the pipe
        return 1
    if isinstance(error, SystemExit):
        echo(f"error: a component ended the command, by SystemExit({error.code!r})", err=True)
        return 1
    echo(f"error: {visible(_sentence(error))}", err=True)
    return 2 if isinstance(error, UsageError) else 1


def _meant(error: click.NoSuchOption) -> list[str]:
    """The option that was probably meant, by the rule of all names: click's own also offers what is far from it."""
    known = [] if error.ctx is None else error.ctx.command.get_params(error.ctx)
    options = {
        name.lstrip("-"): name for each in known for name in (*each.opts, *each.secondary_opts) if name[0] == "-"
    }
    near = near_to(error.option_name.lstrip("-"), options)
    return [] if near is None else [options[near]]


def _report_signal(error: BaseException) -> int:
    """Print the signal that ended the command; return 128 plus its number."""
    number = signal.Signals(getattr(error.__cause__ or error, "number", signal.SIGINT))
    with suppress(OSError):  # the terminal may be gone
        echo("interrupted" if number == signal.SIGINT else f"stopped by {number.name}", err=True)
    return 128 + number


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
