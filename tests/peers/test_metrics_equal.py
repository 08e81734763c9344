"""AUROC and AUPRO against anomalib's own metrics."""

from types import SimpleNamespace

import numpy as np
import pytest

from adbench import Evidence
from adbench.builtin.metrics_image import ImageAuroc
from adbench.builtin.metrics_pixel import PixelAupro05, PixelAupro30, PixelAuroc

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are anomalib's dependencies'

# anomalib keeps its curves and adds their trapezoids in float32, of which one step is 6e-8; what is seen is 1e-7.
TOLERANCE = 1e-6

LEVELS = [None, 1000, 7]  # distinct scores; some ties; nearly nothing but ties


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_image_auroc(seed, levels):
    from anomalib.metrics import AUROC

    rng = np.random.default_rng(seed)
    labels = rng.random(200) < 0.4
    scores = squeezed(labels * 0.5 + rng.normal(size=200), levels)
    ours = ImageAuroc().measure(Evidence(labels, scores)).value
    assert ours == pytest.approx(anomalib_figure(AUROC, scores, labels), abs=TOLERANCE)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_pixel_auroc(seed, levels):
    from anomalib.metrics import AUROC

    maps, masks = planted(seed, levels)
    ours = PixelAuroc().measure(evidence(maps, masks)).value
    assert ours == pytest.approx(anomalib_figure(AUROC, maps, masks), abs=TOLERANCE)


@pytest.mark.parametrize(("metric", "limit"), [(PixelAupro30, 0.3), (PixelAupro05, 0.05)])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("seed", range(3))
def test_aupro(seed, levels, metric, limit):
    from anomalib.metrics import AUPRO

    maps, masks = planted(seed, levels)
    ours = metric().measure(evidence(maps, masks)).value
    assert ours == pytest.approx(anomalib_figure(AUPRO, maps, masks, fpr_limit=limit), abs=TOLERANCE)


def anomalib_figure(metric, scores, truth, **options):
    import torch

    measure = metric(fields=["scores", "truth"], **options)
    measure.update(SimpleNamespace(scores=torch.from_numpy(scores), truth=torch.from_numpy(truth).int()))
    return float(measure.compute())


def evidence(maps, masks):
    return Evidence(masks.any(axis=(1, 2)), maps.max(axis=(1, 2)), lambda: zip(maps, masks, strict=True))


def planted(seed, levels):
    """Eight noisy maps of 48x64; every second one has defects: some touch at a corner only, one is a single pixel."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((8, 48, 64), bool)
    for mask in masks[::2]:
        top, left, size = rng.integers(4, 20), rng.integers(4, 28), rng.integers(3, 10)
        mask[top : top + size, left : left + size] = True
        mask[top + size : top + size + 5, left + size : left + size + 9] = True
        mask[-2, -3] = True
    return squeezed(masks * 1.5 + rng.normal(size=masks.shape), levels), masks


def squeezed(scores, levels):
    """Between 0 and 1, since torchmetrics sends all other scores through a sigmoid; rounded to so many levels."""
    scores = (scores - scores.min()) / np.ptp(scores)
    return (scores if levels is None else np.round(scores * levels) / levels).astype(np.float32)
