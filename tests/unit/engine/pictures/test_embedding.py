from __future__ import annotations

import numpy as np
import pytest
import torch

from adbench import Features, Geometry
from adbench.engine.pictures.embedding import LEAST, embed, image_vectors

pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'adbench-core[boards]'")


def groups(count, size, dim=16):
    """Vectors around `count` directions that are far from each other."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(count, dim))
    return [centre + 0.05 * rng.normal(size=dim) for centre in centres for _ in range(size)]


def test_images_that_look_alike_lie_together():
    points = np.array(embed(groups(3, 8)))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) // 8 == np.arange(24) // 8).all()


def test_the_same_vectors_give_the_same_points():
    assert embed(groups(2, 5)) == embed(groups(2, 5))


def test_length_does_not_matter_but_direction():
    vectors = groups(2, 5)
    doubled = np.array(embed([2 * vector for vector in vectors]))
    np.testing.assert_allclose(doubled, np.array(embed(vectors)), rtol=1e-3)


def test_few_images_get_no_points_and_just_enough_do():
    vectors = groups(1, LEAST)
    assert embed(vectors[:-1]) is None
    assert len(embed(vectors)) == LEAST


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_that_are_all_the_same_are_no_trouble(value):
    assert np.isfinite(embed([np.full(4, value)] * 6)).all()


def test_without_scikit_learn_there_are_none(monkeypatch):
    monkeypatch.setattr("adbench.engine.pictures.embedding.find_spec", lambda _: None)
    assert embed(groups(1, LEAST)) is None


def features(**fields):
    return Features(ids=("a",), geometry=(Geometry.whole(6, 4),), **fields)


def test_an_image_is_the_mean_of_its_patches_unless_the_backbone_says_more():
    patches = torch.arange(12.0).reshape(1, 2, 3, 2)
    layers = {"1": -patches[:, :1], "2": 2 * patches}
    assert [vector.tolist() for vector in image_vectors(features(patches=patches))] == [[5, 6]]
    assert [vector.tolist() for vector in image_vectors(features(layers=layers))] == [[10, 12]], "the deepest layer"
    assert [vector.tolist() for vector in image_vectors(features(patches=patches, image=torch.ones(1, 3)))] == [
        [1, 1, 1]
    ]
    assert image_vectors(features()) == []
