import pytest

from adbench import UnknownName, UsageError
from adbench.cli.commands.sweep import _items, _values


@pytest.mark.parametrize(
    ("texts", "items"),
    [
        (["max,mean"], ["max", "mean"]),
        (["max", "mean"], ["max", "mean"]),
        (["max,top-fraction:fraction=0.01,mean"], ["max", "top-fraction:fraction=0.01", "mean"]),
        (["local-global:weight=0.3,fraction=0.1,max"], ["local-global:weight=0.3,fraction=0.1", "max"]),
        (["a:x=1,b:y=2"], ["a:x=1", "b:y=2"]),
        (["2, 4"], ["2", "4"]),
    ],
)
def test_lists_are_joined_by_commas_and_so_are_the_options_of_a_part(texts, items):
    assert _items("aggregate", texts) == items


@pytest.mark.parametrize("text", ["", ",max", "max,", "max,,mean"])
def test_an_empty_item_is_refused(text):
    with pytest.raises(UsageError, match="an item is empty"):
        _items("aggregate", [text])


def test_values_are_those_of_a_map():
    assert _values("sigma", ["0,2.5"]) == [0.0, 2.5]
    assert _values("kernel", ["none,5"]) == [None, 5]
    assert _values("floor", ["-1"]) == [-1.0]
    assert _values("morphology", ["none,open:3"]) == [None, "open:3"]
    with pytest.raises(UnknownName, match="did you mean 'nearest'"):
        _values("upsample", ["neares"])
    with pytest.raises(UsageError, match="--kernel 4: kernel is the odd side"):
        _values("kernel", ["4"])
    with pytest.raises(UsageError, match="--sigma none: "):
        _values("sigma", ["none"])
