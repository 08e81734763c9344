"""An order that is done in a worker always comes back: as an answer, or as a reason."""

import pytest

from adbench.executor import answer_or_reason


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self):
        raise RuntimeError


def raising(error):
    def work(order):
        raise error

    return work


def test_an_answer_comes_back():
    assert answer_or_reason(str.upper, "done") == ("DONE", "")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such image"), "it raised ValueError: no such image"),
        (SystemExit(3), "it raised SystemExit: 3"),
        (KeyboardInterrupt(), "it raised KeyboardInterrupt:"),
        (Mute(), "it raised Mute:"),
    ],
)
def test_whatever_is_raised_is_reported(error, reason):
    assert answer_or_reason(raising(error), "") == (None, reason)


def test_a_long_text_is_cut_off():
    _, reason = answer_or_reason(raising(ValueError("x" * 5000)), "")
    assert len(reason) < 1100
