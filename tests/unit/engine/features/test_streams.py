import subprocess
import sys
import threading

import pytest
import torch

from adbench import BadImage, ContractError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.stages.preprocessors import Resize
from adbench.builtin.toy import ToyPixels
from adbench.engine.features.feature_cache import FeatureCache, ShelfView
from adbench.engine.features.read_ahead import read_ahead
from adbench.engine.features.streams import ExtractedStream, ImageLoader, TimedStream
from adbench.engine.process.clock import Clock


@pytest.fixture
def samples(parts):
    return Folder(root=parts).split("bolt").test


class Same(dict):
    """Every image under its own id."""

    def __missing__(self, name):
        return name


def loader(parts, *steps, batch_size=4, aliases=Same()):  # noqa: B008
    return ImageLoader(Folder(root=parts), steps, batch_size, 2, aliases)


def test_results_come_in_order_and_not_too_early():
    started = []

    def work(item):
        started.append(item)
        return item * 2

    results = read_ahead(work, range(100), workers=2, ahead=3)
    assert next(results) == 0
    assert max(started) <= 5
    assert list(results) == [2 * item for item in range(1, 100)]


def test_what_readers_import_is_imported_before_they_start():
    readers = []
    assert list(read_ahead(lambda _: readers.append(threading.current_thread()), range(8), 2, 2)) == [None] * 8
    assert readers[0] is threading.main_thread()
    assert threading.main_thread() not in readers[1:]


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

    walk = ImageLoader(Folder(root=parts), [Crooked(size=32)], 4, 1, Same()).batches(samples)
    assert [tuple(batch.images.shape) for batch in walk] == [(3, 3, 64, 64), (3, 3, 32, 32)]


def test_images_arrive_as_floats_from_0_to_1(parts, samples):
    batch = next(loader(parts).batches(samples))
    assert batch.images.dtype == torch.float32
    assert 0.3 < float(batch.images.mean()) < 0.6
    assert batch.ids == tuple(sample.id for sample in samples[:4])


def test_batches_and_streams_name_images_by_alias(parts, samples):
    aliases = {sample.id: f"alias {number}" for number, sample in enumerate(samples)}
    given = loader(parts, aliases=aliases)
    assert [name for batch in given.batches(samples) for name in batch.ids] == list(aliases.values())
    stream = ExtractedStream(given, samples, Counting(), Clock("cpu"))
    assert list(stream.ids) == [name for features in stream for name in features.ids] == list(aliases.values())


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


@pytest.fixture
def kept(tmp_path, samples):
    shelf = FeatureCache(tmp_path / "features", 1 << 30).shelf({"of": "a test"})
    return ShelfView(shelf, {sample.id: f"content of {sample.id}".replace("/", "-") for sample in samples})


@pytest.fixture
def look(parts, samples):
    """A stream over the test images of ``bolt``."""
    Counting.calls = 0
    return lambda backbone=None, kept=None, **options: ExtractedStream(
        loader(parts), samples, backbone or Counting(), Clock("cpu"), kept, **options
    )


def test_kept_features_are_the_same_and_cost_nothing(look, kept):
    stream = look(kept=kept)
    first, second = list(stream), list(stream)
    assert Counting.calls == 2
    assert stream.recalled == 6
    for a, b in zip(first, second, strict=True):
        assert (a.ids, a.geometry) == (b.ids, b.geometry)
        assert torch.equal(a.patches, b.patches)


def test_the_cost_of_kept_features_is_that_of_when_they_were_new(look, kept):
    def spent(stream):
        return sum(stream.spent for _ in stream)

    new = spent(look(kept=kept))
    assert new > 0
    assert spent(look(kept=kept)) == pytest.approx(new)
    assert spent(look(kept=kept)) == pytest.approx(new)


def test_only_what_is_missing_is_looked_at(look, kept, samples):
    list(look(kept=kept))
    for sample in (samples[1], samples[4]):
        kept.shelf._file(kept.digests[sample.id]).unlink()
    seen = []

    class Seeing(ToyPixels):
        name = "seeing"

        def extract(self, batch):
            seen.extend(batch.ids)
            return super().extract(batch)

    ids = [name for features in look(Seeing(), kept) for name in features.ids]
    assert ids == [sample.id for sample in samples], "in order"
    assert seen == [samples[1].id, samples[4].id]


def test_a_damaged_file_is_thrown_away_and_made_again(look, kept, samples):
    told = []
    kept.shelf.cache.note = told.append
    (first, *_) = look(kept=kept)
    file = kept.shelf._file(kept.digests[samples[0].id])
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    again = list(look(kept=kept))
    assert torch.equal(torch.cat([part.patches for part in again])[:4], first.patches)
    (note,) = told
    assert "damaged" in note
    assert "made again" in note
    assert look(kept=kept).recalled == 0
    stream = look(kept=kept)
    list(stream)
    assert stream.recalled == len(samples)


def test_without_keeping_each_walk_looks_again(look):
    stream = look()
    assert [f.ids for f in stream] == [f.ids for f in stream]
    assert Counting.calls == 4


def test_a_walk_left_early_is_not_taken_for_the_whole(look, kept, samples):
    stream = look(kept=kept)
    next(iter(stream))
    assert sum(len(features) for features in stream) == len(samples)


@pytest.mark.parametrize("images", [True, False])
def test_images_go_along_where_they_are_wanted(look, kept, images):
    new, recalled = list(look(kept=kept, images=images)), list(look(kept=kept, images=images))
    for features in (*new, *recalled):
        assert (features.images is not None) == images
    if images:
        assert torch.equal(torch.cat([f.images for f in new]), torch.cat([f.images for f in recalled]))


def test_features_of_16_bits_are_the_same_be_they_new_or_kept(look, kept):
    full, new, recalled = (
        torch.cat([features.patches for features in stream])
        for stream in (look(), look(kept=kept, half=True), look(kept=kept, half=True))
    )
    assert new.dtype == torch.float32
    assert torch.equal(new, recalled)
    assert torch.equal(new, full.half().float())
    assert not torch.equal(new, full)


@pytest.mark.parametrize("field", ["patches", "image"])
def test_features_too_large_for_16_bits_are_blamed_on_the_backbone(look, monkeypatch, field):
    def extract(self, batch):
        seen = ToyPixels.extract(self, batch)
        large = {"patches": seen.patches, "image": seen.patches.mean((1, 2))}[field].clone()
        large[(0,) * large.ndim] = -1e5
        return seen.having(**{field: large})

    monkeypatch.setattr(Counting, "extract", extract)
    next(iter(look()))
    said = rf"extract\(\)'s {field} is up to 1e\+05 for .*'features: float16' cannot hold \(65504"
    with pytest.raises(ContractError, match=said):
        next(iter(look(half=True)))


def test_a_part_that_walks_twice_pays_once(look, kept):
    stream = look(kept=kept)
    timed = TimedStream(stream)
    list(timed)
    paid = stream.clock.seconds["extract"]
    list(timed)
    assert stream.clock.seconds["extract"] == paid > 0


@pytest.mark.slow
def test_readers_take_no_thread_from_the_backbone():
    code = (
        "import torch\n"
        "from adbench.engine.features.streams import read_ahead\n"
        "torch.set_num_threads(3)\n"
        "assert list(read_ahead(lambda _: torch.get_num_threads(), range(5), 2, 2)) == [3] + [1] * 4\n"
        "assert torch.get_num_threads() == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_readers_take_no_thread_from_a_process_that_never_computed():
    read = "from adbench.engine.features.streams import read_ahead; list(read_ahead(str, range(4), 2, 2)); "
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
