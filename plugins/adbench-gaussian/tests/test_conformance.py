"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
from adbench_gaussian.image_mahalanobis import ImageMahalanobis
from adbench_gaussian.mahalanobis import Mahalanobis
from adbench_gaussian.padim import Padim
from adbench_gaussian.prototypes import Prototypes
from adbench_gaussian.subspace import Subspace
from adbench_gaussian.whitened import Whitened

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

COMPONENTS = [
    Padim(),
    Padim(dim=12, regularization=0.02),
    Prototypes(),
    Prototypes(count=1),
    Prototypes(count=4, covariance="cluster"),
    Prototypes(count=4, covariance="cluster", variance=0.999, sample=100),
    Whitened(count=60),
    Whitened(count=60, variance=1, local=20, images=3),
    Subspace(),
    Subspace(variance=0.95),
    Subspace(groups=4, components=3),
    Subspace(groups=4, image_variance=0.9),
    Mahalanobis(),
    Mahalanobis(squared=True, image_sigma=4, image_border="reflect"),
    Mahalanobis(squared=True, reweight=9),
    Mahalanobis(reweight=3, reweight_form="eq7"),
    ImageMahalanobis(),
]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()
