"""SubspaceAD's bank and scorer against the official code (CLendering/SubspaceAD, Apache-2.0) on the same features.

The code is on no package index: SUBSPACE_AD names a folder with a copy of its repository. Nothing of it is kept here.
"""

import importlib
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from adbench import Context, Features, FeatureStream, Geometry

pytest.importorskip("adbench_gaussian", reason="adbench-gaussian is not installed beside the official code")
pytest.importorskip("adbench_reconstruction", reason="adbench-reconstruction is not installed beside the official code")

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # the warnings are the official code's

CHANNELS, GRID, PIXELS = 48, (8, 8), 112
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def official():
    """The modules of the official code that fit and score."""
    folder = os.environ.get("SUBSPACE_AD")
    if folder is None:
        pytest.skip("SUBSPACE_AD names no copy of github.com/CLendering/SubspaceAD")
    sys.path.insert(0, str(Path(folder) / "src"))
    try:
        names = {"pca": "core.pca", "scoring": "post_process.scoring"}
        return SimpleNamespace(**{name: importlib.import_module(f"subspacead.{at}") for name, at in names.items()})
    except ImportError as missing:
        pytest.skip(f"the official code cannot be imported: {missing}")
    finally:
        sys.path.pop(0)


class Stream(FeatureStream):
    """Batches of features as they come."""

    def __init__(self, grids):
        self.batches = [features_of(grid, f"normal {number}") for number, grid in enumerate(grids)]

    @property
    def ids(self):
        return [name for batch in self.batches for name in batch.ids]

    def __iter__(self):
        return iter(self.batches)


def features_of(grid, name):
    ids = tuple(f"{name}/{number}" for number in range(len(grid)))
    return Features(ids, (Geometry.whole(PIXELS, PIXELS),) * len(ids), patches=grid)


def drawn(images, seed):
    """Features whose channels vary by very different amounts, off the origin."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    axes, _ = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(9)))
    rows = torch.randn(images, *GRID, CHANNELS, generator=generator) * 0.85 ** torch.arange(CHANNELS)
    return rows @ axes.T + 3


@pytest.fixture(scope="module", params=[0.9, 0.99])
def answers(request, official):
    """What both say of three images: residuals of patches, maps and image scores."""
    normal, asked = drawn(10, 0), drawn(3, 1)
    asked[2, 2:4, 3:5] += 2
    return adbench_says(normal, asked, request.param), official_says(official, normal, asked, request.param)


def adbench_says(normal, asked, variance):
    import torch
    from adbench_gaussian.subspace import Subspace
    from adbench_reconstruction.residual import Residual

    from adbench.engine.evaluate.anomaly_map import anomaly_map
    from adbench.engine.plan.map_spec import MapSpec

    bank, query = Subspace(variance=variance), features_of(asked, "asked")
    bank.fit(Stream(normal.split(4)), Context())
    scorer = Residual(image_fraction=0.01, image_sigma=4, image_kernel=3, image_border="reflect")
    scores = scorer.score(query, bank)
    spec = MapSpec(upsample="bilinear", sigma=4, kernel=3, border="reflect", at="input")
    maps = [torch.from_numpy(anomaly_map(one.numpy(), query.geometry[0], spec)) for one in scores.patches]
    return SimpleNamespace(
        components=bank.facts()["components"],
        squared=scores.patches,
        cosine=Residual(distance="cosine").score(query, bank).patches,
        map=torch.stack(maps),
        score=scores.image,
    )


def official_says(official, normal, asked, variance):
    import torch

    rows = normal.reshape(-1, CHANNELS)
    model = official.pca.PCAModel(ev=variance)
    known = model.fit(lambda: (part.numpy() for part in rows.split(100)), CHANNELS, len(rows), -(-len(rows) // 100))
    flat = asked.reshape(-1, CHANNELS).numpy()
    squared, cosine = (
        torch.from_numpy(official.scoring.calculate_anomaly_scores(flat, known, how)).reshape(len(asked), *GRID)
        for how in ("reconstruction", "cosine")
    )
    maps = [official.scoring.post_process_map(one.numpy(), PIXELS) for one in squared]
    scores = [official.scoring.aggregate_image_score(one, "mtop1p") for one in maps]
    return SimpleNamespace(
        components=known["k"],
        squared=squared.float(),
        cosine=cosine.float(),
        map=torch.stack([torch.from_numpy(one) for one in maps]),
        score=torch.tensor(scores, dtype=torch.float32),
    )


def test_as_many_components(answers):
    ours, theirs = answers
    assert ours.components == theirs.components


@pytest.mark.proves("subspace-ad")
@pytest.mark.parametrize("what", ["squared", "cosine", "map", "score"])
def test_equal(answers, what):
    import torch

    ours, theirs = (getattr(answer, what) for answer in answers)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_residuals_are_not_all_alike(answers):
    """Or else the comparison would say little."""
    ours, _ = answers
    assert ours.squared.amax() - ours.squared.amin() > 100 * TOLERANCE
