"""Strangers' texts are printable, whoever prints them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench.safe_text import MAX_LINE, one_line, printable

ANY = st.text(st.characters())  # half surrogates too
"""Texts of any characters, also those that are no UTF-8."""


@given(ANY)
def test_a_printable_text_steers_nothing_and_can_be_written(text):
    shown = printable(text)
    assert printable(shown) == shown
    assert shown.encode().decode() == shown


@given(ANY, st.integers(1, 50))
def test_one_line_is_printable_and_bounded(text, most):
    line = one_line(text, most)
    assert line.isprintable()
    assert len(line) <= most
    assert one_line(line, most) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\t c", "a b c"),
        ("a\u2028b\u3000c\x85", "a b c"),
        ("\x1b[31m", "\\x1b[31m"),
        ("x" * 20, "x" * 9 + "…"),
        ("\ud800", "\\ud800"),
        ("\udcff", "\\xff"),
        ("\u202eabc", "\\u202eabc"),
        ("grüße", "grüße"),
    ],
)
def test_white_space_is_a_blank_and_what_cannot_be_seen_an_escape(text, line):
    assert one_line(text, 10) == line


def test_a_line_is_bounded_unless_told_otherwise():
    assert len(one_line("a" * 10**7)) == MAX_LINE
    assert one_line("a" * 10**4, None) == "a" * 10**4
