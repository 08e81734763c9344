"""Maps on the prepared image are those that the engine makes, and to the bit those that plugins made by themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from adbench import Geometry
from adbench.api.maps.enlarging import smoothed
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec
from adbench.maps import Smoothing, prepared_maps


def as_plugins_did(cells, pixels, smoothing):
    """The matrix of adbench-gaussian and adbench-reconstruction before this module was there."""
    places = np.clip((np.arange(pixels) + 0.5) * (cells / pixels) - 0.5, 0, cells - 1)
    lower = np.floor(places).astype(np.intp)
    upper, weight = np.minimum(lower + 1, cells - 1), (places - lower)[:, None]
    enlarged = np.eye(cells)[lower] * (1 - weight) + np.eye(cells)[upper] * weight
    mode = {"symmetric": "reflect", "reflect": "mirror"}[smoothing.border]
    return gaussian_filter1d(enlarged, smoothing.sigma, axis=0, mode=mode, truncate=4.0)


@pytest.mark.slow
@pytest.mark.parametrize("border", ["symmetric", "reflect"])
@pytest.mark.parametrize("size", [(56, 56), (224, 224), (256, 256), (448, 448), (40, 72), (12, 9), (672, 504)])
@pytest.mark.parametrize("grid", [(6, 9), (28, 28), (32, 32), (7, 14)])
def test_image_scores_are_to_the_bit_what_they_were(grid, size, border, gaussian_noise):
    scores, smoothing = gaussian_noise(3, *grid).abs(), Smoothing(4.0, border=border)
    rows, columns = (
        torch.from_numpy(as_plugins_did(cells, pixels, smoothing)) for cells, pixels in zip(grid, size, strict=True)
    )
    for one, found in zip(scores.double(), prepared_maps(scores, [size] * 3, smoothing), strict=True):
        before = rows @ one @ columns.T
        assert torch.equal(found.amax().float(), before.amax().float())
        highest = int(0.01 * found.numel()) or 1
        means = (pixels.flatten().topk(highest).values.mean().float() for pixels in (found, before))
        assert torch.equal(*means)


@pytest.mark.parametrize(("sigma", "kernel"), [(0, None), (2.5, None), (4, 33)])
@pytest.mark.parametrize("border", ["symmetric", "reflect"])
@pytest.mark.parametrize("size", [(56, 56), (40, 72), (12, 9)])
def test_as_the_engine_makes_it(size, border, sigma, kernel, gaussian_noise):
    scores = gaussian_noise(2, 6, 9).abs()
    spec = MapSpec(upsample="bilinear", sigma=sigma, kernel=kernel, at="input", border=border)
    for one, found in zip(scores, prepared_maps(scores, [size] * 2, Smoothing(sigma, kernel, border)), strict=True):
        expected = anomaly_map(one.numpy(), Geometry.whole(*size), spec)
        torch.testing.assert_close(found.float(), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)


def test_as_torch_and_scipy_make_it(gaussian_noise):
    scores = gaussian_noise(2, 4, 6)
    for grid, found in zip(scores, prepared_maps(scores, [(32, 48)] * 2, Smoothing(2.0)), strict=True):
        large = torch.nn.functional.interpolate(grid[None, None].double(), (32, 48), mode="bilinear")[0, 0]
        np.testing.assert_allclose(found.numpy(), gaussian_filter(large.numpy(), 2.0, mode="reflect"), rtol=1e-9)


def test_what_does_not_vary_stays():
    maps = prepared_maps(torch.full((2, 4, 4), 3.25), [(32, 32), (64, 40)], Smoothing(4, border="reflect"))
    for found, size in zip(maps, [(32, 32), (64, 40)], strict=True):
        assert found.shape == size
        torch.testing.assert_close(found, torch.full(size, 3.25, dtype=torch.float64))


@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=st.floats(0, 1)),
    st.floats(0.3, 9),
    st.none() | st.integers(0, 30).map(lambda half: 2 * half + 1),
    st.sampled_from(["symmetric", "reflect"]),
)
def test_the_gaussian_is_scipys(way, sigma, kernel, border):
    reach = {"truncate": 4.0} if kernel is None else {"radius": kernel // 2}
    mode = {"symmetric": "reflect", "reflect": "mirror"}[border]
    wanted = gaussian_filter1d(way, sigma, axis=0, mode=mode, **reach)
    np.testing.assert_allclose(smoothed(way, Smoothing(sigma, kernel, border)), wanted, rtol=1e-15, atol=1e-300)
