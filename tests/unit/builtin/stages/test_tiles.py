from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import Geometry, UsageError
from adbench.builtin.stages.tiles import Tile


def image(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_every_pixel_stays_where_it_is_and_the_rest_is_its_reflection(height, width, whole):
    pixels = image(height, width) if whole else image(height, width).float() / 255
    prepared, geometry = Tile(size=(48, 64), overlap=16, multiple=16).apply(pixels, Geometry.whole(height, width))
    assert prepared.dtype == pixels.dtype
    assert (
        tuple(prepared.shape[1:])
        == geometry.size
        == Tile(size=(48, 64), overlap=16, multiple=16).tiling.padded(height, width)
    )
    assert torch.equal(prepared[:, :height, :width], pixels)
    assert geometry.to_original(0, 0) == (0, 0)
    assert geometry.to_original(height, width) == pytest.approx((height, width))
    for place in range(height, min(geometry.size[0], 2 * height)):
        assert torch.equal(prepared[:, place], prepared[:, 2 * height - 1 - place])
    for place in range(width, min(geometry.size[1], 2 * width)):
        assert torch.equal(prepared[:, :, place], prepared[:, :, 2 * width - 1 - place])


def test_an_image_that_tiles_cover_is_left_alone():
    pixels = image(96, 160)
    prepared, geometry = Tile(size=64, overlap=32).apply(pixels, Geometry.whole(96, 160))
    assert prepared is pixels
    assert geometry == Geometry.whole(96, 160)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"size": 100}, "multiples of the option 'multiple', which is 32"),
        ({"size": (256, 250)}, "multiples of the option 'multiple'"),
        ({"overlap": 30}, "multiples of the option 'multiple'"),
        ({"size": 64, "overlap": 64}, "no less than a tile"),
        ({"size": 448, "overlap": 64, "multiple": 14}, "which is 14"),
        ({"overlap": -32}, "greater than or equal to 0"),
        ({"multiple": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, why):
    with pytest.raises(UsageError, match=why):
        Tile(**options)
