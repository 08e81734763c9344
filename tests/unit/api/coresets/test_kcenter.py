"""Greedy k-center selects what the plain loop selects, whatever the data."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from adbench import UsageError
from adbench.api.coresets import arithmetic, kcenter
from adbench.api.coresets.group import Group
from adbench.coresets import greedy_cover, greedy_k_center, plain_k_center

pytestmark = pytest.mark.slow


def by_definition(vectors, count, start):
    """The selection as a reader would write it down: an independent reference."""
    nearest = torch.full((len(vectors),), float("inf"))
    chosen = [start]
    while len(chosen) < count:
        nearest = torch.minimum(nearest, ((vectors - vectors[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(nearest.argmax()))
    return chosen


def draw(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(n=5000, channels=40, seed=0):
    return torch.randn(n, channels, generator=draw(seed))


def clustered(n=5000, channels=40, seed=1):
    centers = 3 * torch.randn(30, channels, generator=draw(seed))
    return centers[torch.randint(30, (n,), generator=draw(seed))] + 0.1 * gaussian(n, channels, seed + 1)


def low_rank(n=5000, channels=40, seed=2):
    return gaussian(n, 3, seed) @ gaussian(3, channels, seed + 1)


def on_a_lattice(n=5000, channels=3, seed=3):
    """Few distinct distances: ties everywhere."""
    return torch.randint(0, 12, (n, channels), generator=draw(seed)).float()


def with_an_outlier():
    """One norm far above the others', which must not blur the distances among the others."""
    vectors = gaussian()
    vectors[1234] *= 1e4
    return vectors


DATA = {
    "gaussian": gaussian(),
    "clustered": clustered(),
    "low-rank": low_rank(),
    "lattice": on_a_lattice(),
    "every point many times": gaussian(60).repeat(80, 1),
    "more twins than the shortlist": torch.cat([gaussian(20), gaussian(1, seed=9).repeat(4000, 1)]),
    "orthogonal": torch.eye(300),
    "one channel": gaussian(4000, 1),
    "tiny": 1e-3 * gaussian(),
    "huge": 1e3 * gaussian(),
    "far from the origin": 1e3 * gaussian(1, seed=8) + gaussian(),
    "tiny and far": 1e3 + 1e-3 * gaussian(),
    "outlier": with_an_outlier(),
    "long, of few directions": low_rank(2500, 300),
    "long, of all directions": gaussian(2500, 300),
}


@pytest.mark.proves("patchcore-paper")
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("start", [0, 59])
def test_selects_what_the_plain_loop_selects(name, start):
    vectors = DATA[name]
    count = min(250, len(vectors))
    assert greedy_k_center(vectors, count, start).tolist() == by_definition(vectors, count, start)


@pytest.mark.parametrize("shortlist", [1, 7, 64])
def test_the_length_of_the_shortlist_changes_nothing(shortlist, monkeypatch):
    monkeypatch.setattr(kcenter, "SHORTLIST", shortlist)
    for vectors in (clustered(700), on_a_lattice(700)):
        assert greedy_k_center(vectors, 120, 5).tolist() == by_definition(vectors, 120, 5)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_everything_can_be_selected(n):
    vectors = gaussian(n)
    chosen = greedy_k_center(vectors, n, n - 1)
    assert chosen.tolist() == by_definition(vectors, n, n - 1)
    assert sorted(chosen.tolist()) == list(range(n))


def test_twins_fill_up_with_the_first_index():
    vectors = gaussian(3).repeat(20, 1)
    assert greedy_k_center(vectors, 6, 2).tolist()[3:] == [0, 0, 0]
    assert greedy_k_center(torch.zeros(5000, 8), 3, 4000).tolist() == [4000, 0, 0]


def test_rows_need_not_be_contiguous():
    vectors = gaussian(400)
    assert greedy_k_center(vectors.T.contiguous().T, 50, 3).tolist() == by_definition(vectors, 50, 3)


def test_the_plain_loop_is_the_definition():
    vectors = clustered(500)
    assert plain_k_center(vectors, 60, 7).tolist() == by_definition(vectors, 60, 7)


@pytest.mark.parametrize("name", ["gaussian", "clustered", "lattice", "far from the origin", "orthogonal"])
def test_on_an_accelerator_it_is_the_plain_loop_too(name, monkeypatch):
    """Its large blocks and its order of summation, on the CPU."""
    monkeypatch.setattr(arithmetic, "on_cpu", lambda _: False)
    vectors = DATA[name]
    count = min(150, len(vectors))
    assert torch.equal(greedy_k_center(vectors, count, 3), plain_k_center(vectors, count, 3))


