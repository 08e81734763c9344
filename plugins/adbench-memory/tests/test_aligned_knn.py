"""RAD's score against its formula, place by place, and against figures of the authors' code."""

from __future__ import annotations

import pytest
import torch
from adbench_memory import aligned_knn
from adbench_memory.aligned import Aligned
from adbench_memory.aligned_knn import AlignedKnn
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from adbench import Context, DataError, Features, UsageError
from adbench.builtin.toy import ToyAligned

# eval_patch_knn_multilayer_cluster of longkukuhi/RAD, rad_mvtec_visa_3dadam.py at 59847f4, before the Gaussian
FIRST = [0.539479, 0.088416, 0.218588, 0.315886, 0.057851, 0.117989, 0.238327, 0.078536]
FIRST += [0.170041, 0.078241, 0.073275, 0.191617, 0.028855, 0.025616, 0.261142, 0.014421]
SECOND = [0.071009, 0.118989, 0.049607, 0.369993, 0.202675, 0.062667, 0.065100, 0.120714]
SECOND += [0.076935, 0.059596, 0.166751, 0.158154, 0.136694, 0.101545, 0.202817, 0.249350]
OFFICIAL = [FIRST, SECOND]


def learned(stream):
    bank = Aligned(reads="layers")
    bank.fit(stream, Context())
    return bank


def by_hand(query: Features, normal: Features, radius: int, images: int) -> torch.Tensor:
    """[B, H, W], one place, one layer and one neighbour at a time, in double precision."""

    def cosine(one, other):
        return torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0).item()

    layers = [(query.layers[name], normal.layers[name]) for name in query.layers]
    count, height, width, _ = layers[0][0].shape
    found = torch.zeros(count, height, width)
    for b in range(count):
        alike = [cosine(query.image[b], image) for image in normal.image]
        chosen = sorted(range(len(alike)), key=lambda n: -alike[n])[: images or None]
        for y in range(height):
            for x in range(width):
                for asked, known in layers:
                    near = [
                        cosine(asked[b, y, x], known[n, v, u])
                        for n in chosen
                        for v in range(max(0, y - radius), min(height, y + radius + 1))
                        for u in range(max(0, x - radius), min(width, x + radius + 1))
                    ]
                    found[b, y, x] += (1 - max(near)) / len(layers)
    return found


@pytest.mark.slow
@pytest.mark.proves("rad", "dinopatch", "dinopatch-unaligned", "dinopatch-lite")
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
@pytest.mark.parametrize("images", [0, 2, 9])
def test_equal_to_the_formula(seen, gaussian_noise, radius, images, monkeypatch):
    monkeypatch.setattr(aligned_knn, "BLOCK", 40)  # so that images are compared one or two at a time
    normal = seen(
        {"one": gaussian_noise(4, 3, 4, 5), "two": gaussian_noise(4, 3, 4, 3, seed=1)},
        image=gaussian_noise(4, 6, seed=2),
    )
    query = seen(
        {"one": gaussian_noise(2, 3, 4, 5, seed=3), "two": gaussian_noise(2, 3, 4, 3, seed=4)},
        image=gaussian_noise(2, 6, seed=5),
    )
    scores = AlignedKnn(radius=radius, images=images).score(query.part(slice(2)), learned(normal)).patches
    expected = by_hand(query.part(slice(2)), normal.part(slice(4)), radius, images)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-6)


@pytest.mark.proves("rad")
def test_equal_to_the_authors_code(waves):
    bank = learned(waves(5, 4, (3, 3), 0, "normal"))
    query = waves(2, 4, (3, 3), 7000, "query").part(slice(2))
    scores = AlignedKnn(radius=1, images=2).score(query, bank).patches
    torch.testing.assert_close(scores.flatten(1), torch.tensor(OFFICIAL), rtol=0, atol=2e-6)


@settings(max_examples=25, deadline=None)
@examples(
    height=st.integers(1, 5), width=st.integers(1, 5), radius=st.integers(0, 3), y=st.integers(0), x=st.integers(0)
)
def test_a_patch_is_found_within_the_radius_and_not_beyond(height, width, radius, y, x):
    y, x = y % height, x % width
    vectors = torch.zeros(1, height, width, 2)
    vectors[..., 0] = 1
    vectors[0, y, x] = torch.tensor([0.0, 1.0])
    bank = ToyAligned()
    bank.restore({"vectors": vectors})
    query = torch.tensor([0.0, 1.0]).expand(1, height, width, 2)
    scores = AlignedKnn(radius=radius).score(Features(("q",), (None,), patches=query), bank).patches[0]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    near = ((rows - y).abs() <= radius) & ((columns - x).abs() <= radius)
    torch.testing.assert_close(scores, (~near).float())


