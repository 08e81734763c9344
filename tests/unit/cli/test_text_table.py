"""Tables in windows of any width: no figure is cut, no word is broken that need not be."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console as RichConsole

from adbench.cli.summary import tables
from adbench.cli.text_table import Column, TextTable, folded

FIGURES = re.compile(r"100\.0|99\.9|1234\.5")


def demo(*names):
    columns = [Column(f"image\nF{number}", "image") for number in range(3)]
    columns += [Column(f"pixel\nF{number}", "pixel") for number in range(5)]
    grid = TextTable(
        "method on [demo]", [Column("category"), *columns, Column("ms an\nimage", "cost"), Column("fit\ns", "cost")]
    )
    for name in names:
        grid.add(name, *["100.0"] * 3, *["99.9"] * 5, "1234.5", "12.3", apart=name == "mean")
    return grid


def lines(grid, width):
    return [line.plain for line in grid.drawn(width)]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", ["brick", "dinov3+coreset-fraction-0.01+knn-k-3", "欠陥" * 20, "x" * 150])
def test_every_line_fits_and_no_figure_is_cut(width, name):
    drawn = lines(demo(name, "mean"), width)[1:]
    assert max(map(cell_len, drawn)) <= width
    text = "\n".join(drawn)
    assert len(FIGURES.findall(text)) == 2 * 9
    assert "…" not in text


@pytest.mark.parametrize("width", [1, 5, 10, 20])
def test_a_window_that_is_far_too_narrow_still_shows_every_figure(width):
    assert len(FIGURES.findall("\n".join(lines(demo("brick", "mean"), width)))) == 2 * 9


def test_short_names_fit_into_eighty_columns_in_one_table():
    drawn = lines(demo("brick", "mean"), 80)
    assert sum("category" in line for line in drawn) == 1


def test_at_sixty_columns_image_and_pixel_figures_stand_below_each_other():
    drawn = lines(demo("brick", "mean"), 60)
    assert sum(line.startswith("category") for line in drawn) == 2
    first = drawn[1]
    assert ("image" in first, "pixel" in first) == (True, False)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_long_words_take_several_lines_beside_the_name_of_their_row(width):
    words = (
        "resize(antialias=True, interpolation=bilinear, precision=image, size=[128, 128]) + normalize(mean=imagenet)"
    )
    grid = TextTable("cache", [Column("backbone", words=True), Column("preparation", words=True), Column("MB")])
    grid.add("efficientnet-lite0(layers=[stage3, stage5])", words, "1234.5")
    drawn = lines(grid, width)[1:]
    assert max(map(cell_len, drawn)) <= width
    text = "\n".join(drawn)
    assert [word for word in ("interpolation=bilinear,", "size=[128,", "1234.5") if word not in text] == []


def test_a_pipe_gets_plain_lines_of_any_length():
    grid = demo("brick", "a name [red] that goes on and on and on and on and on and on", "mean")
    text = io.StringIO()
    grid.print(RichConsole(file=text, markup=False, width=40))
    title, header, *rows = text.getvalue().splitlines()
    assert title == "method on [demo]"
    assert header.split("  ")[0] == "category"
    assert "image F0" in header
    assert len(rows) == 3, "a row a line"
    assert text.getvalue().isascii()
    assert re.split(r" {2,}", rows[1])[0].endswith("on and on")


@pytest.mark.parametrize(
    ("name", "width", "folds"),
    [
        ("category", 8, ["category"]),
        ("patchcore+knn", 10, ["patchcore+", "knn"]),
        ("category", 5, ["categ", "ory"]),
        ("a-b-c", 2, ["a-", "b-", "c"]),
        ("", 5, [""]),
        ("two words", 6, ["two", "words"]),
        ("欠陥欠陥", 4, ["欠陥", "欠陥"]),
    ],
)
def test_a_name_breaks_behind_what_joins_its_parts(name, width, folds):
    assert folded(name, width) == folds


@pytest.fixture
def record(make_record):
    def make(*args, drew=None, **options):
        return make_record(*args, **options).model_copy(update={"drew": drew})

    return make


def table_of(records):
    (grid,) = tables(records)
    return {row[0]: list(row[1:]) for row in grid.rows}


def test_two_specs_of_one_name_are_two_rows(record):
    rows = table_of([record("m", k=1, auroc=0.5), record("m", k=3, auroc=0.9)])
    assert {name: row[0] for name, row in rows.items()} == {"m (k 1)": "50.0", "m (k 3)": "90.0"}


def test_one_spec_of_two_names_is_one_row(record):
    rows = table_of([record("m", backbone="b", category="x"), record("n", backbone="b", category="y")])
    assert list(rows) == ["x", "y", "mean"]


def test_rows_are_sorted_by_their_figure_and_not_by_its_letters(record):
    rows = table_of([record("a", auroc=0.09), record("b", auroc=1.0), record("c", auroc=0.5)])
    assert list(rows) == ["b", "c", "a"]


def test_two_datasets_of_one_name_do_not_share_a_table(record):
    one, other = record("m"), record("m", images="b")
    other = other.model_copy(update={"task": other.task.model_copy(update={"revision": "2"})})
    assert [grid.title for grid in tables([one, other])] == [
        "m on demo (revision 1) (figures in %)",
        "m on demo (revision 2) (figures in %)",
    ]


def test_the_spread_over_seeds_is_that_of_the_means(record):
    values = {("a", 0): 0.5, ("b", 0): 0.7, ("a", 1): 0.8, ("b", 1): 1.0}
    rows = table_of([record("m", name, seed, auroc=value) for (name, seed), value in values.items()])
    assert rows["mean"][0] == "75.0"
    assert rows["± over seeds"][0] == "21.2"


@pytest.mark.parametrize(("drew", "message"), [(False, "det."), (True, "0.0"), (None, "0.0")])
def test_where_nothing_was_drawn_there_is_no_spread_to_show(record, drew, message):
    records = [record("m", "a", seed, drew=drew) for seed in (0, 1, 2)]
    assert table_of(records)["± over seeds"][0] == message
    two = [*records, *(record("n", "a", seed, drew=True) for seed in (0, 1, 2))]
    assert table_of(two)["m"][0] == ("90.0 det." if drew is False else "90.0 ± 0.0")
    assert table_of(two)["n"][0] == "90.0 ± 0.0"


def test_other_images_for_every_seed_are_a_draw_too(record):
    records = [record("m", "a", seed, drew=False, images=str(seed)) for seed in (0, 1)]
    assert table_of(records)["± over seeds"][0] == "0.0"


def test_no_spread_where_a_unit_of_a_seed_is_missing(record):
    rows = table_of([record("m", "a", 0), record("m", "b", 0), record("m", "a", 1)])
    assert rows["± over seeds"][0] == ""
