from __future__ import annotations

from adbench.boards.board import Board
from adbench.boards.statistics.overall import overall
from adbench.boards.tables.overall_tables import overall_tables
from adbench.boards.tables.tidy import tidy
from adbench.builtin.reports import Csv, Markdown


def boards(make_record, figures):
    for dataset, methods in figures.items():
        board = Board(title=dataset, dataset=dataset, protocol={"train": "all"}, metrics=("image-auroc",))
        records = [make_record(name, dataset=dataset, auroc=value) for name, value in methods.items()]
        yield f"{dataset}/full-shot", tidy(board, records)


def test_cells_hold_figures_with_ranks_and_gaps(make_record):
    figures = {
        "one": {"a": 0.9, "b": 0.8, "c": 0.7},
        "two": {"a": 0.5, "b": 0.6},
        "three": {"a": 0.9, "b": 0.9, "c": 1},
    }
    heading, table, agreement = overall_tables(overall(list(boards(make_record, figures))))
    assert (heading.title, heading.columns) == ("Over all data sets", ())
    assert table.title == "image-auroc: normal training images"
    assert table.columns == ("mean rank", "method", "mean", "one", "three", "two", "group", "p against the first")
    assert table.rows == (
        ("1.50 [1.0, 2.0]", "a", "76.7 [19.3, 100.0]", "90.0 (1)", "90.0 (1.5)", "50.0 (2)", "—", "—"),
        ("1.50 [1.0, 2.0]", "b", "76.7 [38.7, 100.0]", "80.0 (2)", "90.0 (1.5)", "60.0 (1)", "—", "—"),
        ("—", "c", "—", "70.0", "100.0", "—", "—", "—"),
    )
    assert "all normal training images" in table.notes[0]
    assert agreement.rows == (("one", "three", "—"), ("one", "two", "-1.00"), ("three", "two", "—"))


def test_the_names_of_strangers_are_text(make_record):
    figures = {"<b>one": {"a": 0.9, "=x": 0.8}, "two": {"a": 0.5, "=x": 0.6}}
    tables = overall_tables(overall(list(boards(make_record, figures))))
    text = Markdown().render(tables)
    assert "&lt;b&gt;one" in text
    assert "<b>" not in text
    assert "'=x" in Csv().render(tables)
