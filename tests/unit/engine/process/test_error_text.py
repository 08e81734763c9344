import pytest

from adbench.engine.process.error_text import MOST_OF_A_TRACE, bounded, named, trace_of, words_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Ä ß 日本 \N{SLIGHTLY SMILING FACE}", "Ä ß 日本 \N{SLIGHTLY SMILING FACE}"),
        ("one\ntwo\tthree\r\n", "one two three"),
        ("\x1b[31mred\x07\x00", "\\x1b[31mred\\x07\\x00"),
        ("\u202eturned\u2066", "\\u202eturned\\u2066"),
        ("\ud800 alone", "\\ud800 alone"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_no_terminal_should_be_sent_is_escaped(text, shown):
    assert bounded(text) == shown
    bounded(text).encode()


@pytest.mark.parametrize("char", ["a", "\x1b", "\ud800", "\n"])
def test_a_text_is_bounded_and_says_how_long_it_was(char):
    message = bounded(char * 3_000_000, 100)
    assert len(message) < 130
    assert message.endswith("... (3,000,000 characters)")


def test_the_longest_is_not_cut():
    assert bounded("a" * 100, 100) == "a" * 100


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (Mute(), "Mute: (its message cannot be read: that raises RuntimeError)"),
    ],
)
def test_an_error_is_named(error, message):
    assert named(error) == message


def test_words_are_bounded():
    assert len(words_of(ValueError("a" * 10**7))) < 1100


def test_a_trace_is_bounded_and_keeps_both_ends():
    with pytest.raises(ValueError, match="end") as caught:
        raise ValueError("\x1b" + "a" * 10**6 + "\ud800 end")
    text = trace_of(caught.value)
    assert len(text) < 2 * MOST_OF_A_TRACE
    assert text.startswith("Traceback")
    assert text.rstrip().endswith("\\ud800 end")
    assert "\x1b" not in text
    assert trace_of(None) == ""
