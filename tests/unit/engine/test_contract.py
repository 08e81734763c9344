import pytest
import torch

from adbench import Batch, ContractError, Features, Geometry, Scores, UnitTimeout
from adbench.builtin.toy import ToyNearest, ToyPixels
from adbench.engine.contract import ComponentCrash, blame, check_features, check_scores, is_out_of_memory

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
        blame(ToyNearest(), "score"),
    ):
        raise KeyError("x")
    assert isinstance(error.value.__cause__, KeyError)


def test_a_timeout_names_the_component_that_was_at_work():
    with (
        pytest.raises(UnitTimeout, match=r"toy-nearest' was still in fit\(\)$"),
        blame(ToyPixels(), "outer"),
        blame(ToyNearest(), "fit"),
    ):
        raise UnitTimeout("stopped")


def test_running_out_of_memory_is_no_crash():
    with pytest.raises(MemoryError), blame(ToyNearest(), "score"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as error, blame(ToyNearest(), "score"):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(error.value)
    assert not is_out_of_memory(RuntimeError("something else"))
