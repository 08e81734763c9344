"""WinCLIP put together from adbench's parts against anomalib's WinClipModel: same random weights, same images."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from adbench import Batch, Context, Features, FeatureStream, Geometry
from adbench.engine.evaluate.anomaly_map import anomaly_map
from adbench.engine.plan.map_spec import MapSpec

pytestmark = [
    pytest.mark.proves("winclip", "winclip-few"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

TOLERANCE = 1e-4
WORD = "metal_nut"
SIDE = 240
SMALL = {  # the grid of 15 x 15 and the windows of ViT-B-16-plus-240, in blocks that a CPU runs in seconds
    "embed_dim": 48,
    "vision_cfg": {"image_size": SIDE, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 2, "layers": 2},
}
SHOTS = {"zero": 0, "one": 1, "four": 4}


@pytest.fixture(scope="module", params=SHOTS)
def answers(request, tmp_path_factory):
    """What adbench and anomalib say of three defective images, knowing so many normal ones."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "small.json").write_text(json.dumps(SMALL))
    normal, defective = pictures()
    references = normal[: SHOTS[request.param]]
    model = anomalib_model(folder)
    ours = adbench_says(folder, references, defective)
    return ours, anomalib_says(model, references, defective)


@pytest.mark.parametrize(
    "what", ["text", "image", "patches", "window2", "window3", "distances", "window_distances", "score", "map"]
)
def test_equal(answers, what):
    import torch

    ours, theirs = (getattr(answer, what) for answer in answers)
    if ours is None:
        pytest.skip("without references there are no distances")
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_scores_tell_images_apart(answers):
    """Or else equal scores would say nothing: untrained weights, as they are drawn, give 0.5 for everything."""
    ours, _ = answers
    assert ours.score.std() > 10 * TOLERANCE
    assert ours.map.flatten(1).std(1).min() > 10 * TOLERANCE


class Stream(FeatureStream):
    def __init__(self, features: Features):
        self.features = features

    @property
    def ids(self):
        return self.features.ids

    def __iter__(self):
        return iter([self.features])


def adbench_says(folder, references, images):
    import torch
    from adbench_clip.clip import Clip
    from adbench_clip.prompts import Prompts
    from adbench_clip.prompts_few import PromptsFew
    from adbench_clip.winclip import WinClip

    model = {"architecture": folder / "small.json", "weights": folder / "small.safetensors"}
    as_anomalib = {"prompts": "winclip-anomalib", "told": True, "spelling": "raw", "mean_of": "raw"}
    backbone = prepared(Clip(**model))
    bank = prepared((PromptsFew if len(references) else Prompts)(**model, **as_anomalib))
    bank.fit(Stream(backbone.extract(batch_of(references))) if len(references) else None, Context())
    seen = backbone.extract(batch_of(images))
    scores = WinClip(temperature=0.07).score(seen, bank)
    spec = MapSpec(upsample="bilinear", sigma=0, at="input")
    maps = np.stack([anomaly_map(grid.numpy(), Geometry.whole(SIDE, SIDE), spec) for grid in scores.patches])
    few = len(references) > 0
    return SimpleNamespace(
        text=torch.cat([bank.normal, bank.abnormal]),
        image=seen.image,
        patches=seen.patches.flatten(1, 2),
        window2=seen.layers["window2"].flatten(1, 2),
        window3=seen.layers["window3"].flatten(1, 2),
        distances=bank.association(seen.patches) / 2 if few else None,
        window_distances=bank.association(seen.layers["window3"], "window3") / 2 if few else None,
        score=scores.image,
        map=torch.from_numpy(maps),
    )


def anomalib_says(model, references, images):
    import torch
    from anomalib.models.image.winclip.utils import visual_association_score

    few = len(references) > 0
    model.setup(WORD, normalised(references) if few else None)
    with torch.no_grad():
        image, windows, patches = model.encode_image(normalised(images))
        message = model(normalised(images))
    distances = window_distances = None
    if few:
        distances = visual_association_score(patches, model.patch_embeddings).reshape(-1, 15, 15)
        window_distances = visual_association_score(windows[1], model.visual_embeddings[1]).reshape(-1, 13, 13)
    return SimpleNamespace(
        text=model.text_embeddings,
        image=image,
        patches=patches,
        window2=windows[0],
        window3=windows[1],
        distances=distances,
        window_distances=window_distances,
        score=message.pred_score,
        map=message.anomaly_map,
    )


def anomalib_model(folder):
    """Its model on an architecture of our own; the weights that it has drawn, stirred, are left in a file."""
    import open_clip
    import torch
    from anomalib.models.image.winclip import torch_model
    from safetensors.torch import save_file

    open_clip.add_model_config(folder / "small.json")
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(torch_model, "BACKBONE", "small")
        patch.setattr(torch_model, "PRETRAINED", None)
        torch.manual_seed(0)
        model = torch_model.WinClipModel().eval()
        for parameter in model.clip.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    model._get_window_embeddings = sequence_first(model)
    state = {name: tensor.contiguous() for name, tensor in model.clip.state_dict().items()}
    save_file(state, folder / "small.safetensors")
    return model


def sequence_first(model):
    """Its method for windows, with the transformer that it was written for.

    anomalib 2.7.0 asks for an open_clip before 2.26.1, whose transformer takes tokens sequence first. Later ones take
    them batch first, and would let windows attend to one another instead of a window's tokens.
    """
    from torch import nn

    class SequenceFirst(nn.Module):
        def __init__(self, transformer):
            super().__init__()
            self.transformer = transformer

        def forward(self, tokens):
            return self.transformer(tokens.permute(1, 0, 2)).permute(1, 0, 2)

    method, visual, real = model._get_window_embeddings, model.clip.visual, model.clip.visual.transformer

    def windows(feature_map, masks):
        visual.transformer = SequenceFirst(real)
        try:
            return method(feature_map, masks)
        finally:
            visual.transformer = real

    return windows


def normalised(images):
    """By CLIP's mean and standard deviation, which anomalib leaves to its pre-processor."""
    import torch

    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def prepared(component):
    component.prepare(Context(class_name=WORD))
    return component


def batch_of(images):
    ids = tuple(f"image {number}" for number in range(len(images)))
    return Batch(ids, images, (Geometry.whole(SIDE, SIDE),) * len(images))


def pictures():
    """Four times [3, H, W] and three times: parts of photographs of surfaces, and other parts with a dark stripe."""
    import torch
    from skimage import data

    photos = [torch.from_numpy(photo()).float() / 255 for photo in (data.brick, data.grass, data.gravel)]
    normal = torch.stack([photos[0][:SIDE, :SIDE], *(photo[:SIDE, -SIDE:] for photo in photos)])
    defective = torch.stack([photo[-SIDE:, -SIDE:] for photo in photos])
    defective[:, 60:80, 90:200] *= 0.3
    return (part[:, None].repeat(1, 3, 1, 1) for part in (normal, defective))
