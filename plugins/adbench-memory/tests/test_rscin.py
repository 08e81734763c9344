"""RsCIN by hand and against figures of the authors' code."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.lnamd import Lnamd
from adbench_memory.mutual import Mutual
from adbench_memory.rscin import Rscin
from adbench_memory.test_set import TestSet
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from adbench import Context, ContractError, ImageScores, UsageError

OFFICIAL = [0.818460, 0.090627, 0.353240, 0.764324, 0.391602, 0.175334, 0.167683, 0.341391]
"""``RsCIN`` of xrli-U/MuSc, models/modules/_RsCIN.py at b76b93d, after ``LNAMD`` and ``MSM``, for k = 1, 2 and 3."""


def images(scores, vectors):
    return [
        ImageScores(id=str(number), patches=torch.tensor([[score - 1, score]]), vector=torch.tensor(vector))
        for number, (score, vector) in enumerate(zip(scores, vectors, strict=True))
    ]


def test_by_hand():
    """Scores 2, 6 and 10 become 0, 0.5 and 1. The first two images are alike by 0.6, the last two by 0.8."""
    given = images([2.0, 6.0, 10.0], [[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])
    assert Rscin(neighbours=1).aggregate(given).tolist() == [0, 0.5, 1]
    two = [(1 * 0 + 0.6 * 0.5) / 1.6, (1 * 0.5 + 0.8 * 1) / 1.8, (1 * 1 + 0.8 * 0.5) / 1.8]
    torch.testing.assert_close(Rscin(neighbours=2).aggregate(given), torch.tensor(two))
    three = [0.3 / 1.6, (0.5 + 0.8 + 0) / 2.4, 1.4 / 1.8]
    torch.testing.assert_close(Rscin(neighbours=3).aggregate(given), torch.tensor(three))
    mean = (torch.tensor([0, 0.5, 1]) + torch.tensor(two) + torch.tensor(three)) / 3
    torch.testing.assert_close(Rscin().aggregate(given), mean)


def test_dot_counts_lengths():
    """The last vector is twice as long: its own weight is 4, its neighbour's 1.6."""
    given = images([2.0, 6.0, 10.0], [[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])
    found = Rscin(neighbours=2, similarity="dot").aggregate(given)
    assert found[2].item() == pytest.approx((4 * 1 + 1.6 * 0.5) / 5.6)


@pytest.mark.proves("musc")
def test_equal_to_the_authors_code(waves):
    stream = waves(8, 3, (4, 4), 0, "test")
    seen = stream.after(Lnamd())
    bank = TestSet(reads="layers")
    bank.fit(seen, Context())
    patches = Mutual().score(seen.part(slice(8)), bank).patches
    given = [ImageScores(id=str(i), patches=patches[i], vector=stream.image[i]) for i in range(8)]
    torch.testing.assert_close(Rscin().aggregate(given), torch.tensor(OFFICIAL), rtol=0, atol=5e-6)


@settings(max_examples=25, deadline=None)
@examples(count=st.integers(1, 8), scale=st.floats(0.1, 10), shift=st.floats(-5, 5), seed=st.integers(0, 99))
def test_stretching_the_scores_changes_nothing(count, scale, shift, seed):
    draw = torch.Generator().manual_seed(seed)
    scores, vectors = torch.rand(count, generator=draw), torch.randn(count, 4, generator=draw)
    before, after = (
        Rscin().aggregate(images((factor * scores + term).tolist(), vectors.tolist()))
        for factor, term in ((1, 0), (scale, shift))
    )
    torch.testing.assert_close(before, after, rtol=0, atol=1e-3)


def test_few_images_share_among_themselves():
    assert Rscin(neighbours=[9]).aggregate(images([1.0, 2.0], [[1.0], [1.0]])).tolist() == [0.5, 0.5]
    assert Rscin().aggregate(images([7.0], [[1.0, 2.0]])).tolist() == [0]


def test_an_empty_vector_is_like_itself_alone():
    assert Rscin(neighbours=1).aggregate(images([1.0, 2.0], [[0.0], [1.0]])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("image", "missing"),
    [
        (ImageScores("a", vector=torch.ones(2)), "reads patch scores"),
        (ImageScores("a", patches=torch.ones(1, 1)), "reads image vectors"),
    ],
)
def test_what_is_missing_is_reported(image, missing):
    with pytest.raises(ContractError, match=missing):
        Rscin().aggregate([image])


def test_an_image_always_counts_itself():
    with pytest.raises(UsageError, match="must be 1 or more"):
        Rscin(neighbours=[0, 1])
