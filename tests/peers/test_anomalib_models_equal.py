"""anomalib's trained models as adbench's bank against the same models as anomalib calls them, with the same weights."""

from types import SimpleNamespace

import pytest

from adbench import Batch, Context, Features, Geometry

pytest.importorskip("adbench_anomalib", reason="adbench-anomalib is not installed beside anomalib")

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's dependencies'

HEIGHT, WIDTH = 96, 128
IMAGES = 8
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def images():
    """[8, 3, H, W]: parts of a photograph of gravel, some with a dark stripe."""
    return photographs(HEIGHT, WIDTH)


def photographs(height, width):
    import numpy as np
    import torch
    from skimage import data

    photo, rng = torch.from_numpy(data.gravel()).float() / 255, np.random.default_rng(0)
    corners = rng.integers((512 - height, 512 - width), size=(IMAGES, 2))
    parts = torch.stack([photo[y : y + height, x : x + width] for y, x in corners])[:, None].repeat(1, 3, 1, 1)
    parts[::2, :, 30:45, 40:100] *= 0.3
    return parts


def moved(network):
    """The network with running statistics and weights that are not those of a beginning, and in eval mode."""
    import torch

    generator = torch.Generator().manual_seed(3)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return network.eval()


def seeded(make):
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return moved(make())


def resnet_layers(encoder, images):
    """The layers that an encoder of anomalib's sees, in adbench's order of axes."""
    import torch

    with torch.no_grad():
        found = encoder(normal(images))
    values = found.values() if isinstance(found, dict) else found
    return {f"layer{number}": each.permute(0, 2, 3, 1) for number, each in enumerate(values, 1)}


def normal(images):
    from adbench_anomalib.models.adapter import normalised

    return normalised(images)


def reverse_distillation(images):
    from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
    from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel

    layers = ["layer1", "layer2", "layer3"]
    made = seeded(
        lambda: ReverseDistillationModel(
            "resnet18", tuple(images.shape[2:]), layers, AnomalyMapGenerationMode.ADD, pre_trained=False
        )
    )
    return made, {"architecture": "resnet18"}, resnet_layers(made.encoder, images), normal(images)


def stfpm(images):
    from adbench_anomalib.models.given import standing_in
    from anomalib.models.image.stfpm import torch_model

    def make():
        with standing_in(torch_model, None):  # or else it would download the teacher
            return torch_model.STFPMModel(["layer1", "layer2", "layer3"], "resnet18")

    made = seeded(make)
    return made, {"architecture": "resnet18"}, resnet_layers(made.teacher_model, images), normal(images)


def supersimplenet(images):
    from adbench_anomalib.models.given import standing_in
    from anomalib.models.image.supersimplenet import torch_model

    def make():
        with standing_in(torch_model, None):
            return torch_model.SupersimplenetModel(backbone="resnet18", layers=["layer2", "layer3"])

    made = seeded(make)
    return made, {}, resnet_layers(made.feature_extractor.feature_extractor, images), normal(images)


def fastflow(images):
    from anomalib.models.image.fastflow.torch_model import FastflowModel

    made = seeded(lambda: FastflowModel(tuple(images.shape[2:]), "resnet18", pre_trained=False, flow_steps=8))
    return made, {"architecture": "resnet18"}, resnet_layers(made.feature_extractor, images), normal(images)


def draem(images):
    from anomalib.models.image.draem.torch_model import DraemModel

    return seeded(DraemModel), {}, None, images


def efficient_ad(images):
    from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel

    made = seeded(lambda: EfficientAdModel(384))
    for name, value in {"qa_st": 0.1, "qb_st": 0.3, "qa_ae": 0.2, "qb_ae": 0.5}.items():
        made.quantiles[name].data.fill_(value)
    made.mean_std["mean"].data.fill_(0.05)
    made.mean_std["std"].data.fill_(0.7)
    return made, {"own": made.teacher}, None, images


