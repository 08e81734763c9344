"""Scores and PatchCore's weight, against numbers worked out by hand and a direct reading of the formulas."""

from __future__ import annotations

import math

import pytest
import torch
from adbench_memory.full import Full
from adbench_memory.knn import Knn
from adbench_memory.reweight import KnownNeighbourhoods, neighbourhood

from adbench import Context, Source, UsageError
from adbench.comparisons import NormalPatch, PatchPlace


class Transductive(Full):
    """All patches of the test images themselves."""

    name = "test-set"
    learns_from = Source.TEST


def bank_of(stream, cls=Full):
    bank = cls()
    bank.fit(stream, Context())
    return bank


def line(*places):
    """Patches on a line: one image of one row."""
    return torch.tensor(places).reshape(1, 1, -1, 1)


def test_the_mean_of_k_distances(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 1.0, 5.0)))
    (query,) = patch_stream(line(2.0, 5.0))
    assert Knn().score(query, bank).patches.tolist() == [[[1, 0]]]
    assert Knn(k=2).score(query, bank).patches.tolist() == [[[1.5, 2]]]
    assert Knn().score(query, bank).image is None


@pytest.mark.proves("patchcore")
def test_squares_are_averaged(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 1.0, 5.0)))
    (query,) = patch_stream(line(2.0, 5.0))
    assert Knn(squared=True).score(query, bank).patches.tolist() == [[[1, 0]]]
    assert Knn(k=2, squared=True).score(query, bank).patches.tolist() == [[[2.5, 8]]]


@pytest.mark.parametrize("options", [{"metric": "cosine"}, {"reweight": 3}])
def test_squares_of_what_is_not_plain_are_refused(options):
    with pytest.raises(UsageError, match="squared goes with"):
        Knn(squared=True, **options)


@pytest.mark.proves("anomaly-dino", "dinov3-knn", "clip-patch-knn")
def test_cosine_is_one_minus_the_cosine(patch_stream):
    bank = bank_of(patch_stream(torch.tensor([[[[2.0, 0.0]]]])))
    (query,) = patch_stream(torch.tensor([[[[1.0, 1.0], [-3.0, 0.0], [5.0, 0.0]]]]))
    assert Knn(metric="cosine").score(query, bank).patches.flatten().tolist() == pytest.approx([1 - 0.5**0.5, 2, 0])


def test_the_background_scores_nothing(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 10.0)))
    (query,) = patch_stream(line(2.0, 6.0, -1.0))
    scores = Knn(reweight=1).score(query.having(foreground=torch.tensor([[[True, False, True]]])), bank)
    assert scores.patches.tolist() == [[[2, 0, 1]]]
    weight = 1 - math.exp(2) / math.exp(8)  # the highest patch is at 2 now: 2 from 0, and 8 from its neighbour 10
    assert scores.image.tolist() == pytest.approx([2 * weight])


@pytest.mark.proves("patchcore-paper")
def test_the_weight_by_hand(patch_stream):
    """m_test = 10, m* = 7 (s* = 3); nearest to 7 are 6 and 4, at 4 and 6 from m_test."""
    bank = bank_of(patch_stream(line(0.0, 4.0, 6.0, 7.0)))
    (query,) = patch_stream(line(1.0, 10.0))
    eq7 = Knn(reweight=2).score(query, bank)
    assert eq7.patches.tolist() == [[[1, 3]]]
    assert eq7.image.tolist() == pytest.approx([3 * (1 - math.exp(3) / (math.exp(4) + math.exp(6)))])
    anomalib = Knn(reweight=3, reweight_form="anomalib").score(query, bank)
    total = math.exp(3) + math.exp(4) + math.exp(6)
    assert anomalib.image.tolist() == pytest.approx([3 * (1 - math.exp(3) / total)])


@pytest.mark.proves("patchcore-anomalib", "patchcore-lite")
def test_anomalibs_steps(patch_stream, gaussian_noise):
    """The image score as anomalib computes it, for a batch: argmax, neighbours of m*, one minus softmax."""
    bank = bank_of(patch_stream(gaussian_noise(6, 4, 4, 8)))
    (query,) = patch_stream(3 * gaussian_noise(5, 4, 4, 8, seed=1))
    distances = torch.cdist(query.patches.reshape(5, 16, 8), bank.vectors, compute_mode="donot_use_mm_for_euclid_dist")
    scores, nearest = distances.min(2)
    top = scores.argmax(1)
    rows = torch.arange(5)
    around = torch.cdist(bank.vectors[nearest[rows, top]], bank.vectors).topk(9, largest=False).indices
    weights = 1 - distances[rows[:, None], top[:, None], around].softmax(1)[:, 0]
    seen = Knn(reweight=9, reweight_form="anomalib").score(query, bank)
    torch.testing.assert_close(seen.patches, scores.reshape(5, 4, 4), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(seen.image, weights * scores.amax(1), rtol=1e-5, atol=1e-6)


def test_large_distances_do_not_overflow(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 1.0, 2.0)))
    (query,) = patch_stream(line(1e4))
    scores = Knn(reweight=2).score(query, bank)
    assert scores.image.tolist() == pytest.approx([9998 * (1 - 1 / (math.exp(1) + math.exp(2)))])


