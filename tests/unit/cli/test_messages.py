"""What holds for many runs is said once."""

from __future__ import annotations

import pytest

from adbench.cli.messages import ProblemTally


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (["a"], "error: a: gone\n"),
        (["a", "b"], "error: 2 runs (a, b): gone\n"),
        (["a", "b", "c", "d", "e"], "error: 5 runs (a, b, c and 2 more): gone\n"),
        (["a\x1b[2J"], "error: a\\x1b[2J: gone\n"),
    ],
)
def test_a_sentence_is_reported_once_with_how_many_it_concerns(runs, message, capsys):
    reported = ProblemTally("run")
    for run in runs:
        reported.error("gone", run)
    reported.show()
    assert capsys.readouterr().err == message
    assert reported.failed == len(runs)


def test_other_sentences_are_other_lines_and_errors_come_last(capsys):
    reported = ProblemTally("method")
    reported.error("x", "a")
    reported.left_out("it failed", "b")
    reported.error("y", "a")
    reported.show()
    assert capsys.readouterr().err == "b: left out: it failed\nerror: a: x\nerror: a: y\n"
    assert reported.failed == 2


def test_nothing_to_say_is_nothing_said(capsys):
    reported = ProblemTally("run")
    reported.show()
    assert (capsys.readouterr().err, reported.failed) == ("", 0)
