"""Segment Anything's network as two functions, image to embedding and points to masks, by one of two libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from adbench import UsageError
from adbench_sam.architecture import DECODER_DEPTH, IOU_HEAD_DEPTH, MASK_CHANNELS, MASKS_A_POINT, Architecture
from adbench_sam.formats import to_hugging_face, to_meta

if TYPE_CHECKING:
    from torch import Tensor

Library = Literal["segment-anything", "transformers"]

_EPS = 1e-6
"""Of all layer norms in the encoder."""


@dataclass(frozen=True)
class Network:
    """A model and its two functions. Their results do not depend on the library.

    Attributes:
        model: the module; in eval mode it is what `embed` and `decode` use.
        side: of the square image that it takes, in pixels.
        embed: [1, 3, side, side] float32, normalised and padded, to the image's embedding.
        decode: the embedding and N points [N, 2] (x, y in pixels of the square), each a prompt of its own, to mask
            logits [N, 3, side / 4, side / 4] and predicted IoUs [N, 3].
        renamed: weights of either format under the names of this library.
    """

    model: Any
    side: int
    embed: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    renamed: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def build(architecture: Architecture, library: Library) -> Network:
    """The network with its initial weights, on the CPU.

    Raises:
        UsageError: the library is not installed.
    """
    builders = {"segment-anything": _by_segment_anything, "transformers": _by_transformers}
    try:
        network = builders[library](architecture)
    except ImportError as error:
        raise UsageError(
            f"masker 'sam': library={library} cannot be imported ({error}); pip install {library}, or name the other"
        ) from None
    network.model.eval().requires_grad_(requires_grad=False)
    return network


def _by_segment_anything(architecture: Architecture) -> Network:
    import torch
    from segment_anything import modeling  # type: ignore[import-untyped]

    a, cells = architecture, architecture.side // architecture.patch
    encoder = modeling.ImageEncoderViT(
        img_size=a.side,
        patch_size=a.patch,
        embed_dim=a.width,
        depth=a.depth,
        num_heads=a.heads,
        out_chans=a.channels,
        norm_layer=partial(torch.nn.LayerNorm, eps=_EPS),
        use_rel_pos=True,
        window_size=a.window,
        global_attn_indexes=a.global_blocks,
    )
    prompts = modeling.PromptEncoder(a.channels, (cells, cells), (a.side, a.side), MASK_CHANNELS)
    decoder = modeling.MaskDecoder(
        transformer_dim=a.channels,
        transformer=modeling.TwoWayTransformer(DECODER_DEPTH, a.channels, a.decoder_heads, a.decoder_width),
        num_multimask_outputs=MASKS_A_POINT,
        iou_head_depth=IOU_HEAD_DEPTH,
        iou_head_hidden_dim=a.channels,
    )
    model = modeling.Sam(encoder, prompts, decoder)
    return Network(model, a.side, model.image_encoder, partial(_decode_by_segment_anything, model), to_meta)


def _decode_by_segment_anything(model: Any, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
    sparse, dense = model.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)
    logits, ious = model.mask_decoder(
        image_embeddings=embedding,
        image_pe=model.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )
    return logits, ious


def _by_transformers(architecture: Architecture) -> Network:
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    a = architecture
    vision = SamVisionConfig(
        hidden_size=a.width,
        output_channels=a.channels,
        num_hidden_layers=a.depth,
        num_attention_heads=a.heads,
        image_size=a.side,
        patch_size=a.patch,
        window_size=a.window,
        global_attn_indexes=list(a.global_blocks),
        num_pos_feats=a.channels // 2,
        layer_norm_eps=_EPS,
    )
    prompts = SamPromptEncoderConfig(
        hidden_size=a.channels, image_size=a.side, patch_size=a.patch, mask_input_channels=MASK_CHANNELS
    )
    decoder = SamMaskDecoderConfig(
        hidden_size=a.channels,
        mlp_dim=a.decoder_width,
        num_hidden_layers=DECODER_DEPTH,
        num_attention_heads=a.decoder_heads,
        num_multimask_outputs=MASKS_A_POINT,
        iou_head_depth=IOU_HEAD_DEPTH,
        iou_head_hidden_dim=a.channels,
        # transformers reads it here for every norm of the decoder; Meta's decoder has torch's default in its blocks.
        layer_norm_eps=1e-5,
    )
    parts = SamConfig(
        vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict(), mask_decoder_config=decoder.to_dict()
    )
    model: Any = SamModel(parts)
    embed = partial(_embed_by_transformers, model)
    return Network(model, a.side, embed, partial(_decode_by_transformers, model), to_hugging_face)


def _embed_by_transformers(model: Any, pixels: Tensor) -> Tensor:
    embedding: Tensor = model.vision_encoder(pixels).last_hidden_state
    return embedding


def _decode_by_transformers(model: Any, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    labels = torch.ones(1, len(points), 1, dtype=torch.int, device=points.device)
    output = model(
        image_embeddings=embedding, input_points=points[None, :, None], input_labels=labels, multimask_output=True
    )
    return output.pred_masks[0], output.iou_scores[0]
