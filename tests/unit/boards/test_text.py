from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.boards.text import MAX_TEXT, hash8, plain, slug


@given(st.text())
def test_a_slug_is_a_safe_file_name(text):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(text))
    assert len(slug(text)) < 60


@given(st.text(), st.text())
def test_different_texts_have_different_slugs(one, other):
    assert (slug(one) == slug(other)) is (one == other)


def test_a_slug_stays_as_it_is():
    assert slug("magnetic-tile") == "magnetic-tile"
    assert slug("../etc") == f"etc-{hash8('../etc')}"


@given(st.text(max_size=1000))
def test_plain_text_is_one_printable_line(text):
    line = plain(text)
    assert line.isprintable()
    assert len(line) <= MAX_TEXT
    assert plain(line) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("a\u202eb", "a\\u202eb"), ("a\nb", "a b"), ("a\x00b", "a\\x00b")],
)
def test_nothing_steers_a_terminal(text, line):
    assert plain(text) == line
