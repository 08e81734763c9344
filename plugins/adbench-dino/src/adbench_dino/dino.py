"""The common base of the backbones DINOv2 and DINOv3."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from adbench import Batch, Component, Context, Features, Field, UnknownName, UsageError, Weights, WeightsError
from adbench.networks import Network, NetworkBackbone, with_normalising
from adbench.training import Trainable
from adbench.weights import WeightsOption, WeightsSource, hub_file, is_head, load_strictly, resolve_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench_dino.forward import DinoOutput


class Dino(NetworkBackbone):
    """Patch features of a DINO model, without class and register tokens, always as float32.

    Without `layers`, ``patches`` is the last block after the final norm. With them, ``layers`` holds the blocks named,
    computing stops at the last of them, and ``patches`` is filled where it is only one. ``image`` is the class token
    of the last block computed, after the final norm; for a ConvNeXt the mean over the map.
    """

    class Config(Component.Config):
        layers: tuple[int, ...] | None = Field(
            None, min_length=1, description="blocks to use, from 0 (for a ConvNeXt: stages 0 to 3); default: the last"
        )
        final_norm: bool = Field(True, description="pass each block through the final norm, as DINO's own code does")
        precision: Literal["float32", "float16", "bfloat16"] = Field("float32", description="computing precision")
        weights: WeightsOption = Field("pretrained", description="pretrained, random, or the path of a weights file")
        random_seed: int = Field(0, ge=0, description="seed of weights=random")

        @field_validator("layers", mode="before")
        @classmethod
        def _listed(cls, value: Any) -> Any:
            """A list from one layer, as the command line writes it."""
            return value if value is None or isinstance(value, (list, tuple)) else [value]

    config: Config
    tunable = True
    _model: Any
    _blocks: list[int]
    _source: WeightsSource
    _ctx: Context

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the model in timm, with the tag of its weights."""

    @property
    @abstractmethod
    def cell(self) -> int:
        """Side of one place of the patch grid in pixels."""

    @abstractmethod
    def forward_of(self, model: Any, blocks: list[int], *, fixed: bool = True) -> Callable[[Tensor], DinoOutput]:
        """The forward pass of the model on normalised images [B, 3, H, W]; `fixed` where its weights never change."""

    @abstractmethod
    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights from timm, from Hugging Face transformers or from Meta's own files under timm's names."""

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        if config.layers is None:
            return frozenset({"patches", "image"})
        return frozenset({"layers", "image"} | ({"patches"} if len(set(config.layers)) == 1 else set()))

    def prepare(self, ctx: Context) -> None:
        self._ctx = ctx
        self._source = resolve_weights(self.config.weights, self.config.random_seed, self._pretrained)
        model, self._weights = self._made()
        self._compute_with(model)

    def trainable(self) -> Trainable:
        """A model of its own in float32, pruned behind the last block that is used."""
        model, weights = self._made()
        if weights != self._weights:
            raise UsageError(f"{self.title} was tuned before; tune it from the weights that its options name")
        blocks = model.blocks if hasattr(model, "blocks") else model.stages
        return Trainable(self._normalising(model.to(self._ctx.device)), tuple(blocks))

    def take(self, state: Mapping[str, Tensor], weights: Weights) -> None:
        model, _ = self._made()
        load_strictly(self._normalising(model), state, self.title)
        self._weights = weights
        self._compute_with(model)

    def _normalising(self, model: Any) -> nn.Module:
        """A model that takes images of 0 to 1, as a tuner trains it."""
        from adbench_dino.forward import DinoNetwork

        network = DinoNetwork(model, self.forward_of(model, self._blocks, fixed=False))
        return with_normalising(network, mean=model.pretrained_cfg["mean"], std=model.pretrained_cfg["std"])

    def _made(self) -> tuple[Any, Weights]:
        """A model with the weights that the options name, and what these are."""
        import timm

        with self._source.seeded():
            model: Any = timm.create_model(self.model, **self.architecture_options())
        own = model.state_dict()
        weights = self._source.provenance(own)
        self._blocks = self._chosen(len(model.feature_info))
        model.prune_intermediate_layers(self._blocks, prune_norm=False, prune_head=False)
        self._fill(model, self._source, set(own))
        return model.eval().requires_grad_(requires_grad=False), weights

    def _compute_with(self, model: Any) -> None:
        """Compute features with a model."""
        import torch

        from adbench_dino.forward import DinoNetwork

        self._model = model.to(self._ctx.device, getattr(torch, self.config.precision))
        self._network = Network(
            DinoNetwork(model, self.forward_of(model, self._blocks)),
            self._ctx,
            mean=model.pretrained_cfg["mean"],
            std=model.pretrained_cfg["std"],
            weights=self._weights.sha256,
            identity=self._network_identity(),
            who=self.title,
        )

    def _network_identity(self) -> dict[str, Any]:
        """The options that decide the network's output together with the weights."""
        packages = {package: version(package) for package in ("timm", "adbench-dino")}
        return {"model": self.model, "blocks": self._blocks, "final_norm": self.config.final_norm, **packages}

    def architecture_options(self) -> dict[str, Any]:
        """Options with which timm builds the model."""
        return {}

    def extract(self, batch: Batch) -> Features:
        self._check_size(*batch.images.shape[-2:])
        *maps, image = self._network(batch.images)
        patches = maps[0] if len(maps) == 1 else None
        names = [f"block{index}" for index in self._blocks]
        layers = None if self.config.layers is None else dict(zip(names, maps, strict=True))
        return Features(batch.ids, batch.geometry, patches, layers, image=image)

    def _chosen(self, depth: int) -> list[int]:
        """The chosen blocks, in order."""
        chosen = sorted(set(self.config.layers or (depth - 1,)))
        if chosen[0] < 0 or chosen[-1] >= depth:
            wrong = next(index for index in chosen if not 0 <= index < depth)
            raise UnknownName("layer", str(wrong), [f"0 to {depth - 1}"], f"of {self.title}")
        return chosen

    def _check_size(self, height: int, width: int) -> None:
        if height % self.cell or width % self.cell or not height or not width:
            raise UsageError(
                f"{self.title}: {height}x{width} pixels cannot be cut into patches of {self.cell}x{self.cell}; resize "
                f"to multiples of {self.cell}, or add the preprocessor 'crop-to-multiple' with of={self.cell}"
            )

    def _pretrained(self) -> tuple[Path, str]:
        """File and name of the pretrained weights."""
        repo = f"timm/{self.model}"
        return hub_file(repo, "model.safetensors"), repo

    def _fill(self, model: Any, source: WeightsSource, whole: set[str]) -> None:
        """Load the weights into the pruned model; the file may hold the whole model and its heads."""

        def fits(part: dict[str, Tensor]) -> int:
            try:
                return len(whole & self.renamed(part).keys())
            except KeyError:  # a part of a network
                return 0

        who = f"{self.title} ({self.model})"
        state = source.read(fits)
        if state is None:
            return
        try:
            named = self.renamed(state)
        except KeyError as error:
            raise WeightsError(f"{who}: the weights are those of another model: {error} is missing") from None
        load_strictly(model, named, who, lambda name: name in whole or is_head(name))
