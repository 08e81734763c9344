"""Environment variables, and misspelt ones."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.registration.registry import Registry, load_registry
from adbench.registration.variables import known_variables, misspelt, nearest_to

KNOWN = frozenset({"ADBENCH_CACHE", "ADBENCH_DATA", "ADBENCH_DISABLE", "ADBENCH_WANDB"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ADBENCH_DISBLE", "ADBENCH_DISABLE"),
        ("ADBENCH_CASHE", "ADBENCH_CACHE"),
        ("ADBENCH_WANBD", "ADBENCH_WANDB"),
        ("ADBENCH_CACHE_DIR", "ADBENCH_CACHE"),
        ("ADBENCH_TEST_DATA", None),
        ("ADBENCH_LICENCE", None),
        ("ABENCH_CACHE", None),
        ("DISABLE", None),
    ],
)
def test_nearly_a_known_name_is_taken_for_it(name, meant):
    assert nearest_to(name, KNOWN) == meant


def test_each_misspelt_variable_gets_a_sentence():
    set_here = {"ADBENCH_DISBLE": "a", "ADBENCH_CACHE": "b", "ADBENCH_LICENCE": "c", "PATH": "d"}
    assert list(misspelt(set_here, KNOWN)) == [
        "ADBENCH_DISBLE is set, but nothing reads it; did you mean ADBENCH_DISABLE?"
    ]


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.text(max_size=3)))
def test_known_variables_are_never_misspelt(environment):
    assert list(misspelt(environment, KNOWN)) == []


def test_plugins_and_datasets_name_their_variables():
    registry = Registry()
    registry.manager.register(SimpleNamespace(VARIABLES=("ADBENCH_MINE", "HOME", 3)), "mine")
    registry.manager.register(SimpleNamespace(VARIABLES="ADBENCH_TEXT"), "wrong")
    assert known_variables(registry) == {"ADBENCH_CACHE", "ADBENCH_DATA", "ADBENCH_DISABLE", "ADBENCH_MINE"}
    assert "ADBENCH_DATA" in known_variables(load_registry())