def test_twins_of_the_nearest_vector_count_as_neighbours(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 0.0, 0.0, 0.0)))
    (query,) = patch_stream(line(2.0))
    assert Knn(reweight=2).score(query, bank).image.tolist() == pytest.approx([1.0])
    assert Knn(reweight=2, reweight_form="anomalib").score(query, bank).image.tolist() == pytest.approx([1.0])


def test_a_bank_of_one_vector_weighs_nothing(patch_stream):
    bank = bank_of(patch_stream(line(1.0)))
    (query,) = patch_stream(line(4.0))
    for form in ("eq7", "anomalib"):
        assert Knn(reweight=9, reweight_form=form).score(query, bank).image.tolist() == [3]


def test_a_test_image_never_matches_itself(patch_stream):
    stream = patch_stream(line(0.0, 1.0), line(10.0, 11.0), line(20.0, 21.0))
    bank = bank_of(stream, Transductive)
    query = next(iter(stream))
    assert Knn().score(query, bank).patches.tolist() == [[[10, 9]]]
    scores = Knn(reweight=1).score(query, bank)
    assert scores.image.tolist() == pytest.approx([10 * (1 - math.exp(10) / math.exp(11))])


def test_more_neighbours_than_vectors_are_refused(patch_stream):
    bank = bank_of(patch_stream(line(0.0, 1.0)))
    (query,) = patch_stream(line(2.0))
    with pytest.raises(UsageError, match="cannot find 3 neighbours among 2"):
        Knn(k=3).score(query, bank)


@pytest.mark.parametrize(
    ("options", "gives", "aggregate"),
    [
        ({}, {"patches"}, "max"),
        ({"metric": "cosine"}, {"patches"}, {"top-fraction": {"fraction": 0.01}}),
        ({"reweight": 9, "metric": "cosine"}, {"patches", "image"}, "scorer"),
    ],
)
def test_what_it_gives_and_asks_for(options, gives, aggregate):
    config = Knn(**options).config
    assert Knn.gives(config) == gives
    assert Knn.defaults(config) == {"bank": {"full": {}}, "aggregate": aggregate}


def test_a_patch_is_compared_with_its_nearest_neighbour(patch_stream):
    stream = patch_stream(torch.tensor([[[[0.0, 0.0], [8.0, 0.0]]]]))
    (query,) = patch_stream(torch.tensor([[[[90.0, 90.0]], [[5.0, 4.0]]]]))
    found = Knn(k=2, squared=True).compare(query, bank_of(stream), (1, 0))
    assert found.distance == 5.0
    assert found.nearest == NormalPatch(stream.ids[0], PatchPlace(0, 1, 1, 2))
    assert found.channels.tolist() == [0.36, 0.64]


class TestKnownNeighbourhoods:
    """Those of vectors of the bank, each searched for once."""

    @pytest.fixture
    def counted(self, patch_stream, monkeypatch):
        """A bank of 40 random patches, and the numbers of vectors that were searched for."""
        bank = bank_of(patch_stream(torch.randn(1, 5, 8, 4, generator=torch.Generator().manual_seed(0))))
        asked, search = [], type(bank).search

        def counting(self, query, *rest, **more):
            asked.append(len(query))
            return search(self, query, *rest, **more)

        monkeypatch.setattr(type(bank), "search", counting)
        return bank, asked

    def test_are_those_of_a_search(self, counted):
        bank, asked = counted
        places, known = torch.tensor([3, 7, 3, 39]), KnownNeighbourhoods()
        wanted = neighbourhood(bank, places, 5, "l2")
        asked.clear()
        for some in (places, places, places[1:]):
            assert torch.equal(known.of(bank, some, 5, "l2"), wanted[-len(some) :])
        assert asked == [3]  # three different vectors

    def test_are_by_metric_and_count(self, counted):
        bank, _ = counted
        places, known = torch.arange(40), KnownNeighbourhoods()
        for metric in ("l2", "cosine", "l2"):
            for count in (2, 9):
                assert torch.equal(known.of(bank, places, count, metric), neighbourhood(bank, places, count, metric))

    def test_are_forgotten_with_the_vectors(self, counted, patch_stream):
        bank, _ = counted
        places, known = torch.tensor([0, 1]), KnownNeighbourhoods()
        before = known.of(bank, places, 5, "l2")
        bank.fit(patch_stream(torch.randn(1, 5, 8, 4, generator=torch.Generator().manual_seed(1))), Context())
        after = known.of(bank, places, 5, "l2")
        assert torch.equal(after, neighbourhood(bank, places, 5, "l2"))
        assert not torch.equal(after, before)

    def test_are_not_more_than_a_few(self, counted, monkeypatch):
        monkeypatch.setattr(KnownNeighbourhoods, "MOST", 3)
        bank, _ = counted
        known = KnownNeighbourhoods()
        for place in range(40):
            only = torch.tensor([place])
            assert torch.equal(known.of(bank, only, 4, "l2"), neighbourhood(bank, only, 4, "l2"))
            assert len(known._of[1]) <= 4
