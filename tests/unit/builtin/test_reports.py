from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.builtin.reports import Csv, Markdown
from adbench.reports import Table

TABLE = Table("Standings", ("method", "auroc"), (("knn", "91.7 ± 0.3"), ("slow", "— 14/15")), ("In percent.",))


def test_markdown():
    assert Markdown().render([Table("Demo", (), (), ("One note.",)), TABLE]) == (
        "# Demo\n\n- One note.\n\n"
        "## Standings\n\n| method | auroc |\n|---|---:|\n| knn | 91.7 ± 0.3 |\n| slow | — 14/15 |\n\n- In percent.\n"
    )


def test_csv():
    assert Csv().render([TABLE]) == "method,auroc\nknn,91.7 ± 0.3\nslow,— 14/15\n"


def test_csv_of_several_tables_has_one_header():
    other = Table("Cost", ("method", "ms"), (("knn", "10.0"),))
    assert list(csv.reader(io.StringIO(Csv().render([Table("Demo", (), ()), TABLE, other])))) == [
        ["table", "method", "auroc", "ms"],
        ["Standings", "knn", "91.7 ± 0.3", ""],
        ["Standings", "slow", "— 14/15", ""],
        ["Cost", "knn", "", "10.0"],
    ]


@pytest.mark.parametrize("report", [Markdown(), Csv()])
def test_no_tables_is_no_error(report):
    assert isinstance(report.render([]), str)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", "a\\|b"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("[x](javascript:y)", "\\[x\\](javascript:y)"),
        ("a\nb", "a b"),
        ("*b* _i_ `c` ~s~", "\\*b\\* \\_i\\_ \\`c\\` \\~s\\~"),
        ("https://evil.example", "https:\\/\\/evil.example"),
        ("www.evil.example", "www\\.evil.example"),
        ("&lt;", "&amp;lt;"),
        ("@someone #1 $x$", "\\@someone \\#1 \\$x\\$"),
    ],
)
def test_markdown_runs_nothing(text, safe):
    assert f"| {safe} |" in Markdown().render([Table("t", ("c",), ((text,),))])


@given(st.lists(st.text(), min_size=3, max_size=3))
def test_no_cell_breaks_a_markdown_table(cells):
    text = Markdown().render([Table("t", ("a", "b", "c"), (tuple(cells),))])
    row = text.split("\n")[4]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-cmd", "@x", "\t=1", " =1", "\r=1", "-1+1", "+1=2"])
def test_no_cell_is_a_formula(cell):
    text = Csv().render([Table("t", ("c",), ((cell,),))])
    assert text.split("\n")[1].lstrip('"').startswith("'")


@pytest.mark.parametrize("number", ["-1", "-0.5", "+3", "91.7"])
def test_numbers_stay_numbers(number):
    assert Csv().render([Table("t", ("c",), ((number,),))]) == f"c\n{number}\n"


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_csv_keeps_the_shape_whatever_the_cells(cells):
    rows = list(csv.reader(io.StringIO(Csv().render([Table("t", ("a", "b"), (tuple(cells),))]), newline="")))
    assert [len(row) for row in rows] == [2, 2]
