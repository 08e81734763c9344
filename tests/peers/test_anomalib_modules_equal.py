"""anomalib's Lightning modules against adbench's bank: maps on the same weights, and the losses of the first steps."""

import copy
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from adbench import Context, Features, FeatureStream, Geometry

pytest.importorskip("adbench_anomalib", reason="adbench-anomalib is not installed beside anomalib")

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's dependencies'

IMAGES, LEARNED, STEPS = 8, 4, 5
MAPS, LOSSES = 1e-5, 1e-4
OFF = {"post_processor": False, "evaluator": False, "visualizer": False}
HIDDEN = 16
"""Channels inside CS-Flow, which has 1,024 and so 275 million weights."""


def case(module, *, layers=None, own=None, raised=None, **options):
    """A Lightning module of anomalib's and what the bank needs beside its weights."""
    same = SimpleNamespace(maps=lambda values: values, scores=lambda values: values)
    return SimpleNamespace(module=module, layers=layers, own=own, raised=raised or same, options=options)


@contextmanager
def offline():
    """Random weights in place of every download, and timm's function of positions as it was afterwards."""
    import timm
    import torchvision
    from adbench_anomalib.models.dinomaly import anomalibs_positions
    from adbench_anomalib.models.given import replaced
    from anomalib.models.image.csflow import torch_model

    real, b5 = timm.create_model, torch_model.efficientnet_b5
    with (
        replaced(timm, create_model=lambda *args, **options: real(*args, **{**options, "pretrained": False})),
        replaced(torchvision.models, get_model_weights=lambda _: SimpleNamespace(DEFAULT=None)),
        replaced(torch_model, efficientnet_b5=lambda **_: b5(weights=None)),
        anomalibs_positions(),
    ):
        yield


def cfa(processor):
    from anomalib.models import Cfa

    made = Cfa("resnet18", pre_processor=processor, **OFF)
    return case(made, layers=made.model.feature_extractor)


def csflow(processor):
    import torch
    from anomalib.models import Csflow

    made = Csflow(cross_conv_hidden_channels=HIDDEN, pre_processor=processor, **OFF)
    for name, value in made.model.graph.named_parameters():
        if "gamma" in name:  # they begin at 0, where all images have the codes of the identity
            torch.nn.init.uniform_(value, 0.1, 0.3)
    return case(made, own=made.model.feature_extractor.feature_extractor.feature_extractor)


def foundad(processor):
    from anomalib.models import FoundAD

    made = FoundAD("dinov2_vit_small_14", image_size=98, pre_processor=processor, **OFF)
    return case(made, own=made.model.encoder._model, architecture="dinov2_vit_small_14")


def general_ad(processor):
    from anomalib.models import GeneralAD

    made = GeneralAD("vit_small_patch14_dinov2", [12], epochs=STEPS, pre_trained=False, pre_processor=processor, **OFF)
    return case(made, layers=lambda images: grids([made.model.feature_extractor(images)]))


def glass(processor):
    import torch
    from anomalib.models import Glass

    made = Glass((32, 48), pre_processor=processor, **OFF)
    raised = SimpleNamespace(maps=lambda values: values, scores=torch.sigmoid)
    return case(made, own=made.model.forward_modules["feature_aggregator"].feature_extractor, raised=raised)


def inp_former(processor):
    from anomalib.models import InpFormer

    name = "vit_small_patch14_reg4_dinov2"
    made = InpFormer(name, pre_processor=processor, **OFF)
    return case(made, own=made.model.encoder.feature_extractor, architecture=name)


def l2bt(processor):
    from anomalib.models import L2BT

    made = L2BT(pre_processor=processor, **OFF)
    return case(made, layers=lambda images: grids(made.model.teacher(images)))


def patchflow(processor):
    from anomalib.models import Patchflow

    made = Patchflow("resnet18", pre_trained=False, pre_processor=processor, **OFF)
    made.model.feature_adaptor.weight.data *= 10  # or else all codes of random features are about 0
    return case(made, own=made.model.feature_extractor.feature_extractor, architecture="resnet18")


