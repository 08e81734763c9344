"""The sizes of Segment Anything (Kirillov et al., 2023, https://arxiv.org/abs/2304.02643), and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Model = Literal["vit_b", "vit_l", "vit_h", "tiny"]


@dataclass(frozen=True)
class Architecture:
    """The sizes that decide the shape of every tensor.

    Attributes:
        width, depth, heads: of the image encoder.
        global_blocks: the encoder's blocks that attend to the whole image; the others attend within windows.
        side: longest side in pixels to which an image is brought; it is padded to a square of it.
        patch: side of the encoder's patches in pixels.
        window: side of the windows in patches.
        channels: of the image embedding, of prompts and of the mask decoder.
        decoder_width: of the hidden layer in the decoder's blocks.
        decoder_heads: of the decoder's attention.
        repo: on the Hugging Face hub; empty where nothing was ever trained.
        revision: the commit there.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    side: int = 1024
    patch: int = 16
    window: int = 14
    channels: int = 256
    decoder_width: int = 2048
    decoder_heads: int = 8
    repo: str = ""
    revision: str = ""


DECODER_DEPTH = 2
IOU_HEAD_DEPTH = 3
MASK_CHANNELS = 16
MASKS_A_POINT = 3
"""What all sizes have in common: a point is answered by three masks: the whole, a part and a part of that."""

ARCHITECTURES: dict[Model, Architecture] = {
    "vit_b": Architecture(
        width=768,
        depth=12,
        heads=12,
        global_blocks=(2, 5, 8, 11),
        repo="facebook/sam-vit-base",
        revision="70c1a07f894ebb5b307fd9eaaee97b9dfc16068f",
    ),
    "vit_l": Architecture(
        width=1024,
        depth=24,
        heads=16,
        global_blocks=(5, 11, 17, 23),
        repo="facebook/sam-vit-large",
        revision="6851e0441005b0fb96f2cc4dfac472f3d1b14af1",
    ),
    "vit_h": Architecture(
        width=1280,
        depth=32,
        heads=16,
        global_blocks=(7, 15, 23, 31),
        repo="facebook/sam-vit-huge",
        revision="87aecf0df4ce6b30cd7de76e87673c49644bdf67",
    ),
    "tiny": Architecture(
        width=32,
        depth=2,
        heads=2,
        global_blocks=(1,),
        side=128,
        window=3,
        channels=32,
        decoder_width=64,
        decoder_heads=4,
    ),
}
"""By the names that Meta gave them. Revisions are fixed: the same weights are loaded whatever the hub has next."""
