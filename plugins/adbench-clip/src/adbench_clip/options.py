"""The options that name a CLIP model, for the backbone and for every bank that reads text."""

from __future__ import annotations

from adbench import Component, Field
from adbench.files import LocalFile
from adbench.weights import WeightsOption
from adbench_clip.architecture import Architecture, architecture_of


class ModelConfig(Component.Config):
    """The CLIP model. Backbone and bank must name the same one: text and images share one model's space."""

    model: str = Field("ViT-B-16-plus-240", description="architecture, by its name in open_clip")
    tag: str = Field("laion400m_e31", description="which of open_clip's pretrained weights of that architecture")
    architecture: LocalFile | None = Field(
        None, description="a JSON file in the form of open_clip's model_configs, in place of `model`"
    )
    weights: WeightsOption = Field("pretrained", description="pretrained, random, or the path of a weights file")
    random_seed: int = Field(0, ge=0, description="seed of weights=random")

    @property
    def made_of(self) -> Architecture:
        """The architecture that the options name."""
        return architecture_of(self.model, self.architecture)
