import pytest

from adbench import IncompatibleParts, Source
from adbench.engine.compat import require_compatible, why_not
from adbench.engine.protocol import Protocol
from adbench.engine.spec import Recipe, complete, components_of
from adbench.registry import load_registry


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
    assert reason == "bank 'toy-test-vectors' learns from test; the protocol allows only nothing, train"
    assert reasons(bank="toy-test-vectors", protocol=Protocol(allow=(Source.TEST,))) == []


def test_needs_are_met_by_the_backbone_or_a_neck(reasons):
    several = {"timm": {"model": "resnet18", "layers": [2, 3], "weights": "random"}}
    assert reasons(backbone=several) == []
    sentences = reasons(backbone=several, neck=[])
    assert any("needs 'patches', which backbone 'timm' does not provide here; add the neck" in s for s in sentences)


def test_a_scorers_own_image_score_is_never_ignored_in_silence(reasons):
    scorer = {"knn": {"reweight": 9}}
    assert reasons(scorer=scorer) == []
    (reason,) = reasons(scorer=scorer, aggregate="max")
    assert "would ignore" in reason
    (reason,) = reasons(scorer="knn", aggregate="scorer")
    assert "gives only patches" in reason


def test_all_reasons_are_raised_at_once(registry):
    parts = {"recipe": "mine", "backbone": "toy-pixels", "scorer": "toy-mahalanobis", "bank": "toy-test-vectors"}
    components = components_of(complete(Recipe.model_validate(parts), registry), registry)
    with pytest.raises(IncompatibleParts) as error:
        require_compatible("mine", components, Protocol())
    assert len(error.value.reasons) == 2
