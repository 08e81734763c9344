"""Each hook, used by a plugin as an author would write it."""

import importlib.resources
import inspect

import click
import pytest
from click.testing import CliRunner

import adbench.cli
from adbench import Aggregator, hookimpl
from adbench.cli import call
from adbench.errors import PluginError
from adbench.registration import hookspecs as specs
from adbench.registration.registry import Registry, installed

HOOKS = {name for name, found in inspect.getmembers(specs, inspect.isfunction) if hasattr(found, f"{specs.GROUP}_spec")}


class Mine(Aggregator):
    """Mine."""

    name = "mine"

    def aggregate(self, scores):
        raise NotImplementedError


class Plugin:
    """Implements every hook; takes only the arguments that it needs."""

    heard = None

    @hookimpl
    def register_components(self, register):
        register(Mine)

    @hookimpl
    def register_recipes(self, register):
        register(importlib.resources.files("adbench"))

    @hookimpl
    def register_commands(self, cli):
        cli.add_command(click.Command("greet", callback=lambda: click.echo("hello"), short_help="Say hello."))

    @hookimpl
    def job_finished(self):
        self.heard = True


@pytest.fixture
def registry():
    made = Registry()
    made.manager.add_hookspecs(specs)
    return made


@pytest.fixture
def cli(registry, monkeypatch):
    """The command line with the test's registry; commands that plugins add are taken away again."""
    monkeypatch.setattr("adbench.registration.registry.installed", lambda: registry)
    monkeypatch.setattr("adbench.registration.registry.load_registry", lambda **_: registry)
    monkeypatch.setattr(adbench.cli.group, "commands", {})
    return registry


def test_the_hooks_are_four_and_each_is_used_here():
    assert {"register_components", "register_recipes", "register_commands", "job_finished"} == HOOKS
    assert {name for name in vars(Plugin) if hasattr(getattr(Plugin, name), f"{specs.GROUP}_impl")} == HOOKS


@pytest.mark.parametrize("hook", sorted(HOOKS))
def test_a_hook_says_when_it_is_called(hook):
    assert inspect.getdoc(getattr(specs, hook))


def test_components_and_recipes_are_registered(registry):
    registry.load("dist", "1", Plugin())
    assert registry.get("aggregator", "mine").cls is Mine
    assert registry.recipe_files == {}, "adbench itself has no recipe beside its modules"


def test_a_command_is_added_and_listed(cli, capsys):
    cli.load("dist", "1", Plugin())
    assert call(["greet"]) == 0
    assert capsys.readouterr().out == "hello\n"
    assert call(["--help"]) == 0
    assert "greet" in capsys.readouterr().out


def test_a_plugins_line_in_the_help_is_a_whole_sentence(cli, capsys):
    sentence = "Send the records of all finished runs to a place that is far away, failed units included."

    class Sender:
        @hookimpl
        def register_commands(self, cli):
            cli.add_command(click.Command("send", callback=print, help=sentence))

    cli.load("dist", "1", Sender())
    assert call(["--help"]) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_a_plugin_cannot_take_a_built_in_commands_place(cli, capsys):
    class Thief:
        @hookimpl
        def register_commands(self, cli):
            cli.add_command(click.Command("list", callback=lambda: click.echo("stolen")))

    cli.load("thief", "1", Thief())
    assert call(["list"]) == 0
    assert "stolen" not in capsys.readouterr().out


def test_a_plugin_whose_commands_crash_is_named(cli, capsys):
    class Broken:
        @hookimpl
        def register_commands(self, cli):
            raise RuntimeError("no")

    cli.load("broken-dist", "1", Broken())
    assert call(["greet"]) == 2
    message = capsys.readouterr().err
    assert message.count("left out: plugin 'broken-dist': its register_commands hook raised RuntimeError: no") == 1
    assert "unknown command 'greet'" in message
    assert call(["list"]) == 0, "built-in commands need no plugin's"


def test_a_record_is_reported_to_everybody(registry):
    first, second = Plugin(), Plugin()
    registry.load("first", "1", first)
    registry.manager.register(second, name="second:made")
    assert list(registry.call_each("job_finished", record={}, folder=None)) == []
    assert first.heard
    assert second.heard


def test_an_argument_that_a_hook_does_not_have_is_an_error(registry):
    class Greedy:
        @hookimpl
        def register_components(self, register, registry):
            raise AssertionError

        @hookimpl
        def register_commands(self, cli):
            raise AssertionError

    with pytest.raises(PluginError, match="plugin 'dist': hook 'register_components' has no argument 'registry'"):
        registry.load("dist", "1", Greedy())
    assert list(registry.call_each("register_commands", cli=None)) == [], "nothing of it stays behind"
    registry.load("dist", "1", Plugin())


def test_one_distribution_may_have_two_entry_points(registry):
    class Second:
        @hookimpl
        def job_finished(self, record):
            raise RuntimeError("down")

    registry.load("dist", "1", Plugin())
    registry.load("dist", "1", Second())
    (problem,) = registry.call_each("job_finished", record={}, folder=None)
    assert problem.dist == "dist"


def test_the_installed_plugins_implement_nothing_else():
    assert CliRunner().invoke(adbench.cli.group, ["--version"]).exit_code == 0
    installed().manager.check_pending()


def test_help_needs_no_plugins_parts(registry):
    plugin = Plugin()
    registry.load("dist", "1", plugin, parts=False)
    assert registry.components == {}
    assert list(registry.call_each("job_finished", record={}, folder=None)) == []
    assert plugin.heard, "its other hooks can be called"
