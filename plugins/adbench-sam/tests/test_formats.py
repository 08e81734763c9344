"""Names there and back again."""

from __future__ import annotations

import pytest
import torch
from adbench_sam.architecture import ARCHITECTURES
from adbench_sam.formats import to_hugging_face, to_meta
from adbench_sam.network import build


@pytest.fixture(scope="module")
def theirs():
    return build(ARCHITECTURES["tiny"], "transformers").model.state_dict()


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_there_and_back(lively):
    state = lively.model.state_dict()
    assert same(to_meta(to_hugging_face(state)), state)


@pytest.mark.slow
def test_names_of_either_form_pass_through(lively, theirs):
    state = lively.model.state_dict()
    assert same(to_meta(state), state)
    assert same(to_hugging_face(theirs), theirs)


def test_all_of_transformers_names_have_one_of_metas(lively, theirs):
    assert to_meta(theirs).keys() == lively.model.state_dict().keys()


@pytest.mark.parametrize("left_out", ["shared_image_embedding", "prompt_encoder.shared_embedding"])
def test_the_shared_embedding_may_be_in_the_file_once(theirs, left_out):
    once = {name: tensor for name, tensor in theirs.items() if not name.startswith(left_out)}
    assert len(once) == len(theirs) - 1
    assert to_hugging_face(once).keys() == theirs.keys()
    assert same(to_meta(once), to_meta(theirs))


@pytest.mark.parametrize(
    ("meta", "hugging_face"),
    [
        ("image_encoder.blocks.11.norm1.bias", "vision_encoder.layers.11.layer_norm1.bias"),
        ("image_encoder.blocks.0.attn.rel_pos_h", "vision_encoder.layers.0.attn.rel_pos_h"),
        ("image_encoder.pos_embed", "vision_encoder.pos_embed"),
        ("mask_decoder.transformer.layers.1.norm4.weight", "mask_decoder.transformer.layers.1.layer_norm4.weight"),
        ("mask_decoder.output_upscaling.1.weight", "mask_decoder.upscale_layer_norm.weight"),
        (
            "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias",
            "mask_decoder.output_hypernetworks_mlps.3.proj_out.bias",
        ),
        ("mask_decoder.iou_token.weight", "mask_decoder.iou_token.weight"),
        ("prompt_encoder.mask_downscaling.6.bias", "prompt_encoder.mask_embed.conv3.bias"),
    ],
)
def test_some_names(meta, hugging_face):
    tensor = torch.zeros(1)
    assert list(to_hugging_face({meta: tensor})) == [hugging_face]
    marked = {hugging_face: tensor, "vision_encoder.x": tensor}
    assert meta in to_meta(marked)
