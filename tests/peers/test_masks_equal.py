"""The mask `pca-foreground` against anomalib's, and against the authors' steps with their scikit-learn and OpenCV."""

import numpy as np
import pytest
import torch

from adbench import Features, Geometry
from adbench.builtin.stages.maskers import PcaForeground

pytestmark = [
    pytest.mark.proves("anomaly-dino"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

GRIDS = [(32, 32), (18, 24), (10, 40)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("seed", range(3))
def test_on_the_grid_as_anomalib(seed, grid):
    from anomalib.models.image.anomaly_dino.torch_model import AnomalyDINOModel

    patches = objects(seed, grid)
    expected = AnomalyDINOModel.compute_background_masks(patches.reshape(len(patches), -1, patches.shape[-1]), grid)
    assert np.array_equal(ours(patches, "grid").reshape(len(patches), -1), expected)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("seed", range(3))
def test_in_reading_order_as_the_authors(seed, grid):
    patches = objects(seed, grid)
    assert np.array_equal(ours(patches, "raster"), np.stack([authors(image) for image in patches]))


def ours(patches, morphology):
    ids = tuple(str(index) for index in range(len(patches)))
    features = Features(ids, (Geometry.whole(448, 448),) * len(ids), patches=torch.tensor(patches))
    return PcaForeground(morphology=morphology).mask(features).numpy()


def authors(image):
    """The official code's steps, from its description: a column of all patches goes through OpenCV."""
    import cv2
    from sklearn.decomposition import PCA

    height, width, channels = image.shape
    component = PCA(n_components=1, svd_solver="randomized").fit_transform(image.reshape(-1, channels))
    column = component > 10
    centre = column.reshape(height, width)[int(height * 0.2) : int(height * 0.8), int(width * 0.2) : int(width * 0.8)]
    if centre.mean() <= 0.35:
        column = -component > 10
    square = np.ones((3, 3), np.uint8)
    grown = cv2.dilate(column.astype(np.uint8), square)
    return cv2.morphologyEx(grown, cv2.MORPH_CLOSE, square).astype(bool).reshape(height, width)


def objects(seed, grid):
    """[4, H, W, 48]: disks of four sizes off the middle, so noisy along their axis that masks have holes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: grid[0], : grid[1]] / np.array(grid)[:, None, None] - 0.5
    patches = rng.normal(size=(4, *grid, 48))
    for index, radius in enumerate((0.25, 0.3, 0.35, 0.45)):
        axis = rng.normal(size=48)
        level = np.where(np.hypot(y - 0.05, x) < radius, 25, -15) + rng.normal(0, 8, grid)
        patches[index] += level[..., None] * axis / np.linalg.norm(axis)
    return patches.astype(np.float32)
