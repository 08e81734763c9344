"""What the banks keep, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from adbench_memory import memory
from adbench_memory.collect import collect
from adbench_memory.coreset import Coreset
from adbench_memory.full import Full

from adbench import Context, ContractError, DataError, FeatureStream, UsageError
from adbench.api.search.shared_results import SharedResults
from adbench.coresets import plain_k_center
from adbench.engine.run.seed_watch import WatchedContext
from adbench.search import ExactIndex, exact_search


class Masked(FeatureStream):
    """Batches that have a foreground."""

    def __init__(self, batches):
        self.batches = batches

    @property
    def ids(self):
        return [name for part in self.batches for name in part.ids]

    def __iter__(self):
        return iter(self.batches)


def fitted(bank, stream, seed=0):
    bank.prepare(Context(seed=seed))
    bank.fit(stream, Context(seed=seed))
    return bank


def test_full_keeps_every_patch_with_its_image(patch_stream, gaussian_noise):
    grids = gaussian_noise(2, 3, 4, 5), gaussian_noise(1, 3, 4, 5, seed=1)
    bank = fitted(Full(), patch_stream(*grids))
    assert torch.equal(bank.vectors, torch.cat(grids).reshape(36, 5))
    assert bank.owners == [f"image {index // 12}" for index in range(36)]


def test_patches_outside_the_foreground_are_dropped(patch_stream, gaussian_noise):
    grids, inside = (
        gaussian_noise(3, 2, 2, 4),
        torch.tensor([[[1, 0], [0, 0]], [[1, 1], [1, 1]], [[0, 0], [1, 1]]]).bool(),
    )
    masked = [part.having(foreground=mask) for part, mask in zip(patch_stream(grids), [inside], strict=True)]
    bank = fitted(Full(), Masked(masked))
    assert torch.equal(bank.vectors, grids[inside])
    assert [bank.owners.count(f"image {index}") for index in range(3)] == [1, 4, 2]


def test_grids_may_grow_and_shrink_on_the_way(patch_stream, gaussian_noise):
    grids = gaussian_noise(1, 2, 2, 3), gaussian_noise(2, 4, 2, 3, seed=1), gaussian_noise(1, 1, 1, 3, seed=2)
    bank = fitted(Full(), patch_stream(*grids))
    assert torch.equal(bank.vectors, torch.cat([grid.reshape(-1, 3) for grid in grids]))
    assert [bank.owners.count(f"image {index}") for index in range(4)] == [4, 8, 8, 1]


def test_equal_grids_are_written_into_one_allocation(patch_stream, gaussian_noise, monkeypatch):
    sizes, empty = [], torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, **options: sizes.append(shape) or empty(*shape, **options))
    collect(patch_stream(*(gaussian_noise(2, 3, 3, 4, seed=seed) for seed in range(5))), "cpu", "bank 'full'")
    assert sizes == [(90, 4)]


def test_half_precision_becomes_float32(patch_stream, gaussian_noise):
    assert fitted(Full(), patch_stream(gaussian_noise(1, 2, 2, 3).half())).vectors.dtype == torch.float32


def test_the_image_that_is_not_finite_is_named(patch_stream, gaussian_noise):
    grid = gaussian_noise(3, 2, 2, 4)
    grid[1, 0, 1, 2] = float("nan")
    with pytest.raises(ContractError, match="'image 1' has NaN"):
        fitted(Full(), patch_stream(grid))


def test_channels_may_not_change(patch_stream, gaussian_noise):
    with pytest.raises(ContractError, match="got 4 and then 5"):
        fitted(Full(), patch_stream(gaussian_noise(1, 2, 2, 4), gaussian_noise(1, 2, 2, 5)))


@pytest.mark.parametrize("bank", [Full(), Coreset()])
def test_nothing_to_learn_from_and_nothing_learned(bank, patch_stream):
    with pytest.raises(UsageError, match="has learned nothing yet"):
        _ = bank.vectors
    with pytest.raises(DataError, match="cannot learn from nothing"):
        fitted(bank, patch_stream())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fraction": 0.1}, 10),
        ({"fraction": 0.001}, 1),
        ({"count": 7}, 7),
        ({"count": 999}, 100),
        ({"fraction": 1}, 100),
    ],
)
def test_coreset_keeps_as_many_as_asked_for(options, expected, patch_stream, gaussian_noise):
    bank = fitted(Coreset(**options), patch_stream(gaussian_noise(4, 5, 5, 6)))
    assert len(bank.vectors) == len(bank.owners) == expected


def test_coreset_is_the_plain_selection_from_a_seeded_start(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(4, 5, 5, 6))
    everything = fitted(Full(), stream).vectors
    firsts = set()
    for seed in range(5):
        bank = fitted(Coreset(count=9), stream, seed)
        first = int((everything == bank.vectors[0]).all(1).nonzero())
        assert torch.equal(bank.vectors, everything[plain_k_center(everything, 9, first)])
        firsts.add(first)
    assert len(firsts) > 1


@pytest.mark.proves("patchcore")
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_ten_decides_what_is_kept(seed, patch_stream, gaussian_noise):
    """The official code's loop, written down from its description, from the same ten points."""
    rows = gaussian_noise(4, 5, 5, 6).reshape(100, 6)
    anchors = torch.randperm(100, generator=Context(seed=seed).generator("coreset/start"))[:10]
    nearest = torch.cdist(rows, rows[anchors], compute_mode="donot_use_mm_for_euclid_dist").mean(1)
    expected = []
    for _ in range(20):
        expected.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (rows - rows[expected[-1]]).norm(dim=1))
    bank = fitted(Coreset(fraction=0.2, start="mean-of-ten"), patch_stream(rows.reshape(4, 5, 5, 6)), seed)
    assert torch.equal(bank.vectors, rows[expected])


