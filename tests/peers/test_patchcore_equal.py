"""PatchCore put together from adbench's parts against anomalib's PatchcoreModel: same weights, same coreset."""

from types import SimpleNamespace

import numpy as np
import pytest

from adbench import Batch, Context, Geometry
from adbench.builtin.stages.necks import ConcatLayers, Patchify
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

pytestmark = [
    pytest.mark.proves("patchcore-anomalib", "patchcore-lite"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

HEIGHT, WIDTH = 192, 256
CORESET = 300
TOLERANCE = 1e-4
NETWORKS = {  # timm's name, anomalib's names of the layers of stride 8 and 16
    "efficientnet-lite0": ("tf_efficientnet_lite0", ("blocks.2", "blocks.4")),
    "resnet18": ("resnet18", ("layer2", "layer3")),
}


@pytest.fixture(scope="module", params=NETWORKS)
def answers(request, tmp_path_factory):
    """What adbench and anomalib say of three defective images; the coreset comes from three normal ones."""
    name, layers = NETWORKS[request.param]
    state = {"efficientnet-lite0": packaged_state, "resnet18": random_state}[request.param](name)
    model = anomalib_model(name, layers, state)
    normal, defective = photographs()
    rows = anomalib_patches(model, normal).flatten(0, 2)
    chosen = np.random.default_rng(0).choice(len(rows), CORESET, replace=False)
    model.memory_bank = rows[chosen]
    backbone = adbench_backbone(request.param, state, tmp_path_factory.mktemp("weights"))
    return adbench_says(backbone, model.memory_bank, defective), anomalib_says(model, defective)


@pytest.mark.parametrize("what", ["patches", "distances", "score", "map"])
def test_equal(answers, what):
    import torch

    ours, theirs = (getattr(answer, what) for answer in answers)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_reweighting_shows(answers):
    """Or else the comparison of the scores would say nothing about the weights."""
    ours, _ = answers
    highest = ours.distances.flatten(1).amax(1)
    assert (1 - ours.score / highest).amax() > 10 * TOLERANCE


@pytest.mark.parametrize("seed", range(3))
def test_the_same_coreset(seed):
    """From anomalib's own random start, on its own sparse projection: the order of selection, too."""
    import torch
    from anomalib.models.components.sampling import KCenterGreedy

    from adbench.coresets import greedy_k_center

    draw = torch.Generator().manual_seed(seed)
    rows = torch.randn(400, 600, generator=draw) * torch.rand(400, 1, generator=draw)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sampler = KCenterGreedy(embedding=rows, sampling_ratio=0.1)
        chosen = [int(index) for index in sampler.select_coreset_idxs()]
    assert len(chosen) == 40
    assert greedy_k_center(sampler.features, len(chosen), chosen[0]).tolist() == chosen


@pytest.mark.parametrize("samples", [400, 5000, 200_000])
def test_the_same_dimensions_of_the_projection(samples):
    from adbench_memory.projection import safe_dim
    from anomalib.models.components.dimensionality_reduction import SparseRandomProjection

    assert safe_dim(samples, 0.9) == SparseRandomProjection._johnson_lindenstrauss_min_dim(samples, 0.9)


def adbench_says(backbone, coreset, images):
    import torch
    from adbench_memory.coreset import Coreset
    from adbench_memory.knn import Knn

    geometry = Geometry.whole(HEIGHT, WIDTH)
    batch = Batch(tuple("abc"), images, (geometry,) * 3)
    features = ConcatLayers().apply(Patchify(size=3, form="average").apply(backbone.extract(batch)))
    bank = Coreset()
    owners, nobody = torch.zeros(len(coreset), dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    texts = {name: torch.tensor(list(text), dtype=torch.uint8) for name, text in (("ids", b"normal"), ("facts", b"{}"))}
    bank.restore({"vectors": coreset, "owners": owners, "held_out": nobody, **texts})
    scores = Knn(k=1, metric="l2", reweight=9, reweight_form="anomalib").score(features, bank)
    spec = MapSpec(upsample="nearest", sigma=4, at="input", border="reflect")
    maps = np.stack([anomaly_map(grid.numpy(), geometry, spec) for grid in scores.patches])
    return SimpleNamespace(
        patches=features.patches, distances=scores.patches, score=scores.image, map=torch.from_numpy(maps)
    )


def anomalib_says(model, images):
    import torch

    patches = anomalib_patches(model, images)
    with torch.no_grad():
        distances, _ = model.nearest_neighbors(patches.flatten(0, 2), n_neighbors=1)
        message = model(scaled(model, images))
    return SimpleNamespace(
        patches=patches,
        distances=distances.reshape(patches.shape[:3]),
        score=message.pred_score,
        map=message.anomaly_map.squeeze(1),
    )


def anomalib_patches(model, images):
    """[B, H, W, C]."""
    import torch

    with torch.no_grad():
        layers = model.feature_extractor(scaled(model, images))
        pooled = {name: model.feature_pooler(layer) for name, layer in layers.items()}
        return model.generate_embedding(pooled).permute(0, 2, 3, 1)


def scaled(model, images):
    """Normalised as timm says, which anomalib leaves to its pre-processor."""
    import timm
    import torch

    known = timm.get_pretrained_cfg(model.backbone)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (known.mean, known.std))
    return (images - mean) / std


def anomalib_model(name, layers, state):
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    model = PatchcoreModel(layers=layers, backbone=name, pre_trained=False, num_neighbors=9)
    network = model.feature_extractor.feature_extractor
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return model.eval()


def adbench_backbone(name, state, folder):
    from adbench_timm.models import EfficientNetLite0, ResNet18
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in state.items()}, folder / "weights.safetensors")
    network = {"efficientnet-lite0": EfficientNetLite0, "resnet18": ResNet18}[name]
    backbone = network(layers=(2, 3), weights=folder / "weights.safetensors")
    backbone.prepare(Context())
    return backbone


def packaged_state(name):
    import timm
    import torch
    from adbench_timm.packaged import packaged_weights, renamed

    return renamed(torch.load(packaged_weights(), weights_only=True), timm.create_model(name))


def random_state(name):
    import timm
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model(name).state_dict()


def photographs():
    """Two times [3, 3, H, W]: brick, grass and gravel, and other parts of them with a dark stripe."""
    import torch
    from skimage import data

    photos = [torch.from_numpy(photo()).float() / 255 for photo in (data.brick, data.grass, data.gravel)]
    normal = torch.stack([photo[:HEIGHT, :WIDTH] for photo in photos])
    defective = torch.stack([photo[-HEIGHT:, -WIDTH:] for photo in photos])
    defective[:, 60:80, 90:200] *= 0.3
    return (part[:, None].repeat(1, 3, 1, 1) for part in (normal, defective))
