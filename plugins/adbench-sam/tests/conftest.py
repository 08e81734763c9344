"""A small Segment Anything whose random weights answer differently from point to point, and pictures for it."""

from __future__ import annotations

import pytest
import torch
from adbench_sam.architecture import ARCHITECTURES
from adbench_sam.network import build
from torch.nn.functional import interpolate

from adbench.weights import seeded


def lively_network():
    """Its initial weights give nearly the same mask for every point; here the decoder attends sharply to places."""
    with seeded(0):
        network = build(ARCHITECTURES["tiny"], "segment-anything")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.model.named_parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
        if name.startswith("mask_decoder.transformer") and name.endswith("proj.weight"):
            parameter.mul_(2)
        if "hypernetworks" in name and name.endswith("weight"):
            parameter.mul_(2)
    for block in network.model.mask_decoder.transformer.layers:
        attention = block.cross_attn_image_to_token
        alike = torch.randn(attention.q_proj.weight.shape, generator=generator) * 0.3
        attention.q_proj.weight.copy_(alike)
        attention.k_proj.weight.copy_(alike)
        attention.v_proj.weight.mul_(2)
        attention.out_proj.weight.mul_(2)
    network.model.prompt_encoder.point_embeddings[1].weight.mul_(3)
    return network


@pytest.fixture(scope="session")
def lively():
    return lively_network()


@pytest.fixture(scope="session")
def picture():
    """[3, H, W] uint8 soft noise, another one for each size."""

    def picture(height=90, width=70):
        generator = torch.Generator().manual_seed(height * 1000 + width)
        coarse = torch.rand(1, 3, 6, 6, generator=generator)
        return interpolate(coarse, (height, width), mode="bilinear")[0].mul(255).to(torch.uint8)

    return picture
