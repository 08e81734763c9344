"""The bank's training against anomalib's own Lightning modules, step by step: same weights and images, same losses."""

import copy

import pytest

from adbench import Context, Features, FeatureStream, Geometry

pytest.importorskip("adbench_anomalib", reason="adbench-anomalib is not installed beside anomalib")

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's dependencies'

SIDE, IMAGES, STEPS = 64, 4, 5
TOLERANCE = 1e-4
OFF = {"post_processor": False, "evaluator": False, "visualizer": False}
LAYERS = ["layer1", "layer2", "layer3"]


def reverse_distillation(processor):
    from anomalib.models import ReverseDistillation

    made = ReverseDistillation("resnet18", LAYERS, pre_trained=False, pre_processor=processor, **OFF)
    return made, made.model.encoder


def stfpm(processor):
    from adbench_anomalib.models.given import standing_in
    from anomalib.models import Stfpm
    from anomalib.models.image.stfpm import torch_model

    with standing_in(torch_model, None):  # or else it would download the teacher
        made = Stfpm("resnet18", LAYERS, pre_processor=processor, **OFF)
    return made, made.model.teacher_model


def fastflow(processor):
    from anomalib.models import Fastflow

    made = Fastflow("resnet18", pre_trained=False, flow_steps=8, pre_processor=processor, **OFF)
    return made, made.model.feature_extractor


MODELS = {"reverse-distillation": reverse_distillation, "stfpm": stfpm, "fastflow": fastflow}


class Shots(FeatureStream):
    """All images in one batch, with the layers of anomalib's encoder."""

    def __init__(self, images, layers):
        self.batch = Features(
            tuple(map(str, range(IMAGES))), (Geometry.whole(SIDE, SIDE),) * IMAGES, layers=layers, images=images
        )

    @property
    def ids(self):
        return self.batch.ids

    def __iter__(self):
        return iter([self.batch])


@pytest.mark.proves("reverse-distillation", "stfpm", "stfpm-lite")
@pytest.mark.parametrize("model", MODELS)
def test_losses_of_all_steps_are_equal(model, tmp_path):
    """Each loss follows from all weights, and so from loss, optimiser, rate and decay of every step before it."""
    import torch
    from adbench_anomalib.bank import Anomalib
    from anomalib.pre_processing import PreProcessor
    from torchvision.transforms.v2 import Resize

    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs, encoder = MODELS[model](PreProcessor(Resize((SIDE, SIDE))))
        images = torch.rand(IMAGES, 3, SIDE, SIDE)
    bank = Anomalib(model=model, architecture="resnet18", steps=STEPS, batch=IMAGES)
    bank.prepare(Context(workdir=tmp_path))
    initial = copy.deepcopy(bank._adapter.learned(theirs.model).state_dict())
    made = bank._adapter.network

    def started(layout):
        network = made(layout)
        bank._adapter.learned(network).load_state_dict(initial)
        return network

    bank._adapter.network = started
    bank.fit(Shots(images, layers_of(encoder, images)), Context(workdir=tmp_path))
    expected = anomalibs_losses(theirs, images)
    torch.testing.assert_close(torch.tensor(bank.losses()), torch.tensor(expected), rtol=TOLERANCE, atol=TOLERANCE)
    assert abs(expected[-1] - expected[0]) > 100 * TOLERANCE


def layers_of(encoder, images):
    import torch
    from adbench_anomalib.models.adapter import normalised

    with torch.no_grad():
        found = encoder.eval()(normalised(images))
    values = found.values() if isinstance(found, dict) else found
    return {name: each.permute(0, 2, 3, 1) for name, each in zip(LAYERS, values, strict=True)}


def anomalibs_losses(module, images):
    """The losses of anomalib's own training steps with its own optimiser, as its Engine takes them."""
    from adbench_anomalib.models.adapter import normalised
    from anomalib.data import ImageBatch

    optimizer = module.configure_optimizers()
    module.train()
    losses = []
    for _ in range(STEPS):
        loss = module.training_step(ImageBatch(image=normalised(images)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
