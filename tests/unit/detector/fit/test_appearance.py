"""What images look like, and in what a new one differs."""

import numpy as np

from adbench.detector.fit.appearance import Appearance, Learned


def test_an_image_is_seen_as_it_is():
    gray = np.repeat(np.arange(48 * 40, dtype=np.uint8).reshape(48, 40, 1), 3, axis=2)
    assert Appearance.of(gray) == Appearance(48, 40, gray=True, deep=False)
    gray[16, 16, 0] += 1
    assert Appearance.of(gray).gray is False
    assert Appearance.of(gray.astype(np.float32) / 255).deep is True


def test_what_lies_within_what_was_learned_is_no_difference():
    learned = Learned.of([Appearance(100, 200, gray=True, deep=False), Appearance(120, 220, gray=False, deep=False)])
    assert list(learned.differences(Appearance(110, 200, gray=True, deep=False))) == []
    assert list(learned.differences(Appearance(110, 100, gray=True, deep=True))) == [
        "it has 110 x 100 pixels, where the detector learned from 100 to 120 x 200 to 220",
        "it has more than 8 bits a channel, where the detector learned from 8 bits a channel",
    ]


def test_of_no_image_nothing_is_known():
    assert Learned.of([]) is None
