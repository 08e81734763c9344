"""The moments of image vectors that come by."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian.image_moments import ImageMoments

from adbench import ContractError, Features, FeatureStream, Geometry


class Vectors(FeatureStream):
    """A stream of image vectors [B, D] a batch, and one patch an image."""

    def __init__(self, *batches):
        self.batches = batches

    @property
    def ids(self):
        return tuple(map(str, range(sum(map(len, self.batches)))))

    def __iter__(self):
        for batch in self.batches:
            ids = tuple(map(str, range(len(batch))))
            patches = torch.zeros(len(batch), 1, 1, 2)
            yield Features(ids=ids, geometry=(Geometry.whole(8, 8),) * len(ids), patches=patches, image=batch)


def test_mean_and_covariance_are_those_of_all_vectors_however_often_they_come(gaussian_noise):
    vectors = gaussian_noise(9, 5) + 1000
    stream = ImageMoments(Vectors(*vectors.split(4)), "a bank")
    for _ in range(2):
        assert sum(len(features) for features in stream) == len(stream.ids) == 9
    torch.testing.assert_close(stream.moments.mean()[0], vectors.double().mean(0))
    torch.testing.assert_close(stream.moments.covariance()[0], torch.cov(vectors.double().T))


def test_infinity_is_refused(gaussian_noise):
    vectors = gaussian_noise(3, 5)
    vectors[1, 2] = torch.inf
    with pytest.raises(ContractError, match="a bank got image vectors that are not finite"):
        list(ImageMoments(Vectors(vectors), "a bank"))


def test_images_without_vectors_are_refused(patch_stream, gaussian_noise):
    with pytest.raises(ContractError, match="reads the image vector"):
        list(ImageMoments(patch_stream(gaussian_noise(2, 3, 3, 4)), "a bank"))
