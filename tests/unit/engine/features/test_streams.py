import pytest
import torch

from adbench.builtin.toy import ToyPixels
from adbench.engine.features.feature_batch import FeatureCost
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import ImageLoader, SourceImage
from adbench.engine.features.streams import ImageStream, MeteredStream
from adbench.engine.process.clock import Clock

IMAGES = [SourceImage(f"alias {place}", lambda place=place: torch.full((3, 32, 32), place / 9)) for place in range(9)]


def reader(**options):
    return FeatureReader(ToyPixels(), ImageLoader((), batch_size=4), Clock("cpu"), **options)


def darker(image):
    return image / 2


def test_a_stream_names_images_by_alias_in_order():
    stream = ImageStream(reader(), IMAGES)
    names = [name for features in stream for name in features.ids]
    assert names == list(stream.ids) == [image.alias for image in IMAGES]
    assert len(stream) == 9


def test_views_follow_one_another():
    stream = ImageStream(reader(), IMAGES[:2], [None, darker])
    assert list(stream.ids) == ["alias 0", "alias 1", "alias 0", "alias 1"]
    whole, dark = stream
    assert torch.allclose(dark.patches[1], whole.patches[1] / 2)


def test_progress_hears_of_each_batch_in_each_walk():
    calls = []
    stream = ImageStream(reader(), IMAGES, progress=calls.append)
    list(stream)
    assert calls == [4, 4, 1]
    list(stream.batches())
    assert calls == [4, 4, 1, 4, 4, 1]


@pytest.fixture
def stream(tmp_path):
    """A stream whose features are cached."""
    images = [SourceImage(image.alias, image.read, digest=f"content-{image.alias[-1]}") for image in IMAGES]
    folder = FeatureCache(tmp_path, 1 << 30).folder_for({})
    return ImageStream(reader(folder_of=lambda _: folder), images)


def test_a_part_that_walks_twice_pays_once(stream):
    cost = FeatureCost()
    metered = MeteredStream(stream, cost, Clock("cpu").now)
    first = [features.patches for features in metered]
    paid, waited = cost.seconds, cost.waited
    assert 0 < paid <= waited
    second = [features.patches for features in metered]
    assert cost.seconds == paid
    assert cost.waited > waited
    assert (cost.cached, cost.runtimes) == (9, {"torch"})
    assert torch.equal(torch.cat(first), torch.cat(second))


def test_a_walk_that_breaks_off_is_paid_and_the_next_one_too(stream):
    cost = FeatureCost()
    metered = MeteredStream(stream, cost, Clock("cpu").now)
    next(iter(metered))
    paid = cost.seconds
    list(metered)
    assert cost.seconds > paid


def test_streams_on_one_cost_add_up(stream):
    cost, alone = FeatureCost(), FeatureCost()
    list(stream)  # from here on the cost is that of when the features were new
    for total, times in ((alone, 1), (cost, 2)):
        for _ in range(times):
            list(MeteredStream(stream, total, Clock("cpu").now))
    assert cost.seconds == pytest.approx(2 * alone.seconds)
    assert cost.cached == 2 * alone.cached == 18
