from __future__ import annotations

import statistics

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench.boards.board import Board
from adbench.boards.page.content import content
from adbench.boards.page.html import board_html, index_html
from adbench.boards.records.board_extras import BoardExtras
from adbench.boards.records.keys import UnitKey
from adbench.boards.tables.figures import FIXED, Figure, figures, figures_of
from adbench.boards.tables.table import READ_AS, category_tables, standings_tables
from adbench.boards.tables.tidy import tidy

METRICS = ("image-auroc", "pixel-auroc")


def board(**options):
    data = {"title": "Demo", "dataset": "demo", "protocol": {"train": "all"}, "metrics": METRICS, **options}
    return Board.model_validate(data)


def figure(found):
    """The figure of one method, from value and interval of each unit."""
    categories, seeds = ({unit[place]: None for unit in found} for place in (0, 1))
    index = pd.MultiIndex.from_product([["method"], categories, seeds], names=["row", "category", "seed"])
    cells = pd.DataFrame([found[unit[1:]] for unit in index], index, ["value", "low", "high"], dtype=float)
    (made,) = figures(cells.assign(mark="", fixed=""))
    return made


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1))
def test_a_figure_is_the_exact_mean_of_means_with_its_spread(values):
    """To the last bit that of `statistics`, which adds exactly."""
    made = figure({UnitKey(name, seed): (v, None, None) for name, own in values.items() for seed, v in enumerate(own)})
    by_category = [sum(own) / 3 for own in values.values()]
    by_seed = [statistics.fmean(own[seed] for own in values.values()) for seed in range(3)]
    assert made.mean == pytest.approx(sum(by_category) / len(by_category))
    assert made.mean == statistics.fmean(by_seed)
    assert made.spread == pytest.approx(statistics.stdev(by_seed), abs=1e-12)


def test_no_units_no_figure(make_record):
    data = tidy(board(categories=()), [make_record()])
    assert list(figures_of(data, "image-auroc").overall.values()) == [Figure(None, mark="n/a")]
    assert figures_of(data, "image-auroc").by_category == {}


def test_the_interval_of_a_mean_adds_categories_up_and_takes_seeds_for_one():
    cells = {UnitKey(category, seed): (0.8, 0.77, 0.84) for category in "ab" for seed in (0, 1)}
    first, *_ = cells
    low, high = figure(cells).interval
    assert (low, high) == pytest.approx((0.8 - 0.03 / 2**0.5, 0.8 + 0.04 / 2**0.5))
    one = figure({unit: cell for unit, cell in cells.items() if unit.category == "a"})
    assert one.interval == pytest.approx((0.77, 0.84)), "seeds share their images"
    assert str(figure(cells)) == "80.0 ± 0.0 [77.9, 82.8]"
    assert figure({**cells, first: (0.8, None, None)}).interval is None
    assert str(figure({first: (0.99, 0.9, 1.0)})) == "99.0 [90.0, 100.0]"


def seeds(make_record, name="knn", *, drew=False, auroc=(0.9, 0.9), images=("a", "a"), **options):
    return [
        make_record(name, seed=seed, auroc=value, images=shown, **options).model_copy(update={"drew": drew})
        for seed, (value, shown) in enumerate(zip(auroc, images, strict=True))
    ]


def cell(records, **options):
    (table,) = standings_tables(tidy(board(**options), records))
    return table.rows[0][table.columns.index("image-auroc")]


def test_where_nothing_was_drawn_there_is_no_spread(make_record):
    assert cell(seeds(make_record)) == "90.0 det."
    (table,) = category_tables(tidy(board(), seeds(make_record)), "image-auroc")
    assert table.rows == (("knn", "90.0 det."),)
    assert FIXED in READ_AS


@pytest.mark.parametrize("drew", [True, None])
def test_where_something_was_or_nobody_knows_there_is(make_record, drew):
    assert cell(seeds(make_record, drew=drew)) == "90.0 ± 0.0"


def test_seeds_that_saw_other_images_have_a_spread(make_record):
    assert cell(seeds(make_record, images=("a", "b"))) == "90.0 ± 0.0"


def test_seeds_that_differ_have_a_spread_whatever_they_say(make_record):
    assert cell(seeds(make_record, auroc=(0.9, 0.8))) == "85.0 ± 7.1"
    assert cell(seeds(make_record, auroc=(0.9, 0.9 + 1e-9))) == "90.0 det."


def test_one_of_the_seeds_is_enough_for_a_spread(make_record):
    first, second = seeds(make_record)
    assert cell([first, second.model_copy(update={"drew": True})]) == "90.0 ± 0.0"


def test_one_seed_has_neither(make_record):
    assert cell(seeds(make_record)[:1]) == "90.0"


def test_the_page_says_so_too(make_record):
    shown = content(tidy(board(), seeds(make_record)), BoardExtras())
    assert shown["methods"][0]["figures"][0] == [90.0, "det."]
    assert "<em>det.</em>: nothing was drawn" in board_html(shown)
    assert "90.0 det." in index_html(["demo/full-shot"], [shown])
