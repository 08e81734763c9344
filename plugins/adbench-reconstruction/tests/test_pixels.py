"""The backbone of pixels."""

from __future__ import annotations

import pytest
import torch
from adbench_reconstruction.pixels import Pixels

from adbench import Batch, Geometry, UsageError


def batch(images):
    ids = tuple(map(str, range(len(images))))
    return Batch(ids, images, (Geometry.whole(*images.shape[-2:]),) * len(images))


def test_the_grid_is_the_image(draw):
    images = draw(2, 3, 5, 7)
    assert torch.equal(Pixels().extract(batch(images)).patches, images.permute(0, 2, 3, 1))


def test_cells_are_means(draw):
    images = draw(2, 3, 6, 9)
    seen = Pixels(cell=3).extract(batch(images)).patches
    torch.testing.assert_close(seen[1, 1, 2], images[1, :, 3:6, 6:9].mean((1, 2)))


def test_images_that_cells_do_not_fill_are_refused(draw):
    with pytest.raises(UsageError, match="5x7 pixels cannot be cut into cells of 2x2.*of=2"):
        Pixels(cell=2).extract(batch(draw(1, 3, 5, 7)))


def test_no_weights_and_images_as_wide_as_cells():
    assert Pixels().weights() == ()
    assert Pixels.defaults(Pixels.Config(cell=2)) == {"preprocess": [{"resize": {"size": [256, 256]}}]}
