"""The masker `sam`: it chooses the object among the masks of Segment Anything."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from adbench import Context, ContractError, Features, Field, Masker, Weights
from adbench.weights import WeightsOption, WeightsSource, hub_file, load_strictly, resolve_weights
from adbench_sam.architecture import ARCHITECTURES, Model
from adbench_sam.mask_cache import MaskCache
from adbench_sam.network import Library, Network, build
from adbench_sam.object_choice import Keep, foreground
from adbench_sam.proposals import GeneratorOptions, centre_proposals, grid_proposals

if TYPE_CHECKING:
    from torch import Tensor

_HUB_FILE = "model.safetensors"


class Sam(Masker):
    """The object that Segment Anything finds (Kirillov et al., 2023, https://arxiv.org/abs/2304.02643).

    It reads the prepared image. With ``prompt=automatic`` the network gets a grid of points, and its masks are
    filtered as by the authors' ``SamAutomaticMaskGenerator``; with ``prompt=centre`` it gets one point, the
    image's centre, and gives three masks. Masks that hold more than `border_share` of the image's border are
    background; the object is the largest of the others. A patch belongs to the object where the mask holds `share` of
    its pixels. Where no mask is left, as in many images of textures, the whole image is the object.

    Masks are kept in the run's cache by the content of the prepared image.

    Raises:
        WeightsError: on `prepare`, the weights cannot be had or are those of another model.
        UsageError: on `prepare`, the library is not installed.
    """

    name = "sam"
    needs: ClassVar[frozenset[str]] = frozenset({"patches", "images"})
    not_exported: ClassVar[str] = (
        "how many masks Segment Anything proposes, and which of them are duplicates, depends on the image; fit a"
        " detector without it, or with the masker pca-foreground"
    )

    class Config(Masker.Config):
        model: Model = Field("vit_b", description="size; tiny is for trials and has no pretrained weights")
        library: Library = Field("segment-anything", description="whose code computes it; the masks are the same")
        weights: WeightsOption = Field("pretrained", description="pretrained, random, or the path of a weights file")
        random_seed: int = Field(0, ge=0, description="seed of weights=random")
        prompt: Literal["automatic", "centre"] = Field(
            "automatic", description="ask at a grid of points, or once at the image's centre"
        )
        points_per_side: int = Field(32, ge=1, description="automatic: points along each side of the grid")
        points_per_batch: int = Field(64, ge=1, description="automatic: points asked at a time; fewer need less memory")
        pred_iou_thresh: float = Field(0.88, description="automatic: least predicted IoU of a mask; 0 for any")
        stability_score_thresh: float = Field(0.95, description="automatic: least stability of a mask; 0 for any")
        stability_score_offset: float = Field(1.0, ge=0, description="automatic: shift of the logits that measures it")
        box_nms_thresh: float = Field(0.7, ge=0, le=1, description="automatic: IoU of boxes above which two are one")
        keep: Keep = Field("largest", description="which of the masks that are not background: largest, confident, all")
        border_share: float = Field(
            0.5, ge=0, le=1, description="a mask is background that holds more than this of the image's border"
        )
        share: float = Field(0.5, gt=0, le=1, description="share of a patch's pixels from which on it is the object's")

        @model_validator(mode="after")
        def _tiny_was_never_trained(self) -> Sam.Config:
            if self.weights == "pretrained" and not ARCHITECTURES[self.model].repo:
                raise ValueError(f"model={self.model} was never trained; add weights=random, or name another model")
            return self

    config: Config
    _device: str
    _network: Network
    _weights: Weights
    _cache: MaskCache | None

    def prepare(self, ctx: Context) -> None:
        source = resolve_weights(self.config.weights, self.config.random_seed, self._pretrained)
        with source.seeded():
            network = build(ARCHITECTURES[self.config.model], self.config.library)
        self._weights = self._fill(network, source)
        network.model.to(ctx.device)
        self._network, self._device = network, ctx.device
        self._cache = None if ctx.cache is None else MaskCache.of(ctx.cache, self._about())

    def weights(self) -> tuple[Weights, ...]:
        """The name and sha256 of the loaded weights, after `prepare`."""
        return (self._weights,)

    def mask(self, features: Features) -> Tensor:
        import torch
        from torch.nn.functional import adaptive_avg_pool2d

        patches = features.need_patches(self.title)
        if features.images is None:
            raise ContractError(self.title, "it reads the prepared images, but was given none")
        pixels = torch.stack([self._object(image) for image in features.images])
        shares = adaptive_avg_pool2d(pixels.float(), (patches.shape[1], patches.shape[2]))
        return (shares >= self.config.share).to(patches.device)

    def _object(self, image: Tensor) -> Tensor:
        """The object in one prepared image [3, H0, W0]: [H0, W0] bool on the CPU, from the cache or computed."""
        import torch

        picture = (image.float().cpu() * 255).round().clamp(0, 255).to(torch.uint8)
        cached = None if self._cache is None else self._cache.get(picture)
        if cached is not None:
            return cached
        found = self._found(picture)
        if self._cache is not None:
            self._cache.put(picture, found)
        return found

    def _found(self, picture: Tensor) -> Tensor:
        """The object in a picture [3, H0, W0] uint8, computed: [H0, W0] bool."""
        import torch

        with torch.no_grad():
            if self.config.prompt == "centre":
                proposals = centre_proposals(self._network, picture, self._device)
            else:
                proposals = grid_proposals(self._network, picture, self._generator_options(), self._device)
        height, width = picture.shape[1:]
        return foreground(proposals, (int(height), int(width)), self.config.keep, self.config.border_share)

    def _generator_options(self) -> GeneratorOptions:
        return GeneratorOptions(**self.config.model_dump(include=set(GeneratorOptions.__dataclass_fields__)))

    def _about(self) -> dict[str, Any]:
        """The settings that decide the mask of an image."""
        options = self.config.model_dump(mode="json", exclude={"weights", "random_seed", "share", "bank", "test"})
        versions = {package: version(package) for package in ("adbench-sam", self.config.library, "torch")}
        return {**options, **versions, "sha256": self._weights.sha256, "device": self._device, "version": self.version}

    def _pretrained(self) -> tuple[Path, str]:
        """File and name of the pretrained weights."""
        architecture = ARCHITECTURES[self.config.model]
        return hub_file(architecture.repo, _HUB_FILE, architecture.revision), architecture.repo

    def _fill(self, network: Network, source: WeightsSource) -> Weights:
        """Load the requested weights into the network; returns their description for a record."""
        own = network.model.state_dict()
        state = source.read(lambda part: len(own.keys() & network.renamed(part).keys()))
        if state is not None:
            load_strictly(network.model, network.renamed(state), f"{self.title} ({self.config.model})")
        return source.provenance(own)
