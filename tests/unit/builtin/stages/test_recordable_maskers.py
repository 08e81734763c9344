"""Maskers for exported files find what the maskers find."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adbench import ContractError, Features, Geometry
from adbench.builtin.stages.maskers import Otsu, PcaForeground


def features(seed: int, grid: tuple[int, int], channels: int = 5) -> Features:
    """Two images of an object on a ground, and patches that differ in it along one axis."""
    drawn = np.random.default_rng(seed)
    size = (grid[0] * 7 + 3, grid[1] * 6 + 1)
    images = drawn.normal(0.3, 0.05, (2, 3, *size))
    top, left = drawn.integers(0, size[0] // 2), drawn.integers(0, size[1] // 2)
    images[:, :, top : top + size[0] // 2, left : left + size[1] // 2] += drawn.choice([-0.25, 0.4])
    patches = drawn.normal(0, 0.2, (2, *grid, channels))
    patches[:, grid[0] // 4 : -1, grid[1] // 4 : -1] += 3 * drawn.normal(0, 1, channels)
    return Features(
        ("a", "b"),
        (Geometry.whole(*size),) * 2,
        patches=torch.from_numpy(patches).float(),
        images=torch.from_numpy(images.clip(0, 1)).float(),
    )


DRAWN = {
    "seed": st.integers(0, 10**6),
    "grid": st.tuples(st.integers(4, 9), st.integers(4, 9)),
}


@given(**DRAWN, share=st.sampled_from([0.25, 0.5, 0.9]))
def test_otsu_is_the_same(seed: int, grid: tuple[int, int], share: float) -> None:
    masker, it = Otsu(share=share), features(seed, grid)
    assert torch.equal(masker.for_export().mask(it), masker.mask(it))


def test_otsu_finds_nothing_in_one_colour() -> None:
    it = features(0, (4, 4)).having(images=torch.full((2, 3, 31, 25), 0.4))
    assert not Otsu().for_export().mask(it).any()


@given(**DRAWN, channels=st.sampled_from([3, 100]), morphology=st.sampled_from(["grid", "raster"]))
def test_the_first_component_is_the_same(seed: int, grid: tuple[int, int], channels: int, morphology: str) -> None:
    masker, it = PcaForeground(threshold=1, morphology=morphology), features(seed, grid, channels)
    assert torch.equal(masker.for_export().mask(it), masker.mask(it))


def test_equal_patches_have_no_object() -> None:
    it = features(0, (4, 4)).having(patches=torch.ones(2, 4, 4, 3))
    assert not PcaForeground().for_export().mask(it).any()


def test_otsu_needs_the_image() -> None:
    with pytest.raises(ContractError, match="reads the prepared images"):
        Otsu().for_export().mask(features(0, (4, 4)).having(images=None))
