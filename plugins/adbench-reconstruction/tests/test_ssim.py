"""SSIM against scikit-image's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_reconstruction.ssim import mean_similarity, similarity
from adbench_reconstruction.ssim_residual import SsimResidual
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from adbench import Features, Geometry, UsageError


def by_skimage(left, right, span=1.0):
    """[H, W] by Wang's original settings; the window of sigma 1.5 is cut at 3.5 sigmas: 11 x 11."""
    _, full = structural_similarity(
        left, right, data_range=span, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return full


@pytest.fixture
def pair(draw):
    """Two images of two channels, 40 x 33, alike but for noise and a flat part."""
    left = draw(1, 2, 40, 33).double()
    left[..., 10:22, 5:20] = 0.3
    return left, (left + 0.2 * draw(1, 2, 40, 33, seed=1).double() - 0.1).clamp(0, 1)


@pytest.mark.proves("ae-ssim", "skip-ae-ssim")
@pytest.mark.parametrize("span", [1.0, 255.0])
def test_equal_to_scikit_image_inside(pair, span):
    left, right = (image * span for image in pair)
    seen = similarity(left, right, window=11, span=span)[0].numpy()
    for channel in range(2):
        expected = by_skimage(left[0, channel].numpy(), right[0, channel].numpy(), span)
        np.testing.assert_allclose(seen[channel][5:-5, 5:-5], expected[5:-5, 5:-5], rtol=0, atol=1e-6)


def test_beyond_the_border_the_edge_goes_on(pair):
    """Equal everywhere to scikit-image on images that were padded so."""
    left, right = pair
    padded = [np.pad(image[0, 0].numpy(), 10, mode="edge") for image in pair]
    expected = by_skimage(*padded)[10:-10, 10:-10]
    seen = similarity(left, right, window=11, span=1.0)[0, 0].numpy()
    np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-6)


def test_the_scorer_is_one_minus_the_mean_over_channels(pair):
    left, right = (image.permute(0, 2, 3, 1).float() for image in pair)

    class Known(torch.nn.Module):
        title = "bank 'known'"

        def reconstruct(self, features):
            return right

    from adbench import ReconstructionBank

    ReconstructionBank.register(Known)
    query = Features(("a",), (Geometry.whole(40, 33),), patches=left)
    seen = SsimResidual().score(query, Known()).patches
    expected = 1 - similarity(*pair, window=11, span=1.0).mean(1)
    torch.testing.assert_close(seen.double(), expected, rtol=0, atol=1e-5)


def test_equal_images_differ_by_nothing(pair):
    left, _ = pair
    assert (1 - similarity(left, left, window=11, span=1.0)).abs().max() < 1e-12


@pytest.mark.proves("ae-ssim", "skip-ae-ssim")
@given(
    height=st.integers(1, 14), width=st.integers(1, 14), span=st.sampled_from([1.0, 255.0]), seed=st.integers(0, 2**31)
)
def test_the_mean_and_its_gradient_are_those_of_the_map(height, width, span, seed):
    left, right = span * torch.rand(2, 2, 2, height, width, dtype=torch.float64, generator=_seeded(seed))
    left[..., : width // 2] = right[..., : width // 2]  # equal and flat places are where a gradient may be lost
    left[..., : height // 3, :] = 0.3 * span
    one, other = right.clone().requires_grad_(), right.clone().requires_grad_()
    expected, seen = similarity(left, one, 11, span).mean(), mean_similarity(left, other, 11, span)
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-12)
    (3 * expected).backward()
    (3 * seen).backward()
    torch.testing.assert_close(other.grad, one.grad, rtol=1e-9, atol=1e-12)


def test_the_gradient_is_that_of_finite_differences(draw):
    left, right = draw(2, 2, 9, 7).double(), draw(2, 2, 9, 7, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda image: mean_similarity(left, image, 5, 1.0), right)


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("window", [4, 2, 0, 1])
def test_windows_without_a_middle_are_refused(window):
    with pytest.raises(UsageError, match="option 'window' of scorer 'ssim-residual'"):
        SsimResidual(window=window)


def test_images_smaller_than_a_window(draw):
    assert similarity(draw(1, 3, 2, 3), draw(1, 3, 2, 3, seed=1), window=11, span=1.0).isfinite().all()
