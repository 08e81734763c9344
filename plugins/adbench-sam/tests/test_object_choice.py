"""Which of some drawn masks are the object."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_sam.object_choice import foreground
from adbench_sam.proposals import Proposals, border_share, boxes


def drawn(*rows):
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


GROUND = drawn("xxxxx", "x...x", "x...x", "xxxxx")
OBJECT = drawn(".....", ".xxx.", ".xx..", ".....")
PART = drawn(".....", ".xx..", ".....", ".....")
CUT_OFF = drawn("..xx.", "..xx.", ".....", ".....")


def proposed(*masks, ious=None):
    stack = torch.stack(masks)
    return Proposals(
        bits=np.packbits(stack.flatten(1).numpy(), axis=1),
        boxes=boxes(stack),
        ious=torch.tensor(ious or [0.5] * len(masks)),
        stability=torch.ones(len(masks)),
        areas=stack.flatten(1).sum(1),
        border=border_share(stack),
    )


def kept(given, keep="largest", share=0.5):
    return foreground(given, (4, 5), keep, share)


def test_the_largest_that_is_not_the_ground():
    assert torch.equal(kept(proposed(PART, GROUND, OBJECT)), OBJECT)


def test_the_most_confident_that_is_not_the_ground():
    assert torch.equal(kept(proposed(PART, GROUND, OBJECT, ious=[0.8, 0.9, 0.7]), "confident"), PART)


def test_all_that_are_not_the_ground():
    assert torch.equal(kept(proposed(PART, GROUND, OBJECT, CUT_OFF), "all"), OBJECT | CUT_OFF)


def test_of_equals_the_first():
    assert torch.equal(kept(proposed(OBJECT.flip(1), OBJECT)), OBJECT.flip(1))


@pytest.mark.parametrize(("share", "found"), [(0.2, True), (2 / 14, True), (0.1, False)])
def test_background_holds_more_than_the_share_of_the_border(share, found):
    """The object that is cut off holds 2 of the 14 pixels along the border."""
    assert bool(kept(proposed(CUT_OFF), share=share + 1e-6).any()) is found


def test_with_a_share_of_1_nothing_is_background():
    assert torch.equal(kept(proposed(GROUND, OBJECT), share=1), GROUND)


@pytest.mark.parametrize("masks", [[GROUND], [torch.zeros_like(GROUND)]], ids=["ground", "empty"])
def test_nothing_where_no_mask_can_be_it(masks):
    assert not kept(proposed(*masks)).any()


def test_nothing_of_nothing():
    none = proposed(OBJECT).picked(torch.tensor([], dtype=torch.long))
    assert kept(none).shape == (4, 5)
    assert not kept(none).any()