def uflow(processor):
    from anomalib.models import Uflow

    made = Uflow("resnet18", pre_processor=processor, **OFF)
    less = SimpleNamespace(maps=lambda values: 1 + values, scores=lambda values: 1 + values)
    return case(made, layers=made.model.feature_extractor.extract_features, raised=less)


def uninet(processor):
    from anomalib.models import UniNet

    made = UniNet("resnet50", "resnet50", pre_processor=processor, **OFF)
    return case(made, own=made.model.teachers.source_teacher, architecture="resnet50")


MODELS = {
    "cfa": (cfa, (96, 96)),
    "csflow": (csflow, (128, 256)),
    "foundad": (foundad, (98, 98)),
    "general-ad": (general_ad, (98, 98)),
    "glass": (glass, (32, 48)),
    "inp-former": (inp_former, (98, 98)),
    "l2bt": (l2bt, (98, 126)),
    "patchflow": (patchflow, (128, 160)),
    "uflow": (uflow, (96, 128)),
    "uninet": (uninet, (64, 96)),
}


@pytest.fixture(params=MODELS)
def beside(request, tmp_path, monkeypatch):
    """A module of anomalib's, the bank of the same model, and images."""
    import torch
    from adbench_anomalib.bank import Anomalib
    from adbench_anomalib.models import csflow as of_csflow
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Resize

    make, size = MODELS[request.param]
    monkeypatch.setattr(of_csflow, "HIDDEN", HIDDEN)
    with torch.random.fork_rng(), offline():
        torch.manual_seed(0)
        theirs = make(PreProcessor(Resize(size)))
    theirs.module.log = theirs.module.log_dict = lambda *_, **__: None
    theirs.module._trainer = SimpleNamespace(max_steps=STEPS, max_epochs=-1)
    images = photographs(*size)
    bank = Anomalib(model=request.param, steps=STEPS, batch=IMAGES, **theirs.options, **weights_of(theirs, tmp_path))
    bank.prepare(Context(workdir=tmp_path))
    return SimpleNamespace(
        name=request.param,
        theirs=theirs,
        network=theirs.module.model,
        bank=bank,
        images=images,
        layers=theirs.layers and layers_of(theirs.layers, images),
    )


def weights_of(theirs, folder):
    """The options that name the module's own frozen network."""
    from safetensors.torch import save_file

    if theirs.own is None:
        return {}
    state = {name: value.contiguous().clone() for name, value in theirs.own.state_dict().items()}
    save_file(state, folder / "own.safetensors")
    return {"weights": folder / "own.safetensors"}


def photographs(height, width):
    """[8, 3, H, W]: parts of a photograph of gravel, some with a dark stripe."""
    import numpy as np
    import torch
    from skimage import data

    photo, rng = torch.from_numpy(data.gravel()).float() / 255, np.random.default_rng(0)
    corners = rng.integers((512 - height, 512 - width), size=(IMAGES, 2))
    parts = torch.stack([photo[y : y + height, x : x + width] for y, x in corners])[:, None].repeat(1, 3, 1, 1)
    parts[::2, :, 30:45, 20:60] *= 0.3
    return parts


def normal(images):
    from adbench_anomalib.models.adapter import normalised

    return normalised(images)


def layers_of(encoder, images):
    """What anomalib's encoder gives, in adbench's order of axes."""
    import torch
    from adbench_anomalib.models.dinomaly import anomalibs_positions

    with torch.no_grad(), anomalibs_positions():
        encoder = encoder.eval() if isinstance(encoder, torch.nn.Module) else encoder
        found = encoder(normal(images))
    values = found.values() if isinstance(found, dict) else found
    return {f"layer{number}": each.permute(0, 2, 3, 1) for number, each in enumerate(values, 1)}


