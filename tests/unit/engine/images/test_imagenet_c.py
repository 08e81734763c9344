import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from adbench import DataError, UsageError
from adbench.engine.images import corruption
from adbench.engine.images.corrupting import corrupted
from adbench.engine.images.corruption import IMAGENET_C, NAMES, OF_IMAGENET_C, Corruption, parse_corruptions
from adbench.engine.images.drifting import parse_drifts
from adbench.errors import UnknownName

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.fixture
def package(monkeypatch):
    """A package in the place of the real one, which draws from the global generator as that does."""
    calls = []

    def corrupt(image, corruption_name, severity):
        calls.append((corruption_name, severity))
        return image // severity + np.random.randint(0, 9, image.shape)

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt, __spec__=object()))
    return calls


def test_the_draw_follows_the_content_and_the_global_generator_stays(package):
    np.random.seed(7)
    before = np.random.get_state()[1].tolist()
    one, again, other = (corrupted(IMAGE, Corruption("c-fog", 3), content) for content in "aab")
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.random.get_state()[1].tolist() == before
    assert package == [("fog", 3)] * 3


def test_threads_do_not_disturb_each_other(package):
    alone = [corrupted(IMAGE, Corruption("c-snow", 2), str(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda number: corrupted(IMAGE, Corruption("c-snow", 2), str(number)), range(40)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_deep_images_stay_floats(package):
    found = corrupted(IMAGE.astype(np.float32) / 255, Corruption("c-zoom-blur", 1), "a")
    assert (found.dtype, found.shape) == (np.float32, IMAGE.shape)
    assert 0 <= found.min() <= found.max() <= 1
    assert package == [("zoom_blur", 1)]


def test_a_small_image_is_refused(package):
    with pytest.raises(DataError, match="20x50 pixels is too small for c-fog"):
        corrupted(IMAGE[:20], Corruption("c-fog", 1), "a")


def test_words_choose_them_and_all_does_not(package):
    assert parse_corruptions(["imagenet-c"]) == OF_IMAGENET_C
    assert len(OF_IMAGENET_C) == 65
    assert parse_corruptions(["c-fog:2", "noise:1"]) == (Corruption("noise", 1), Corruption("c-fog", 2))
    assert not {one.name for one in parse_corruptions(["all"])} & set(IMAGENET_C)
    assert set(NAMES).isdisjoint(IMAGENET_C)
    with pytest.raises(UnknownName, match="grows along a stream"):
        parse_drifts(["c-fog:3"])


def test_a_missing_package_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr(corruption, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install adbench-core\[imagenet-c\]"):
        parse_corruptions(["c-fog"])
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(UsageError, match=r"pip install adbench-core\[imagenet-c\]"):
        corrupted(IMAGE, Corruption("c-fog", 1), "a")


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGENET_C)
def test_the_real_package_knows_every_name(name):
    pytest.importorskip("imagecorruptions", reason="pip install adbench-core[imagenet-c]")
    one, again = (corrupted(IMAGE, Corruption(name, 3), "a") for _ in range(2))
    assert (one.shape, one.dtype) == (IMAGE.shape, np.uint8)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, IMAGE)
