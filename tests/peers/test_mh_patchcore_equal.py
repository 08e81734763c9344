"""The bank `whitened` and squared distances against the components of anomalib's MH-PatchCore, on the same patches."""

from types import SimpleNamespace

import pytest

from adbench import Context, Features, FeatureStream, Geometry

pytest.importorskip("adbench_gaussian", reason="adbench-gaussian is not installed beside anomalib")

pytestmark = [
    pytest.mark.proves("mh-patchcore"),
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]  # the warnings are anomalib's dependencies'

IMAGES, SIDE, CHANNELS = 75, 8, 64
SIZES = [{"count": 1000, "local": 256}, {"count": 40, "local": 256}, {"count": 90, "local": 30}]
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=SIZES, ids=lambda sizes: f"{sizes['local']} to {sizes['count']}")
def answers(request):
    normal, defective = patches()
    return SimpleNamespace(
        adbench=adbench_says(request.param, normal, defective), anomalib=anomalib_says(request.param, normal, defective)
    )


def test_as_many_components_and_vectors(answers):
    assert answers.adbench.size == answers.anomalib.size
    assert answers.adbench.size[1] < CHANNELS


@pytest.mark.parametrize("what", ["distances", "score"])
def test_equal(answers, what):
    import torch

    ours, theirs = getattr(answers.adbench, what), getattr(answers.anomalib, what)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


def test_reweighting_shows():
    """Or else the comparison of the scores would say nothing about the weights."""
    message = adbench_says(SIZES[0], *patches())
    assert (1 - message.score / message.distances.flatten(1).amax(1)).amax() > 100 * TOLERANCE


class Stream(FeatureStream):
    """Eight images at a time: other batches than anomalib's 32."""

    def __init__(self, images):
        self.parts = [features_of(part, f"normal {number}") for number, part in enumerate(images.split(8))]

    @property
    def ids(self):
        return [name for part in self.parts for name in part.ids]

    def __iter__(self):
        return iter(self.parts)


def features_of(images, name):
    ids = tuple(f"{name}/{index}" for index in range(len(images)))
    return Features(ids, (Geometry.whole(64, 64),) * len(ids), patches=images)


def adbench_says(sizes, normal, defective):
    from adbench_gaussian.mahalanobis import Mahalanobis
    from adbench_gaussian.whitened import Whitened

    bank = Whitened(variance=0.99, shrinkage=0.07, images=32, **sizes)
    bank.fit(Stream(normal), Context())
    scores = Mahalanobis(squared=True, reweight=9).score(features_of(defective, "defective"), bank)
    return SimpleNamespace(size=tuple(bank.gaussians.means.shape), distances=scores.patches, score=scores.image)


def anomalib_says(sizes, normal, defective):
    from anomalib.models.image.mh_patchcore.components import CovarianceWhitening, MergeReduceMemoryBank, StreamingPCA
    from anomalib.models.image.mh_patchcore.torch_model import _compute_anomaly_score, _nearest_neighbors

    pca, whitening = StreamingPCA(0.99), CovarianceWhitening(0.07)
    memory = MergeReduceMemoryBank(sizes["count"], sizes["local"])
    batches = [part.flatten(0, 2) for part in normal.split(32)]
    for step, prepare in (
        (pca, lambda rows: rows),
        (whitening, pca),
        (memory, lambda rows: whitening(pca(rows))),
    ):
        for batch in batches:
            step.update(prepare(batch))
        step.finalize()
    asked = whitening(pca(defective.flatten(0, 2))).float()
    distances, nearest = (found.reshape(len(defective), -1) for found in _nearest_neighbors(asked, memory.bank, 1))
    score = _compute_anomaly_score(distances, nearest, asked, memory.bank, 9)
    return SimpleNamespace(size=tuple(memory.bank.shape), distances=distances.reshape(-1, SIDE, SIDE), score=score)


def patches():
    """[75, 8, 8, 64] that vary less and less along their axes, off the origin; six more, plain or defective."""
    import torch

    generator = torch.Generator().manual_seed(0)
    axes, _ = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS, generator=generator))
    values = torch.randn(IMAGES + 6, SIDE, SIDE, CHANNELS, generator=generator) * 0.6 ** torch.arange(CHANNELS)
    values[IMAGES : IMAGES + 3] *= 0.2  # in the middle of the normal ones, where neighbours are as near as the nearest
    everything = values @ axes.T + 3
    everything[IMAGES + 3 :, 3:5, 6] += 2 * axes[:, 2]
    return everything[:IMAGES], everything[IMAGES:]
