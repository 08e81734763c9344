import pytest
import torch

from adbench import Batch, ContractError, Features, Geometry, Scores
from adbench.builtin.stages.aggregators import Max
from adbench.builtin.stages.augmenters import Rotate
from adbench.builtin.stages.necks import L2, ConcatLayers
from adbench.builtin.stages.preprocessors import Resize
from adbench.builtin.toy import ToyNearest, ToyPixels
from adbench.engine.features.contract import (
    ComponentCrash,
    check_features,
    check_image_scores,
    check_neck,
    check_scores,
    check_view,
    is_out_of_memory,
    naming_component,
    prepared_pair,
)
from adbench.errors import UnitTimeout

IDS = ("a", "b")
GEOMETRY = (Geometry.whole(8, 8),) * 2
BATCH = Batch(IDS, torch.zeros(2, 3, 8, 8), GEOMETRY)


def features(**fields):
    return Features(**{"ids": IDS, "geometry": GEOMETRY, "patches": torch.zeros(2, 4, 4, 3), **fields})


def test_good_features_pass():
    check_features(ToyPixels(), BATCH, features())


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"ids": ("b", "a")}, "hand on the batch's ids"),
        ({"patches": None}, "promises 'patches'"),
        ({"patches": torch.zeros(2, 4, 4)}, r"must be \[B, H, W, C\]"),
        ({"patches": torch.zeros(1, 4, 4, 3)}, r"must be \[B, H, W, C\]"),
        ({"patches": torch.full((2, 4, 4, 3), torch.nan)}, "NaN or infinity for a"),
        ({"layers": {"deep": torch.zeros(2, 3)}}, "deep must be"),
        ({"image": torch.zeros(2, 3, 4)}, "image must be"),
    ],
)
def test_a_broken_rule_names_the_backbone(fields, rule):
    with pytest.raises(ContractError, match=rule) as error:
        check_features(ToyPixels(), BATCH, features(**fields))
    assert "backbone 'toy-pixels'" in str(error.value)


@pytest.mark.parametrize(
    ("scores", "rule"),
    [
        (Scores(), "promises the patches score"),
        (Scores(torch.zeros(2, 4, 3)), r"grid's shape \[2, 4, 4\]"),
        (Scores(torch.tensor([0.0, torch.inf]).view(2, 1, 1).expand(2, 4, 4)), "infinity for b"),
        (Scores(torch.zeros(2, 4, 4), torch.zeros(3)), r"image must be \[B\]"),
    ],
)
def test_broken_scores_name_the_scorer(scores, rule):
    with pytest.raises(ContractError, match=rule):
        check_scores(ToyNearest(), features(), scores, frozenset({"patches"}))


def test_a_crash_names_the_component_and_keeps_the_cause():
    with (
        pytest.raises(ComponentCrash, match=r"scorer 'toy-nearest' raised KeyError in score\(\)") as error,
        naming_component(ToyNearest(), "score"),
    ):
        raise KeyError("x")
    assert isinstance(error.value.__cause__, KeyError)


def test_a_timeout_names_the_component_that_was_at_work():
    with (
        pytest.raises(UnitTimeout, match=r"toy-nearest' was still in fit\(\)$"),
        naming_component(ToyPixels(), "outer"),
        naming_component(ToyNearest(), "fit"),
    ):
        raise UnitTimeout("stopped")


def test_running_out_of_memory_is_no_crash():
    with pytest.raises(MemoryError), naming_component(ToyNearest(), "score"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as error, naming_component(ToyNearest(), "score"):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError("something else"))


@pytest.mark.parametrize("kind", [torch.complex64, torch.bool, torch.int64, torch.uint8])
def test_scores_that_are_no_floats_are_refused(kind):
    named = str(kind).removeprefix("torch.")
    with pytest.raises(ContractError, match=f"floating point .* got {named}; return float32"):
        check_scores(ToyNearest(), features(), Scores(torch.zeros(2, 4, 4, dtype=kind)), frozenset({"patches"}))
    with pytest.raises(ContractError, match=f"image must be floating point .* got {named}"):
        check_scores(ToyNearest(), features(), Scores(image=torch.zeros(2, dtype=kind)), frozenset({"image"}))
    with pytest.raises(ContractError, match=rf"aggregate\(\) must be floating point .* got {named}"):
        check_image_scores(Max(), torch.zeros(2, dtype=kind), IDS)
    with pytest.raises(ContractError, match=f"patches must be floating point .* got {named}"):
        check_features(ToyPixels(), BATCH, features(patches=torch.zeros(2, 4, 4, 3, dtype=kind)))