def test_the_mean_of_ten_of_fewer_is_that_of_all(patch_stream):
    bank = fitted(
        Coreset(count=2, start="mean-of-ten"), patch_stream(torch.tensor([0.0, 3.0, 4.0]).reshape(1, 1, 3, 1))
    )
    assert bank.vectors.flatten().tolist() == [0.0, 4.0]  # mean distances 7/3, 4/3 and 5/3, then 7/3 (0), 4/3 and 5/3


def test_the_streaming_coreset_is_gone_and_ids_are_what_they_were():
    assert Coreset(memory=None).identity() == Coreset().identity()
    assert Coreset().identity()["memory"] is None
    with pytest.raises(UsageError, match=r"no longer has the option 'memory'; leave it out; .*'pool-channels'"):
        Coreset(memory=1)


@pytest.mark.parametrize("start", ["one", "mean-of-ten"])
def test_a_smaller_coreset_is_recalled_from_a_larger_one(start, patch_stream, gaussian_noise):
    results, stream = SharedResults(1 << 24), patch_stream(gaussian_noise(4, 5, 5, 6))
    for count in (30, 10, 50):
        shared, alone = Coreset(count=count, start=start), Coreset(count=count, start=start)
        with results.used():
            shared.fit(stream, Context())
        alone.fit(stream, Context())
        assert torch.equal(shared.vectors, alone.vectors)
    assert results.charged > 0


@pytest.mark.parametrize("projection", ["sparse", "gaussian", "linear"])
def test_projected_selection_keeps_original_vectors(projection, patch_stream, gaussian_noise):
    everything = gaussian_noise(4, 5, 5, 64)
    bank = fitted(Coreset(count=9, projection=projection, dim=8), patch_stream(everything))
    found = (bank.vectors[:, None] == everything.reshape(1, -1, 64)).all(-1)
    assert found.any(1).all()
    plain = fitted(Coreset(count=9), patch_stream(everything))
    assert not torch.equal(bank.vectors, plain.vectors)


def test_a_projection_that_would_not_shorten_is_skipped(patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(4, 5, 5, 16))
    plain, projected = fitted(Coreset(count=9), stream), fitted(Coreset(count=9, projection="sparse"), stream)
    assert torch.equal(plain.vectors, projected.vectors)