def dinomaly(images):
    from adbench_anomalib.models.dinomaly import anomalibs_positions
    from adbench_anomalib.models.given import standing_in
    from anomalib.models.image.dinomaly import torch_model

    name = "vit_small_patch14_reg4_dinov2"

    def make():
        with anomalibs_positions(), standing_in(torch_model, None):
            return torch_model.DinomalyModel(name)

    made = seeded(make)
    return made, {"own": made.encoder.feature_extractor, "architecture": name}, None, normal(images)


MODELS = {
    "reverse-distillation": (reverse_distillation, (96, 128)),
    "stfpm": (stfpm, (96, 128)),
    "supersimplenet": (supersimplenet, (96, 128)),
    "fastflow": (fastflow, (96, 128)),
    "draem": (draem, (32, 64)),
    "efficient-ad": (efficient_ad, (256, 264)),
    "dinomaly": (dinomaly, (98, 126)),
}


@pytest.fixture(scope="module", params=MODELS)
def answers(request, tmp_path_factory):
    """What adbench's bank and anomalib say of eight images, and what the bank says of each alone."""
    import torch
    from adbench_anomalib.models.dinomaly import anomalibs_positions

    make, size = MODELS[request.param]
    images = photographs(*size)
    made, about, layers, prepared = make(images)
    bank = restored(request.param, made, dict(about), layers, images, tmp_path_factory.mktemp("weights"))
    with torch.no_grad(), anomalibs_positions():
        theirs = [made(one[None]) for one in prepared]
    raised = torch.sigmoid if request.param in {"supersimplenet", "draem"} else lambda values: values
    return SimpleNamespace(
        together=bank.answer(asked(images, layers, slice(None))),
        alone=[bank.answer(asked(images, layers, slice(at, at + 1))) for at in range(IMAGES)],
        raised=raised,
        maps=torch.cat([each.anomaly_map.reshape(1, *size) for each in theirs]),
        scores=torch.cat([each.pred_score.flatten() for each in theirs]),
    )


def asked(images, layers, which):
    count = len(images[which])
    return Features(
        tuple(f"image {number}" for number in range(count)),
        (Geometry.whole(*images.shape[2:]),) * count,
        layers=layers and {name: layer[which] for name, layer in layers.items()},
        images=images[which],
    )


def restored(model, made, about, layers, images, folder):
    """A bank with the weights of anomalib's network."""
    import torch
    from adbench_anomalib.bank import Anomalib
    from safetensors.torch import save_file

    own = about.pop("own", None)
    if own is not None:
        save_file({name: value.contiguous() for name, value in own.state_dict().items()}, folder / "own.safetensors")
        about["weights"] = folder / "own.safetensors"
    if model == "efficient-ad":
        about["auxiliary"] = folder
    bank = Anomalib(model=model, **about)
    bank.prepare(Context())
    learned = bank._adapter.learned(made).state_dict()
    shapes = [(1, *images.shape[2:]), *((each.shape[3], *each.shape[1:3]) for each in (layers or {}).values())]
    state = {f"network.{name}": value for name, value in learned.items()}
    bank.restore({"layout": torch.tensor(shapes), "losses": torch.zeros(1), **state})
    return bank


@pytest.mark.proves(
    "reverse-distillation",
    "stfpm",
    "stfpm-lite",
    "supersimplenet",
    "supersimplenet-lite",
    "draem",
    "efficient-ad",
    "dinomaly",
)
def test_maps_are_equal(answers):
    import torch

    torch.testing.assert_close(answers.raised(answers.together.maps), answers.maps, rtol=TOLERANCE, atol=TOLERANCE)
    assert answers.maps.std() > 100 * TOLERANCE * answers.maps.abs().max()  # or else nothing would be compared


@pytest.mark.proves(
    "reverse-distillation",
    "stfpm",
    "stfpm-lite",
    "supersimplenet",
    "supersimplenet-lite",
    "draem",
    "efficient-ad",
    "dinomaly",
)
def test_image_scores_are_equal(answers):
    import torch

    torch.testing.assert_close(answers.raised(answers.together.scores), answers.scores, rtol=TOLERANCE, atol=TOLERANCE)


