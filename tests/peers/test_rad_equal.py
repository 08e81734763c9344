"""RAD put together from adbench's parts against anomalib's RadModel: same weights, same images, without its blur."""

import numpy as np
import pytest

from adbench import Batch, Context, FeatureStream, Geometry
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

pytest.importorskip("adbench_dino", reason="adbench-dino is not installed beside anomalib")
pytest.importorskip("adbench_memory", reason="adbench-memory is not installed beside anomalib")

pytestmark = [
    pytest.mark.proves("rad"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

HEIGHT, WIDTH = 64, 96
LAYERS = (3, 6, 11)
TOLERANCE = 1e-5
NETWORK = "vit_tiny_patch16_dinov3_qkvb"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights for the network."""
    import timm
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model(NETWORK).state_dict()
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize("radius", [0, 1, 2])
@pytest.mark.parametrize("images", [3, 99])
def test_equal(weights, radius, images):
    normal, defective = photographs()
    ours = adbench_says(weights, normal, defective, radius, images)
    theirs = anomalib_says(weights, normal, defective, radius, images)
    assert theirs.max() > 1e-3
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def test_the_radius_shows(weights):
    """Or else the comparison would say nothing about it."""
    normal, defective = photographs()
    near, far = (adbench_says(weights, normal, defective, radius, 99) for radius in (0, 1))
    assert np.abs(near - far).max() > 10 * TOLERANCE


class Stream(FeatureStream):
    """What the backbone sees in images, so many at a time that the last batch is a smaller one."""

    def __init__(self, backbone, images, name):
        self.batches = [
            backbone.extract(Batch(ids, part, (Geometry.whole(HEIGHT, WIDTH),) * len(part)))
            for number, part in enumerate(images.split(3))
            for ids in [tuple(f"{name}/{number}/{index}" for index in range(len(part)))]
        ]

    @property
    def ids(self):
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self):
        return iter(self.batches)


def adbench_says(weights, normal, defective, radius, images):
    """[B, H, W] maps, not smoothed."""
    from adbench_dino.dinov3 import DinoV3
    from adbench_memory.aligned import Aligned
    from adbench_memory.aligned_knn import AlignedKnn

    backbone, bank = DinoV3(size="tiny", layers=LAYERS, weights=weights), Aligned(reads="layers")
    backbone.prepare(Context(runtime="torch"))
    bank.fit(Stream(backbone, normal, "normal"), Context())
    scorer, spec = AlignedKnn(radius=radius, images=images), MapSpec(sigma=0)
    return np.stack(
        [
            anomaly_map(grid.numpy(), Geometry.whole(HEIGHT, WIDTH), spec)
            for batch in Stream(backbone, defective, "defective")
            for grid in scorer.score(batch, bank).patches
        ]
    )


def anomalib_says(weights, normal, defective, radius, images):
    """[B, H, W] maps, not smoothed."""
    import torch
    from anomalib.models.image.rad.torch_model import RadModel
    from safetensors.torch import load_file

    model = RadModel(NETWORK, pre_trained=False, layers=list(LAYERS), k_image=images, pos_radius=radius)
    model.feature_extractor.feature_extractor.load_state_dict(load_file(weights))
    model.blur = torch.nn.Identity()
    model.train()
    model.feature_extractor.eval()
    with torch.no_grad():
        model(scaled(normal))
        model.build_memory_bank()
        model.eval()
        return model(scaled(defective)).anomaly_map.squeeze(1).numpy()


def scaled(images):
    """Normalised as timm says, which anomalib leaves to its pre-processor."""
    import timm
    import torch

    known = timm.get_pretrained_cfg(f"{NETWORK}.eupe_lvd1689m")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (known.mean, known.std))
    return (images - mean) / std


def photographs():
    """[7, 3, H, W] and [2, 3, H, W]: parts of a photograph of gravel, and two more with a dark stripe."""
    import torch
    from skimage import data

    photo, rng = torch.from_numpy(data.gravel()).float() / 255, np.random.default_rng(0)
    corners = rng.integers((512 - HEIGHT, 512 - WIDTH), size=(9, 2))
    parts = torch.stack([photo[y : y + HEIGHT, x : x + WIDTH] for y, x in corners])[:, None].repeat(1, 3, 1, 1)
    parts[7:, :, 20:35, 30:70] *= 0.3
    return parts[:7], parts[7:]
