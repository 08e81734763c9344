"""The glossary's words: each is defined once, and no class of adbench or of its plugins uses one for something else."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORDS = re.findall(r"^\| \*\*([\w ]+)\*\* \|", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
SOURCES = sorted([*ROOT.glob("adbench/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])

OWNERS = {
    "Aggregator": {"api/stages"},
    "Augmenter": {"api/stages"},
    "Backbone": {"api/backbone", "engine/run/backbone_pool"},
    "Bank": {"api/bank"},
    "Board": {"boards/board"},
    "Branch": {"engine/plan/plan"},
    "Component": {"api/component"},
    "Coreset": {"adbench_memory/coreset"},
    "Corruption": {"engine/images/corruption"},
    "Dataset": {"api/dataset"},
    "Detector": {"detector/detector"},
    "Drift": {"detector/drift"},
    "Executor": {"api/executor"},
    "Explanation": {"detector/explain/explanation"},
    "FeatureCache": {"engine/features/feature_cache"},
    "Features": {"api/features", "engine/features/cached_features"},
    "Grid": {"engine/plan/suite"},
    "IgnoreMask": {"builtin/images/ignoring"},
    "Job": {"api/executor", "engine/run/dispatch"},
    "Manifest": {"boards/records/manifest"},
    "Mask": {"engine/evaluate/grid_masks", "builtin/images/ignoring"},
    "Masker": {"api/stages"},
    "Neck": {"api/stages"},
    "NormalScores": {"engine/store/normal_scores"},
    "Origin": {"engine/plan/data_origin"},
    "Part": {"engine/plan/recipe"},
    "PassedOver": {"api/dataset"},
    "Patch": {"api/comparisons/patch"},
    "Plan": {"engine/plan/plan"},
    "Plugin": {"cli/commands/check"},
    "Preprocessor": {"api/stages"},
    "Protocol": {"engine/plan/protocol", "boards/board"},
    "Recipe": {"engine/plan/recipe"},
    "Record": {"boards/records/flat", "boards/records/records_io", "engine/store/record"},
    "Regime": {"engine/store/record"},
    "Row": {"boards/statistics/overall", "boards/tables/methods"},
    "Run": {"engine/evaluate/sweep", "engine/pictures/scored_images"},
    "Scorer": {"api/scorer"},
    "Suite": {"engine/plan/suite"},
    "Survey": {"api/dataset"},
    "Threshold": {"engine/evaluate/threshold"},
    "Tuner": {"api/training/tuner"},
    "Unit": {"engine/plan/unit", "engine/run/prepared_unit"},
}
"""The modules that own a word: their classes may end in it. In other modules only subclasses may."""


def module_of(path: Path) -> str:
    """The name of a module: below `adbench` without that, in a plugin with the plugin's package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "/".join(parts[1:] if parts[0] == "adbench" else parts[3:])


def noun_of(word: str) -> str:
    """A word of the glossary as a class would spell it: ``feature cache`` is ``FeatureCache``."""
    return "".join(part.capitalize() for part in word.split())


@cache
def classes() -> list[tuple[str, ast.ClassDef]]:
    """Every class with the name of its module."""
    found = []
    for path in SOURCES:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [(module_of(path), node) for node in nodes if isinstance(node, ast.ClassDef)]
    return found


def ends_in(name: str, noun: str) -> bool:
    """Whether a class's name ends in a noun as a whole word."""
    return re.search(rf"(?:^|[a-z0-9_]){noun}$", name) is not None


def bases(node: ast.ClassDef) -> list[str]:
    """The names of a class's bases, without their modules."""
    return [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def misnamed(noun: str, found: list[tuple[str, ast.ClassDef]]) -> list[str]:
    """Classes that end in a noun, in a module that does not own it, and extend no class that ends in it."""
    return [
        f"{module}.{node.name}"
        for module, node in found
        if ends_in(node.name, noun)
        and module not in OWNERS.get(noun, set())
        and not any(ends_in(base, noun) for base in bases(node))
    ]


def test_each_word_is_defined_once():
    assert len(WORDS) > 40
    assert sorted(set(WORDS)) == sorted(WORDS)


@pytest.mark.slow
@pytest.mark.parametrize("word", WORDS)
def test_no_class_uses_a_word_for_something_else(word):
    assert misnamed(noun_of(word), classes()) == [], f"{word!r} is in docs/glossary.md; rename the class"


@pytest.mark.parametrize("noun", OWNERS)
def test_an_owner_has_a_class_of_its_word(noun):
    """So that the table above names no module without such a class."""
    assert noun in map(noun_of, WORDS)
    for module in OWNERS[noun]:
        assert any(where == module and ends_in(node.name, noun) for where, node in classes()), module


def test_a_misnamed_class_is_found():
    parsed = ast.parse("class QuickBank: pass\nclass GoodBank(VectorBank): pass\nclass Embankment: pass").body
    assert misnamed("Bank", [("cli/screen", node) for node in parsed]) == ["cli/screen.QuickBank"]
