"""The timm backbones: any model by name, and four fixed ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from adbench import Batch, Component, Context, Features, Field, UsageError, Weights, WeightsError
from adbench.networks import LateModule, Network, NetworkBackbone, kept_facts, with_normalising
from adbench.training import Trainable
from adbench.weights import WeightsOption, WeightsSource, hub_file, load_strictly, resolve_weights
from adbench_timm.facts import TrunkFacts

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_timm.trunk import Trunk


class TimmBackbone(NetworkBackbone):
    """Layers of a convolutional network or transformer from timm, as float32 maps; only the layers needed are run.

    ``image`` is the mean over the last layer's map, ``patches`` is filled where exactly one layer is asked for.
    """

    class Config(Component.Config):
        layers: tuple[int | str, ...] = Field(
            (2, 3),
            min_length=1,
            description="timm's feature indices or module names; of a ResNet 1 to 4 are layer1 to layer4",
        )
        weights: WeightsOption = Field("pretrained", description="pretrained, random, or the path of a weights file")
        random_seed: int = Field(0, ge=0, description="seed of weights=random")
        precision: Literal["float32", "float16", "bfloat16"] = Field("float32", description="computing precision")

        @field_validator("layers", mode="before")
        @classmethod
        def _listed(cls, value: Any) -> Any:
            """A list from one layer, with digits as numbers, as the command line writes them."""
            many = value if isinstance(value, (list, tuple)) else [value]
            return [int(layer) if str(layer).isdigit() else layer for layer in many]

    config: Config
    tunable = True
    _facts: TrunkFacts
    _source: WeightsSource
    _ctx: Context

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the model in timm, with the tag of its weights."""

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        return frozenset({"layers", "image"} | ({"patches"} if len(set(config.layers)) == 1 else set()))

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        neck: list[Any] = [] if len(set(config.layers)) == 1 else [{"concat-layers": {}}]
        return {"preprocess": [{"resize": {"size": [256, 256]}}], "neck": neck}

    def prepare(self, ctx: Context) -> None:
        self._ctx = ctx
        self._source = resolve_weights(self.config.weights, self.config.random_seed, self._pretrained)
        made = cache(self._made)
        # Weights in a file are known without a model, for which timm has to be imported, which takes seconds
        self._weights = self._source.provenance({}) if self._source.path else made()[1]
        self._compute_with(lambda: made()[0])

    def trainable(self) -> Trainable:
        """A trunk of its own, with its batch norms, in float32."""
        import torch

        trunk, weights = self._made()
        if weights != self._weights:
            raise UsageError(f"{self.title} was tuned before; tune it from the weights that its options name")
        trunk = trunk.to(self._ctx.device).to(memory_format=torch.channels_last)
        return Trainable(_normalising(trunk), trunk.blocks)

    def take(self, state: Mapping[str, Tensor], weights: Weights) -> None:
        trunk, _ = self._made()
        load_strictly(_normalising(trunk), state, self.title)
        self._weights = weights
        self._compute_with(lambda: trunk)

    def _made(self) -> tuple[Trunk, Weights]:
        """A trunk with the weights that the options name, and what these are."""
        from adbench_timm.trunk import Trunk

        with self._source.seeded():
            model, state = self.model_and_state(self._source)
        weights = self._source.provenance(model.state_dict())
        return Trunk(model, self.config.layers, self.title, state), weights

    def _compute_with(self, build: Callable[[], Trunk]) -> None:
        """Compute features with a trunk, which is built when torch has to compute it."""
        packages = {package: version(package) for package in ("timm", "adbench-timm")}
        identity = {"model": self.model, "layers": self.config.layers, "weights": self._weights.sha256, **packages}
        self._facts = TrunkFacts(**kept_facts(self._ctx, identity, lambda: asdict(build().facts)))
        self._network = Network(
            LateModule(lambda: self._placed(build()), self.config.precision),
            self._ctx,
            mean=self._facts.mean,
            std=self._facts.std,
            weights=self._weights.sha256,
            identity=identity,
            who=self.title,
        )

    def _placed(self, trunk: Trunk) -> Trunk:
        """The trunk where it computes, in its final precision, with its batch norms folded."""
        import torch

        trunk.fold()
        trunk = trunk.to(self._ctx.device, getattr(torch, self.config.precision))
        return trunk.to(memory_format=torch.channels_last)

    def extract(self, batch: Batch) -> Features:
        self._facts.check_size(batch.images.shape[2], batch.images.shape[3], self.title)
        *maps, image = self._network(batch.images)
        layers = dict(zip(self._facts.names, maps, strict=True))
        patches = maps[0] if len(maps) == 1 else None
        return Features(batch.ids, batch.geometry, patches, layers, image)

    @abstractmethod
    def _pretrained(self) -> tuple[Path, str]:
        """File and name of the pretrained weights."""

    def initial(self) -> Any:
        """The whole model with initial weights."""
        from adbench_timm.trunk import built

        return built(self.model, self.title)

    def model_and_state(self, source: WeightsSource) -> tuple[Any, Mapping[str, Tensor] | None]:
        """The whole model with initial weights, and the source's weights under its names; None for random ones."""
        from adbench_timm.trunk import built_for

        own = cache(lambda: self.initial().state_dict().keys())  # only made for a file with prefixes
        state = source.read(lambda part: len(own() & part.keys()))
        return (self.initial(), None) if state is None else built_for(self.model, self.title, state)