def test_sparse_scores_are_refused():
    with pytest.raises(ContractError, match="dense, got sparse_coo"):
        check_scores(ToyNearest(), features(), Scores(torch.zeros(2, 4, 4).to_sparse()), frozenset({"patches"}))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_become_float32_without_gradients(kind):
    given = torch.full((2, 4, 4), 0.5, dtype=kind).requires_grad_()
    image = torch.nn.Parameter(torch.ones(2, dtype=kind))
    found = check_scores(ToyNearest(), features(), Scores(given * 1, image), frozenset({"patches"}))
    for tensor in (found.patches, found.image, check_image_scores(Max(), image * 2, IDS)):
        assert tensor.dtype == torch.float32
        assert not tensor.requires_grad
        tensor.numpy()


def test_a_lazily_negated_score_can_be_read():
    negated = torch.ones(2, dtype=torch.complex64).conj().imag
    assert negated.is_neg()
    assert check_image_scores(Max(), negated, IDS).numpy().tolist() == [0, 0]


@pytest.mark.parametrize(
    ("value", "message"), [(1e200, "infinity for b in float32; scale"), (1e-200, "has 1e-200; return")]
)
def test_a_float64_that_float32_cannot_hold_is_refused(value, message):
    scores = torch.zeros(2, 4, 4, dtype=torch.float64)
    scores[1, 2, 3] = value
    with pytest.raises(ContractError, match=message):
        check_scores(ToyNearest(), features(), Scores(scores), frozenset({"patches"}))


def test_features_lose_their_gradients():
    given = torch.rand(2, 4, 4, 3).requires_grad_()
    seen = features(patches=given, layers={"deep": given * 2}, image=given.mean((1, 2)))
    for found in (check_features(ToyPixels(), BATCH, seen), check_neck(L2(), features(), seen)):
        assert not any(tensor.requires_grad for tensor in (found.patches, found.layers["deep"], found.image))


def test_what_overflows_in_float16_says_so():
    with pytest.raises(ContractError, match="infinity for a; float16 ends at 65504: let it compute in float32"):
        check_features(ToyPixels(), BATCH, features(patches=torch.full((2, 4, 4, 3), torch.inf, dtype=torch.float16)))


IMAGE = torch.zeros(3, 8, 8)


@pytest.mark.parametrize(
    ("check", "reported"),
    [
        (
            lambda: check_features(ToyPixels(), BATCH, torch.zeros(2, 4, 4, 3)),
            r"extract\(\) must return Features, got Tensor",
        ),
        (lambda: check_neck(ConcatLayers(), features(), None), r"apply\(\) must return Features, got NoneType"),
        (
            lambda: check_scores(ToyNearest(), features(), IMAGE, frozenset()),
            r"score\(\) must return Scores, got Tensor",
        ),
        (lambda: check_view(Rotate(), IMAGE, IMAGE.numpy()), r"view\(\) must return Tensor, got ndarray"),
        (lambda: prepared_pair(Resize(), IMAGE), r"apply\(\) must return \(image, geometry\), got Tensor"),
        (lambda: prepared_pair(Resize(), (IMAGE, None)), r"geometry must return Geometry, got NoneType"),
        (lambda: prepared_pair(Resize(), (IMAGE.numpy(), GEOMETRY[0])), r"image must return Tensor, got ndarray"),
    ],
)
def test_an_answer_of_another_type_is_named(check, reported):
    with pytest.raises(ContractError, match=reported):
        check()


@pytest.mark.parametrize(
    "classes",
    [torch.ones(2, 1), torch.ones(2, 2), torch.tensor([[1.5, -0.5], [0.5, 0.5]]), torch.ones(3, 2) / 2],
    ids=["one class", "sums", "negative", "images"],
)
def test_classes_are_probabilities(classes):
    with pytest.raises(ContractError, match="classes must be"):
        check_scores(ToyNearest(), features(), Scores(torch.zeros(2, 4, 4), classes=classes), frozenset({"patches"}))


def test_classes_pass_as_float32():
    classes = torch.tensor([[0.25, 0.75], [1.0, 0.0]], dtype=torch.float64)
    found = check_scores(
        ToyNearest(), features(), Scores(image=torch.zeros(2), classes=classes), frozenset({"classes"})
    )
    assert torch.equal(found.classes, classes.float())
