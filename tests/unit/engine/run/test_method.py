from dataclasses import replace

import pytest
import torch

from adbench import (
    Batch,
    Context,
    ContractError,
    Features,
    FeatureStream,
    Geometry,
    ImageScores,
    Masker,
    Neck,
    Scores,
    Source,
)
from adbench.builtin.stages.aggregators import Max, Mean
from adbench.builtin.toy import ToyBorder, ToyMedian, ToyNearest, ToyPixels, ToyTestVectors, ToyVectors
from adbench.engine.features.contract import ComponentCrash
from adbench.engine.run.method import Method, split_scores

CTX = Context()


class Stream(FeatureStream):
    """Features of random images; counts its walks."""

    def __init__(self, *ids):
        self.names, self.walks = ids, 0

    @property
    def ids(self):
        return self.names

    def __iter__(self):
        self.walks += 1
        return (features_of(name) for name in self.names)


def features_of(*ids):
    images = torch.rand(len(ids), 3, 32, 32, generator=torch.Generator().manual_seed(len(ids[0])))
    return ToyPixels().extract(Batch(ids, images, (Geometry.whole(32, 32),) * len(ids)))


def method(*, necks=(), masker=None, bank=None, scorer=None):
    return Method((), ToyPixels(), tuple(necks), masker, bank or ToyVectors(), scorer or ToyNearest(), Max())


def streams(train=("a", "bb"), test=("ccc",)):
    return {Source.TRAIN: Stream(*train), Source.TEST: Stream(*test), Source.NOTHING: Stream()}


class Learning(Neck):
    """Notes what it learned from and what it was given."""

    name, learns = "learning", True

    def fit(self, features, ctx):
        self.learned = [name for part in features for name in part.ids]

    def apply(self, features):
        return features.having(patches=features.patches + 1)


@pytest.mark.parametrize("bank", [ToyVectors(), ToyTestVectors(), ToyMedian()], ids=lambda bank: bank.name)
def test_necks_learn_from_the_normal_images_whatever_the_bank(bank):
    made = method(necks=[Learning()], bank=bank)
    made.fit(streams(), CTX)
    assert made.necks[0].learned == ["a", "bb"]


def test_a_bank_learns_from_the_source_that_it_declares():
    for bank, owner in ((ToyVectors(), {"a", "bb"}), (ToyTestVectors(), {"ccc"})):
        method(bank=bank).fit(streams(), CTX)
        assert set(bank.owners) == owner


def test_passes_are_counted_by_source():
    class Twice(ToyTestVectors):
        name, passes = "twice", 2

    made = method(necks=[Learning(), Learning()], bank=Twice())
    assert [made.passes(source) for source in (Source.NOTHING, Source.TRAIN, Source.TEST)] == [0, 2, 2]
    assert method().passes(Source.TRAIN) == 1


def test_a_neck_learns_from_what_the_necks_before_it_give():
    class Second(Learning):
        name = "second"

        def fit(self, features, ctx):
            self.level = min(float(part.patches.min()) for part in features)

    made = method(necks=[Learning(), Second()])
    made.fit(streams(), CTX)
    assert 1 <= made.necks[1].level < 2


@pytest.mark.parametrize("bank", ["keep", "drop"])
def test_a_bank_sees_the_foreground_where_it_is_to_drop_the_rest(bank):
    class Watching(ToyVectors):
        name = "watching"

        def fit(self, features, ctx):
            self.seen = [part.foreground is not None for part in features]
            super().fit(features, ctx)

    made = method(masker=ToyBorder(bank=bank), bank=Watching())
    made.fit(streams(), CTX)
    assert made.bank.seen == [bank == "drop"] * 2


def test_the_scorer_sees_the_foreground_and_the_rest_scores_lowest():
    made = method(masker=ToyBorder())
    made.fit(streams(), CTX)
    query, scores = made.score(features_of("a", "b"))
    outside = ~query.foreground[0]
    assert outside.any()
    assert (scores.patches[0][outside] == scores.patches[0].min()).all()


@pytest.mark.parametrize(("test", "expected"), [("lowest", (0 + 3 + 5) / 3), ("drop", (3 + 5) / 2)])
def test_patches_outside_may_not_count_for_the_image_score(test, expected):
    inside = torch.tensor([[False, True, True]])
    image = ImageScores("a", patches=torch.tensor([[0.0, 3.0, 5.0]]), foreground=inside)
    made = replace(method(masker=ToyBorder(test=test)), aggregator=Mean())
    assert made.aggregate([image, image]).tolist() == pytest.approx([expected] * 2)


