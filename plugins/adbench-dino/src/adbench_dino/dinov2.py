"""DINOv2 (Oquab et al., 2023, https://arxiv.org/abs/2304.07193), registers: https://arxiv.org/abs/2309.16588."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from adbench import Field
from adbench_dino.dino import Dino

if TYPE_CHECKING:
    from torch import Tensor

    from adbench_dino.forward import DinoOutput


class DinoV2(Dino):
    """DINOv2: patches of 14 pixels; positions interpolated as Meta's own code does it."""

    name = "dinov2"

    class Config(Dino.Config):
        size: Literal["small", "base", "large", "giant"] = Field("small", description="model size")
        registers: bool = Field(False, description="the models with four register tokens")
        resolution: int = Field(448, ge=14, description="shorter side in pixels to which images are resized by default")

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        neck: list[Any] = [] if "patches" in cls.provides(config) else [{"concat-layers": {}}]
        resize = {"size": config.resolution, "interpolation": "bicubic"}
        return {"preprocess": [{"resize": resize}, {"crop-to-multiple": {"of": 14}}], "neck": neck}

    @property
    def model(self) -> str:
        registers = "_reg4" if self.config.registers else ""
        return f"vit_{self.config.size}_patch14{registers}_dinov2.lvd142m"

    @property
    def cell(self) -> int:
        return 14

    def architecture_options(self) -> dict[str, Any]:
        return {"dynamic_img_size": True}

    def forward_of(self, model: Any, blocks: list[int], *, fixed: bool = True) -> Callable[[Tensor], DinoOutput]:
        from adbench_dino.forward import forward_absolute, official_positions

        positions = partial(official_positions, model)
        positions = cache(positions) if fixed else positions  # type: ignore[assignment]  # made once for each grid
        return partial(forward_absolute, model, blocks=blocks, norm=self.config.final_norm, positions=positions)

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        from adbench_dino.formats import renamed_vit2

        return renamed_vit2(state)
