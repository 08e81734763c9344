"""The arguments of a metric (arrays, tensors, lists), checked and converted for curves.

Curves rank float32 scores. Scores that are equal only in float32 keep their own precision: each becomes a code for its
rank among the scores of positives. All figures follow from these codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from adbench.errors import UsageError

_FIRST = 0x00800000
"""The bits of the smallest normal float32: codes count up from here, so that none is flushed to zero."""
_WHOLE = 1 << 24
"""The limit up to which float32 holds every whole number."""
_NUMBERS = "buif"


def array_of(values: Any, what: str) -> np.ndarray:
    """A NumPy array of numbers, also from a torch tensor on any device, with or without a gradient.

    Args:
        values: array, tensor or (nested) list.
        what: the name in messages, such as ``"scores"``.

    Raises:
        UsageError: the values are not numbers.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if str(values.dtype) == "torch.bfloat16" else values).numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UsageError(f"{what}: rows have different lengths ({error}); give an array") from None
    if array.dtype.kind not in _NUMBERS and array.size:
        raise UsageError(f"{what}: {array.dtype} is not a type of numbers; give booleans, integers or floats")
    return array


def truth_of(values: Any, what: str, hint: str) -> np.ndarray:
    """Labels or masks as booleans of the same shape.

    Raises:
        UsageError: a value is neither 0 nor 1; the message ends with `hint`.
    """
    array = array_of(values, what)
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        other = array[~np.isin(array, (0, 1))].ravel()[0]
        raise UsageError(f"{what} are 0 (normal) or 1 (anomalous), not {other}; {hint}")
    return array.astype(bool)


def finite_of(values: Any, what: str) -> np.ndarray:
    """Scores as an array of their own type.

    Raises:
        UsageError: a score is NaN or infinite.
    """
    array = array_of(values, what)
    wrong = np.flatnonzero(~np.isfinite(array))
    if wrong.size:
        fault = f"number {wrong[0]} is {array.ravel()[wrong[0]]}"
        raise UsageError(f"{what}: scores must be finite; {fault}; correct its source, or leave the sample out")
    return array


class Codes:
    """Scores of any precision as float32 codes of the same order, as far as positives are concerned.

    Args:
        positives: the scores of all positives, in any order.
    """

    def __init__(self, positives: np.ndarray) -> None:
        self._thresholds = np.unique(positives)

    def of(self, scores: np.ndarray) -> np.ndarray:
        """The float32 codes of scores of any shape."""
        flat = scores.ravel()
        lower = self._thresholds.searchsorted(flat)
        tied = self._thresholds[np.minimum(lower, self._thresholds.size - 1)] == flat
        codes: np.ndarray = (2 * lower + tied + _FIRST).astype(np.uint32).view(np.float32)
        return codes.reshape(scores.shape)

    def score(self, code: float) -> float:
        """The positive's score that a code stands for."""
        return float(self._thresholds[(int(np.float32(code).view(np.uint32)) - _FIRST) // 2])


def codes_for(scores: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> Codes | None:
    """Codes for some arrays of scores, or None where float32 holds them all exactly.

    Args:
        scores: arrays of any shapes.
        truths: bool, of the same shapes.
    """
    if all(map(_is_float32_at_heart, scores)) or not any(truth.any() for truth in truths):
        return None
    return Codes(np.concatenate([some[truth] for some, truth in zip(scores, truths, strict=True)]))


def _is_float32_at_heart(scores: np.ndarray) -> bool:
    """Whether float32 holds the scores exactly."""
    if np.can_cast(scores.dtype, np.float32):
        return True
    if scores.dtype.kind in "iu":
        return not scores.size or -_WHOLE <= int(scores.min()) <= int(scores.max()) <= _WHOLE
    with np.errstate(over="ignore"):
        return bool((scores.astype(np.float32) == scores).all())


def checked_maps(maps: Any, masks: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of an anomaly map [H, W] and its mask [H, W] bool, of images in turn.

    Raises:
        UsageError: there are more of one than of the other, or a pair is wrong.
    """
    found, truths = _images_of(maps, "maps"), _images_of(masks, "masks")
    if len(found) != len(truths):
        raise UsageError(f"there is one mask for each map; there are {len(truths)} masks for {len(found)} maps")
    return [checked_pair(*pair, image) for image, pair in enumerate(zip(found, truths, strict=True))]


def _images_of(values: Any, what: str) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise UsageError(
            f"{what} of type {type(values).__name__} are no list or array; give one for each image"
        ) from None


def checked_pair(scores: Any, mask: Any, image: int) -> tuple[np.ndarray, np.ndarray]:
    """An anomaly map [H, W] and its mask [H, W] bool.

    Raises:
        UsageError: they have not two dimensions of the same size, a score is not finite, or a mask is not 0 and 1.
    """
    found = finite_of(scores, f"map {image}")
    truth = truth_of(
        mask, f"the pixels of mask {image}", "maps come first, masks second; write `mask > 0` for 0 and 255"
    )
    if found.ndim != 2:
        raise UsageError(
            f"map {image} has shape {found.shape}; give one map [H, W] for each image: [N, H, W], or a list"
        )
    if truth.shape != found.shape:
        raise UsageError(f"map {image} has shape {found.shape}, its mask {truth.shape}; resize the map to the mask")
    return found, truth


def as_float32(scores: np.ndarray, image: int) -> np.ndarray:
    """A map as float32.

    Raises:
        UsageError: a score is too large for it.
    """
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32, copy=False)
    if not np.isfinite(single).all():
        raise UsageError(f"map {image}: a score is too large for float32; divide all scores by the same number")
    return single