class Waits(TorchDispatchMode):
    """Counts what a GPU would stand still for: numbers that Python reads, results whose size depends on the data."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = str(operation)
        to_host = "_to_copy" in name and str((kwargs or {}).get("device")) == "cpu"
        self.count += to_host or any(part in name for part in ("_local_scalar_dense", "nonzero"))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["gaussian", "clustered"])
def test_an_accelerator_waits_about_once_a_step(name, monkeypatch):
    """Reading the farthest point is one wait; what a new shortlist takes is spread over many steps."""
    monkeypatch.setattr(arithmetic, "on_cpu", lambda _: False)
    reads = []
    farthest = Group.farthest
    monkeypatch.setattr(Group, "farthest", lambda group: reads.append(1) or farthest(group))
    with Waits() as waits:
        greedy_k_center(DATA[name], 400, 3)
    assert len(reads) < 1.1 * 400
    assert waits.count < 400


@pytest.mark.parametrize("channels", [1, 2, 7, 8, 1536])
def test_an_accelerators_sum_does_not_depend_on_the_rows_beside(channels, monkeypatch):
    monkeypatch.setattr(arithmetic, "on_cpu", lambda _: False)
    rows = gaussian(40, channels)
    together = arithmetic.squared_lengths(rows.clone())
    torch.testing.assert_close(together, rows.square().sum(1))
    assert torch.equal(together, torch.cat([arithmetic.squared_lengths(row[None].clone()) for row in rows]))


@pytest.mark.parametrize("count", [1, 2, 100])
def test_the_radius_is_the_largest_distance_to_the_selected(count):
    vectors = clustered(900)
    selection = greedy_cover(vectors, count, 4)
    radius = torch.cdist(vectors, vectors[selection.index], compute_mode="donot_use_mm_for_euclid_dist").amin(1).max()
    assert selection.radius == pytest.approx(radius.item(), rel=1e-6)


def test_little_is_needed_beside_the_vectors(held, monkeypatch):
    monkeypatch.setattr(kcenter, "SHORTLIST", 256)
    monkeypatch.setattr("adbench.api.coresets.sketch.SAMPLE", 256)
    monkeypatch.setattr("adbench.api.coresets.sketch.BLOCK", 1 << 16)
    vectors = low_rank(12_000, 512)
    with held() as memory:
        greedy_k_center(vectors, 20, 0)
    assert memory.peak < 1.3 * vectors.nbytes  # with the vectors themselves, of which there are views


@pytest.mark.parametrize(("count", "start"), [(0, 0), (6, 0), (2, 5), (2, -1)])
def test_impossible_wishes_are_refused(count, start):
    with pytest.raises(UsageError, match="k-center"):
        greedy_k_center(gaussian(5), count, start)


@pytest.mark.parametrize("name", DATA)
def test_a_selection_can_go_on_from_a_shorter_one_and_holds_it(name):
    vectors = DATA[name]
    short, long = len(vectors) // 50 + 1, len(vectors) // 10 + 2
    one, whole = greedy_cover(vectors, short, 3), greedy_cover(vectors, long, 3)
    continued = greedy_cover(vectors, long, 3, one.progress)
    for found in (continued, continued.progress.first(long)):
        assert torch.equal(found.index, whole.index)
        assert found.radius == whole.radius
    for found in (whole.progress.first(short), continued.progress.first(short)):
        assert torch.equal(found.index, one.index)
        assert found.radius == one.radius
    assert (continued.progress.seconds.diff() >= 0).all()


def reach(vectors, anchors=10, seed=7):
    """[N] squared mean distances to some of the points."""
    picked = vectors[torch.randperm(len(vectors), generator=draw(seed))[:anchors]]
    return torch.stack([(vectors - one).square().sum(1).sqrt() for one in picked]).mean(0).square()


@pytest.mark.parametrize("name", DATA)
def test_distances_that_are_capped_from_the_start(name):
    vectors = DATA[name]
    ceiling = reach(vectors)
    before, start = ceiling.clone(), int(ceiling.argmax())
    count = min(300, len(vectors))
    seen = greedy_cover(vectors, count, start, ceiling=ceiling)
    assert seen.index.tolist() == plain_k_center(vectors, count, start, ceiling).tolist()
    assert torch.equal(ceiling, before)


def test_a_capped_selection_goes_on_from_a_shorter_one():
    vectors = DATA["clustered"]
    ceiling = reach(vectors)
    start = int(ceiling.argmax())
    shorter = greedy_cover(vectors, 40, start, ceiling=ceiling)
    longer = greedy_cover(vectors, 120, start, shorter.progress, ceiling)
    assert longer.index.tolist() == plain_k_center(vectors, 120, start, ceiling).tolist()
    assert torch.equal(longer.progress.first(40).index, shorter.index)


def test_capped_distances_by_hand():
    """By hand: 0 and 10 are the anchors, mean distances to them are 5, 5, 5 and 15 for 20; 20 is chosen first.

    The others keep 5, and the lowest index is next: 0, then 10, as 4 is nearer than 5 to 0 by then.
    """
    vectors = torch.tensor([[0.0], [4.0], [10.0], [20.0]])
    ceiling = torch.tensor([5.0, 5.0, 5.0, 15.0]).square()
    assert greedy_cover(vectors, 3, 3, ceiling=ceiling).index.tolist() == [3, 0, 2]
    assert plain_k_center(vectors, 3, 3, ceiling).tolist() == [3, 0, 2]
