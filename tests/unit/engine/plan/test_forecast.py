import pytest

from adbench.engine.plan.forecast import Forecast
from adbench.engine.plan.plan import Branch


def cost(**seconds):
    return {
        "extract_s": 2.0,
        "fit_s": 5.0,
        "test_s": 7.0,
        "test_extract_s": 4.0,
        "evaluate_s": 1.0,
        "ms_per_image": {"p50": 1.0, "p95": 1.0},
        "peak_memory_mb": 1.0,
        "bank_mb": 1.0,
        **seconds,
    }


@pytest.fixture
def past(make_record):
    def past(name, backbone, **seconds):
        record = make_record(recipe=name, backbone=backbone)
        return type(record).model_validate({**record.to_json(), "cost": cost(**seconds)})

    return past


@pytest.fixture
def branch(make_unit):
    unit = make_unit()
    return lambda *names: Branch(
        tuple(
            type(unit)(unit.recipe.model_copy(update={"name": name}), unit.dataset, "bolt", 0, unit.protocol)
            for name in names
        )
    )


def test_looking_counts_once_and_the_rest_for_each_unit(past, branch):
    forecast = Forecast.of([past("a", "toy-pixels"), past("b", "toy-pixels", evaluate_s=4.0)])
    estimate = forecast.branch(branch("a", "b"), [15, 15])  # the records are of 15 images each
    assert estimate.seconds == pytest.approx(6.0 + (3.0 + 3.0 + 1.0) + (3.0 + 3.0 + 4.0))
    assert estimate.unknown == 0
    assert forecast.branch(branch("a"), [30]).seconds == pytest.approx(2 * (6 + 7)), "twice the images"


def test_what_nothing_is_known_of_is_counted(past, branch):
    estimate = Forecast.of([past("a", "toy-pixels")]).branch(branch("a", "new"), [15, 15])
    assert (estimate.seconds, estimate.unknown) == (pytest.approx(13.0), 1)
    assert Forecast.of([]).branch(branch("a"), [15]).unknown == 1


def test_one_slow_run_does_not_decide(past, branch):
    records = [past("a", "toy-pixels", evaluate_s=seconds) for seconds in (1.0, 1.0, 500.0)]
    assert Forecast.of(records).branch(branch("a"), [15]).seconds == pytest.approx(13.0)
