"""The images in memory, and the figures of a collapse."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.pool import compared, effective_rank, pool_of, spread
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import Batch, DataError, Geometry
from adbench.testing.toy_network import ToyBatches


def test_all_images_in_order():
    given = ToyBatches()
    assert torch.equal(pool_of(given, "it"), given.batch.images)


def test_images_of_two_sizes_are_refused():
    class Two(ToyBatches):
        def __iter__(self):
            yield from super().__iter__()
            yield Batch(("last",), torch.zeros(1, 3, 40, 32), (Geometry.whole(40, 32),))

    with pytest.raises(DataError, match="learns from images of one size, and last has another; resize all of them"):
        pool_of(Two(), "it")


def test_no_image_is_refused():
    nothing = ToyBatches(Batch((), torch.zeros(0, 3, 8, 8), ()))
    with pytest.raises(DataError, match="has no normal image to learn from"):
        pool_of(nothing, "it")


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), st.integers(0, 100), st.floats(0.1, 10))
def test_the_rank_counts_equal_directions(directions, seed, scale):
    """As many orthogonal directions of one length as there are, wherever the mean lies."""
    draw = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(12, 12, generator=draw, dtype=torch.float64))
    vectors = scale * torch.cat([basis[:directions], -basis[:directions]]) + torch.randn(12, generator=draw)
    assert effective_rank(vectors) == pytest.approx(directions, rel=1e-6)


def test_equal_vectors_have_no_direction():
    vectors = torch.ones(5, 4)
    assert effective_rank(vectors) == 0.0
    assert spread(vectors) == 0.0


def test_the_alarm_tells_of_a_collapse_and_of_nothing_else(generator):
    frozen = torch.randn(30, 16, generator=generator())
    facts, notes = compared(frozen, frozen * 3)
    assert notes == ()
    assert facts["collapsed"] == 0.0
    assert facts["moved"] == pytest.approx(0.0, abs=1e-9)
    assert facts["rank"] == pytest.approx(facts["rank_frozen"])
    for collapsed in (torch.ones(30, 16) + 1e-3 * frozen, torch.outer(frozen[:, 0], frozen[0])):
        facts, notes = compared(frozen, collapsed)
        assert facts["collapsed"] == 1.0
        assert notes[0].startswith("collapse alarm: the features of normal images spread over")
