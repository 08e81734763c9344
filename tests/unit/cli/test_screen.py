"""What is printed can be seen, and steers nothing."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console as RichConsole

import adbench.cli
from adbench.cli.screen import broken, counted, echo, echo_csv, listed, say, styled, visible
from adbench.safe_text import MAX_LINE


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain words", "plain words"),
        ("größer, 欠陥, é", "größer, 欠陥, é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("bell\x07", "bell\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("byte \udc80, half \ud800", "byte \\x80, half \\ud800"),
        ("line\u2028break", "line\\u2028break"),
        ("\U000e0001tag", "\\U000e0001tag"),
        (Path("a\x00b"), "a\\x00b"),
        (None, "None"),
    ],
)
def test_what_would_steer_a_terminal_is_written_as_an_escape(text, seen):
    assert visible(text) == seen
    visible(text).encode()


def test_a_long_text_shows_its_beginning_and_its_end():
    message = visible("a" * 1_200_000 + "z")
    assert len(message) < MAX_LINE + 10
    assert (message[0], message[-1], " … " in message) == ("a", "z", True)


def test_lines_and_styled_texts_are_visible_too(capsys):
    echo("one\x1b[2J", "two\n")
    assert capsys.readouterr().out == "one\\x1b[2J\ntwo\\n\n"
    assert styled("a\x1b", ("[red]\x07", "bold")).plain == "a\\x1b[red]\\x07"


@pytest.mark.parametrize(
    ("number", "words", "message"),
    [
        (0, ("unit",), "0 units"),
        (1, ("unit",), "1 unit"),
        (1, ("branch", "branches"), "1 branch"),
        (2, ("branch", "branches"), "2 branches"),
    ],
)
def test_one_is_one(number, words, message):
    assert counted(number, *words) == message


def test_of_many_names_the_first_are_reported():
    assert listed(["a", "b"]) == "a, b"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_csv_is_whole_and_controls_no_terminal(capsys):
    long = "a" * 100_000
    echo_csv(f'name,text\nx,{long}\ny,"two\nlines \x1b[31m"\n')
    assert capsys.readouterr().out == f'name,text\nx,{long}\ny,"two\nlines \\x1b[31m"\n'


FORBIDDEN = {"click.echo", "click.secho", "escape", "print", "RichConsole", "Console"}
ROOM = Path(adbench.cli.__file__).parent
OTHERS = {"screen.py", "commands/completion.py"}
"""Modules that may print by themselves: the second prints a shell's script, which click has made."""


@pytest.mark.parametrize("module", sorted(path.relative_to(ROOM).as_posix() for path in ROOM.rglob("*.py")))
def test_the_command_line_prints_through_the_screen(module):
    if module in OTHERS:
        return
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse((ROOM / module).read_text()))
        if isinstance(node, ast.Call)
    }
    made = {"Console"} if module in ("commands/run.py", "commands/plan.py") else set()  # adbench.cli.console's
    assert (calls & FORBIDDEN) - made == set()


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_a_line_breaks_between_words_and_a_path_stays_whole(width):
    reported = io.StringIO()
    path = "runs/brick-patchcore-lite-s0-0b231d040eaf"
    say(RichConsole(file=reported, force_terminal=True, width=width, markup=False), f"  fit 1.0 s, 803 MB; {path}")
    lines = reported.getvalue().splitlines()
    assert path in {line.strip() for line in lines} | {lines[-1].split("; ")[-1]}
    assert all(len(line) <= max(width, 4 + len(path)) for line in lines)
    assert " ".join(reported.getvalue().split()) == f"fit 1.0 s, 803 MB; {path}"


@given(
    st.lists(st.text("ab-", min_size=1, max_size=30), min_size=1, max_size=12),
    st.integers(0, 8),
    st.integers(1, 60),
    st.none() | st.integers(0, 40),
)
def test_lines_of_a_terminal_hold_whole_words(words, before, width, hang):
    lines = list(broken(" " * before + " ".join(words), width, hang))
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= width or line == line.split()[0] for line in lines[1:])
    assert all(lines)


def test_further_lines_stand_below_the_text_of_a_list():
    assert list(broken("  knn  The mean distance to the nearest", 24, 7)) == [
        "  knn  The mean distance",
        "       to the nearest",
    ]


def test_a_terminal_breaks_what_echo_prints_and_a_pipe_does_not(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    echo("one two three four five six")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    echo("one two three four five six")
    assert capsys.readouterr().out.splitlines() == ["one two three four five six", "one two three four", "  five six"]


def test_a_pipe_gets_the_line_as_it_is():
    reported = io.StringIO()
    say(RichConsole(file=reported, width=10, markup=False), "one two three four five six")
    assert reported.getvalue() == "one two three four five six\n"
