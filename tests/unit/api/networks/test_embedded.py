"""An ONNX model as a step: it gives the model's outputs, and takes the form that it had before."""

import torch

from adbench.api.networks.embedded import EmbeddedModel


def model() -> EmbeddedModel:
    return EmbeddedModel(b"", "image", ("half", "mean"), lambda images: [images / 2, images.mean((2, 3)).double()])


def test_it_gives_all_outputs() -> None:
    half, mean = model()(torch.full((2, 3, 4, 4), 6.0))
    assert torch.equal(half, torch.full((2, 3, 4, 4), 3.0))
    assert torch.equal(mean, torch.full((2, 3), 6.0, dtype=torch.float64))


def test_a_recording_knows_the_forms_of_an_earlier_call() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            half, mean = self.model(images)
            return half.sum() + mean.sum()

    module, images = Twice(), torch.rand(1, 3, 4, 4)
    wanted = module(images)
    program = torch.export.export(module, (images,), strict=False)
    assert torch.equal(program.module()(images), wanted)


def test_models_that_are_gone_are_not_kept() -> None:
    before = len(EmbeddedModel.known)
    kept = model()
    assert len(EmbeddedModel.known) == before + 1
    del kept
    assert len(EmbeddedModel.known) == before