def test_an_image_of_which_nothing_is_left_is_seen_whole_and_counted():
    class First(Masker):
        """Finds an object in the first image of a batch alone."""

        name = "first"

        def mask(self, features):
            mask = torch.zeros(features.patches.shape[:3], dtype=torch.bool)
            mask[0, 0, 0] = True
            return mask

    made = method(masker=First())
    features = made.scorer_features(features_of("a", "b"))
    assert int(features.foreground[0].sum()) == 1
    assert features.foreground[1].all()
    made.scorer_features(features_of("c", "b"))
    assert made.without_foreground == {"b"}


def broken_neck(change):
    class Broken(Neck):
        """Breaks a rule."""

        name = "broken"
        apply = staticmethod(change)

    return Broken()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.having(ids=f.ids[::-1]), "must hand on the ids"),
        (lambda f: f.having(patches=f.patches * float("nan")), "must be finite"),
        (lambda f: f.having(patches=f.patches[0]), r"must be \[B, H, W, C\]"),
    ],
)
def test_a_neck_that_breaks_a_rule_is_named(change, words):
    made = method()
    made.fit(streams(), CTX)
    made = method(necks=[broken_neck(change)], bank=made.bank)
    with pytest.raises(ContractError, match=f"neck 'broken' broke its contract.*{words}"):
        made.score(features_of("a", "b"))


@pytest.mark.parametrize(
    ("mask", "words"),
    [(lambda p: p[..., 0], "bool tensor"), (lambda p: p[:1, :1, :1, 0] > 0, "the grid's shape"), (len, "got int")],
)
def test_a_masker_that_breaks_a_rule_is_named(mask, words):
    class Broken(Masker):
        """Breaks a rule."""

        name = "broken"

        def mask(self, features):
            return mask(features.patches)

    with pytest.raises(ContractError, match=f"masker 'broken' broke its contract.*{words}"):
        method(masker=Broken()).scorer_features(features_of("a", "b"))


def test_a_scorer_that_returns_a_tensor_is_told_what_to_return():
    class Bare(ToyNearest):
        """Returns patches alone."""

        name = "bare"

        def score(self, query, bank):
            return super().score(query, bank).patches

    made = method(scorer=Bare())
    made.fit(streams(), CTX)
    with pytest.raises(ContractError, match="scorer 'bare'.*must return Scores, got Tensor"):
        made.score(features_of("a"))


def test_a_crash_names_component_and_step():
    class Crashing(ToyVectors):
        name = "crashing"

        def fit(self, features, ctx):
            raise KeyError("x")

        def prepare(self, ctx):
            raise KeyError("y")

    made = method(bank=Crashing())
    with pytest.raises(ComponentCrash, match=r"bank 'crashing' raised KeyError in fit"):
        made.fit(streams(), CTX)
    with pytest.raises(ComponentCrash, match=r"bank 'crashing' raised KeyError in prepare"):
        made.prepare(CTX)


def test_images_are_read_only_where_a_part_says_so():
    class Reading(ToyNearest):
        name, needs = "reading", frozenset({"patches", "images"})

    assert not method().reads_images
    assert method(scorer=Reading()).reads_images


def test_scores_are_split_image_by_image():
    query = Features(("a", "b"), (Geometry.whole(8, 8),) * 2, image=torch.tensor([[1.0], [2.0]]))
    first, second = split_scores(query, Scores(torch.arange(8.0).reshape(2, 2, 2), torch.tensor([3.0, 4.0])))
    assert (first.id, first.image, first.patches.tolist(), first.vector.tolist()) == ("a", 3.0, [[0, 1], [2, 3]], [1])
    assert (second.id, second.image, second.patches.tolist()) == ("b", 4.0, [[4, 5], [6, 7]])
    assert split_scores(query, Scores())[0].patches is None


def test_the_size_of_the_bank_is_that_of_its_state():
    made = method()
    made.fit(streams(), CTX)
    assert made.bank_bytes() == sum(tensor.nbytes for tensor in made.bank.state().values()) > 0


def test_losses_are_those_of_the_bank_and_finite():
    class Trained(ToyVectors):
        name, losses = "trained", lambda _: [2.0, 1.0]

    class Diverged(ToyVectors):
        name, losses = "diverged", lambda _: [2.0, float("nan")]

    assert method().losses() == ()
    assert method(bank=Trained()).losses() == (2.0, 1.0)
    with pytest.raises(ContractError, match="bank 'diverged'.*losses.. must be finite numbers, got nan"):
        method(bank=Diverged()).losses()
