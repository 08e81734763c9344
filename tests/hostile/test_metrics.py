"""What outsiders hand to `adbench.metrics` by mistake: each is refused in one sentence that says what to do instead."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adbench import UsageError
from adbench.metrics import aupro, auroc, average_precision, f1_max, pixel_curve_of, pro_curve, roc_curve

NAN, INF = float("nan"), float("inf")
MASK = np.zeros((4, 5), dtype=bool)
MASK[1:3, 1:3] = True
MAP = np.random.default_rng(0).random((4, 5))

SAMPLES = {
    "a NaN": ([0, 1], [0.5, NAN], "number 1 is nan"),
    "infinity": ([0, 1], [INF, 0.5], "number 0 is inf"),
    "a NaN among tensors": ([0, 1], torch.tensor([NAN, 1.0]), "number 0 is nan"),
    "a NaN of half precision": ([0, 1], np.array([NAN, 1.0], np.float16), "number 0 is nan"),
    "one score too few": ([0, 1, 1], [0.1, 0.2], r"\(2,\) scores for \(3,\) labels"),
    "one number": ([0, 1], 0.5, "one score for each label"),
    "a column": ([0, 1], [[0.1], [0.2]], r"\(2, 1\) scores for \(2,\) labels"),
    "scores first": ([0.1, 0.9], [0, 1], "labels come first, scores second"),
    "outliers as -1": ([1, -1], [0.1, 0.2], "not -1"),
    "a mask of 255": ([0, 255], [0.1, 0.2], "not 255"),
    "a NaN label": ([0, NAN], [0.1, 0.2], "not nan"),
    "types of defects": ([0, 1, 2], [0.1, 0.2, 0.3], "not 2"),
    "words as labels": (["good", "bad"], [0.1, 0.2], "not a type of numbers"),
    "words as scores": ([0, 1], ["0.1", "0.2"], "not a type of numbers"),
    "None among scores": ([0, 1], [0.1, None], "object is not a type of numbers"),
    "complex scores": ([0, 1], [0.1j, 0.2], "complex128 is not a type of numbers"),
    "ragged scores": ([0, 1], [[0.1], [0.2, 0.3]], "rows have different lengths"),
    "a generator": ([0, 1], (score for score in (0.1, 0.2)), "object is not a type of numbers"),
}


@pytest.mark.parametrize("function", [auroc, average_precision, f1_max, roc_curve], ids=lambda made: made.__name__)
@pytest.mark.parametrize("case", SAMPLES)
def test_samples(function, case):
    labels, scores, reported = SAMPLES[case]
    with pytest.raises(UsageError, match=reported) as caught:
        function(labels, scores)
    assert len(str(caught.value).splitlines()) == 1


MAPS = {
    "a NaN": ([np.where(MASK, NAN, MAP)], [MASK], "map 0: scores must be finite; number 6 is nan"),
    "a NaN in the second": ([MAP, MAP * NAN], [MASK, MASK], "map 1: scores must be finite"),
    "a mask of 255": ([MAP], [MASK * np.uint8(255)], "mask > 0"),
    "masks first": ([MASK], [MAP], "maps come first, masks second"),
    "soft masks": ([MAP], [MASK * 0.5], "not 0.5"),
    "one mask too few": ([MAP, MAP], [MASK], "one mask for each map"),
    "one mask too many": ([MAP], [MASK, MASK], "one mask for each map"),
    "another size": ([MAP[:2]], [MASK], "resize the map to the mask"),
    "turned": ([MAP.T], [MASK], "resize the map to the mask"),
    "one map alone": (MAP, MASK, r"give one map \[H, W\] for each image"),
    "channels": (MAP[None, None], MASK[None, None], r"map 0 has shape \(1, 4, 5\)"),
    "image scores": ([0.1, 0.2], [0, 1], r"map 0 has shape \(\)"),
    "a number": (0.5, MASK, "are no list or array"),
    "None": (None, [MASK], "are no list or array"),
    "a mapping": ({"a": MAP}, {"a": MASK}, "not a type of numbers|are no list or array"),
}


@pytest.mark.parametrize("function", [aupro, pro_curve, pixel_curve_of], ids=lambda made: made.__name__)
@pytest.mark.parametrize("case", MAPS)
def test_maps(function, case):
    maps, masks, reported = MAPS[case]
    with pytest.raises(UsageError, match=reported) as caught:
        function(maps, masks)
    assert len(str(caught.value).splitlines()) == 1


def shuffled():
    """Another map each time."""
    found = np.random.default_rng().random((4, 5))
    yield found, MASK


PAIRS = {
    "a generator": ((pair for pair in [(MAP, MASK)]), "used up after the first time"),
    "zip": (zip([MAP], [MASK], strict=True), "used up after the first time"),
    "others each time": (shuffled, "one differs from the first"),
    "forgotten masks": ([MAP, MAP], "is no pair"),
    "an array": (np.stack([MAP, MAP]), "is no pair"),
    "numbers": ([1, 2], "is no pair"),
    "nothing that can be walked over": (None, "function that starts a walk"),
    "a function that gives nothing": (lambda: None, "starts no walk"),
    "too large": ([(MAP + 1e39, MASK)], "too large for float32"),
    "a NaN": ([(MAP, MASK), (MAP + NAN, MASK)], "map 1: scores must be finite"),
    "another size": ([(MAP[1:], MASK)], "resize the map"),
    "swapped": ([(MASK, MAP)], "maps come first, masks second"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs(case):
    pairs, reported = PAIRS[case]
    with pytest.raises(UsageError, match=reported) as caught:
        aupro(pairs)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("limit", [0, -0.1, 1.001, 30, 0.0005, 1 / 3, NAN, INF, -INF])
def test_limits(limit):
    with pytest.raises(UsageError, match=r"is not a multiple of 0.001 in \(0, 1\]"):
        aupro([MAP], [MASK], limit)
    with pytest.raises(UsageError, match="is not a multiple"):
        aupro([MAP], [MASK & False], limit)
