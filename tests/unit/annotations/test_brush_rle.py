"""Label Studio's run lengths: the SDK's own bytes are read, and what is written comes back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adbench.annotations.brush_rle import decode, encode

SDK = [0, 0, 0, 96, 57, 27, 254, 31, 0, 183, 255, 108, 2, 223, 254, 27, 0, 0]
"""What label-studio-sdk 2.1.2 (converter/brush.py, mask2rle) writes for GOLDEN."""
GOLDEN = np.zeros((4, 6), bool)
GOLDEN[1:3, 2:5] = True


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
@settings(max_examples=100)
def test_masks_come_back(mask):
    data = encode(mask)
    assert all(0 <= byte < 256 for byte in data)
    np.testing.assert_array_equal(decode(data, mask.shape), mask)


def test_runs_longer_than_a_piece_come_back():
    mask = np.zeros((300, 400), bool)
    mask[-1, -1] = True
    np.testing.assert_array_equal(decode(encode(mask), mask.shape), mask)


def test_the_sdks_bytes_are_read():
    np.testing.assert_array_equal(decode(SDK, GOLDEN.shape), GOLDEN)


@pytest.mark.parametrize("length", [0, 3, 8, 11])
def test_bytes_that_end_too_early_are_refused(length):
    with pytest.raises(ValueError, match="end too early"):
        decode(encode(GOLDEN)[:length], GOLDEN.shape)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="another size"):
        decode(encode(GOLDEN), (4, 7))


def test_runs_beyond_the_image_are_refused():
    data = encode(np.zeros((1, 16), bool))
    data[3] = 4  # the number of values of one pixel, and a run of 64
    with pytest.raises(ValueError, match="longer than the image"):
        decode(data, (1, 1))


@pytest.mark.parametrize("junk", [[256], [-1], ["a"], [1.5]])
def test_what_is_no_byte_is_refused(junk):
    with pytest.raises((ValueError, TypeError)):
        decode(junk * 20, (2, 2))
