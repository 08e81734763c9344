"""Explains the score of an image: asks the scorer what the most anomalous patch was compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from adbench.api.comparisons.patch import Aspect, PatchComparison, PatchPlace
from adbench.detector.explain.explanation import Explanation
from adbench.detector.explain.normal_files import NormalFiles
from adbench.detector.explain.parts import Mode, Nearest, PatchBox
from adbench.detector.fit.images import GivenImage
from adbench.engine.features.after_backbone import layer_widths
from adbench.engine.features.contract import naming_component
from adbench.engine.features.image_loader import prepared
from adbench.engine.features.views import View
from adbench.errors import BadImage, ContractError, UsageError

if TYPE_CHECKING:
    from adbench.api.features import Features
    from adbench.api.geometry import Geometry
    from adbench.detector.fit.scoring import Scoring
    from adbench.detector.fit.state import DetectorState

MODES = 5
"""Modes that an explanation names."""
_UNKNOWN_LAYERS = "the patches are not layers side by side, so that no layer has a share of its own"


@dataclass(frozen=True)
class Explainer:
    """Explains the scores of a detector.

    Attributes:
        state: of the detector.
        scoring: computes features as the detector does.
        files: finds the normal images.
    """

    state: DetectorState
    scoring: Scoring
    files: NormalFiles

    def looking_in(self, folders: Sequence[Path]) -> Explainer:
        """An explainer that looks for normal images in these folders first."""
        return replace(self, files=replace(self.files, given=(*folders, *self.files.given)))

    def explain(
        self, image: GivenImage, score: float, threshold: float | None, patches: np.ndarray | None, geometry: Geometry
    ) -> Explanation:
        """Explain the score of an image; its features are computed once more.

        Args:
            image: the image.
            score: its image score.
            threshold: on image scores, if there is one.
            patches: [h, w] patch scores.
            geometry: where the prepared image lies in the original.

        Raises:
            UsageError: the method gives no patch scores.
            BadImage: the image's file is not there any more.
        """
        if patches is None:
            raise UsageError("this method gives image scores alone: there is no patch to explain")
        row, column = (int(one) for one in np.unravel_index(int(patches.argmax()), patches.shape))
        place = PatchPlace(row, column, *patches.shape)
        pixels = image.pixels(self.scoring.white)
        compared, widths = self._compared(image, pixels, (row, column))
        nearest, no_picture = self._nearest(compared)
        layers = _layer_shares(compared, widths)
        reasons = dict(compared.reasons)
        if layers is None:
            reasons.setdefault("layers", _UNKNOWN_LAYERS)
        return Explanation(
            image=image.name,
            score=score,
            threshold=threshold,
            place=place,
            box=box_of(place, geometry),
            patch_score=float(patches[row, column]),
            distance=compared.distance,
            nearest=nearest,
            layers=layers,
            modes=_largest_modes(compared),
            notes=tuple(dict.fromkeys([*_missing(reasons), *no_picture])),
            pixels=pixels,
        )

    def _compared(
        self, given: GivenImage, pixels: np.ndarray, place: tuple[int, int]
    ) -> tuple[PatchComparison, Mapping[str, int] | None]:
        """The scorer's comparison of a patch, and the channels of each layer."""
        method = self.state.method
        image, ignored = self.scoring.shown(given, pixels)
        features = self.scoring.features([("explained", prepared(image, method.preprocess))], [ignored])
        widths = layer_widths(method.necks, features)
        query = method.scorer_features(features)
        with naming_component(method.scorer, "compare"), torch.no_grad():
            compared = method.scorer.compare(query, method.bank, place)
            _check(compared, method.scorer.title, query)
        return compared, widths

    def _nearest(self, compared: PatchComparison) -> tuple[Nearest | None, list[str]]:
        """The nearest normal patch, with its pixels if its file is there; and what is missing."""
        if compared.nearest is None:
            return None, []
        alias, place = compared.nearest
        image = next((one for one in self.state.about.images if one.alias == alias), None)
        if image is None:
            return None, ["the nearest normal patch is of an image that the detector does not know"]
        found = Nearest(image, place)
        file = self.files.find(image)
        if isinstance(file, str):
            return found, [file]
        try:
            pixels, geometry = self._shown(file, place)
        except BadImage as error:
            return found, [str(error)]
        box = None if place is None else box_of(place, geometry)
        return replace(found, file=file, pixels=pixels, box=box), []

    def _shown(self, file: Path, place: PatchPlace | None) -> tuple[np.ndarray, Geometry]:
        """A normal image as it was shown to the method, and where its prepared pixels lie in it."""
        method = self.state.method
        image = torch.from_numpy(GivenImage(str(file), file).pixels(self.scoring.white)).permute(2, 0, 1)
        if place is not None and place.view is not None and method.augmenter is not None:
            image = View(method.augmenter, place.view)(image)
        _, geometry = prepared(image, method.preprocess)
        return np.ascontiguousarray(image.permute(1, 2, 0).numpy()), geometry


def box_of(place: PatchPlace, geometry: Geometry) -> PatchBox:
    """The pixels of a patch in the original image; what padding added beyond its border is cut off.

    Of a patch of a turned image it is the upright rectangle around the patch.
    """
    height, width = geometry.size
    rows = [row * height / place.rows for row in (place.row, place.row + 1)]
    columns = [column * width / place.columns for column in (place.column, place.column + 1)]
    corners = [geometry.to_original(row, column) for row in rows for column in columns]
    high, wide = (float(side) for side in geometry.original)
    top, bottom = _within([y for y, _ in corners], high)
    left, right = _within([x for _, x in corners], wide)
    return PatchBox(left, top, right, bottom)


def _within(places: Sequence[float], length: float) -> tuple[float, float]:
    """The lowest and the highest place, inside of the image."""
    inside = [min(max(place, 0.0), length) for place in places]
    return min(inside), max(inside)


def _check(compared: PatchComparison, who: str, query: Features) -> None:
    """Raise `ContractError` for shares that are not of the patches' channels."""
    channels = compared.channels
    if channels is not None and channels.shape != query.need_patches(who).shape[-1:]:
        raise ContractError(who, "compare() must give a share for each channel of the patches")


def _layer_shares(compared: PatchComparison, widths: Mapping[str, int] | None) -> Mapping[str, float] | None:
    if compared.channels is None or widths is None:
        return None
    parts = torch.split(compared.channels, list(widths.values()))
    return {layer: float(part.sum()) for layer, part in zip(widths, parts, strict=True)}


def _largest_modes(compared: PatchComparison) -> Sequence[Mode] | None:
    if compared.modes is None:
        return None
    shares, order = compared.modes.topk(min(MODES, len(compared.modes)))
    return [Mode(number + 1, share) for number, share in zip(order.tolist(), shares.tolist(), strict=True)]


def _missing(reasons: Mapping[Aspect, str]) -> Iterator[str]:
    """A sentence for each aspect that is missing."""
    words: dict[Aspect, str] = {
        "nearest": "nearest normal patch",
        "place": "place of the nearest normal patch",
        "layers": "shares of layers",
        "modes": "modes",
    }
    yield from (f"no {words[aspect]}: {reason}" for aspect, reason in sorted(reasons.items(), key=lambda one: one[0]))
