"""Weight names: from those of Hugging Face transformers and Meta's files to timm's.

Each table is a list of regular expressions and replacements, applied in order to every name. What is already in timm's
form passes through unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    Names = Sequence[tuple[str, str]]

_UNUSED = re.compile(r"(^|\.)mask_token$|bias_mask$|^rope_embed\.|^local_cls_norm\.")
"""Tensors that serve pretraining alone."""

_TRANSFORMERS: Names = (
    (r"^(encoder\.|model\.)?layer\.", "blocks."),
    (r"^embeddings\.(cls_token)$", r"\1"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection\.)?", "patch_embed.proj."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.(q|k|v)_proj\.", r".attn.\1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.attn\.(q|k|v)(uery|ey|alue)\.", r".attn.\1."),
    (r"^layernorm\.", "norm."),
)

VIT3: Names = (
    *_TRANSFORMERS,
    (r"\.layer_scale([12])\.lambda1$", r".gamma_\1"),
    (r"\.ls([12])\.gamma$", r".gamma_\1"),
    (r"^storage_tokens$", "reg_token"),
    (r"\.mlp\.(gate_proj|w1)\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.(down_proj|w3)\.", ".mlp.fc2."),
)
"""DINOv3's transformers. ``mlp.up_proj`` means two things and is left to `renamed_vit3`."""

VIT2: Names = (
    *_TRANSFORMERS,
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^register_tokens$", "reg_token"),
    (r"\.mlp\.(weights_in|w12)\.", ".mlp.fc1."),
    (r"\.mlp\.(weights_out|w3|down_proj)\.", ".mlp.fc2."),
)
"""DINOv2."""

CONVNEXT: Names = (
    (r"^model\.", ""),
    (r"^stages\.0\.downsample_layers\.", "stem."),
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.", "stages.@."),
    (r"^stages\.(\d)\.downsample_layers\.", r"stages.\1.downsample."),
    (r"^stages\.@\.(\d)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d)\.(layers\.)?(\d+)\.", r"stages.\1.blocks.\3."),
    (r"\.(depthwise_conv|dwconv)\.", ".conv_dw."),
    (r"\.(pointwise_conv|pwconv)([12])\.", r".mlp.fc\2."),
    (r"\.layer_norm\.", ".norm."),
    (r"^(layer_norm|norm)\.", "head.norm."),
)
"""DINOv3's ConvNeXts."""


def renamed_vit3(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a DINOv3 transformer under timm's names."""
    named = _joined(_renamed(state, VIT3))
    gated = any(".mlp.fc1_g." in name for name in named)
    named = {name.replace(".mlp.up_proj.", ".mlp.fc1_x." if gated else ".mlp.fc1."): named[name] for name in named}
    for name in [name for name in named if name.endswith(".attn.qkv.bias")]:
        query, _, value = named.pop(name).chunk(3)  # keys have no bias
        prefix = name.removesuffix("qkv.bias")
        named.update({prefix + "q_bias": query, prefix + "v_bias": value})
    return named


def renamed_vit2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a DINOv2 transformer under timm's names."""
    import torch

    named = _joined(_renamed(state, VIT2))
    for name in [name for name in named if ".mlp.gate_proj." in name]:
        up = named.pop(name.replace("gate_proj", "up_proj"))
        named[name.replace("gate_proj", "fc1")] = torch.cat([named.pop(name), up])
    side_squared = named["pos_embed"].shape[1] - 1 if "pos_embed" in named else 0
    if "reg_token" in named and int(side_squared**0.5) ** 2 == side_squared:  # timm adds the class token's position
        named["cls_token"] = named["cls_token"] + named["pos_embed"][:, :1]
        named["pos_embed"] = named["pos_embed"][:, 1:]
    return named


def renamed_convnext(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a DINOv3 ConvNeXt under timm's names."""
    if any(name.startswith("head.norm.") for name in state):
        return dict(state)
    return _renamed({name: tensor for name, tensor in state.items() if not name.startswith("norms.")}, CONVNEXT)


def _renamed(state: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    found = {}
    for name, tensor in state.items():
        if not _UNUSED.search(name):
            found[reduce(_replaced, names, name)] = tensor
    return found


def _replaced(name: str, rule: tuple[str, str]) -> str:
    pattern, replacement = rule
    return re.sub(pattern, replacement, name)


def _joined(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The queries, keys and values of transformers joined in one matrix, as timm and Meta have them."""
    import torch

    for name in [name for name in state if name.endswith(".attn.q.weight")]:
        prefix = name.removesuffix("q.weight")
        state[prefix + "qkv.weight"] = torch.cat([state.pop(f"{prefix}{part}.weight") for part in "qkv"])
        biases = [state.pop(f"{prefix}{part}.bias", None) for part in "qkv"]
        size = len(state[prefix + "qkv.weight"]) // 3
        if any(bias is not None for bias in biases):
            zero = torch.zeros(size)
            state[prefix + "qkv.bias"] = torch.cat([zero if bias is None else bias for bias in biases])
    return state