def test_twins_are_kept_once(patch_stream, gaussian_noise):
    bank = fitted(Coreset(count=8), patch_stream(gaussian_noise(1, 1, 3, 4).repeat(5, 2, 1, 1)))
    assert len(bank.vectors) == 3


@pytest.mark.parametrize("bank", [Full(), Coreset(fraction=0.3)])
def test_state_carries_everything(bank, patch_stream, gaussian_noise):
    fitted(bank, patch_stream(gaussian_noise(3, 2, 2, 4)))
    other = type(bank)()
    other.restore(bank.state())
    assert torch.equal(other.vectors, bank.vectors)
    assert other.owners == bank.owners
    kinds = {torch.float32, torch.int64, torch.int16, torch.uint8}
    assert {value.dtype for value in bank.state().values()} == kinds


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("free", [0, 1 << 40], ids=["nothing kept", "prepared once"])
def test_the_search_is_exact(metric, free, patch_stream, gaussian_noise, monkeypatch):
    bank = fitted(Full(), patch_stream(50 + gaussian_noise(10, 8, 8, 12)))
    monkeypatch.setattr(memory, "free_bytes", lambda device: free)
    query = 50 + gaussian_noise(70, 12, seed=1)
    for exclude in (None, [f"image {index % 11}" for index in range(70)]):
        found = bank.search(query, 5, metric, exclude)
        expected = exact_search(query, bank.vectors, 5, metric, owners=bank.owners, exclude=exclude)
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_vectors_are_made_ready_once_for_each_metric(patch_stream, gaussian_noise, monkeypatch):
    made = []
    monkeypatch.setattr(
        memory,
        "ExactIndex",
        lambda vectors, metric, **options: made.append(metric) or ExactIndex(vectors, metric, **options),
    )
    bank = fitted(Full(), patch_stream(gaussian_noise(2, 3, 3, 4)))
    for metric in ("l2", "l2", "cosine", "cosine"):
        bank.search(gaussian_noise(5, 4), 1, metric)
    assert made == ["l2", "cosine"]
    fitted(bank, patch_stream(gaussian_noise(2, 3, 3, 4, seed=1)))
    assert bank.search(bank.vectors[3:4], 1)[0].item() == 0
    assert made == ["l2", "cosine", "l2"]


class TestSharing:
    """What banks and scorers of one grid have in common."""

    @pytest.fixture(autouse=True)
    def results(self):
        """Inside a run of several methods."""
        results = SharedResults(1 << 20)
        with results.used():
            yield results

    @pytest.mark.parametrize("metric", ["l2", "cosine"])
    def test_a_search_is_made_once_and_is_what_it_is_alone(
        self, patch_stream, gaussian_noise, metric, results, monkeypatch
    ):
        stream, queries = patch_stream(gaussian_noise(4, 9, 9, 6)), gaussian_noise(2, 50, 6, seed=1)
        stream.batches[0].patches[2] = stream.batches[0].patches[1]  # equals
        searched, search, bank = [], ExactIndex._search, fitted(Full(), stream)
        monkeypatch.setattr(ExactIndex, "_search", lambda *given: searched.append(given) or search(*given))
        for k in (1, 3, 4, 2, 9, 1):
            for query in queries:
                found = bank.search(query, k, metric)
                for one, other in zip(found, search(bank._exactly(metric), query, k, None), strict=True):
                    assert torch.equal(one, other)
        assert len(searched) == 2 * len(queries)  # for up to 4 neighbours, and for 9
        assert results.charged > 0

    def test_what_was_learned_anew_is_searched_anew(self, patch_stream, gaussian_noise):
        query, bank = gaussian_noise(5, 6, seed=1), fitted(Full(), patch_stream(gaussian_noise(1, 9, 9, 6)))
        before, _ = bank.search(query, 1)
        fitted(bank, patch_stream(gaussian_noise(1, 9, 9, 6, seed=3)))
        assert not torch.equal(bank.search(query, 1)[0], before)

    def test_another_bank_of_the_same_vectors_need_not_search_again(self, patch_stream, gaussian_noise, monkeypatch):
        stream, query = patch_stream(gaussian_noise(2, 9, 9, 6)), gaussian_noise(5, 6, seed=1)
        before = fitted(Full(), stream).search(query, 1)
        monkeypatch.setattr(ExactIndex, "_search", None)
        for one, other in zip(fitted(Full(), stream).search(query, 1), before, strict=True):
            assert torch.equal(one, other)

    def test_an_image_s_own_vectors_stay_left_out(self, patch_stream, gaussian_noise):
        stream = patch_stream(gaussian_noise(4, 3, 3, 6))
        bank = fitted(Full(), stream)
        query = stream.batches[0].patches[0].reshape(-1, 6)
        assert (bank.search(query, 1)[0] == 0).all()
        assert (bank.search(query, 1, exclude=["image 0"] * 9)[0] > 0).all()

    @pytest.mark.slow
    @pytest.mark.parametrize("options", [{}, {"projection": "gaussian", "dim": 3}])
    @pytest.mark.parametrize("order", [(0.02, 0.1, 0.05), (0.1, 0.02)])
    def test_coresets_of_one_start_share_their_selection(self, patch_stream, gaussian_noise, options, order, results):
        stream = patch_stream(gaussian_noise(5, 20, 20, 6))
        for fraction in order:
            charged = results.charged
            with SharedResults().used():
                alone = fitted(Coreset(fraction=fraction, **options), stream)
            assert results.charged == charged
            shared = fitted(Coreset(fraction=fraction, **options), stream)
            assert torch.equal(shared.vectors, alone.vectors)
            assert shared.owners == alone.owners
            assert (results.charged > charged) == (fraction != order[0])


