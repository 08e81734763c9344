"""PaDiM put together from adbench's parts against anomalib's PadimModel: same weights, same channels, same images."""

from types import SimpleNamespace

import numpy as np
import pytest

from adbench import Batch, Context, Features, FeatureStream, Geometry
from adbench.builtin.stages.necks import ConcatLayers
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

pytest.importorskip("adbench_gaussian", reason="adbench-gaussian is not installed beside anomalib")

pytestmark = [
    pytest.mark.proves("padim"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

HEIGHT, WIDTH = 96, 128
NORMAL = (
    160  # with fewer images than channels, anomalib's inverse in single precision is off by more than the tolerance
)
CHANNELS = 100
TOLERANCE = 1e-4
NETWORKS = {  # timm's name, anomalib's names of the layers of stride 4, 8 and 16
    "efficientnet-lite0": ("tf_efficientnet_lite0", ("blocks.1", "blocks.2", "blocks.4")),
    "resnet18": ("resnet18", ("layer1", "layer2", "layer3")),
}


@pytest.fixture(scope="module", params=NETWORKS)
def answers(request, tmp_path_factory):
    """What adbench, anomalib and the same formulas in float64 say of three defective images."""
    name, layers = NETWORKS[request.param]
    state = {"efficientnet-lite0": packaged_state, "resnet18": random_state}[request.param](name)
    normal, defective = photographs()
    model = anomalib_model(name, layers, state)
    learn(model, normal)
    backbone = adbench_backbone(request.param, state, tmp_path_factory.mktemp("weights"))
    return SimpleNamespace(
        adbench=adbench_says(backbone, model.idx, normal, defective),
        anomalib=anomalib_says(model, defective),
        exact=float64_says(model, normal, defective),
    )


@pytest.mark.parametrize("what", ["patches", "distances", "map", "score"])
def test_equal(answers, what):
    import torch

    ours, theirs = getattr(answers.adbench, what), getattr(answers.anomalib, what)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_equal_to_double_precision(answers):
    import torch

    torch.testing.assert_close(answers.adbench.distances.double(), answers.exact, rtol=TOLERANCE, atol=TOLERANCE)


def test_regularization_shows(answers):
    """Or else the comparison would say nothing about the 0.00001 by which anomalib differs from the paper."""
    ours, papers = (
        (distances - answers.anomalib.distances).abs().max()
        for distances in (answers.adbench.distances, answers.adbench.papers)
    )
    assert papers > 3 * ours


class Stream(FeatureStream):
    """Images, so many at a time that the last batch is a smaller one."""

    def __init__(self, backbone, images):
        parts = images.split(7)
        self.batches = [features_of(backbone, part, f"normal {number}") for number, part in enumerate(parts)]

    @property
    def ids(self):
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self):
        return iter(self.batches)


def features_of(backbone, images, name) -> Features:
    ids = tuple(f"{name}/{index}" for index in range(len(images)))
    batch = Batch(ids, images, (Geometry.whole(HEIGHT, WIDTH),) * len(images))
    return ConcatLayers(upsample="nearest").apply(backbone.extract(batch))


def adbench_says(backbone, channels, normal, defective):
    import torch
    from adbench_gaussian.mahalanobis import Mahalanobis

    stream, query = Stream(backbone, normal), features_of(backbone, defective, "defective")
    scorer = Mahalanobis(image_sigma=4, image_border="reflect")
    scores = scorer.score(query, learned(stream, channels, 0.01 + 1e-5))
    spec = MapSpec(upsample="bilinear", sigma=4, at="input", border="reflect")
    maps = np.stack([anomaly_map(grid.numpy(), query.geometry[0], spec) for grid in scores.patches])
    return SimpleNamespace(
        patches=query.patches[..., channels],
        distances=scores.patches,
        score=scores.image,
        map=torch.from_numpy(maps),
        papers=scorer.score(query, learned(stream, channels, 0.01)).patches,
    )


def learned(stream, channels, regularization):
    """A bank with the channels that anomalib has drawn, from its own generator."""
    from adbench_gaussian.padim import Padim

    bank = Padim(dim=CHANNELS, regularization=regularization)
    bank._draw = lambda width, ctx: channels
    bank.fit(stream, Context())
    return bank


def anomalib_says(model, images):
    import torch

    with torch.no_grad():
        patches = model.generate_embedding(model.feature_extractor(scaled(model, images)))
        statistics = [model.gaussian.mean, model.gaussian.inv_covariance]
        distances = model.anomaly_map_generator.compute_distance(patches, statistics)
        message = model(scaled(model, images))
    return SimpleNamespace(
        patches=patches.permute(0, 2, 3, 1),
        distances=distances.squeeze(1),
        score=message.pred_score.squeeze(1),
        map=message.anomaly_map.squeeze(1),
    )


def float64_says(model, normal, images):
    """[B, H, W] float64 by the formulas of the paper, with anomalib's regularization."""
    import torch

    with torch.no_grad():
        known, asked = (
            model.generate_embedding(model.feature_extractor(scaled(model, some))).flatten(2).permute(2, 0, 1).double()
            for some in (normal, images)
        )
    mean = known.mean(1, keepdim=True)
    covariance = (known - mean).mT @ (known - mean) / (NORMAL - 1) + (0.01 + 1e-5) * torch.eye(CHANNELS).double()
    offsets = asked - mean
    squared = (offsets * torch.linalg.solve(covariance, offsets.mT).mT).sum(-1)
    return squared.sqrt().T.reshape(len(images), HEIGHT // 4, WIDTH // 4)


def learn(model, normal):
    import torch

    model.train()
    model.feature_extractor.eval()
    with torch.no_grad():
        model(scaled(model, normal))
        model.fit()
    model.eval()


def scaled(model, images):
    """Normalised as timm says, which anomalib leaves to its pre-processor."""
    import timm
    import torch

    known = timm.get_pretrained_cfg(model.backbone)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (known.mean, known.std))
    return (images - mean) / std


def anomalib_model(name, layers, state):
    import torch
    from anomalib.models.image.padim.torch_model import PadimModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PadimModel(layers=list(layers), backbone=name, pre_trained=False, n_features=CHANNELS)
    network = model.feature_extractor.feature_extractor
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    return model


def adbench_backbone(name, state, folder):
    from adbench_timm.models import EfficientNetLite0, ResNet18
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in state.items()}, folder / "weights.safetensors")
    network = {"efficientnet-lite0": EfficientNetLite0, "resnet18": ResNet18}[name]
    backbone = network(layers=(1, 2, 3), weights=folder / "weights.safetensors")
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
    """[160, 3, H, W] and [3, 3, H, W]: parts of a photograph of gravel, and three more with a dark stripe."""
    import torch
    from skimage import data

    photo, rng = torch.from_numpy(data.gravel()).float() / 255, np.random.default_rng(0)
    corners = rng.integers((512 - HEIGHT, 512 - WIDTH), size=(NORMAL + 3, 2))
    parts = torch.stack([photo[y : y + HEIGHT, x : x + WIDTH] for y, x in corners])[:, None].repeat(1, 3, 1, 1)
    parts[NORMAL:, :, 30:45, 40:100] *= 0.3
    return parts[:NORMAL], parts[NORMAL:]
