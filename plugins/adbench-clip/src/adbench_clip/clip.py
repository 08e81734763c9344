"""CLIP as a backbone, on the vision transformers of open_clip."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from adbench import Batch, Context, Features, Field, UnknownName, UsageError
from adbench.networks import Network, NetworkBackbone
from adbench_clip.options import ModelConfig

if TYPE_CHECKING:
    from adbench_clip.vision import VisionOutputs


class Clip(NetworkBackbone):
    """CLIP (Radford et al., arXiv 2103.00020): an image in the space of text, its patches, and its windows.

    - ``image`` [B, D]: the class token, projected, not normalised: open_clip's ``encode_image``.
    - ``patches`` [B, H, W, C]: tokens of the last block; WinCLIP's after the final norm, without the projection.
    - ``layers``: ``window2`` [B, H - 1, W - 1, D] and so on, the embeddings of WinCLIP's windows; ``block5``
      [B, H, W, C], the tokens behind a block; ``text5`` [B, H, W, D], the same after final norm and projection.

    All are float32. C is the width of the tower (896 by default), D that of the space of text (640).
    """

    name = "clip"

    class Config(ModelConfig):
        resolution: int | None = Field(None, ge=1, description="side of images in pixels; default: the model's own")
        windows: tuple[int, ...] = Field(
            (2, 3), description="sides of WinCLIP's windows in patches, each a layer; an empty list for none"
        )
        patches: Literal["raw", "normed", "text"] = Field(
            "normed", description="tokens of the last block as they are, after the final norm, or projected as text is"
        )
        last_block: Literal["attention", "value"] = Field(
            "attention", description="patches of the last block as it was trained, or by its value path (MaskCLIP)"
        )
        blocks: tuple[int, ...] = Field((), description="blocks, from 0, whose tokens become layers")
        text_blocks: tuple[int, ...] = Field(
            (), description="blocks, from 0, whose tokens become layers after final norm and projection"
        )
        precision: Literal["float32", "float16", "bfloat16"] = Field("float32", description="computing precision")

        @field_validator("windows", "blocks", "text_blocks", mode="before")
        @classmethod
        def _listed(cls, value: Any) -> Any:
            """A list from one number or an empty text, as the command line writes them."""
            if isinstance(value, (list, tuple)):
                return value
            return [] if value in {None, ""} else [value]

        @field_validator("windows", "blocks", "text_blocks")
        @classmethod
        def _sorted(cls, value: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(sorted(set(value)))

        @property
        def side(self) -> int:
            """The side in pixels of the images that the backbone takes."""
            return self.resolution or self.made_of.side

    config: Config
    _outputs: VisionOutputs

    @classmethod
    def provides(cls, config: Any) -> frozenset[str]:
        layers = {"layers"} if config.windows or config.blocks or config.text_blocks else set()
        text = {"text"} if config.made_of.has_text else set()
        return frozenset({"patches", "image", *layers, *text})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        resize = {"size": [config.side, config.side], "interpolation": "bicubic"}
        return {"preprocess": [{"resize": resize}], "neck": []}

    def prepare(self, ctx: Context) -> None:
        """Load the vision tower.

        Raises:
            UnknownName: open_clip has no such model or weights, or the model no such block.
            UsageError: a window does not fit the grid, or the last block has no plain value path.
            WeightsError: weights cannot be had.
        """
        self._check_options()
        from adbench_clip.loading import model_source, vision_tower

        source = model_source(self.config, self.title)  # before a model is built, so that a missing file fails at once
        import torch

        from adbench_clip.vision import VisionNetwork, VisionOutputs

        visual, self._weights = vision_tower(self.config, self.config.side, source, self.title)
        options = self.config
        self._outputs = VisionOutputs(
            options.patches, options.last_block == "value", options.windows, options.blocks, options.text_blocks
        )
        network = VisionNetwork(visual, self._outputs).eval().requires_grad_(requires_grad=False)
        self._network = Network(
            network.to(ctx.device, getattr(torch, options.precision)),
            ctx,
            mean=source.mean,
            std=source.std,
            weights=self._weights.sha256,
            identity=self._network_identity(),
            who=self.title,
        )

    def _network_identity(self) -> dict[str, Any]:
        """The options that decide the network's output together with the weights."""
        packages = {package: version(package) for package in ("open_clip_torch", "adbench-clip")}
        options = self.config.model_dump(mode="json", exclude={"weights", "architecture", "tag", "random_seed"})
        return {**options, "architecture": dict(self.config.made_of.content), **packages}

    def _check_options(self) -> None:
        made_of, side = self.config.made_of, self.config.side
        if side % made_of.cell:
            raise UsageError(f"{self.title}: resolution {side} is no multiple of the patch of {made_of.cell} pixels")
        for window in self.config.windows:
            if not 1 <= window <= side // made_of.cell:
                raise UsageError(
                    f"{self.title}: a window of {window} patches does not fit into {side // made_of.cell}; name smaller"
                )
        for index in (*self.config.blocks, *self.config.text_blocks):
            if not 0 <= index < made_of.depth:
                raise UnknownName("block", str(index), [f"0 to {made_of.depth - 1}"], f"of {self.title}")
        custom = any(name.startswith(("scale", "qk_norm", "block_type")) for name in made_of.content["vision_cfg"])
        if custom and self.config.last_block == "value":
            raise UsageError(f"{self.title}: the blocks of {made_of.name} have no plain value path; use another model")

    def extract(self, batch: Batch) -> Features:
        side = self.config.side
        if tuple(batch.images.shape[-2:]) != (side, side):
            height, width = batch.images.shape[-2:]
            raise UsageError(
                f"{self.title}: its position embeddings are for {side}x{side} pixels, not {height}x{width}; resize to "
                f"[{side}, {side}], or set resolution"
            )
        image, patches, *maps = self._network(batch.images)
        layers = dict(zip(self._outputs.names, maps, strict=True)) or None
        return Features(batch.ids, batch.geometry, patches, layers, image=image)