def test_an_image_alone_and_among_eight(answers):
    import torch

    assert torch.equal(answers.together.maps, torch.cat([each.maps for each in answers.alone]))
    assert torch.equal(answers.together.scores, torch.cat([each.scores for each in answers.alone]))


@pytest.fixture(scope="module")
def cflow(images):
    """anomalib's CFLOW-AD, and the bank with its weights."""
    from anomalib.models.image.cflow.torch_model import CflowModel

    made = seeded(lambda: CflowModel("resnet18", ["layer2", "layer3"], pre_trained=False, coupling_blocks=8))
    layers = resnet_layers(made.encoder, images)
    return SimpleNamespace(made=made, bank=restored("cflow", made, {}, layers, images, None), layers=layers)


def test_cflows_likelihoods_are_equal_before_they_are_scaled_over_the_batch(cflow, images):
    """anomalib's map of a batch follows from our likelihoods by its scaling, which our maps go without."""
    import torch
    from adbench_anomalib.examples import shown
    from adbench_anomalib.models.cflow import likelihoods

    query = asked(images, cflow.layers, slice(None))
    with torch.no_grad():
        theirs = cflow.made(normal(images))
        found = list(likelihoods(cflow.bank._made, shown(query, cflow.bank.needs, "test")))
    shares = [(each - each.max()).exp()[:, None] for each in found]
    enlarged = sum(
        torch.nn.functional.interpolate(each, size=(HEIGHT, WIDTH), mode="bilinear", align_corners=True)[:, 0]
        for each in shares
    )
    torch.testing.assert_close(enlarged.max() - enlarged, theirs.anomaly_map, rtol=TOLERANCE, atol=TOLERANCE)


def test_cflows_maps_do_not_depend_on_the_batch_as_anomalibs_do(cflow, images):
    import torch

    together = cflow.bank.answer(asked(images, cflow.layers, slice(None))).maps
    alone = torch.cat([cflow.bank.answer(asked(images, cflow.layers, slice(at, at + 1))).maps for at in range(IMAGES)])
    assert torch.equal(together, alone)
    with torch.no_grad():
        theirs = cflow.made(normal(images)).anomaly_map
        apart = torch.cat([cflow.made(normal(one[None])).anomaly_map for one in images])
    assert (theirs - apart).abs().max() > 100 * TOLERANCE


@pytest.mark.proves("reverse-distillation")
def test_reverse_distillation_behind_adbenchs_own_backbone(images, tmp_path):
    """The recipe's backbone in place of anomalib's encoder, with the same weights."""
    import torch
    from adbench_timm.models import ResNet18
    from safetensors.torch import save_file

    made, about, layers, prepared = reverse_distillation(images)
    state = {name: value.contiguous() for name, value in made.encoder.feature_extractor.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    backbone = ResNet18(layers=(1, 2, 3), weights=tmp_path / "weights.safetensors")
    backbone.prepare(Context())
    bank = restored("reverse-distillation", made, about, layers, images, tmp_path)
    names = tuple(str(number) for number in range(IMAGES))
    query = backbone.extract(Batch(names, images, (Geometry.whole(HEIGHT, WIDTH),) * IMAGES))
    with torch.no_grad():
        theirs = made(prepared)
    torch.testing.assert_close(bank.answer(query).maps, theirs.anomaly_map[:, 0], rtol=TOLERANCE, atol=TOLERANCE)


def test_other_backbones_keep_timms_own_positions():
    """anomalib replaces timm's function when it builds Dinomaly; the bank's networks leave it as it was."""
    import timm.models.vision_transformer as vit

    before = vit.resample_abs_pos_embed
    dinomaly(photographs(28, 28))
    assert vit.resample_abs_pos_embed is before
