"""The scorer by Mahalanobis distance: the distance from normal, in units of the variation of normal patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from adbench import Bank, Component, Field, GaussianBank, Scorer, Scores, UsageError
from adbench.comparisons import Aspect, PatchComparison
from adbench.maps import Border, Smoothing, prepared_maps
from adbench.search import ReweightForm, patchcore_weight
from adbench_gaussian.clusters import ClusterGaussians
from adbench_gaussian.gaussians import Gaussians
from adbench_gaussian.modes import shares_of_modes
from adbench_gaussian.reading import gaussians_of

if TYPE_CHECKING:
    from torch import Tensor

    from adbench import Features


NO_PATCH = "a Gaussian is made of many normal patches, so that no single one is the nearest"
COUPLED = "the covariance couples the channels of all layers, so that no layer has a share of its own"


class Mahalanobis(Scorer):
    """A patch's score is its Mahalanobis distance to the Gaussian of its place, or to the nearest of several.

    The image's own score comes on request. With `image_sigma` it is the highest value of the smoothed map (PaDiM). With
    `reweight` it is the score of the highest patch times PatchCore's weight (arXiv 2106.08265, Eq. 7), as in
    MH-PatchCore. Patches outside the foreground do not count for it, and score 0.
    """

    name: ClassVar[str] = "mahalanobis"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = GaussianBank  # type: ignore[type-abstract]
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(Component.Config):
        """Options."""

        squared: bool = Field(False, description="squared distances, as MH-PatchCore has them")
        image_sigma: float = Field(
            0,
            ge=0,
            le=1000,
            description="the image scores the highest value of its map smoothed by a Gaussian of so many pixels of the"
            " prepared image, as in PaDiM; 0: no image score",
        )
        image_border: Border = Field(
            "symmetric", description="beyond the border: the edge repeated (SciPy) or not (reflect: PyTorch, anomalib)"
        )
        reweight: int = Field(
            0, ge=0, description="Gaussians around the nearest one that weigh the image score; 0: no image score"
        )
        reweight_form: ReweightForm = Field(
            "anomalib",
            description="anomalib: the nearest Gaussian itself counts as the first of them; eq7: that many others, as"
            " PatchCore's paper has it",
        )

        @model_validator(mode="after")
        def _one_image_score(self) -> Mahalanobis.Config:
            if self.image_sigma and self.reweight:
                raise ValueError("image_sigma and reweight both make the image score; give one of them")
            return self

    config: Config

    @classmethod
    def gives(cls, config: Any) -> frozenset[str]:
        return frozenset({"patches", "image"} if config.image_sigma or config.reweight else {"patches"})

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """PaDiM's bank, or MH-PatchCore's with `reweight`; the scorer's own image score if it has one."""
        own = "image" in cls.gives(config)
        return {"bank": {"whitened" if config.reweight else "padim": {}}, "aggregate": "scorer" if own else "max"}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores of a batch.

        Raises:
            DataError: the bank has a Gaussian for each place, and the patches are on another grid.
            UsageError: images are to be weighed by neighbours, which Gaussians of places do not have.
        """
        assert isinstance(bank, GaussianBank)
        patches, gaussians = query.need_patches(self.title), gaussians_of(bank)
        squared, nearest = gaussians.nearest(patches, self.title)
        scores = squared if self.config.squared else squared.sqrt()
        if query.foreground is not None:
            scores = scores * query.foreground.to(scores.device)
        if self.config.image_sigma:
            return Scores(scores, self._highest_of_map(scores, query))
        if self.config.reweight:
            return Scores(scores, self._weighed(patches, scores, nearest, gaussians))
        return Scores(scores)

    def compare(self, query: Features, bank: Bank, place: tuple[int, int]) -> PatchComparison:
        """The Mahalanobis distance of a patch, and the share of each mode of its Gaussian in the square."""
        assert isinstance(bank, GaussianBank)
        patches, gaussians = query.need_patches(self.title), gaussians_of(bank)
        squared, _ = gaussians.nearest(patches, self.title)
        modes = shares_of_modes(*gaussians.modes(patches[0], place))
        reasons: dict[Aspect, str] = {"nearest": NO_PATCH, "layers": COUPLED}
        if modes is None:
            reasons["modes"] = "the distance is 0, so that nothing has a share in it"
        return PatchComparison(float(squared[0][place].sqrt()), modes=modes, reasons=reasons)

    def _highest_of_map(self, scores: Tensor, query: Features) -> Tensor:
        """[B] float32: the maximum of each image's smoothed map."""
        import torch

        smoothing = Smoothing(self.config.image_sigma, border=self.config.image_border)
        maps = prepared_maps(scores, [place.size for place in query.geometry], smoothing)
        return torch.stack([one.amax() for one in maps]).float()

    def _weighed(self, patches: Tensor, scores: Tensor, nearest: Tensor, gaussians: Gaussians) -> Tensor:
        """The highest scores [B], times PatchCore's weights."""
        if not isinstance(gaussians, ClusterGaussians):
            raise UsageError(
                f"{self.title} with reweight={self.config.reweight} weighs by Gaussians near the nearest one, but the"
                " bank has one for each place; use reweight=0, or the bank 'whitened' or 'prototypes'"
            )
        images = range(len(patches))
        highest, place = scores.flatten(1).max(1)
        rows = patches.flatten(1, 2)[images, place.to(patches.device)]
        count = self.config.reweight + (self.config.reweight_form == "eq7")
        around = gaussians.around(rows, nearest.flatten(1)[images, place], count)
        return highest * patchcore_weight(around if self.config.squared else around.sqrt(), self.config.reweight_form)