@pytest.mark.parametrize(
    ("bank", "draws"), [(Full(), False), (Full(index="hnsw"), True), (Coreset(fraction=0.5), True)]
)
def test_who_draws_nothing_does_not_read_the_seed(patch_stream, gaussian_noise, bank, draws):
    ctx = WatchedContext()
    bank.prepare(ctx)
    bank.fit(patch_stream(gaussian_noise(2, 6, 6, 4)), ctx)
    bank.search(gaussian_noise(3, 4), 2)
    assert ctx.seed_read == draws


def test_a_full_bank_that_learns_from_more_images_is_that_of_all_images(patch_stream, gaussian_noise):
    first, second = gaussian_noise(2, 3, 4, 5), gaussian_noise(1, 3, 4, 5, seed=1)
    whole = fitted(Full(), patch_stream(first, second))
    grown = fitted(Full(), renamed(patch_stream(first), "a"))
    grown.add(renamed(patch_stream(second), "b"), Context())
    assert torch.equal(grown.vectors, whole.vectors)
    assert grown.owners == [*["a0"] * 12, *["a1"] * 12, *["b0"] * 12]
    grown.remove(["a1"])
    assert torch.equal(grown.vectors, torch.cat([first[:1].reshape(12, 5), second.reshape(12, 5)]))
    assert grown.owners == [*["a0"] * 12, *["b0"] * 12]
    with pytest.raises(UsageError, match="would be empty"):
        grown.remove(["a0", "b0"])


def test_a_coreset_that_learns_from_more_images_is_the_union_of_two(patch_stream, gaussian_noise):
    first, second = gaussian_noise(2, 3, 4, 5), gaussian_noise(2, 3, 4, 5, seed=1)
    grown = fitted(Coreset(fraction=0.25), renamed(patch_stream(first), "a"))
    own = fitted(Coreset(fraction=0.25), renamed(patch_stream(second), "b"))
    before = grown.vectors
    grown.add(renamed(patch_stream(second), "b"), Context())
    assert torch.equal(grown.vectors, torch.cat([before, own.vectors]))
    other = Coreset(fraction=0.25)
    other.prepare(Context())
    other.restore(grown.state())
    assert other.owners == grown.owners


