from dataclasses import replace

import pytest
import torch

from adbench import ContractError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.toy import ToyPixels
from adbench.engine.features.feature_cache import FeatureCache
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import ImageLoader, source_images
from adbench.engine.process.clock import Clock


class Counting(ToyPixels):
    name = "counting"
    calls = 0

    def extract(self, batch):
        type(self).calls += 1
        return super().extract(batch)


@pytest.fixture
def samples(parts):
    return Folder(root=parts).split("bolt").test


@pytest.fixture
def images(parts, samples):
    """The test images of ``bolt``, each under its own id."""
    contents = {sample.id: f"content of {sample.id}".replace("/", "-") for sample in samples}
    return source_images(Folder(root=parts), samples, {sample.id: sample.id for sample in samples}, contents)


@pytest.fixture
def folder(tmp_path):
    return FeatureCache(tmp_path / "features", 1 << 30).folder_for({"of": "a test"})


@pytest.fixture
def read(images):
    """Batches of the test images of ``bolt``."""
    Counting.calls = 0

    def read(backbone=None, folder=None, **options):
        reader = FeatureReader(backbone or Counting(), ImageLoader((), 4, 2), Clock("cpu"), lambda _: folder, **options)
        return reader.read(images)

    return read


def features_of(batches):
    return [batch.features for batch in batches]


def cached(batches):
    return sum(batch.cached for batch in batches)


def test_cached_features_are_the_same_and_cost_nothing(read, folder):
    new, again = list(read(folder=folder)), list(read(folder=folder))
    first, second = features_of(new), features_of(again)
    assert Counting.calls == 2
    assert (cached(new), cached(again)) == (0, 6)
    assert {batch.runtimes for batch in (*new, *again)} == {frozenset(["torch"])}
    for a, b in zip(first, second, strict=True):
        assert (a.ids, a.geometry) == (b.ids, b.geometry)
        assert torch.equal(a.patches, b.patches)


def test_the_cost_of_cached_features_is_that_of_when_they_were_new(read, folder):
    def spent(batches):
        return sum(batch.seconds for batch in batches)

    new = spent(read(folder=folder))
    assert new > 0
    assert spent(read(folder=folder)) == pytest.approx(new)
    assert spent(read(folder=folder)) == pytest.approx(new)


def test_only_missing_features_are_computed(read, folder, images):
    list(read(folder=folder))
    for image in (images[1], images[4]):
        folder._file(image.digest).unlink()
    seen = []

    class Seeing(ToyPixels):
        name = "seeing"

        def extract(self, batch):
            seen.extend(batch.ids)
            return super().extract(batch)

    ids = [name for features in features_of(read(Seeing(), folder)) for name in features.ids]
    assert ids == [image.alias for image in images], "in order"
    assert seen == [images[1].alias, images[4].alias]


def test_a_damaged_file_is_thrown_away_and_made_again(read, folder, images):
    reported = []
    folder.cache.note = reported.append
    (first, *_) = features_of(read(folder=folder))
    file = folder._file(images[0].digest)
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    again = features_of(read(folder=folder))
    assert torch.equal(torch.cat([part.patches for part in again])[:4], first.patches)
    (note,) = reported
    assert "damaged" in note
    assert "made again" in note
    assert cached(read(folder=folder)) == len(images)


def test_without_a_cache_each_walk_computes_again(read):
    assert [part.ids for part in features_of(read())] == [part.ids for part in features_of(read())]
    assert Counting.calls == 4


def test_an_image_without_a_digest_is_never_cached(read, folder, images):
    images[:] = [replace(image, digest="") for image in images]
    assert cached([*read(folder=folder), *read(folder=folder)]) == 0
    assert not folder.path.exists()


def test_a_walk_left_early_is_not_taken_for_the_whole(read, folder, images):
    next(iter(read(folder=folder)))
    assert sum(len(features) for features in features_of(read(folder=folder))) == len(images)


@pytest.mark.parametrize("wanted", [True, False])
def test_images_go_along_where_they_are_wanted(read, folder, wanted):
    new, recalled = (features_of(read(folder=folder, images=wanted)) for _ in range(2))
    for features in (*new, *recalled):
        assert (features.images is not None) == wanted
    if wanted:
        assert torch.equal(torch.cat([f.images for f in new]), torch.cat([f.images for f in recalled]))


def test_features_of_16_bits_are_the_same_new_and_cached(read, folder):
    full, new, recalled = (
        torch.cat([features.patches for features in features_of(batches)])
        for batches in (read(), read(folder=folder, half=True), read(folder=folder, half=True))
    )
    assert new.dtype == torch.float32
    assert torch.equal(new, recalled)
    assert torch.equal(new, full.half().float())
    assert not torch.equal(new, full)


@pytest.mark.parametrize("field", ["patches", "image"])
def test_features_too_large_for_16_bits_are_blamed_on_the_backbone(read, monkeypatch, field):
    def extract(self, batch):
        seen = ToyPixels.extract(self, batch)
        large = {"patches": seen.patches, "image": seen.patches.mean((1, 2))}[field].clone()
        large[(0,) * large.ndim] = -1e5
        return seen.having(**{field: large})

    monkeypatch.setattr(Counting, "extract", extract)
    next(iter(read()))
    message = rf"extract\(\)'s {field} is up to 1e\+05 for .*'features: float16' cannot hold \(65504"
    with pytest.raises(ContractError, match=message):
        next(iter(read(half=True)))
