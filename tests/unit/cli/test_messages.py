"""What holds for many runs is said once."""

from __future__ import annotations

import pytest

from adbench.cli.messages import ProblemTally


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["a"], "error: a: gone\n"),
        (["a", "b"], "error: 2 runs (a, b): gone\n"),
        (["a", "b", "c", "d", "e"], "error: 5 runs (a, b, c and 2 more): gone\n"),
        (["a\x1b[2J"], "error: a\\x1b[2J: gone\n"),
    ],
)
def test_a_sentence_is_said_once_with_how_many_it_concerns(runs, said, capsys):
    told = ProblemTally("run")
    for run in runs:
        told.error("gone", run)
    told.show()
    assert capsys.readouterr().err == said
    assert told.failed == len(runs)


def test_other_sentences_are_other_lines_and_errors_come_last(capsys):
    told = ProblemTally("method")
    told.error("x", "a")
    told.left_out("it failed", "b")
    told.error("y", "a")
    told.show()
    assert capsys.readouterr().err == "b: left out: it failed\nerror: a: x\nerror: a: y\n"
    assert told.failed == 2


def test_nothing_to_say_is_nothing_said(capsys):
    told = ProblemTally("run")
    told.show()
    assert (capsys.readouterr().err, told.failed) == ("", 0)
