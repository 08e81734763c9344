import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adbench import ContractError, ImageScores
from adbench.builtin.stages.aggregators import (
    LocalGlobal,
    MapTopFraction,
    Max,
    Mean,
    PassThrough,
    Quantile,
    TopFraction,
)
from adbench.testing import parametrize_with_checks


@pytest.mark.slow
@parametrize_with_checks(
    [
        Max(),
        Mean(),
        Quantile(),
        TopFraction(),
        MapTopFraction(),
        MapTopFraction(fraction=0),
        PassThrough(),
        LocalGlobal(),
        LocalGlobal(weight=0.3, fraction=0.1),
    ]
)
def test_conforms(check):
    check()


def images(*grids):
    return [ImageScores(str(index), torch.tensor(grid, dtype=torch.float32)) for index, grid in enumerate(grids)]


def test_grids_may_differ():
    seen = images([[1.0, 2.0]], [[3.0], [5.0], [7.0]])
    assert Max().aggregate(seen).tolist() == [2, 7]
    assert Mean().aggregate(seen).tolist() == [1.5, 5]


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30), st.floats(0, 1))
def test_quantile_is_numpys(values, q):
    (score,) = Quantile(q=q).aggregate(images([values])).tolist()
    assert score == pytest.approx(np.quantile(np.array(values), q), abs=1e-3)


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, 3.5), (0.01, 4.0), (0.74, 3.5), (0.75, 3.0), (1.0, 2.5)])
def test_top_fraction_rounds_down_and_takes_at_least_one(fraction, expected):
    assert TopFraction(fraction=fraction).aggregate(images([[1, 4, 2, 3]])).tolist() == [expected]


def test_the_scorers_own_score_is_handed_on():
    assert PassThrough().aggregate([ImageScores("a", image=2.5), ImageScores("b", image=-1.0)]).tolist() == [2.5, -1.0]


@pytest.mark.parametrize("aggregator", [Max(), PassThrough(), LocalGlobal()])
def test_a_missing_score_is_reported(aggregator):
    with pytest.raises(ContractError, match="gave none"):
        aggregator.aggregate([ImageScores("a")])


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 7.0), ({"weight": 1.0}, 4.0), ({"weight": 0.0}, 10.0), ({"fraction": 0.5}, 6.75), ({"fraction": 1.0}, 6.25)],
)
def test_local_and_global_score_are_weighed(options, expected):
    seen = [ImageScores("a", torch.tensor([[1.0, 4.0], [2.0, 3.0]]), image=10.0)]
    assert LocalGlobal(**options).aggregate(seen).tolist() == [expected]


def test_local_and_global_need_both():
    for half in (ImageScores("a", torch.ones(2, 2)), ImageScores("a", image=1.0)):
        with pytest.raises(ContractError, match="gave none"):
            LocalGlobal().aggregate([half])
