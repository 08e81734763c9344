"""What is wrong with hooks and classes, in one sentence; hostile plugins as a whole are in tests/hostile."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from adbench import Backbone, Field, Masker, Metric, Scorer, UsageError, VectorBank, hookimpl
from adbench.api.component import Config
from adbench.builtin import toy
from adbench.errors import PluginError
from adbench.registration import faults
from adbench.registration.faults import answer_fault, class_faults, has_hook, hook_fault, made, near_to, raised
from adbench.registration.registry import installed


def test_no_installed_component_has_a_fault():
    assert installed().problems == []
    assert {entry.name: class_faults(entry.cls) for entry in installed().entries() if class_faults(entry.cls)} == {}


def test_every_contract_is_known():
    from adbench import Component

    kinds = {cls.kind for cls in Component.__subclasses__()} - {Component.kind}
    assert {contract.kind for contract in faults.CONTRACTS} == kinds


class Plain(Backbone):
    """Has nothing of its own."""

    name = "plain"


def test_everything_that_is_missing_is_reported():
    reported = class_faults(Plain)
    assert reported == [
        "it has no extract(batch); write one",
        "it has no provides(config); write one",
        "it has no weights(); write one",
    ]


def test_a_missing_property_is_called_one():
    class Vectors(VectorBank):
        """Forgets everything."""

        name = "vectors"

    assert "it has no property 'owners'; write one" in class_faults(Vectors)


def test_a_property_as_a_method_is_reported():
    class Called(toy.ToyVectors):
        """Has a method for a property."""

        def vectors(self):
            return None

    assert class_faults(Called) == ["its 'vectors' is a method; it is a property: write @property above it"]


def test_a_contract_whose_config_has_options_needs_that_one():
    class Bare(toy.ToyBorder):
        """Has no options of a masker."""

        class Config(Config):
            """One of its own."""

            n: int = Field(1, description="number")

    assert class_faults(Bare) == ["its Config does not extend Masker.Config; write 'class Config(Masker.Config):'"]
    assert issubclass(Bare, Masker)


def test_keywords_of_the_contract_are_arguments_too():
    class Searching(toy.ToyVectors):
        """Cannot exclude."""

        def search(self, query, k):
            return None

    (fault,) = class_faults(Searching)
    assert fault.startswith("its search(query, k) cannot be called as search(query, k, metric, exclude)")


def test_further_arguments_with_defaults_are_fine():
    class More(toy.ToyNearest):
        """Takes more."""

        def score(self, features, memory, *, fast=False):
            return None

    assert class_faults(More) == []


def test_a_metric_without_a_level():
    class Level(Metric):
        """Has none."""

        name = "levelless"

        def measure(self, evidence):
            return None

    assert class_faults(Level) == ["it has no attribute 'level'; write 'image' or 'pixel', such as level = 'image'"]


def test_a_good_component_is_made_with_its_options():
    assert made(toy.ToyPixels, {"cell": 4}).config.cell == 4
    with pytest.raises(UsageError, match="option 'cell' of backbone 'toy-pixels'"):
        made(toy.ToyPixels, {"cell": 0})


def test_a_component_without_a_config_is_refused():
    class Lazy(toy.ToyNearest):
        """Forgets its options."""

        def __init__(self, **options):
            pass

    with pytest.raises(PluginError, match=r"scorer 'toy-nearest' cannot be used: it has no config: its __init__"):
        made(Lazy)


def test_hooks_of_objects_are_looked_at_too():
    @dataclass
    class Plugin:
        @hookimpl
        def register_components(self, register):
            pass

        @property
        def broken(self):
            raise RuntimeError

    assert hook_fault(Plugin()) == ""
    assert has_hook(Plugin())
    assert not has_hook(object())


def test_a_hook_by_another_name():
    class Plugin:
        @hookimpl(specname="register_components")
        def mine(self, register):
            pass

    assert hook_fault(Plugin()) == ""


def test_a_helper_beside_a_hook_is_no_hook():
    class Plugin:
        @hookimpl
        def register_components(self, register):
            pass

        def register_component(self, register):
            pass

    assert hook_fault(Plugin()) == ""


def test_what_a_hook_returns_is_reported():
    assert answer_fault("register_recipes", ["a"]).startswith("register_recipes returns list; call register(...)")


def test_names_that_are_near():
    assert near_to("register_component", ["register_components", "job_finished"]) == "register_components"
    assert near_to("greet", ["register_components", "job_finished"]) is None


def test_what_was_raised_is_one_line():
    assert raised(ValueError("one\n  two")) == "ValueError: one two"
    assert raised(KeyboardInterrupt()) == "KeyboardInterrupt"
    with pytest.raises(ImportError) as caught:
        exec("from adbench import Scorrer")
    assert raised(caught.value).endswith("did you mean 'Scorer'?")
    assert Scorer
    with pytest.raises(ImportError) as caught:
        exec("from adbench.search import exact_serch")
    assert raised(caught.value).endswith("did you mean 'exact_search'?")


def test_a_name_of_another_public_module_is_reported_with_that_module():
    with pytest.raises(ImportError) as caught:
        exec("from adbench import exact_search")
    assert raised(caught.value) == (
        "ImportError: exact_search is in adbench.search: from adbench.search import exact_search"
    )
