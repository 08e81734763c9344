"""SuperADD's bank against anomalib's own model on the same features and vectors."""

import pytest
import torch

from adbench import Context, Features, FeatureStream, Geometry
from adbench.maps import Smoothing, prepared_maps

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's

SIZE, GRID, CHANNELS, LAYERS = 96, 6, 16, ("block3", "block5", "block8")


def random_layers(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(count, GRID, GRID, CHANNELS, generator=generator) for name in LAYERS}


class Stream(FeatureStream):
    """One batch of layers."""

    def __init__(self, layers):
        count = len(next(iter(layers.values())))
        ids = tuple(f"{number:016x}" for number in range(count))
        self.batch = Features(ids, (Geometry.whole(SIZE, SIZE),) * count, layers=layers)

    @property
    def ids(self):
        return self.batch.ids

    def __iter__(self):
        yield self.batch


@pytest.fixture
def theirs():
    """anomalib's model without its backbone: its own search, mean over layers, enlargement and smoothing."""
    models = pytest.importorskip("anomalib.models.image.super_add.torch_model")

    def theirs(bank, query):
        model = models.SuperADDModel.__new__(models.SuperADDModel)
        torch.nn.Module.__init__(model)
        model.register_buffer("memory_bank", torch.stack([bank[name].flatten(0, 2) for name in LAYERS]))
        model.layers, model.score_quantile = LAYERS, 1e-3
        model.blur = models.GaussianBlur2d(kernel_size=(33, 33), sigma=(4.0, 4.0), channels=1)
        model.patch_exec = lambda _: [query[name] for name in LAYERS]
        model.eval()
        with torch.no_grad():
            return model(torch.zeros(len(query[LAYERS[0]]), 3, SIZE, SIZE))

    return theirs


@pytest.mark.proves("super-add", "super-add-lite")
def test_maps_and_image_scores_are_anomalibs(theirs):
    """Distances, the mean over layers, the enlarged map with sigma 4, and the mean of its highest 0.1 %."""
    from adbench_memory.layer_coresets import LayerCoresets

    normal, query = random_layers(4, 1), random_layers(3, 2)
    bank = LayerCoresets()
    bank.fit(Stream(normal), Context())
    found = prepared_maps(bank.energy(Stream(query).batch), [(SIZE, SIZE)] * 3, Smoothing(sigma=4.0))
    expected = theirs(normal, query)
    inner = slice(16, -16)  # at the border anomalib mirrors without the edge itself
    for one, (map_, score) in zip(found, zip(expected.anomaly_map, expected.pred_score, strict=True), strict=True):
        torch.testing.assert_close(one.float()[inner, inner], map_[inner, inner], rtol=1e-5, atol=1e-6)
        assert float(one.max()) == pytest.approx(float(score), rel=0.02)
