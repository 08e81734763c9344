import sys
import types
from functools import lru_cache

import pytest

from adbench import Aggregator, UnknownName, hookimpl
from adbench.errors import PluginError
from adbench.registration.registry import Registry, holding, hookspecs, installed, instead, load_registry


def aggregator(slug):
    class Made(Aggregator):
        """Made for a test."""

        name = slug

        def aggregate(self, scores):
            raise NotImplementedError

    return Made


def plugin(*classes, **hooks):
    module = types.ModuleType("made")

    @hookimpl
    def register_components(register):
        for cls in classes:
            register(cls)

    module.register_components = register_components
    for name, hook in hooks.items():
        setattr(module, name, hookimpl(hook))
    return module


@pytest.fixture
def registry():
    made = Registry()
    made.manager.add_hookspecs(hookspecs)
    return made


def test_a_component_is_found_by_kind_and_name(registry):
    cls = aggregator("mine")
    registry.load("dist-a", "1.2", plugin(cls))
    entry = registry.get("aggregator", "mine")
    assert (entry.cls, entry.dist, entry.dist_version) == (cls, "dist-a", "1.2")
    assert registry.kinds() == ["aggregator"]


def test_an_unknown_name_suggests_the_nearest(registry):
    registry.load("dist-a", "1", plugin(aggregator("mine")))
    with pytest.raises(UnknownName, match="did you mean 'mine'"):
        registry.get("aggregator", "mime")


def test_two_plugins_with_one_name_are_both_named(registry):
    registry.load("dist-a", "1", plugin(aggregator("mine")))
    with pytest.raises(PluginError, match="both 'dist-a' and 'dist-b'"):
        registry.load("dist-b", "1", plugin(aggregator("fine"), aggregator("mine")))
    assert [entry.name for entry in registry.entries()] == ["mine"], "a plugin is taken in whole or not at all"


def test_a_misspelt_hook_is_an_error(registry):
    with pytest.raises(PluginError, match="dist-a.*did you mean 'register_components'"):
        registry.load("dist-a", "1", plugin(register_componets=lambda register: None))


@pytest.mark.parametrize("slug", ["Mine", "my_own", "-mine", ""])
def test_a_name_must_be_a_slug(registry, slug):
    with pytest.raises(PluginError, match="lower case words"):
        registry.load("dist-a", "1", plugin(aggregator(slug)))


def test_what_is_no_component_is_refused(registry):
    with pytest.raises(PluginError, match="no component"):
        registry.load("dist-a", "1", plugin(int))


def test_a_missing_recipe_folder_is_an_error(registry, tmp_path):
    with pytest.raises(PluginError, match="does not exist"):
        registry.load("dist-a", "1", plugin(register_recipes=lambda register: register(tmp_path / "none")))


def test_recipes_are_found_by_their_files_name(registry, tmp_path):
    (tmp_path / "mine.yaml").write_text("recipe: mine\n")
    registry.load("dist-a", "1", plugin(register_recipes=lambda register: register(tmp_path)))
    assert registry.recipe("mine").path == tmp_path / "mine.yaml"
    with pytest.raises(UnknownName, match="did you mean 'mine'"):
        registry.recipe("mines")


def install(folder, name, code):
    (folder / f"{name}.py").write_text(code)
    info = folder / f"dist_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[adbench]\n{name} = {name}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("broken_plugin_for_test", "late_plugin_for_test"):
        sys.modules.pop(name, None)


def test_a_plugin_that_cannot_be_imported_is_reported_and_skipped(site):
    install(site, "broken_plugin_for_test", "import a_module_that_does_not_exist_anywhere\n")
    registry = load_registry()
    (problem,) = [problem for problem in registry.problems if problem.dist == "dist-broken_plugin_for_test"]
    assert "a_module_that_does_not_exist_anywhere" in problem.reason
    assert registry.get("dataset", "demo"), "the others are there"


def test_a_plugin_whose_hook_cannot_import_is_reported_and_skipped(site):
    code = "from adbench import hookimpl\n@hookimpl\ndef register_components(register):\n    import missing_module\n"
    install(site, "late_plugin_for_test", code)
    registry = load_registry()
    assert [problem.dist for problem in registry.problems] == ["dist-late_plugin_for_test"]


def test_a_plugin_that_leaves_the_process_is_reported_and_skipped(site):
    install(site, "broken_plugin_for_test", "raise SystemExit('go away')\n")
    (problem,) = load_registry().problems
    assert problem.reason == "SystemExit: go away"


def test_a_blocked_plugin_is_not_loaded(site):
    install(site, "broken_plugin_for_test", "raise RuntimeError\n")
    assert load_registry(disable="dist-broken_plugin_for_test").problems == []


CLASH = """
from adbench import Aggregator, hookimpl

class Mine(Aggregator):
    name = {name!r}

    def aggregate(self, scores):
        raise NotImplementedError

@hookimpl
def register_components(register):
    register(Mine)
"""


def test_of_two_plugins_with_one_name_the_newcomer_is_left_out(site):
    install(site, "late_plugin_for_test", CLASH.format(name="max"))
    registry = load_registry()
    assert registry.get("aggregator", "max").dist == "adbench-core"
    (problem,) = registry.problems
    assert problem.dist == "dist-late_plugin_for_test"
    assert problem.reason == (
        "aggregator 'max' is registered by both 'adbench-core' and 'dist-late_plugin_for_test';"
        " give Mine a name of its own, such as name = 'mine'"
    )


def test_an_entry_point_that_leads_nowhere_is_reported(site):
    install(site, "broken_plugin_for_test", "")
    (site / "broken_plugin_for_test.py").unlink()
    (problem,) = load_registry().problems
    assert "(entry point broken_plugin_for_test = broken_plugin_for_test)" in problem.reason


def test_a_component_that_cannot_be_used_is_left_out_alone(registry):
    class Empty(Aggregator):
        """Does nothing."""

        name = "empty"

    registry.load("dist-a", "1", plugin(Empty, aggregator("mine")))
    assert [entry.name for entry in registry.entries()] == ["mine"]
    (problem,) = registry.problems
    assert problem.component == ("aggregator", "empty")
    with pytest.raises(PluginError, match=r"it has no aggregate\(scores\); write one \(plugin 'dist-a'\)"):
        registry.get("aggregator", "empty")


def test_what_cannot_be_made_is_left_out_when_all_are_made(registry):
    class Broken(aggregator("broken")):
        """Raises."""

        def __init__(self, **options):
            raise RuntimeError("no")

    registry.load("dist-a", "1", plugin(Broken, aggregator("mine")))
    assert [made.name for made in registry.made("aggregator")] == ["mine"]
    assert [problem.reason for problem in registry.problems] == [
        "aggregator 'broken' cannot be made: it raised RuntimeError: no"
    ]
    assert [made.name for made in registry.made("aggregator")] == ["mine"]
    assert len(registry.problems) == 1


def test_another_registry_for_a_while(registry):
    before = installed()
    with instead(registry):
        assert installed() is registry
    assert installed() is before


def test_a_few_components_come_with_their_plugins_alone(monkeypatch):
    monkeypatch.setattr("adbench.registration.registry._loaded", lru_cache(load_registry))  # as in a new process
    found = holding({("aggregator", "max"): "adbench-core"})
    assert {entry.dist for entry in found.entries()} == {"adbench-core"}
    moved = holding({("aggregator", "max"): "where-it-was-before"})
    assert moved is installed()
    assert holding({("aggregator", "max"): "adbench-core"}) is moved  # once all are loaded, they serve