def grids(tokens):
    """Vectors [B, H W, C] as maps [B, C, H, W], of images of 98 pixels in height."""
    return [each.transpose(1, 2).unflatten(2, (7, -1)) for each in tokens]


def asked(beside, which):
    images = beside.images[which]
    layers = beside.layers and {name: layer[which] for name, layer in beside.layers.items()}
    names = tuple(map(str, range(IMAGES)))[which]
    return Features(names, (Geometry.whole(*images.shape[2:]),) * len(images), layers=layers, images=images)


class Shots(FeatureStream):
    """All images in one batch."""

    def __init__(self, batch):
        self.batch = batch

    @property
    def ids(self):
        return self.batch.ids

    def __iter__(self):
        return iter([self.batch])


def moved(network):
    """The network with running statistics that are not those of a beginning, and in eval mode."""
    import torch

    generator = torch.Generator().manual_seed(3)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(0.1 * torch.randn(buffer.shape, generator=generator))
        elif name.endswith("running_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator))
    return network.eval()


def begun(beside, images):
    """Let anomalib find the centres of its models that have some, in the place where the bank keeps them."""
    import torch

    network, batch = beside.network, SimpleNamespace(image=normal(images))
    if beside.name == "cfa":
        network.memory_bank = torch.tensor(0.0)
        network.initialize_centroid([batch])
    elif beside.name == "glass":
        network.calculate_center([batch], images.device)
    if beside.name in {"cfa", "glass"}:
        network.memory = torch.nn.Module()
        centers = network.memory_bank if beside.name == "cfa" else network.center
        network.memory.register_buffer("centers", centers.clone())


def same_weights(beside):
    """The bank, as if it had learned anomalib's weights."""
    import torch

    learned = beside.bank._adapter.learned(beside.network).state_dict()
    of_layers = [(each.shape[3], *each.shape[1:3]) for each in (beside.layers or {}).values()]
    shapes = torch.tensor([(1, *beside.images.shape[2:]), *of_layers])
    state = {f"network.{name}": value for name, value in learned.items()}
    beside.bank.restore({"layout": shapes, "losses": torch.zeros(1), **state})
    return beside.bank


@pytest.mark.proves("cfa", "cfa-lite", "csflow", "general-ad", "glass", "inp-former", "uflow", "uflow-lite")
def test_maps_and_scores_are_equal_and_an_image_is_alone(beside):
    import torch
    from adbench_anomalib.models.dinomaly import anomalibs_positions

    # Statistics first: the layers and the file of weights are those of the encoder as it is.
    frozen = copy.deepcopy(beside.theirs.own.state_dict()) if beside.theirs.own is not None else {}
    moved(beside.network)
    if beside.theirs.own is not None:
        beside.theirs.own.load_state_dict(frozen)
    if beside.layers is not None:
        beside.layers = layers_of(beside.theirs.layers, beside.images)
    with torch.no_grad(), anomalibs_positions():
        begun(beside, beside.images[1::2])
        found = [beside.network(one[None]) for one in normal(beside.images)]
    maps = torch.cat([each.anomaly_map.reshape(1, *beside.images.shape[2:]) for each in found])
    scores = torch.cat([each.pred_score.flatten() for each in found])
    bank, raised = same_weights(beside), beside.theirs.raised
    together = bank.answer(asked(beside, slice(None)))
    torch.testing.assert_close(raised.maps(together.maps), maps, rtol=MAPS, atol=MAPS)
    torch.testing.assert_close(raised.scores(together.scores), scores, rtol=MAPS, atol=MAPS)
    assert maps.std() > 100 * MAPS * maps.abs().max()  # or else nothing would be compared
    alone = [bank.answer(asked(beside, slice(at, at + 1))) for at in range(IMAGES)]
    assert torch.equal(together.maps, torch.cat([each.maps for each in alone]))
    assert torch.equal(together.scores, torch.cat([each.scores for each in alone]))


@pytest.mark.proves("cfa", "cfa-lite", "csflow", "general-ad", "glass", "inp-former", "uflow", "uflow-lite")
def test_losses_of_all_steps_are_equal(beside, tmp_path, monkeypatch):
    """Each loss follows from all weights, and so from loss, optimiser, rate and decay of every step before it."""
    import torch
    from adbench_anomalib.models import dinomaly
    from anomalib.models.image.inp_former.lightning_model import TRAINING_CONFIG

    # The rate rises in 4 steps and not in 100, or else nothing would change within 5.
    monkeypatch.setattr(dinomaly, "WARM", STEPS - 1)
    monkeypatch.setitem(TRAINING_CONFIG["scheduler"], "warmup_iters", STEPS - 1)
    initial = copy.deepcopy(learned_state(beside))
    made = beside.bank._adapter.network

    def started(layout):
        network = made(layout)
        beside.bank._adapter.learned(network).load_state_dict(initial, strict=False)
        if beside.name == "glass":
            network.augmentor = beside.network.augmentor  # which has drawn one threshold when it was made
        return network

    beside.bank._adapter.network = started
    beside.bank.fit(Shots(asked(beside, slice(LEARNED))), Context(workdir=tmp_path))
    expected = torch.tensor(anomalibs_losses(beside))
    torch.testing.assert_close(torch.tensor(beside.bank.losses()), expected, rtol=LOSSES, atol=LOSSES)
    assert (expected[-1] - expected[0]).abs() > 100 * LOSSES


def learned_state(beside):
    import torch

    if beside.name in {"cfa", "glass"}:
        beside.network.memory = torch.nn.Module()
    return beside.bank._adapter.learned(beside.network).state_dict()


def anomalibs_losses(beside):
    """The losses of anomalib's own training steps with its own optimisers and schedules, which count steps."""
    import torch
    from adbench_anomalib.models.dinomaly import anomalibs_positions
    from adbench_anomalib.randomness import drawn_from
    from anomalib.data import ImageBatch

    from adbench.api.training.order import ExampleOrder

    module, ctx = beside.theirs.module, Context()
    order = ExampleOrder(LEARNED, LEARNED, ctx.generator("anomalib/order"))
    noise = ctx.generator("anomalib/noise")
    optimizers, schedulers = optimization(module)
    if beside.name == "cfa":
        begun(beside, beside.images[:LEARNED])
    module.train()
    if beside.name == "uninet":
        beside.network.teachers.source_teacher.eval()  # as Lightning leaves it
    losses = []
    for _ in range(STEPS):
        images = beside.images[order.next()]
        batch = ImageBatch(image=normal(images), gt_label=torch.zeros(LEARNED, dtype=torch.bool))
        if beside.name == "glass":
            beside.network.calculate_center([batch], images.device)
        with drawn_from(noise), anomalibs_positions():
            losses.append(step(module, batch, optimizers))
        for scheduler in schedulers:
            scheduler.step()
    return losses


def optimization(module):
    """The optimisers and the schedules that a module of anomalib's configures."""
    found = module.configure_optimizers()
    if isinstance(found, dict):
        return [found["optimizer"]], [found["lr_scheduler"]["scheduler"]]
    if isinstance(found, tuple):
        return found
    return (found, []) if isinstance(found, list) else ([found], [])


def step(module, batch, optimizers):
    """One step as Lightning takes it; returns its loss."""
    import torch

    if not module.automatic_optimization:
        module.optimizers = lambda: optimizers
        module.manual_backward = lambda loss: loss.backward()
        return module.training_step(batch, 0)["loss"].item()
    loss = module.training_step(batch, 0)["loss"]
    optimizers[0].zero_grad()
    module.backward(loss)
    if clip := module.trainer_arguments.get("gradient_clip_val"):
        torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
    optimizers[0].step()
    return loss.item()
