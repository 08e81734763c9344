"""What stands in for anomalib's frozen encoders, and the layers that its models refuse; without anomalib."""

from __future__ import annotations

import pytest
import torch
from adbench_anomalib.examples import Layout
from adbench_anomalib.models.adapter import Setting
from adbench_anomalib.models.catalog import adapter_of
from adbench_anomalib.models.given import NormedLayers, replaced
from adbench_anomalib.models.tokens import GivenPair, GivenTokens

from adbench import UsageError

WHO = "the bank"


def layers(*shapes):
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, *shape, generator=generator) for shape in shapes)


def test_layers_are_normed_one_by_one():
    shapes = [(8, 4, 6), (16, 2, 3)]
    given = NormedLayers(shapes, [4, 8])
    given.held = layers(*shapes)
    found = given(None)
    for layer, normed in zip(given.held, found, strict=True):
        spread = layer.flatten(1).std(1, correction=0)
        expected = (layer.flatten(1) - layer.flatten(1).mean(1, keepdim=True)) / spread[:, None]
        torch.testing.assert_close(normed.flatten(1), expected, rtol=1e-4, atol=1e-4)
    assert (given.channels, given.scale_factors, len(given.scales)) == ([8, 16], [4, 8], 2)


def test_layers_of_one_size_are_rows_side_by_side():
    shapes = ((4, 2, 3), (6, 2, 3))
    given = GivenTokens(Layout((28, 42), shapes), WHO)
    given.held = layers(*shapes)
    found = given(None)
    assert found.shape == (2, 6, 10)
    assert torch.equal(found[1, 4], torch.cat([given.held[0][1, :, 1, 1], given.held[1][1, :, 1, 1]]))
    again, attention = given(None, output_attn=True)
    assert torch.equal(again, found)
    assert attention is None
    assert (given.patch_size, given.num_patches, given.embed_dim, given.grid) == (14, 6, 10, (2, 3))


def test_a_pair_of_layers_stays_apart():
    shapes = ((4, 2, 3), (4, 2, 3))
    given = GivenPair(Layout((28, 42), shapes), WHO)
    given.held = layers(*shapes)
    middle, last = given(None)
    assert torch.equal(middle[0, 5], given.held[0][0, :, 1, 2])
    assert torch.equal(last[0, 5], given.held[1][0, :, 1, 2])


@pytest.mark.parametrize("shapes", [((4, 2, 3), (4, 1, 3)), ((4, 2, 2),), ((4, 3, 3),)])
def test_layers_that_are_no_patches_of_one_image(shapes):
    with pytest.raises(UsageError, match="the bank reads layers of one size, which divides that of the image"):
        GivenTokens(Layout((28, 42), shapes), WHO)


def test_parts_come_back_also_after_an_error():
    class Owner:
        @staticmethod
        def part():
            return "real"

    with pytest.raises(KeyError), replaced(Owner, part=staticmethod(lambda: "other")):
        assert Owner().part() == "other"
        raise KeyError
    assert Owner().part() == "real"


@pytest.mark.parametrize(
    ("model", "shapes", "message"),
    [
        ("cfa", [(8, 8, 4)], "reads square layers of 6 or more vectors, but the backbone gives 8 x 4"),
        ("cfa", [(8, 2, 2)], "reads square layers of 6 or more vectors, but the backbone gives 2 x 2"),
        (
            "uflow",
            [(8, 16, 16), (8, 4, 4)],
            "each half as high and wide as the one before, but the backbone gives 16 x 16",
        ),
        ("uflow", [(4, 16, 16), (8, 8, 8)], "reads layers of 8 or more channels"),
        ("uflow", [(8, 9, 9)], "or resize to a multiple of 32"),
        ("general-ad", [(6, 4, 4)], "a multiple of 4, but the backbone gives 4 x 4 x 6"),
        ("general-ad", [(8, 4, 2)], "of 64 x 64 pixels; name blocks of a transformer"),
        ("l2bt", [(8, 4, 4)], "reads two layers of the same channels, but the backbone gives 8; name two blocks"),
        ("l2bt", [(8, 4, 4), (4, 4, 4)], "but the backbone gives 8, 4; name two blocks"),
    ],
)
def test_layers_that_a_model_cannot_read(model, shapes, message):
    with pytest.raises(UsageError, match=message):
        adapter_of(model)(Setting(WHO, steps=10)).network(Layout((64, 64), tuple(shapes)))


@pytest.mark.parametrize(
    ("model", "steps", "expected"),
    [
        ("uninet", 10, {0: 1, 7: 1, 8: 0.2, 9: 0.2}),
        ("uflow", 50_000, {0: 1, 12_500: 0.7, 25_000: 0.4, 49_999: 0.4}),
        ("general-ad", 100, {0: 1, 50: 0.6, 100: 0.2}),
        ("inp-former", 1100, {0: 0, 99: 1, 100: 1, 600: 0.55, 1100: 0.1}),
    ],
)
def test_rates_fall_as_anomalibs(model, steps, expected):
    adapter = adapter_of(model)(Setting(WHO, steps=steps))
    assert {step: adapter.factor(step / steps) for step in expected} == pytest.approx(expected)
