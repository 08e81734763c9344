"""The toys keep every contract, and all six kinds of bank are among them."""

from __future__ import annotations

import pytest
import torch

from adbench import Bank, Batch, Context, Geometry, Source, UsageError
from adbench.builtin import toy
from adbench.builtin.toy_labelled import ToyExemplars
from adbench.testing import parametrize_with_checks
from adbench.testing.toy_data import pick, toys

TOYS = [toy.ToyPixels, toy.ToyBorder, *toy.BANKS, *toy.SCORERS]


@parametrize_with_checks(TOYS)
def test_conforms(check):
    check()


def test_every_kind_of_bank_has_a_toy_and_a_scorer():
    kinds = {kind for kind in Bank.__subclasses__() if kind.__module__ == "adbench.api.bank"}
    assert len(kinds) == 6
    assert {kind for kind in kinds if any(issubclass(bank, kind) for bank in toy.BANKS)} == kinds
    assert {scorer.bank for scorer in toy.SCORERS} == kinds


def test_every_source_has_a_toy():
    assert {bank.learns_from for bank in (*toy.BANKS, ToyExemplars)} == set(Source)


def test_pixels_see_a_spot():
    images = torch.full((1, 3, 64, 64), 0.5)
    images[0, :, 16:24, 40:48] = 1.0
    seen = toy.ToyPixels().extract(Batch(("spot",), images, (Geometry.whole(64, 64),)))
    far = (seen.patches - seen.patches[0, 0, 0]).norm(dim=-1)[0]
    assert divmod(int(far.argmax()), 8) == (2, 5)


def test_pixels_refuse_an_image_smaller_than_a_cell():
    with pytest.raises(UsageError, match="smaller than one cell"):
        toy.ToyPixels().extract(Batch(("tiny",), torch.zeros(1, 3, 4, 64), (Geometry.whole(4, 64),)))


def test_border_finds_the_object():
    patches = torch.zeros(1, 6, 9, 2)
    patches[0, 2:4, 3:6] = 1.0
    mask = toy.ToyBorder().mask(toys().test.first(1).features.having(patches=patches))
    assert torch.equal(mask[0], patches[0, ..., 0] > 0)


def test_median_tells_planted_defects_without_having_learned():
    given = toys()
    scores = toy.ToyResidual().score(given.test.features, toy.ToyMedian()).patches
    assert scores[given.truth].min() > scores[~given.truth].quantile(0.99)


def test_an_image_never_matches_itself():
    given = toys()
    bank = toy.ToyTestVectors(fraction=1.0)
    bank.fit(given.test, Context())
    scores = toy.ToyNearest().score(given.test.features, bank).patches
    assert scores.min() > 0
    assert scores[given.truth].min() > scores[~given.truth].quantile(0.99)


def test_mahalanobis_reads_one_gaussian_several_and_one_a_place():
    query = pick(toys().test.features, slice(7, 9))
    bank = toy.ToyGaussian()
    bank.fit(toys().train, Context())
    once = toy.ToyMahalanobis().score(query, bank).patches
    for shape in ((3,), (6, 9)):
        many = toy.ToyGaussian()
        many.restore({name: learned.expand(*shape, *learned.shape) for name, learned in bank.state().items()})
        torch.testing.assert_close(toy.ToyMahalanobis().score(query, many).patches, once)


def test_prototypes_cope_with_twins():
    train = toys().train.first(1)
    bank = toy.ToyPrototypes()
    train.features.patches[:] = 1.0
    bank.fit(train, Context())
    assert bank.normal.shape == (1, 16)
    assert torch.allclose(bank.normal, torch.ones(16))
