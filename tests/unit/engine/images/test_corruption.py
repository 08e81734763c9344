from importlib.metadata import PackageNotFoundError

import pytest

from adbench import UnknownName, UsageError
from adbench.engine.images import corruption as module
from adbench.engine.images.corruption import EVERY, NAMES, Corruption, parse_corruptions
from adbench.engine.images.moving import MOST_SHIFT, MOST_TURN
from adbench.engine.images.photometric import CHANGES


def test_there_are_ten_in_five_strengths():
    assert len(EVERY) == len(set(EVERY)) == 50
    assert {*CHANGES, "shift", "rotation"} == set(NAMES)
    assert max(MOST_SHIFT) <= 0.04
    assert max(MOST_TURN) <= 5


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], 0),
        (["all"], 50),
        (["defocus"], 5),
        (["defocus:3"], 1),
        (["noise:1", "defocus", "noise:1", "noise"], 10),
        (["all", "jpeg:2"], 50),
    ],
)
def test_words_choose_corruptions(texts, found):
    chosen = parse_corruptions(texts)
    assert len(chosen) == found
    assert list(chosen) == [one for one in EVERY if one in chosen], "in the same order, however they are named"


def test_a_corruption_is_written_as_it_is_read():
    assert parse_corruptions(map(str, EVERY)) == EVERY
    assert str(Corruption("side-light", 4)) == "side-light:4"


@pytest.mark.parametrize("text", ["fog", "", "All", "all:1", ":3", "defocus "])
def test_a_name_that_nobody_knows_is_refused(text):
    with pytest.raises(UnknownName, match="corruption"):
        parse_corruptions([text])


@pytest.mark.parametrize("text", ["noise:0", "noise:6", "noise:", "noise:1:2", "noise:1.0", "noise:٣"])
def test_a_strength_is_a_number_from_one_to_five(text):
    with pytest.raises(UsageError, match="noise:1 to noise:5"):
        parse_corruptions([text])


def test_all_strengths_share_a_draw_and_nothing_else_does():
    seeds = {(one.name, one.seed("a")) for one in EVERY} | {(one.name, one.seed("b")) for one in EVERY}
    assert len(seeds) == 2 * len(NAMES)


def test_a_digest_holds_content_corruption_and_strength(monkeypatch):
    ways = [("noise", 1), ("noise", 2), ("jpeg", 1)]
    found = {Corruption(*way).digest(content) for way in ways for content in ("a", "b")}
    assert len(found) == 6
    before = Corruption("noise", 1).digest("a")
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert Corruption("noise", 1).digest("a") != before


def test_a_digest_holds_the_version_of_a_package_that_corrupts(monkeypatch):
    found = []
    for version in ("1.1.5", "1.1.6"):
        monkeypatch.setattr(module, "version", lambda _, version=version: version)
        found.append(Corruption("c-fog", 1).digest("a"))
    assert len({*found}) == 2

    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", unknown)
    assert Corruption("c-fog", 1).digest("a") == "", "nobody knows what made it, so it is not cached"
    assert Corruption("noise", 1).digest("a")
