import subprocess
import sys
import threading

import pytest
import torch

from adbench import BadImage
from adbench.builtin.datasets import Folder
from adbench.builtin.preprocess import Resize
from adbench.builtin.toy import ToyPixels
from adbench.engine import stream as module
from adbench.engine.stream import ExtractedStream, ImageLoader, read_ahead


@pytest.fixture
def samples(parts):
    return Folder(root=parts).split("bolt").test


def loader(parts, *steps, batch_size=4):
    return ImageLoader(Folder(root=parts), steps, batch_size, workers=2)


def test_results_come_in_order_and_not_too_early():
    started = []

    def work(item):
        started.append(item)
        return item * 2

    results = read_ahead(work, range(100), workers=2, ahead=3)
    assert next(results) == 0
    assert max(started) <= 5
    assert list(results) == [2 * item for item in range(1, 100)]


def test_leaving_early_leaves_no_thread(parts, samples):
    before = threading.active_count()
    walk = loader(parts).batches(samples)
    next(walk)
    walk.close()
    assert threading.active_count() == before


def test_batches_end_where_the_size_changes(parts, samples):
    class Crooked(Resize):
        name = "crooked"

        def apply(self, image, geometry):
            self.count = getattr(self, "count", 0) + 1
            return super().apply(image, geometry) if self.count > 3 else (image, geometry)

    walk = ImageLoader(Folder(root=parts), [Crooked(size=32)], 4, workers=1).batches(samples)
    assert [tuple(batch.images.shape) for batch in walk] == [(3, 3, 64, 64), (3, 3, 32, 32)]


def test_images_arrive_as_floats_from_0_to_1(parts, samples):
    batch = next(loader(parts).batches(samples))
    assert batch.images.dtype == torch.float32
    assert 0.3 < float(batch.images.mean()) < 0.6
    assert batch.ids == tuple(sample.id for sample in samples[:4])


def test_a_bad_file_is_named(parts, samples):
    next((parts / "bolt" / "test" / "good").iterdir()).write_bytes(b"\x89PNG nonsense")
    with pytest.raises(BadImage, match="test/good"):
        list(loader(parts).batches(samples))


class Counting(ToyPixels):
    name = "counting"
    calls = 0

    def extract(self, batch):
        type(self).calls += 1
        return super().extract(batch)


@pytest.mark.parametrize("memory", [1 << 30, 1])
def test_kept_features_are_the_same_and_cost_nothing(parts, samples, tmp_path, monkeypatch, memory):
    monkeypatch.setattr(module, "MEMORY_FOR_FEATURES", memory)
    Counting.calls = 0
    folder = tmp_path / "kept"
    folder.mkdir()
    stream = ExtractedStream(loader(parts), samples, Counting(), folder, keep=True)
    first, second = list(stream), list(stream)
    assert Counting.calls == 2
    assert bool(list(folder.iterdir())) == (memory == 1)
    for a, b in zip(first, second, strict=True):
        assert (a.ids, a.geometry) == (b.ids, b.geometry)
        assert torch.equal(a.patches, b.patches)


def test_without_keeping_each_walk_looks_again(parts, samples, tmp_path):
    Counting.calls = 0
    stream = ExtractedStream(loader(parts), samples, Counting(), tmp_path)
    assert [f.ids for f in stream] == [f.ids for f in stream]
    assert Counting.calls == 4


def test_a_walk_left_early_is_not_taken_for_the_whole(parts, samples, tmp_path):
    stream = ExtractedStream(loader(parts), samples, Counting(), tmp_path, keep=True)
    next(iter(stream))
    assert sum(len(features) for features in stream) == len(samples)


@pytest.mark.parametrize("images", [True, False])
def test_images_go_along_where_they_are_wanted(parts, samples, tmp_path, images):
    for features in ExtractedStream(loader(parts), samples, ToyPixels(), tmp_path, images=images, keep=True):
        assert (features.images is not None) == images


def test_readers_take_no_thread_from_the_backbone():
    code = (
        "import torch\n"
        "from adbench.engine.stream import read_ahead\n"
        "torch.set_num_threads(3)\n"
        "assert list(read_ahead(lambda _: torch.get_num_threads(), range(4), 2, 2)) == [1] * 4\n"
        "assert torch.get_num_threads() == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_readers_take_no_thread_from_a_process_that_never_computed():
    read = "from adbench.engine.stream import read_ahead; list(read_ahead(str, range(4), 2, 2)); "
    numbers = {
        subprocess.run(
            [sys.executable, "-c", f"import torch; {before}print(torch.get_num_threads())"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for before in ("", read)
    }
    assert len(numbers) == 1, numbers
