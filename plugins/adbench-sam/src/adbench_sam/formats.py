"""Weight names: Meta's own (``sam_vit_*.pth``) and those of Hugging Face transformers.

A row of the table says how both name the same tensors. In braces stand the parts that they share: ``{n}`` and ``{m}``
are numbers, ``{rest}`` is whatever is left. The first row that fits decides; a name that none fits is the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_DECODER = "mask_decoder."
_LAYERS = (("layers.0", "proj_in"), ("layers.1", "layers.0"), ("layers.2", "proj_out"))
"""Of a perceptron with three layers, as the decoder's heads are."""


def _numbered(meta: str, hugging_face: str, names: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{meta}{left}.{{rest}}", f"{hugging_face}{right}.{{rest}}") for left, right in names)


TABLE: tuple[tuple[str, str], ...] = (
    ("image_encoder.patch_embed.proj.{rest}", "vision_encoder.patch_embed.projection.{rest}"),
    ("image_encoder.blocks.{n}.norm{m}.{rest}", "vision_encoder.layers.{n}.layer_norm{m}.{rest}"),
    ("image_encoder.blocks.{n}.{rest}", "vision_encoder.layers.{n}.{rest}"),
    *_numbered(
        "image_encoder.neck.",
        "vision_encoder.neck.",
        (("0", "conv1"), ("1", "layer_norm1"), ("2", "conv2"), ("3", "layer_norm2")),
    ),
    ("image_encoder.{rest}", "vision_encoder.{rest}"),
    (
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "prompt_encoder.shared_embedding.positional_embedding",
    ),
    ("prompt_encoder.point_embeddings.{rest}", "prompt_encoder.point_embed.{rest}"),
    *_numbered(
        "prompt_encoder.mask_downscaling.",
        "prompt_encoder.mask_embed.",
        (("0", "conv1"), ("1", "layer_norm1"), ("3", "conv2"), ("4", "layer_norm2"), ("6", "conv3")),
    ),
    (
        f"{_DECODER}transformer.layers.{{n}}.norm{{m}}.{{rest}}",
        f"{_DECODER}transformer.layers.{{n}}.layer_norm{{m}}.{{rest}}",
    ),
    (f"{_DECODER}transformer.norm_final_attn.{{rest}}", f"{_DECODER}transformer.layer_norm_final_attn.{{rest}}"),
    *_numbered(
        f"{_DECODER}output_upscaling.",
        f"{_DECODER}upscale_",
        (("0", "conv1"), ("1", "layer_norm"), ("3", "conv2")),
    ),
    *_numbered(f"{_DECODER}output_hypernetworks_mlps.{{n}}.", f"{_DECODER}output_hypernetworks_mlps.{{n}}.", _LAYERS),
    *_numbered(f"{_DECODER}iou_prediction_head.", f"{_DECODER}iou_prediction_head.", _LAYERS),
)
"""Meta's names on the left, those of transformers on the right."""

_SHARED = "prompt_encoder.shared_embedding.positional_embedding"
_SHARED_TOO = "shared_image_embedding.positional_embedding"
"""transformers has the positional embedding twice; a file may hold either or both."""


def to_meta(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under Meta's names, from either form."""
    if not _is_hugging_face(state):
        return dict(state)
    given = {_SHARED if name == _SHARED_TOO else name: tensor for name, tensor in state.items()}
    return {_renamed(name, left=1): tensor for name, tensor in given.items()}


def to_hugging_face(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of transformers, from either form."""
    if _is_hugging_face(state):
        given = dict(state)
    else:
        given = {_renamed(name, left=0): tensor for name, tensor in state.items()}
    shared = given.get(_SHARED, given.get(_SHARED_TOO))
    return given if shared is None else {**given, _SHARED: shared, _SHARED_TOO: shared}


def _is_hugging_face(state: Mapping[str, Tensor]) -> bool:
    return any(name.startswith("vision_encoder.") for name in state)


def _renamed(name: str, left: int) -> str:
    """A name on the other side of the table; `left` is the column in which it stands."""
    for row in TABLE:
        found = _pattern(row[left]).fullmatch(name)
        if found:
            return row[1 - left].format(**found.groupdict())
    return name


@lru_cache(maxsize=128)
def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    numbers = re.sub(r"\\{([nm])\\}", r"(?P<\1>\\d+)", escaped)
    return re.compile(numbers.replace(r"\{rest\}", "(?P<rest>.*)"))
