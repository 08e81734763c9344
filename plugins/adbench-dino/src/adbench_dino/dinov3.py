"""DINOv3 (Siméoni et al., 2025, https://arxiv.org/abs/2508.10104)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from adbench import Field
from adbench_dino.dino import Dino

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_dino.forward import DinoOutput

Size = Literal[
    "tiny",
    "small",
    "small-plus",
    "base",
    "large",
    "huge-plus",
    "7b",
    "convnext-tiny",
    "convnext-small",
    "convnext-base",
    "convnext-large",
]

MODELS: dict[str, str] = {
    # Meta released no ViT-T: this is the one of the same architecture, distilled from DINOv3 and others (EUPE).
    "tiny": "vit_tiny_patch16_dinov3_qkvb.eupe_lvd1689m",
    "small": "vit_small_patch16_dinov3_qkvb.lvd1689m",
    "small-plus": "vit_small_plus_patch16_dinov3_qkvb.lvd1689m",
    "base": "vit_base_patch16_dinov3_qkvb.lvd1689m",
    "large": "vit_large_patch16_dinov3_qkvb.lvd1689m",
    "huge-plus": "vit_huge_plus_patch16_dinov3_qkvb.lvd1689m",
    "7b": "vit_7b_patch16_dinov3.lvd1689m",
    "convnext-tiny": "convnext_tiny.dinov3_lvd1689m",
    "convnext-small": "convnext_small.dinov3_lvd1689m",
    "convnext-base": "convnext_base.dinov3_lvd1689m",
    "convnext-large": "convnext_large.dinov3_lvd1689m",
}
"""timm's models by size; of the transformers those with query and value biases, as Meta trained them."""


class DinoV3(Dino):
    """DINOv3: patches of 16 pixels, or 32 for a ConvNeXt."""

    name = "dinov3"

    class Config(Dino.Config):
        size: Size = Field("small", description="model size; the convnext sizes are convolutional")
        resolution: int = Field(448, ge=16, description="side in pixels to which images are resized by default")

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        neck: list[Any] = [] if "patches" in cls.provides(config) else [{"concat-layers": {}}]
        return {"preprocess": [{"resize": {"size": [config.resolution, config.resolution]}}], "neck": neck}

    @property
    def model(self) -> str:
        return MODELS[self.config.size]

    @property
    def cell(self) -> int:
        return 32 if self._convolutional else 16

    @property
    def _convolutional(self) -> bool:
        return self.config.size.startswith("convnext")

    def forward_of(self, model: Any, blocks: list[int], *, fixed: bool = True) -> Callable[[Tensor], DinoOutput]:  # noqa: ARG002  its rotary tables have no weights
        from adbench_dino.forward import cache_rotary_tables, forward_convnext, forward_rotary

        if self._convolutional:
            return partial(forward_convnext, model, blocks=blocks, norm=self.config.final_norm)
        cache_rotary_tables(model)
        return partial(forward_rotary, model, blocks=blocks, norm=self.config.final_norm)

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        from adbench_dino.formats import renamed_convnext, renamed_vit3

        return renamed_convnext(state) if self._convolutional else renamed_vit3(state)
