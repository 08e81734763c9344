"""The scorer by the structural dissimilarity of an image and its reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from adbench import Bank, Component, Field, ReconstructionBank, Scorer, Scores
from adbench_reconstruction.reconstruction import reconstruction_of

if TYPE_CHECKING:
    from adbench import Features


class SsimResidual(Scorer):
    """A place's score is 1 - SSIM of the patches and their reconstruction (Bergmann et al., arXiv 1807.02011).

    The mean over the channels, in a Gaussian window around the place: 0 where they are equal, up to 2. In double
    precision, as the variances of flat places cancel. Beyond the border the edge goes on, so that the map is as large
    as the grid.
    """

    name: ClassVar[str] = "ssim-residual"
    plain: ClassVar[bool] = True
    bank: ClassVar[type[Bank]] = ReconstructionBank  # type: ignore[type-abstract]
    needs: ClassVar[frozenset[str]] = frozenset({"patches"})

    class Config(Component.Config):
        """Options."""

        window: int = Field(11, ge=3, description="side of the window in places, odd")
        span: float = Field(1.0, gt=0, description="what the values of patches span; 1 for pixels, from 0 to 1")

        @field_validator("window")
        @classmethod
        def _odd(cls, window: int) -> int:
            if window % 2 == 0:
                raise ValueError("must be odd, so that a window has a middle")
            return window

    config: Config

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """An autoencoder that learned by the same measure, and the mean of the top 1 %."""
        return {"bank": {"autoencoder": {"loss": "ssim"}}, "aggregate": {"top-fraction": {"fraction": 0.01}}}

    def score(self, query: Features, bank: Bank) -> Scores:
        """Scores of a batch.

        Raises:
            ContractError: the bank's answer has another shape than the patches, or is not finite.
        """
        from adbench_reconstruction.ssim import similarity

        assert isinstance(bank, ReconstructionBank)
        patches, drawn = (grid.double().permute(0, 3, 1, 2) for grid in reconstruction_of(query, bank, self.title))
        similar = similarity(patches, drawn, window=self.config.window, span=self.config.span)
        return Scores((1 - similar.mean(1)).float())
