"""AnomalyDINO put together from adbench's parts against anomalib's AnomalyDINOModel: same random weights, no mask.

The images have DINOv2's own 518 pixels: at other sizes anomalib leaves the positions to timm, adbench interpolates them
as Meta's code does. What the mask finds has a comparison of its own.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from adbench import Batch, Context, Geometry, ImageScores
from adbench.builtin.stages.aggregators import TopFraction
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

pytestmark = [
    pytest.mark.proves("anomaly-dino"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

SIDE, NAME = 518, "vit_small_patch14_dinov2"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What adbench and anomalib say of two defective images, after two normal ones."""
    import timm
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model(NAME, pretrained=False).state_dict()
    file = tmp_path_factory.mktemp("weights") / "dinov2.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    normal, defective = photographs()
    return adbench_says(file, normal, defective), anomalib_says(state, normal, defective)


@pytest.mark.parametrize("what", ["distances", "score", "map"])
def test_equal(answers, what):
    import torch

    ours, theirs = (getattr(answer, what) for answer in answers)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_distances_are_not_all_alike(answers):
    """Or else the comparison would say little."""
    ours, _ = answers
    assert ours.distances.amax() - ours.distances.amin() > 100 * TOLERANCE


def adbench_says(file, normal, defective):
    import torch
    from adbench_dino.dinov2 import DinoV2
    from adbench_memory.full import Full
    from adbench_memory.knn import Knn

    backbone = DinoV2(size="small", weights=file)
    backbone.prepare(Context())
    bank = Full()
    bank.prepare(Context())
    bank.fit(
        [backbone.extract(batch_of(image[None], f"normal {index}")) for index, image in enumerate(normal)], Context()
    )
    with torch.no_grad():
        scores = Knn(k=1, metric="cosine").score(backbone.extract(batch_of(defective, "defective")), bank).patches
    spec = MapSpec(upsample="nearest", sigma=4, at="input", border="reflect")
    maps = np.stack([anomaly_map(grid.numpy(), Geometry.whole(SIDE, SIDE), spec) for grid in scores])
    score = TopFraction(fraction=0.01).aggregate([ImageScores(str(i), grid) for i, grid in enumerate(scores)])
    return SimpleNamespace(distances=scores, score=score[:, None], map=torch.from_numpy(maps))


def batch_of(images, what):
    return Batch(tuple(f"{what}/{i}" for i in range(len(images))), images, (Geometry.whole(SIDE, SIDE),) * len(images))


def anomalib_says(state, normal, defective):
    import torch
    from anomalib.models.image.anomaly_dino import torch_model

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with pytest.MonkeyPatch.context() as patch:  # it would download the weights that are replaced below
        patch.setattr(torch_model, "TimmFeatureExtractor", partial(untrained, torch_model.TimmFeatureExtractor))
        model = torch_model.AnomalyDINOModel(encoder_name=NAME)
    network = model.feature_encoder.feature_extractor
    network.load_state_dict({name: state[name.removeprefix("model.")] for name in network.state_dict()})
    with torch.no_grad():
        model.train()
        model((normal - mean) / std)
        model.fit()
        model.eval()
        message = model((defective - mean) / std)
        features = torch.nn.functional.normalize(model.extract_features((defective - mean) / std), dim=-1)
    distances = (1 - features @ model.memory_bank.T).amin(-1).reshape(len(defective), SIDE // 14, SIDE // 14)
    return SimpleNamespace(distances=distances, score=message.pred_score, map=message.anomaly_map.squeeze(1))


def untrained(extractor, **options):
    return extractor(**{**options, "pre_trained": False})


def photographs():
    """Two times [2, 3, 518, 518], enlarged: brick and grass, and the same upside down with a dark stripe."""
    import torch
    from skimage import data

    photos = torch.stack([torch.from_numpy(photo()).float() / 255 for photo in (data.brick, data.grass)])
    normal = torch.nn.functional.interpolate(photos[:, None], (SIDE, SIDE)).repeat(1, 3, 1, 1)
    defective = normal.flip(2).clone()
    defective[..., 160:180, 190:300] *= 0.3
    return normal, defective
