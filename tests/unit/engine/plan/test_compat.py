import pytest

from adbench import Neck, Source
from adbench.builtin.stages.aggregators import Max
from adbench.builtin.toy import ToyVectors
from adbench.engine.plan.compat import require_compatible, why_not
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Recipe, complete, components_of
from adbench.errors import IncompatibleParts
from adbench.registration.registry import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def reasons(registry):
    def ask(protocol=None, **slots):
        slots = {"recipe": "mine", "backbone": "toy-pixels", "scorer": "toy-nearest", **slots}
        recipe = complete(Recipe.model_validate(slots), registry)
        return why_not(components_of(recipe, registry), protocol or Protocol())

    return ask


def test_parts_that_fit_have_no_reasons(reasons):
    assert reasons() == []


def test_a_scorer_reads_one_kind_of_bank(reasons):
    assert reasons(bank="toy-gaussian") == [
        "scorer 'toy-nearest' reads a VectorBank; bank 'toy-gaussian' is a GaussianBank"
    ]


def test_the_protocol_decides_what_may_be_learned_from(reasons):
    (reason,) = reasons(bank="toy-test-vectors")
    told = "bank 'toy-test-vectors' learns from test images, which the protocol does not allow"
    assert reason == f"{told} (--allow test gives the test images without their labels)"
    assert reasons(bank="toy-test-vectors", protocol=Protocol(allow=(Source.TEST,))) == []


def test_needs_are_met_by_the_backbone_or_a_neck(reasons):
    several = {"timm": {"model": "resnet18", "layers": [2, 3], "weights": "random"}}
    assert reasons(backbone=several) == []
    sentences = reasons(backbone=several, neck=[])
    assert any("needs 'patches', which backbone 'timm' does not provide here; add the neck" in s for s in sentences)


def test_tiles_are_the_last_step_of_a_preparation(reasons):
    assert reasons(preprocess=[{"resize": {"size": 512}}, "tile"]) == []
    (reason,) = reasons(preprocess=["tile", {"pad": {"size": 512}}])
    assert reason == (
        "preprocessor 'tile' cuts the image into tiles for the backbone: put preprocessor 'pad' before it or omit it"
    )
    (reason,) = reasons(preprocess=["tile", "tile"])
    assert "preprocessor 'tile' before it" in reason


def test_tiles_have_no_vector_of_the_whole_image(reasons):
    one = {"timm": {"model": "resnet18", "layers": [2, 3], "weights": "random"}}
    assert reasons(backbone=one, scorer="image-knn") == []
    (reason, *_) = reasons(backbone=one, scorer="image-knn", preprocess=["tile"])
    assert reason.startswith(
        "bank 'image-vectors' needs 'image', which backbone 'timm' does not provide here: it reads tiles"
    )


def test_a_scorers_own_image_score_is_never_ignored_in_silence(reasons):
    scorer = {"knn": {"reweight": 9}}
    assert reasons(scorer=scorer) == []
    (reason,) = reasons(scorer=scorer, aggregate="max")
    assert "would ignore" in reason
    assert reasons(scorer=scorer, aggregate="local-global") == []
    (reason,) = reasons(scorer="knn", aggregate="local-global")
    assert reason == "aggregator 'local-global' reads the image score; scorer 'knn' gives only patches here"
    (reason,) = reasons(scorer="knn", aggregate="scorer")
    assert "gives only patches" in reason


def test_all_reasons_are_raised_at_once(registry):
    parts = {"recipe": "mine", "backbone": "toy-pixels", "scorer": "toy-mahalanobis", "bank": "toy-test-vectors"}
    components = components_of(complete(Recipe.model_validate(parts), registry), registry)
    with pytest.raises(IncompatibleParts) as error:
        require_compatible("mine", components, Protocol())
    assert len(error.value.reasons) == 2


class Learning(Neck):
    """Learns, and reads the images."""

    name, learns, needs = "learning-for-test", True, frozenset({"images", "patches"})

    def apply(self, features):
        return features


class Inside(ToyVectors):
    """Reads the foreground."""

    name, needs = "inside-for-test", frozenset({"foreground"})


class ByVector(Max):
    """Reads the image's vector."""

    name, needs = "by-vector-for-test", frozenset({"image"})


@pytest.fixture
def more(registry):
    for cls in (Learning, Inside, ByVector):
        registry.add_component(cls, "made", "1")


def test_a_neck_that_learns_needs_a_protocol_with_normal_images(more, reasons):
    assert reasons(neck="learning-for-test") == []
    (reason,) = reasons(neck="learning-for-test", bank="toy-test-vectors", protocol=Protocol(allow=(Source.TEST,)))
    told = "neck 'learning-for-test' learns from normal training images, which the protocol does not allow"
    assert reason == f"{told} (a suite does with 'allow: [train]')"


def test_a_masker_gives_the_foreground(more, reasons):
    (reason,) = reasons(bank="inside-for-test")
    assert "needs 'foreground'" in reason
    assert reasons(bank="inside-for-test", masker="toy-border") == []


def test_only_some_banks_can_drop_patches(reasons):
    dropping = {"toy-border": {"bank": "drop"}}
    assert reasons(bank="toy-vectors", scorer="toy-nearest", masker=dropping) == []
    (reason,) = reasons(bank="toy-aligned", scorer="toy-aligned-nearest", masker=dropping)
    assert reason == "masker 'toy-border' leaves out patches (bank=drop), but bank 'toy-aligned' stores whole images"


def test_an_aggregators_needs_count_too(more, reasons):
    (reason,) = reasons(aggregate="by-vector-for-test")
    assert "aggregator 'by-vector-for-test' needs 'image'" in reason
