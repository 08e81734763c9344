"""anomalib's CFLOW-AD: conditional flows on the vectors of each layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from adbench_anomalib.models.adapter import Adapter, Answer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_anomalib.examples import Layout, Shown

CONDITION = 128
"""Values of the code of a place."""

VECTORS = 1024
"""Vectors of a step and layer."""


class CFlowAdapter(Adapter):
    """anomalib's CFLOW-AD (arXiv 2107.12571) on the layers of the recipe's backbone.

    A map is the mean over the layers of the negative log-likelihood a channel, enlarged to the image. It is taken
    before the maxima over the batch by which anomalib scales it. A step draws `VECTORS` vectors of the batch for all
    layers together, where anomalib takes a step for every 64 vectors and layer.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"layers"})
    rate: ClassVar[float] = 1e-4

    def network(self, layout: Layout) -> Any:
        from anomalib.models.image.cflow import torch_model

        from adbench_anomalib.models.given import GivenLayers, standing_in

        names = [f"layer{number}" for number in range(len(layout.layers))]
        with standing_in(torch_model, GivenLayers([shape[0] for shape in layout.layers], names)):
            return torch_model.CflowModel("", names, pre_trained=False)

    def learned(self, network: Any) -> nn.ModuleDict:
        from torch import nn

        return nn.ModuleDict({"decoders": network.decoders})

    def loss(self, network: Any, shown: Shown, step: int) -> Tensor:  # noqa: ARG002
        import torch
        from torch.nn.functional import logsigmoid

        losses = []
        for number, layer in enumerate(shown.layers):
            rows, places = _vectors(layer)
            chosen = torch.randperm(len(rows))[:VECTORS].to(layer.device)
            likelihood = _likelihood(network.decoders[number], rows[chosen], places[chosen])
            losses.append(-logsigmoid(likelihood).mean())
        return torch.stack(losses).mean()

    def answer(self, network: Any, shown: Shown) -> Answer:
        import torch
        from torch.nn.functional import interpolate

        layers = [
            interpolate(each[:, None], size=shown.size, mode="bilinear", align_corners=True)[:, 0]
            for each in likelihoods(network, shown)
        ]
        maps = -torch.stack(layers).mean(0)
        return Answer(maps, maps.amax((1, 2)))


def likelihoods(network: Any, shown: Shown) -> Iterator[Tensor]:
    """The log-likelihood a channel [B, H, W] of each layer, which anomalib scales by its maximum over the batch."""
    for number, layer in enumerate(shown.layers):
        found = _likelihood(network.decoders[number], *_vectors(layer))
        yield found.reshape(len(layer), *layer.shape[2:])


def _likelihood(decoder: Any, rows: Tensor, places: Tensor) -> Tensor:
    from anomalib.models.image.cflow.utils import get_logp

    code, log_determinant = decoder(rows, [places])
    found: Tensor = get_logp(rows.shape[1], code, log_determinant) / rows.shape[1]
    return found


def _vectors(layer: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors [B H W, C] of a layer, and the codes of their places."""
    from anomalib.models.image.cflow.utils import positional_encoding_2d

    codes = positional_encoding_2d(CONDITION, layer.shape[2], layer.shape[3]).flatten(1).T
    return layer.permute(0, 2, 3, 1).flatten(0, 2), codes.to(layer.device).repeat(len(layer), 1)