def _normalising(trunk: Trunk) -> nn.Module:
    """A trunk that takes images of 0 to 1."""
    return with_normalising(trunk, mean=trunk.facts.mean, std=trunk.facts.std)


class Timm(TimmBackbone):
    """Any model of timm that gives intermediate features."""

    name = "timm"

    class Config(TimmBackbone.Config):
        model: str = Field("resnet18.tv_in1k", description="timm's name of the model, with the tag of its weights")

    config: Config

    @property
    def model(self) -> str:
        return self.config.model

    def _pretrained(self) -> tuple[Path, str]:
        from adbench_timm.trunk import described

        known = described(self.model, self.title)
        if known is None or not known.hf_hub_id:
            raise WeightsError(f"{self.title}: timm names no weights for {self.model}; give weights=PATH or a tag")
        return hub_file(known.hf_hub_id, known.hf_hub_filename or "model.safetensors"), known.hf_hub_id


class _Fixed(TimmBackbone):
    """One model under a name of its own."""

    of_timm: ClassVar[str]

    @property
    def model(self) -> str:
        return self.of_timm

    def _pretrained(self) -> tuple[Path, str]:
        repo = f"timm/{self.of_timm}"
        return hub_file(repo, "model.safetensors"), repo


class ResNet18(_Fixed):
    """ResNet-18 with torchvision's first ImageNet weights (He et al., 2016)."""

    name = "resnet18"
    of_timm = "resnet18.tv_in1k"


class ResNet50(_Fixed):
    """ResNet-50 with torchvision's first ImageNet weights (He et al., 2016)."""

    name = "resnet50"
    of_timm = "resnet50.tv_in1k"


class WideResNet50(_Fixed):
    """Wide ResNet-50-2 with torchvision's first ImageNet weights, the backbone of PaDiM and PatchCore."""

    name = "wide-resnet50"
    of_timm = "wide_resnet50_2.tv_in1k"


class EfficientNetLite0(_Fixed):
    """EfficientNet-Lite0 with ImageNet weights from the package index, so no other download is needed.

    Layers 2 and 3 have strides 8 and 16 and together 152 channels.
    """

    name = "efficientnet-lite0"
    of_timm = "tf_efficientnet_lite0.in1k"

    def _pretrained(self) -> tuple[Path, str]:
        from adbench_timm.packaged import WEIGHTS_NAME, packaged_weights

        return packaged_weights(), WEIGHTS_NAME

    def model_and_state(self, source: WeightsSource) -> tuple[Any, Mapping[str, Tensor] | None]:
        from adbench_timm.packaged import renamed

        model = self.initial()
        own = set(model.state_dict())
        state = source.read(lambda part: len(own & part.keys()))
        return model, None if state is None else renamed(state, model)
