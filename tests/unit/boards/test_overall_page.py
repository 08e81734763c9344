from __future__ import annotations

import re

import pytest

from adbench.boards.board import Board
from adbench.boards.page.overall_page import overall_html
from adbench.boards.statistics.overall import overall
from adbench.boards.tables.tidy import tidy

EVIL = "<script>alert(1)</script>"


def groups(make_record, names, sets=("one", "two")):
    boards = []
    for dataset in sets:
        board = Board(title=dataset, dataset=dataset, protocol={"train": "all"}, metrics=("image-auroc",))
        records = [
            make_record(name, f"c{number}", dataset=dataset, auroc=(1 + place) / (1 + len(names)))
            for place, name in enumerate(names)
            for number in range(2)
        ]
        boards.append((f"{dataset}/full-shot", tidy(board, records)))
    return overall(boards)


def test_the_best_cells_are_the_darkest(make_record):
    page = overall_html(groups(make_record, "abcde"))
    rows = re.findall(r'<tr><th scope="row" class="name">(.*?)</th>(.*?)</tr>', page, re.DOTALL)
    assert [name for name, _ in rows] == list("edcba")
    assert [re.findall(r"shade-(\d)", cells) for _, cells in rows] == [[str(shade)] * 2 for shade in (4, 3, 2, 1, 0)]
    assert page.count("<circle") == 5


def test_no_name_is_markup(make_record):
    page = overall_html(groups(make_record, [EVIL, "b", "c"], sets=("<i>one", "two")))
    assert EVIL not in page
    assert "<i>" not in page
    assert "&lt;i&gt;one" in page


@pytest.mark.parametrize(("single_file", "wanted"), [(False, "../assets/page-"), (True, "<style>")])
def test_assets_lie_beside_or_inside(make_record, single_file, wanted):
    assert wanted in overall_html(groups(make_record, "ab"), single_file=single_file)


def test_two_methods_have_no_drawing(make_record):
    assert "<svg" not in overall_html(groups(make_record, "ab"))
