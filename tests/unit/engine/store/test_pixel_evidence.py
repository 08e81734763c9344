import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adbench.engine.store.pixel_evidence import MOST_POINTS, POINTS, PixelEvidence, checked

SCORES = arrays(np.float32, st.integers(1, 60), elements=st.integers(-1000, 1000).map(lambda number: number / 8))


@given(SCORES)
def test_at_normal_pixels_it_is_the_conformal_p_value(pixels):
    """So few pixels are all points of the curve."""
    slow = [-np.log((1 + (pixels >= one).sum()) / (1 + len(pixels))) for one in pixels]
    np.testing.assert_allclose(PixelEvidence.of(pixels)(pixels), slow, atol=1e-6)


@given(SCORES, SCORES)
def test_it_never_falls_and_rises_beyond_the_highest(pixels, scores):
    curve, ordered = PixelEvidence.of(pixels), np.sort(scores)
    assert (np.diff(curve(ordered)) >= 0).all()
    high = pixels.max()
    assert curve(high + np.float32(2000)) > curve(high + np.float32(1000)) > curve(high)


def test_a_large_sample_needs_few_points_and_keeps_its_tail():
    pixels = np.random.default_rng(0).exponential(1, 200_000).astype(np.float32)
    curve = PixelEvidence.of(pixels)
    assert len(curve.scores) <= POINTS + 1
    top = np.sort(pixels)[-20:]
    np.testing.assert_allclose(curve(top), -np.log(np.arange(21, 1, -1) / 200_001), atol=1e-5)
    places = np.array([0.5, 1, 2, 4, 8], np.float32)
    np.testing.assert_allclose(curve(places), places, rtol=0.05)
    assert curve(np.float32(30)) == pytest.approx(30, rel=0.2), "an exponential tail goes on as one"


@given(SCORES)
def test_a_file_gives_it_back(pixels):
    curve = PixelEvidence.of(pixels)
    again = checked(np.concatenate([curve.scores, curve.evidence]))
    assert np.array_equal(again.scores, curve.scores)
    assert np.array_equal(again.evidence, curve.evidence)


@pytest.mark.parametrize(
    "values",
    [[], [1, 2], [1, 2, 3], [2, 1, 0, 1], [1, 1, 0, 1], [1, 2, 1, 0], [1, np.nan, 0, 1], range(2 * MOST_POINTS + 2)],
    ids=["none", "one-point", "odd", "falling", "equal", "evidence-falls", "nan", "too-many"],
)
def test_what_is_no_curve_is_refused(values):
    with pytest.raises(ValueError, match="does not rise"):
        checked(np.array(list(values), np.float32))


def test_numbers_of_another_type_are_refused():
    with pytest.raises(ValueError, match="does not rise"):
        checked(np.array([1.0, 2.0, 0.0, 1.0]))
