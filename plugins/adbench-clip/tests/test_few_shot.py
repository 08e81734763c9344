"""Banks of exemplars and their scorers, against values by hand, the papers' formulas and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from adbench_clip.few_shot.class_logits import log_odds
from adbench_clip.few_shot.class_mean import ClassMean
from adbench_clip.few_shot.exemplars import LabelledExemplars
from adbench_clip.few_shot.exemplars_prompts import ExemplarsPrompts
from adbench_clip.few_shot.logistic_probe import LogisticProbe, fitted_probe
from adbench_clip.few_shot.max_exemplar import MaxExemplarScorer
from adbench_clip.few_shot.tip_adapter import TipAdapter
from hypothesis import given
from hypothesis import strategies as st

from adbench import Context, DataError, Features, FeatureStream, Geometry, UsageError

CTX = Context()


def features(vectors, first=0):
    vectors = torch.as_tensor(vectors, dtype=torch.float32)
    ids = tuple(f"{first + number:016x}" for number in range(len(vectors)))
    return Features(ids, (Geometry.whole(8, 8),) * len(ids), image=vectors)


class Labelled(FeatureStream):
    """Image vectors with classes, in batches of two."""

    def __init__(self, vectors, classes):
        self.batches = [features(vectors[start : start + 2], start) for start in range(0, len(vectors), 2)]
        self._labels = dict(zip(self.ids, classes, strict=True))

    @property
    def ids(self):
        return tuple(name for batch in self.batches for name in batch.ids)

    @property
    def labels(self):
        return self._labels

    def __iter__(self):
        return iter(self.batches)


def exemplars(vectors, classes):
    bank = LabelledExemplars()
    bank.prepare(CTX)
    bank.fit(Labelled(vectors, classes), CTX)
    return bank


def prompted(text, vectors, classes):
    """A bank whose text vectors are given, so that no model is read."""
    bank = ExemplarsPrompts(weights="random")
    learned = exemplars(vectors, classes)
    state = {"normal": torch.tensor([text[0]]), "abnormal": torch.tensor([text[1]])}
    bank.restore({**state, "exemplars": learned.vectors, "classes": learned.classes})
    return bank


def random_case(seed, count=12, width=7):
    rng = np.random.default_rng(seed)
    classes = [*rng.integers(0, 4, count - 2).tolist(), 0, 1]
    return rng.normal(size=(count, width)).astype(np.float32), classes, rng.normal(size=(5, width)).astype(np.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_exemplars_are_unit_vectors_sorted_by_class():
    bank = exemplars([[0.0, 2.0], [3.0, 4.0], [5.0, 0.0], [1.0, 0.0]], [2, 0, 1, 0])
    assert bank.classes.tolist() == [0, 0, 1, 2]
    torch.testing.assert_close(bank.vectors, torch.tensor([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert bank.normal.shape == (2, 2)
    assert bank.abnormal.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert bank.facts() == {"normal_exemplars": 2, "defect_exemplars": 2, "defect_types": 2}


@pytest.mark.parametrize("classes", [[0, 0], [1, 2], []])
def test_a_stream_without_normal_or_without_defective_images_is_refused(classes):
    stream = Labelled(np.eye(2)[: len(classes)], classes)
    with pytest.raises(DataError, match="--allow labelled --defect-shots 1"):
        LabelledExemplars().fit(stream, CTX)


def test_a_stream_without_labels_is_refused():
    stream = Labelled(np.eye(2), [0, 1])
    stream.labels.clear()
    with pytest.raises(DataError, match="one of them is missing"):
        LabelledExemplars().fit(stream, CTX)


@pytest.mark.proves("clip-few-shot")
def test_max_exemplar_by_hand():
    bank = exemplars([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0]], [0, 0, 1, 2])
    logits = MaxExemplarScorer(temperature=0.5).logits(torch.tensor([[0.8, 0.6]]), bank)
    torch.testing.assert_close(logits, torch.tensor([[2 * 0.96, 2 * 0.6, -2 * 0.8]]))
    score = MaxExemplarScorer(temperature=0.5).score(features([[8.0, 6.0]]), bank).image
    assert score.item() == pytest.approx(math.log(math.exp(1.2) + math.exp(-1.6)) - 1.92, abs=1e-6)


def test_class_mean_by_hand():
    bank = exemplars([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.6, -0.8]], [0, 0, 1, 1])
    logits = ClassMean(temperature=1.0).logits(torch.tensor([[1.0, 0.0]]), bank)
    torch.testing.assert_close(logits, torch.tensor([[math.sqrt(0.5), 0.3 / math.hypot(0.3, 0.9)]]))


@pytest.mark.proves("tip-adapter")
def test_tip_adapter_by_hand():
    """Eq. 3 and 4 with one exemplar of each class and text along other axes."""
    bank = prompted([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [0, 1, 2])
    logits = TipAdapter(alpha=2.0, beta=3.0, temperature=0.1).logits(torch.tensor([[0.6, 0.8]]), bank)
    normal = 6 + 2 * math.exp(-3 * 0.4)
    defective = 8 + 2 * (math.exp(-3 * 0.2) + math.exp(-3 * 1.6))
    torch.testing.assert_close(logits, torch.tensor([[normal, defective]]))


@pytest.mark.proves("tip-adapter")
@given(st.integers(0, 50), st.floats(0.1, 3), st.floats(0.5, 8))
def test_tip_adapter_is_the_authors_formula(seed, alpha, beta):
    """``clip_logits + ((-1) * (beta - beta * affinity)).exp() @ cache_values * alpha`` with a scale of 100."""
    vectors, classes, queries = random_case(seed)
    text = np.random.default_rng(seed + 1).normal(size=(2, 7)).astype(np.float32)
    bank = prompted(text.tolist(), vectors, classes)
    keys, values = unit(vectors).T, np.eye(2)[(np.array(classes) > 0).astype(int)]
    expected = 100.0 * unit(queries) @ unit(text).T
    expected = expected + np.exp(-1 * (beta - beta * (unit(queries) @ keys))) @ values * alpha
    found = TipAdapter(alpha=alpha, beta=beta).score(features(queries), bank).image
    np.testing.assert_allclose(found, expected[:, 1] - expected[:, 0], rtol=1e-4, atol=2e-4)


@pytest.mark.proves("clip-few-shot")
@given(st.integers(0, 50))
def test_max_exemplar_is_the_formula(seed):
    vectors, classes, queries = random_case(seed)
    similar = unit(queries) @ unit(vectors).T / 0.2
    names = sorted(set(classes))
    logits = np.stack([similar[:, np.array(classes) == name].max(1) for name in names], 1).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = MaxExemplarScorer(temperature=0.2).score(features(queries), exemplars(vectors, classes)).image
    np.testing.assert_allclose(1 / (1 + np.exp(-found.numpy())), 1 - shares[:, 0], atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cost", [0.316, 31.6])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_probe_is_scikit_learns(seed, cost, balanced):
    linear = pytest.importorskip("sklearn.linear_model")
    vectors, classes, queries = random_case(seed, count=20)
    rows = unit(vectors).astype(np.float64)
    weights = "balanced" if balanced else None
    reference = linear.LogisticRegression(C=cost, class_weight=weights, tol=1e-10, max_iter=20_000).fit(rows, classes)
    weight, bias = fitted_probe(torch.tensor(rows), torch.tensor(classes), cost, balanced=balanced)
    np.testing.assert_allclose(weight, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-4)
    found = LogisticProbe(cost=cost, balanced=balanced).score(features(queries), exemplars(vectors, classes)).image
    shares = reference.predict_proba(unit(queries).astype(np.float64))
    np.testing.assert_allclose(found, np.log((1 - shares[:, 0]) / shares[:, 0]), atol=1e-4)


def test_the_probe_is_fitted_anew_for_another_bank():
    vectors, classes, queries = random_case(1)
    probe, query = LogisticProbe(), features(queries)
    probe.score(query, exemplars(vectors, classes))
    other = exemplars(-vectors, classes)
    torch.testing.assert_close(probe.score(query, other).image, LogisticProbe().score(query, other).image)


def test_log_odds_do_not_saturate():
    odds = log_odds(torch.tensor([[0.0, 90.0], [0.0, 95.0]]))
    assert odds.tolist() == [90.0, 95.0]


@pytest.mark.parametrize("scorer", [MaxExemplarScorer, ClassMean, LogisticProbe])
def test_other_widths_are_refused(scorer):
    with pytest.raises(UsageError, match="2 channels, and the query has 3"):
        scorer().score(features([[1.0, 0.0, 0.0]]), exemplars(np.eye(2), [0, 1]))


def test_text_of_another_width_is_refused():
    bank = prompted([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], np.eye(2), [0, 1])
    with pytest.raises(UsageError, match="give backbone and bank one model"):
        TipAdapter().score(features([[1.0, 0.0]]), bank)


def test_text_and_exemplars_are_those_of_the_model(tiny, whole, ready):
    """The bank's text is that of `prompts`, and its cache the unit image vectors."""
    from adbench_clip.prompts import Prompts

    _, weights = whole
    options = {"architecture": tiny, "weights": weights, "mean_of": "unit"}
    bank, text = ready(ExemplarsPrompts(**options)), ready(Prompts(**options))
    vectors = np.random.default_rng(3).normal(size=(4, 16))
    bank.fit(Labelled(vectors, [0, 1, 0, 2]), CTX)
    text.fit(Labelled(np.zeros((0, 16)), []), CTX)
    torch.testing.assert_close(bank.normal, text.normal)
    torch.testing.assert_close(bank.abnormal, text.abnormal)
    np.testing.assert_allclose(bank.vectors, unit(vectors[[0, 2, 1, 3]]), atol=1e-6)
    facts = bank.facts()
    assert (facts["normal_exemplars"], facts["defect_exemplars"], facts["normal_prompts"]) == (2, 2, 154)
