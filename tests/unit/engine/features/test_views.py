"""Normal images in several views: who sees them, under which name, and where they are kept."""

from __future__ import annotations

import pytest
import torch

from adbench import Augmenter, ContractError, Source
from adbench.builtin.toy import ToyPixels, ToyVectors
from adbench.engine.features.cache_files import feature_folders
from adbench.engine.features.views import View, views_of
from adbench.engine.plan.protocol import Protocol
from adbench.engine.run.runner import Runner, Settings


class Mirror(Augmenter):
    """Left and right swapped, then upside down."""

    name = "mirror"

    @property
    def count(self):
        return 2

    def view(self, image, number):
        return image.flip(2 - number)


class Seeing(ToyPixels):
    """Notes what it sees."""

    name = "seeing"
    seen = None

    def extract(self, batch):
        self.seen.extend(zip(batch.ids, batch.images, strict=True))
        return super().extract(batch)


class Keeping(ToyVectors):
    """Keeps every patch, and whose it is."""

    name = "keeping"
    ids = None

    def fit(self, features, ctx):
        type(self).ids = features.ids
        batches = list(features)
        assert [name for batch in batches for name in batch.ids] == list(features.ids)
        assert len(features) == len(features.ids)
        super().fit(features, ctx)


@pytest.fixture
def run(registry, make_unit, tmp_path, monkeypatch):
    """Runs a method on ``bolt``; hands back the record and what the backbone saw of each image."""
    for cls in (Mirror, Seeing, Keeping):
        registry.add_component(cls, "made", "1")

    def run(**slots):
        seen = []
        monkeypatch.setattr(Seeing, "seen", seen)
        settings = Settings(tmp_path / "runs", figures=False, cache=tmp_path / "cache")
        unit = make_unit(backbone="seeing", bank="keeping", **slots)
        return Runner(registry, settings).run(unit).record, seen, unit.dataset.split("bolt")

    return run


def test_normal_images_are_seen_in_all_views_and_test_images_in_one(run):
    record, seen, split = run(augment="mirror")
    assert record.status == "ok", record.reason
    train, test = len(split.train), len(split.test)
    train, test = [name for name, _ in seen[:train]], [name for name, _ in seen[-test:]]
    assert [name for name, _ in seen] == [*train, *train, *train, *test]
    itself, mirrored, turned = (
        dict(seen[start : start + len(train)]) for start in range(0, 3 * len(train), len(train))
    )
    for name in train:
        assert torch.allclose(mirrored[name], itself[name].flip(2), atol=0.01)
        assert torch.allclose(turned[name], itself[name].flip(1), atol=0.01)


def test_views_go_by_their_images_name(run):
    _, _, split = run(augment="mirror")
    first = list(Keeping.ids)[: len(split.train)]
    assert list(Keeping.ids) == 3 * first
    assert len(set(first)) == len(split.train)


@pytest.mark.slow
def test_views_are_kept_apart_and_the_image_itself_is_shared(run, tmp_path):
    plain, _, _ = run()
    _, seen, split = run(augment="mirror")
    assert len(seen) == 2 * len(split.train), "the images themselves are in the cache by now"
    kept = feature_folders(tmp_path / "cache" / "features")
    assert sorted(info.images for info in kept) == sorted(
        [len(split.train) + len(split.test), len(split.train), len(split.train)]
    )
    numbers = [info.about["view"]["number"] for info in kept if "view" in info.about]
    assert sorted(numbers) == [0, 1]
    again, seen, _ = run(augment="mirror", scorer={"toy-nearest": {}}, aggregate="mean")
    assert seen == []
    assert plain.id != again.id


def test_an_identity_without_views_is_what_it_was(run):
    plain, _, _ = run()
    assert "augment" not in plain.recipe.spec
    mirrored, _, _ = run(augment="mirror")
    assert mirrored.recipe.spec["augment"] == [{"name": "mirror", "version": 1, "options": {}}]
    assert mirrored.id != plain.id
    assert mirrored.regime.train_images == plain.regime.train_images


def test_no_view_without_an_augmenter():
    assert views_of(None) == [None]
    assert [view and view.number for view in views_of(Mirror())] == [None, 0, 1]


def test_a_view_of_another_size_is_refused():
    class Cutting(Mirror):
        """Loses a row."""

        name = "cutting"

        def view(self, image, number):
            return image[:, 1:]

    with pytest.raises(ContractError, match="augmenter 'cutting'"):
        View(Cutting(), 0)(torch.zeros(3, 4, 4, dtype=torch.uint8))


def test_views_that_nobody_learns_from_are_no_method(run, registry, make_unit):
    from adbench.engine.plan.compat import why_not
    from adbench.engine.plan.recipe import components_of

    unit = make_unit(augment="mirror", bank="toy-test-vectors")
    (reason,) = why_not(components_of(unit.recipe, registry), Protocol(allow=(Source.TEST,)))
    assert reason == ("augmenter 'mirror' makes views of normal images, but no part here learns from normal images")
