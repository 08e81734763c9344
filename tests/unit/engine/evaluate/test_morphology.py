import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from adbench.engine.evaluate.morphology import shaped, shaped_on_device
from adbench.engine.plan.map_spec import Morphology

MAPS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    elements=st.floats(-9, 9, width=32).map(lambda value: value + 0.0),  # no -0.0, which compares equal to 0.0
)
OPERATIONS = {
    "erode": ndimage.grey_erosion,
    "dilate": ndimage.grey_dilation,
    "open": ndimage.grey_opening,
    "close": ndimage.grey_closing,
}


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@settings(max_examples=60, deadline=None)
@given(values=MAPS, side=st.sampled_from([3, 5, 9, 31]))
def test_morphology_is_scipys_to_the_bit(operation, values, side):
    found = shaped(values.copy(), Morphology(None, operation, side))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, OPERATIONS[operation](values, size=(side, side)))
    on_device = shaped_on_device(torch.from_numpy(values)[None], Morphology(None, operation, side))
    np.testing.assert_array_equal(on_device[0].numpy(), found)


@settings(max_examples=60, deadline=None)
@given(values=MAPS, floor=st.floats(-5, 5, width=32), operation=st.sampled_from([None, *OPERATIONS]))
def test_a_floor_raises_what_is_below_and_may_come_before_or_after(values, floor, operation):
    found = shaped(values, Morphology(floor, operation, 3))
    np.testing.assert_array_equal(
        shaped(values, Morphology(floor)), np.where(values < floor, np.float32(floor), values)
    )
    np.testing.assert_array_equal(found, np.maximum(shaped(values, Morphology(None, operation, 3)), np.float32(floor)))
    on_device = shaped_on_device(torch.from_numpy(values)[None], Morphology(floor, operation, 3))
    np.testing.assert_array_equal(on_device[0].numpy(), found)


def test_opening_takes_away_a_speck_and_closing_fills_a_hole():
    speck = np.zeros((9, 9), np.float32)
    speck[4, 4] = speck[0, 8] = 1
    assert not shaped(speck, Morphology(None, "open", 3)).any()
    assert (shaped(1 - speck, Morphology(None, "close", 3)) == 1).all()


def test_the_map_that_is_given_stays_as_it_is():
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    shaped(values, Morphology(5.0, "dilate", 3))
    np.testing.assert_array_equal(values, np.arange(12, dtype=np.float32).reshape(3, 4))


@pytest.mark.parametrize("text", ["open", "open:4", "open:1", "opening:3", "open:1001", "open:-3", ""])
def test_other_words_are_refused(text):
    with pytest.raises(ValueError, match="odd side of a square"):
        Morphology.parse(text)
