from contextlib import suppress

import pytest
import torch

from adbench import BadImage, DataError, Features, FeatureStream, Geometry
from adbench.engine.features.sealed_stream import Seal, SealedStream
from adbench.errors import UnitTimeout


class Failing(FeatureStream):
    """One image, then an error."""

    def __init__(self, error=None):
        self.samples, self.error = ["bolt/test/crack/000"], error

    @property
    def ids(self):
        return ["a1", "b2"]

    def __iter__(self):
        yield Features(("a1",), (Geometry.whole(8, 8),), torch.zeros(1, 2, 2, 3))
        if self.error is not None:
            raise self.error


def same(features):
    return features


def test_features_pass_as_often_as_wanted():
    stream = SealedStream(Failing(), same, Seal())
    assert [features.ids for features in stream] == [features.ids for features in stream] == [("a1",)]
    assert len(stream) == 2


def test_no_attribute_leads_to_the_samples():
    stream = SealedStream(Failing(), same, Seal())
    with pytest.raises(AttributeError):
        stream.source  # noqa: B018
    held = [getattr(stream, name) for name in dir(stream) if not name.startswith("__")]
    assert not any(isinstance(value, FeatureStream) for value in held)


@pytest.mark.parametrize(
    "error", [BadImage("parts/bolt/test/crack/000.png", "is truncated"), ValueError("/test/crack")]
)
def test_an_error_tells_the_component_nothing_and_the_engine_all(error):
    seal = Seal()
    with pytest.raises(type(error)) as reported, seal.reopened():
        with pytest.raises(DataError) as calls:  # as a curious component would
            list(SealedStream(Failing(error), same, seal))
        assert "crack" not in f"{calls.value!r} {calls.value.__cause__!r} {calls.value.__context__!r}"
    assert reported.value is error


def test_an_error_that_a_component_swallows_is_raised_all_the_same():
    seal = Seal()
    with pytest.raises(BadImage), seal.reopened(), suppress(DataError):
        list(SealedStream(Failing(BadImage("x", "is truncated")), same, seal))


@pytest.mark.parametrize("error", [UnitTimeout("time"), MemoryError()])
def test_what_names_no_image_passes(error):
    with pytest.raises(type(error)):
        list(SealedStream(Failing(error), same, Seal()))
