from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from adbench import StorageError
from adbench.boards.records.published import Published, read_published
from adbench.registration.registry import installed

SHIPPED = Path(__file__).parents[4] / "leaderboards" / "published.yaml"


def published(**changes):
    fields = {"method": "kNN, paper", "dataset": "demo", "shots": "all", "figures": {"image-auroc": 91.0, "pro": 80.0}}
    fields |= {"convention": "224 px", "evidence": "repository", "source": "somewhere"}
    return Published.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("published: [{method: x}]", "published.0"),
        ("published: [", "not readable as YAML"),
        ("published: !!python/object/apply:os.system ['true']", "not readable"),
        ("figures: {}", "published"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "published.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StorageError, match=said):
        read_published(path)


def test_no_file_no_figures(tmp_path):
    assert read_published(tmp_path / "published.yaml") == []


@pytest.mark.parametrize("changes", [{"recipe": "knn"}, {"recipe": "knn", "tolerance": {"pixel-auroc": 1}}])
def test_a_claim_says_what_it_compares(changes):
    with pytest.raises(ValueError, match="go together"):
        published(**changes)


def test_the_shipped_means_are_those_of_their_categories():
    entries = read_published(SHIPPED)
    assert len(entries) > 50
    for entry in entries:
        for metric, values in entry.categories.items():
            assert len(values) == 15
            assert statistics.fmean(values.values()) == pytest.approx(entry.figures[metric], abs=0.051), entry.method


def test_the_shipped_claims_name_recipes_that_exist():
    names = {entry.recipe for entry in read_published(SHIPPED) if entry.recipe}
    assert names
    for name in names:
        installed().recipe(name)