def test_the_most_alike_images_are_looked_at(seen):
    normal = seen({"one": torch.eye(2).view(2, 1, 1, 2)}, image=torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
    query = seen({"one": torch.tensor([[1.0, 0.0]]).view(1, 1, 1, 2)}, image=torch.tensor([[1.0, 2.0]])).part(slice(1))
    bank = learned(normal)
    assert AlignedKnn(images=1).score(query, bank).patches.item() == 1  # the second image's vector is orthogonal
    assert AlignedKnn(images=2).score(query, bank).patches.item() == 0


def test_a_zero_vector_is_like_nothing(seen):
    normal = seen({"one": torch.tensor([[0.0, 0.0], [0.0, 2.0]]).view(2, 1, 1, 2)})
    query = seen({"one": torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(2, 1, 1, 2)}).part(slice(2))
    assert AlignedKnn().score(query, learned(normal)).patches.flatten().tolist() == [1, 1]


def test_image_vectors_are_needed_where_they_are_asked_for(seen, gaussian_noise):
    assert AlignedKnn().needs == set()
    assert AlignedKnn(images=150).needs == {"image"}
    stream = seen({"one": gaussian_noise(2, 2, 2, 3)})
    with pytest.raises(UsageError, match="bank 'aligned' keeps no image vectors to choose images by; set images=0"):
        AlignedKnn(images=1).score(stream.part(slice(1)), learned(stream))


def test_another_grid_is_refused(seen, gaussian_noise):
    bank = learned(seen({"one": gaussian_noise(2, 2, 3, 3)}))
    with pytest.raises(
        DataError, match=r"image 'image 0' is \[3, 2, 3\], not the bank's \[2, 3, 3\]; resize to one size"
    ):
        AlignedKnn().score(seen({"one": gaussian_noise(1, 3, 2, 3)}).part(slice(1)), bank)


def test_memory_is_bounded(seen, gaussian_noise, held, monkeypatch):
    monkeypatch.setattr(aligned_knn, "BLOCK", 1 << 14)
    bank = learned(seen({"one": gaussian_noise(512, 8, 8, 16)}, image=gaussian_noise(512, 4)))
    query = seen({"one": gaussian_noise(1, 8, 8, 16, seed=1)}, image=gaussian_noise(1, 4)).part(slice(1))
    with held() as memory:
        AlignedKnn(radius=1, images=500).score(query, bank)
    assert memory.peak < 1.25 * bank.vectors.nbytes  # the bank itself counts, as it is looked at


@pytest.mark.parametrize("radius", [0, 1])
def test_a_patch_is_compared_with_the_nearest_one_around_its_place(radius, patch_stream, gaussian_noise):
    stream = patch_stream(gaussian_noise(4, 3, 5, 8))
    (query,) = patch_stream(gaussian_noise(1, 3, 5, 8, seed=1))
    bank = Aligned()
    bank.fit(stream, Context())
    scorer = AlignedKnn(radius=radius)
    scores = scorer.score(query, bank).patches[0]
    for place in ((0, 0), (1, 2), (2, 4)):
        found = scorer.compare(query, bank, place)
        assert found.distance == pytest.approx(scores[place].item(), abs=1e-5)
        row, column, rows, columns, view = found.nearest.place
        assert (rows, columns, view) == (3, 5, None)
        assert max(abs(row - place[0]), abs(column - place[1])) <= radius
        vector = bank.vectors[list(stream.ids).index(found.nearest.image), row, column]
        cosine = torch.cosine_similarity(vector, query.patches[0][place], dim=0).item()
        assert 1 - cosine == pytest.approx(found.distance, abs=1e-5)
        assert found.channels.sum().item() == pytest.approx(1)


def test_layers_that_are_compared_one_by_one_have_no_shares(seen, gaussian_noise):
    stream = seen({"one": gaussian_noise(3, 4, 4, 5), "two": gaussian_noise(3, 2, 2, 6, seed=1)})
    (query,) = stream
    found = AlignedKnn(radius=1).compare(stream.part(slice(1, 2)), learned(stream), (0, 0))
    assert found.nearest.image == query.ids[1]
    assert found.distance == pytest.approx(0, abs=1e-5)
    assert found.channels is None
    assert "each layer is compared by itself" in found.reasons["layers"]