def test_an_approximate_index_cannot_forget(patch_stream, gaussian_noise):
    bank = fitted(Full(index="hnsw"), patch_stream(gaussian_noise(3, 3, 4, 5)))
    with pytest.raises(UsageError, match="index=exact"):
        bank.remove(["image 0"])


def renamed(stream, letter):
    """The same features under ids of their own."""
    place = 0
    parts = []
    for part in stream:
        parts.append(part.having(ids=tuple(f"{letter}{place + index}" for index in range(len(part)))))
        place += len(part)
    return Masked(parts)


def at(bank, index):
    """The image of a vector and its place."""
    return bank.owners[index], *bank.place_of(index)


@pytest.mark.parametrize("bank", [Full(), Coreset(fraction=0.4), Coreset(fraction=0.4, projection="sparse", dim=2)])
def test_every_vector_knows_its_place_in_its_image(bank, patch_stream, gaussian_noise):
    first, second = gaussian_noise(2, 3, 4, 5), gaussian_noise(1, 2, 2, 5, seed=1)
    stream = patch_stream(first, second)
    bank.fit(stream, Context())
    grids = dict(zip(stream.ids, [*first, *second], strict=True))
    for index, vector in enumerate(bank.vectors):
        image, row, column, rows, columns, view = at(bank, index)
        assert grids[image].shape[:2] == (rows, columns)
        assert torch.equal(grids[image][row, column], vector)
        assert view is None


def test_places_are_those_of_the_foreground_and_survive_the_file(patch_stream, gaussian_noise):
    patches = gaussian_noise(1, 2, 3, 4)
    stream = patch_stream(patches)
    inside = torch.tensor([[[False, True, False], [True, False, True]]])
    stream.batches = [stream.batches[0].having(foreground=inside)]
    bank = Full()
    bank.fit(stream, Context())
    other = Full()
    other.restore(bank.state())
    assert [at(other, index)[1:3] for index in range(3)] == [(0, 1), (1, 0), (1, 2)]
    assert [at(bank, index) for index in range(3)] == [at(other, index) for index in range(3)]


def test_views_of_an_image_are_told_apart(patch_stream, gaussian_noise):
    one, other = patch_stream(gaussian_noise(2, 1, 1, 3)), patch_stream(gaussian_noise(2, 1, 1, 3, seed=1))
    one.batches = [*one.batches, other.batches[0].having(ids=one.batches[0].ids)]
    bank = Full()
    bank.fit(one, Context())
    assert [bank.place_of(index).view for index in range(4)] == [None, None, 0, 0]


def test_places_stay_when_images_come_and_go(patch_stream, gaussian_noise):
    first, second = patch_stream(gaussian_noise(2, 2, 3, 4)), patch_stream(gaussian_noise(1, 3, 2, 4, seed=1))
    second.batches = [second.batches[0].having(ids=("new",))]
    bank = Full()
    bank.fit(first, Context())
    bank.add(second, Context())
    assert at(bank, 12) == ("new", 0, 0, 3, 2, None)
    bank.remove([first.ids[0]])
    assert at(bank, 0) == (first.ids[1], 0, 0, 2, 3, None)
    assert at(bank, 11) == ("new", 2, 1, 3, 2, None)


def test_a_state_of_before_places_opens_and_has_none(patch_stream, gaussian_noise):
    bank = Full()
    bank.fit(patch_stream(gaussian_noise(2, 2, 3, 4)), Context())
    old = {name: tensor for name, tensor in bank.state().items() if name not in ("places", "grids")}
    other = Full()
    other.restore(old)
    assert other.place_of(0) is None
    assert other.state().keys() == old.keys()
    second = patch_stream(gaussian_noise(1, 2, 3, 4, seed=1))
    other.add(second, Context())
    assert other.place_of(len(other.vectors) - 1) is None


def test_places_that_do_not_fit_are_refused(patch_stream, gaussian_noise):
    bank = Full()
    bank.fit(patch_stream(gaussian_noise(2, 2, 3, 4)), Context())
    with pytest.raises(DataError, match="the state is damaged"):
        Full().restore({**bank.state(), "places": torch.zeros(3, 2, dtype=torch.int16)})
