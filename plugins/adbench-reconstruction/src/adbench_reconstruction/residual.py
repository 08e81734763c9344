"""The scorer by the distance of a patch to its reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import model_validator

from adbench import Bank, Component, Field, ReconstructionBank, Scorer, Scores
from adbench.comparisons import Aspect, PatchComparison, shares_of
from adbench.maps import Border, Smoothing, prepared_maps
from adbench_reconstruction.reconstruction import image_reconstruction_of, reconstruction_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features

Distance = Literal["l2-squared", "l2", "cosine"]


OWN = "a patch is compared with its own reconstruction, so that no normal patch is the nearest"
NO_MODES = "the score is what the bank cannot redraw, so that none of the modes that it learned has a share"


class Residual(Scorer):
    """A patch's score is its distance to its reconstruction, by any `ReconstructionBank`.

    The image's own score, on request: the mean of the highest pixels of the enlarged and smoothed map (SubspaceAD,
    arXiv 2602.23013), which an aggregator, seeing patches alone, cannot compute. Patches outside the foreground score
    0 for it.

    With `image_weight`, the image score is the weighted geometric mean of that and of the distance of the image's
    vector to its own reconstruction: what is wrong as a whole, such as another texture, shows there. A geometric mean
    needs no calibration: a factor before one of them moves all images alike.
    """

    name: ClassVar[str] = "residual"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = ReconstructionBank  # type: ignore[type-abstract]
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})
    came_later: ClassVar[frozenset[str]] = frozenset({"image_weight"})

    class Config(Component.Config):
        """Options."""

        distance: Distance = Field(
            "l2-squared",
            description="l2-squared: the sum over the channels of squared differences; l2: its root; cosine: 1 - cosine"
            " similarity",
        )
        image_fraction: float = Field(
            0,
            ge=0,
            le=1,
            description="the image scores the mean of this share of the pixels of its map, the highest, at the size of"
            " the prepared image; SubspaceAD has 0.01; 0: no image score",
        )
        image_sigma: float = Field(
            0, ge=0, le=1000, description="standard deviation of the Gaussian over that map in pixels; 0 for none"
        )
        image_kernel: int | None = Field(
            None, ge=3, le=999, description="side of the Gaussian's kernel in pixels, odd; none: 4 sigmas each way"
        )
        image_border: Border = Field(
            "symmetric", description="beyond the border: the edge repeated (SciPy) or not (reflect: OpenCV, PyTorch)"
        )
        image_weight: float = Field(
            0,
            ge=0,
            lt=1,
            description="of the distance of the image's vector to its reconstruction, in the image score; 0: none",
        )

        @model_validator(mode="after")
        def _whole_kernel(self) -> Residual.Config:
            if self.image_kernel is not None and (self.image_kernel % 2 == 0 or not self.image_sigma):
                raise ValueError("image_kernel is the odd side of the Gaussian; give an odd number, and an image_sigma")
            if self.image_sigma and not self.image_fraction:
                raise ValueError("image_sigma smooths the map of the image score; give an image_fraction, too")
            if self.image_weight and not self.image_fraction:
                raise ValueError("image_weight is a share of the image score; give an image_fraction, too")
            return self

    config: Config

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.config.image_weight:
            self.needs = self.needs | {"image"}  # type: ignore[misc]  # it depends on the options

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"} if config.image_fraction else {"patches"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """An autoencoder of single patches; the scorer's image score if it has one, else the mean of the top 1 %."""
        aggregate: Any = "scorer" if config.image_fraction else {"top-fraction": {"fraction": 0.01}}
        return {"bank": {"autoencoder": {"form": "place"}}, "aggregate": aggregate}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores of a batch.

        Raises:
            ContractError: the bank's answer has another shape than the patches, or is not finite.
            UsageError: the image's vector counts, and the bank reconstructs none.
        """
        assert isinstance(bank, ReconstructionBank)
        scores = distances(*reconstruction_of(query, bank, self.title), self.config.distance)
        if not self.config.image_fraction:
            return Scores(scores)
        image = self._image(scores, query)
        if weight := self.config.image_weight:
            whole = distances(*image_reconstruction_of(query, bank, self.title), self.config.distance)
            image = image ** (1 - weight) * whole.to(image) ** weight
        return Scores(scores, image)

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        """The distance of a patch to its reconstruction, and the share of each channel in the square."""
        from torch.nn.functional import normalize

        assert isinstance(bank, ReconstructionBank)
        patches, reconstruction = reconstruction_of(query, bank, self.title)
        pair = patches[0][place], reconstruction[0][place]
        cosine = self.config.distance == "cosine"
        distance = distances(pair[0][None], pair[1][None], "cosine" if cosine else "l2")
        row, other = (normalize(one, dim=0) if cosine else one for one in pair)
        shares = shares_of(row, other)
        reasons: dict[Aspect, str] = {"nearest": OWN, "modes": NO_MODES}
        if shares is None:
            reasons["layers"] = "the distance is 0, so that nothing has a share in it"
        return PatchComparison(float(distance), channels=shares, reasons=reasons)

    def _image(self, scores: Tensor, query: Features) -> Tensor:
        """The image scores [B] float32, from the map of each image."""
        import torch

        if query.foreground is not None:
            scores = scores * query.foreground.to(scores.device)
        smoothing = Smoothing(self.config.image_sigma, self.config.image_kernel, self.config.image_border)
        maps = prepared_maps(scores, [place.size for place in query.geometry], smoothing)
        return torch.stack([self._mean_of_highest(one.flatten()) for one in maps]).float()

    def _mean_of_highest(self, pixels: Tensor) -> Tensor:
        """The mean of the highest pixels of a map [N], ``int(fraction * N)`` of them and at least one."""
        return pixels.topk(max(1, int(self.config.image_fraction * len(pixels)))).values.mean()


def distances(patches: Tensor, reconstruction: Tensor, distance: Distance) -> Tensor:
    """Distances [...] between vectors and their reconstruction, both [..., C].

    A vector of zeros has no direction: its cosine distance is 0 to another of zeros, and 1 to anything else.
    """
    import torch

    if distance == "cosine":
        similar = torch.nn.functional.cosine_similarity(patches, reconstruction, dim=-1)
        return torch.where((patches == reconstruction).all(-1), 0.0, (1 - similar).clamp(min=0))
    squared = (patches - reconstruction).square().sum(-1)
    return squared if distance == "l2-squared" else squared.sqrt()
