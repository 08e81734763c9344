"""CutPaste's pieces and scars, by their stated distributions."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.defects import piece_size, scar_size, with_piece, with_scar

pytestmark = pytest.mark.proves("cutpaste", "cutpaste-lite")

DRAWS = 2000


def test_pieces_have_their_area_and_their_aspect(generator):
    draw = generator()
    sizes = torch.tensor([piece_size(256, 256, draw) for _ in range(DRAWS)], dtype=torch.float64)
    areas, ratios = sizes.prod(1) / 256**2, sizes[:, 1] / sizes[:, 0]
    assert 0.0195 < float(areas.min()) < 0.025  # 2 to 15 %, to a pixel's rounding
    assert 0.145 < float(areas.max()) < 0.153
    assert float(areas.mean()) == pytest.approx(0.085, abs=0.003)
    assert 0.29 < float(ratios.min()) < 0.33
    assert 3.1 < float(ratios.max()) < 3.4
    assert float((ratios < 1).double().mean()) == pytest.approx(0.5, abs=0.05)  # either range as likely
    assert float(ratios[ratios < 1].mean()) == pytest.approx(0.65, abs=0.03)  # evenly within 0.3 to 1
    assert float(ratios[ratios > 1].mean()) == pytest.approx(2.15, abs=0.1)  # evenly within 1 to 3.3


def test_scars_have_their_sides(generator):
    draw = generator()
    sizes = torch.tensor([scar_size(256, 256, draw) for _ in range(DRAWS)])
    assert sizes.amin(0).tolist() == [10, 2]
    assert sizes.amax(0).tolist() == [25, 16]
    assert sizes.double().mean(0).tolist() == pytest.approx([17.5, 9.0], abs=0.4)
    smaller = torch.tensor([scar_size(128, 128, generator()) for _ in range(1)])
    assert (2 * smaller - torch.tensor([scar_size(256, 256, generator())])).abs().max() <= 1


@pytest.mark.parametrize("paste", [with_piece, with_scar])
@pytest.mark.parametrize("seed", range(6))
def test_only_a_window_changes_and_the_input_stays(generator, images, paste, seed):
    image = images(1, side=128)[0]
    before = image.clone()
    made = paste(image, generator(seed))
    assert torch.equal(image, before)
    changed = (made != image).any(0)
    assert 0 < float(changed.double().mean()) < 0.2
    assert made.min() >= 0
    assert made.max() <= 1
    assert torch.equal(made, paste(image, generator(seed)))
    assert not torch.equal(made, paste(image, generator(seed + 100)))


def test_pieces_come_from_the_image_itself(generator):
    """Of a gray image every piece is gray: nothing but brightness and contrast can change."""
    image = torch.full((3, 64, 64), 0.5)
    made = with_piece(image, generator())
    assert float((made.amax(0) - made.amin(0)).max()) < 1e-5
    assert float((made - 0.5).abs().max()) <= 0.11


def test_places_are_spread_evenly(generator):
    """Whatever a piece covers lies as often left as right, and as often above as below."""
    image, draw, seen = torch.rand(3, 64, 64, generator=generator()), generator(1), torch.zeros(64, 64)
    for _ in range(1000):
        seen += (with_piece(image, draw) != image).any(0)
    left, above = seen[:, :32].sum() / seen.sum(), seen[:32].sum() / seen.sum()
    assert float(left) == pytest.approx(0.5, abs=0.05)
    assert float(above) == pytest.approx(0.5, abs=0.05)
