"""Tiles leave no seam: their features are those of the whole image, wherever the backbone sees as far in a tile."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d, conv2d

from adbench import Backbone, Batch, Features, Geometry, Tiling, UsageError
from adbench.builtin.stages.tiles import Tile
from adbench.engine.features.image_loader import ImageLoader
from adbench.engine.features.tiles import ImageReading, tiling_of


class Convolved(Backbone):
    """Means of cells, then convolutions 3 x 3 whose zero padding shows at the border of whatever it is given."""

    name = "convolved-for-test"

    class Config(Backbone.Config):
        cells: tuple[int, ...] = (8,)
        depth: int = 0
        image: bool = False

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = []

    @classmethod
    def provides(cls, config):
        grids = {"layers"} if len(config.cells) > 1 else {"patches"}
        return frozenset(grids | ({"image"} if config.image else set()))

    def extract(self, batch):
        self.asked.append(tuple(batch.images.shape))
        maps = [self._map(batch.images.double(), cell) for cell in self.config.cells]
        vector = batch.images.mean(dim=(2, 3)) if self.config.image else None
        if len(maps) == 1:
            return Features(batch.ids, batch.geometry, maps[0], image=vector)
        layers = {f"cell{cell}": one for cell, one in zip(self.config.cells, maps, strict=True)}
        return Features(batch.ids, batch.geometry, layers=layers, image=vector)

    def _map(self, images, cell):
        found = avg_pool2d(images, cell)
        kernel = torch.linspace(-1, 1, 81, dtype=torch.float64).reshape(3, 3, 3, 3) / 9
        for _ in range(self.config.depth):
            found = torch.tanh(conv2d(found, kernel, padding=1))
        return found.permute(0, 2, 3, 1)

    def weights(self):
        return ()


def batch_of(height, width, tiling, count=2, seed=0):
    images = torch.rand(count, 3, *tiling.padded(height, width), generator=torch.Generator().manual_seed(seed))
    geometry = Geometry.whole(*images.shape[2:])
    return Batch(tuple(f"{place}" for place in range(count)), images, (geometry,) * count)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_features_that_do_not_look_beyond_their_cell_are_those_of_the_whole_image(data):
    multiple = data.draw(st.sampled_from([4, 8, 12]))
    sides = tuple(multiple * data.draw(st.integers(1, 6)) for _ in range(2))
    overlap = multiple * data.draw(st.integers(0, min(sides) // multiple - 1))
    cells = data.draw(st.sampled_from([(4,), (2, 4), (1, 2, 4)]))
    tiling, backbone = Tiling(sides, overlap, multiple), Convolved(cells=cells)
    batch = batch_of(data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90)), tiling)
    whole = ImageReading(None, 8).features(backbone, batch)
    tiled = ImageReading(tiling, data.draw(st.integers(1, 9))).features(backbone, batch)
    assert (tiled.ids, tiled.geometry) == (whole.ids, whole.geometry)
    if whole.patches is not None:
        assert torch.equal(tiled.patches, whole.patches)
    for name, layer in (whole.layers or {}).items():
        assert torch.equal(tiled.layers[name], layer)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 200), st.integers(1, 200))
def test_an_overlap_of_twice_what_a_border_spoils_leaves_no_trace_of_tiles(height, width):
    tiling, backbone = Tiling((64, 64), 32, 8), Convolved(depth=2)  # borders spoil 2 cells, 16 pixels
    batch = batch_of(height, width, tiling, count=1)
    whole = ImageReading(None, 8).features(backbone, batch).patches
    tiled = ImageReading(tiling, 4).features(backbone, batch).patches
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-12)


def test_less_overlap_shows_at_the_seams_alone():
    tiling, backbone = Tiling((64, 64), 8, 8), Convolved(depth=2)
    batch = batch_of(64 + 56, 64, tiling, count=1)
    whole = ImageReading(None, 8).features(backbone, batch).patches[0]
    tiled = ImageReading(tiling, 4).features(backbone, batch).patches[0]
    differ = ((tiled - whole).abs().amax(-1) > 1e-12).any(1)
    assert differ.nonzero().flatten().tolist() == [6, 7, 8]  # the seam lies at 7.5 cells


def test_a_constant_texture_has_equal_features_across_all_seams():
    tiling, backbone = Tiling((64, 64), 32, 8), Convolved(depth=2)
    batch = batch_of(400, 300, tiling, count=1)
    flat = Batch(batch.ids, torch.full_like(batch.images, 0.4), batch.geometry)
    inside = ImageReading(tiling, 8).features(backbone, flat).patches[0, 2:-2, 2:-2]
    torch.testing.assert_close(inside, inside[:1, :1].expand_as(inside), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_a_defect_at_a_seam_looks_like_one_in_the_middle_of_a_tile():
    tiling, backbone = Tiling((64, 64), 32, 8), Convolved(depth=2)
    height, width = tiling.padded(352, 352)

    def largest(top, left):
        image = torch.full((1, 3, height, width), 0.4)
        image[..., top : top + 8, left : left + 8] = 1
        batch = Batch(("x",), image, (Geometry.whole(height, width),))
        found = ImageReading(tiling, 8).features(backbone, batch).patches[0]
        return float((found - found[20, 2]).norm(dim=-1)[3:-3, 3:-3].max())

    places = range(64, 256, 8)
    found = [largest(place, place) for place in places] + [largest(160, place) for place in places]
    assert max(found) - min(found) < 1e-12


def test_the_backbone_gets_a_bounded_number_of_tiles_of_one_size():
    tiling, backbone = Tiling((32, 64), 8, 8), Convolved(image=True)
    found = ImageReading(tiling, 5).features(backbone, batch_of(200, 333, tiling))
    assert {shape[1:] for shape in backbone.asked} == {(3, 32, 64)}
    assert max(shape[0] for shape in backbone.asked) == 5
    assert found.image is None


def test_patches_that_are_a_layer_too_are_joined_once():
    class Twin(Convolved):
        name = "twin-for-test"

        def extract(self, batch):
            found = super().extract(batch)
            return found.having(layers={"only": found.patches})

    tiling = Tiling((32, 32), 8, 8)
    found = ImageReading(tiling, 5).features(Twin(), batch_of(80, 80, tiling))
    assert found.patches is found.layers["only"]


@pytest.mark.parametrize(("size", "multiple", "cell"), [(64, 4, 8), (64, 32, 64), (60, 12, 8)])
def test_tiles_beside_the_backbones_cells_are_refused(size, multiple, cell):
    tiling = Tiling((size, size), 0, multiple)
    with pytest.raises(UsageError, match="tiles lie on multiples of .* give the preprocessor 'tile' a 'multiple'"):
        ImageReading(tiling, 4).features(Convolved(cells=(cell,)), batch_of(150, 150, tiling))


def test_with_tiles_a_loader_gives_one_image_at_a_time(tmp_path):
    from adbench.engine.features.image_loader import SourceImage

    loader = ImageLoader([Tile(size=32, overlap=0)], batch_size=4)
    images = [SourceImage(str(place), lambda: torch.zeros(3, 40, 50, dtype=torch.uint8)) for place in range(5)]
    assert [batch.images.shape for batch in loader.batches(images)] == [(1, 3, 64, 64)] * 5
    assert loader.reading == ImageReading(Tiling((32, 32), 0, 32), 4)
    assert tiling_of([]) is None
