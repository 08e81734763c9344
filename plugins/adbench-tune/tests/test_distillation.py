"""The moving average of the teacher, and what each side sees."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.distillation import Distillation, move_towards
from adbench_tune.heads import ProjectionHead
from adbench_tune.masking import token_for

from adbench import UsageError
from adbench.testing.toy_network import WIDTH, toy_trainable


def pair(generator, token=False):
    network = toy_trainable().network
    names = ("image", "patch") if token else ("image",)
    heads = {name: ProjectionHead(WIDTH, 32, 8, 12, generator(3)) for name in names}
    return Distillation(network, heads, token_for(network, torch.zeros(1, 3, 32, 32), "it") if token else None)


def test_a_moving_average_by_hand():
    follower, leader = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    move_towards([follower], [leader], 0.75)
    assert follower.tolist() == [1.5, 1.0]
    move_towards([follower], [leader], 0.75)
    assert follower.tolist() == [1.875, 0.25]
    assert leader.tolist() == [3.0, -2.0]


def test_the_teacher_begins_as_a_copy_and_follows(generator):
    made = pair(generator)
    first, own = next(made.student.parameters()), next(made.teacher.parameters())
    assert torch.equal(first, own)
    assert first is not own
    before = own.clone()
    with torch.no_grad():
        first.add_(1.0)
    made.follow(0.9)
    assert torch.allclose(own, before + 0.1, atol=1e-6)
    head, copy = made.heads["image"].prototypes.weight, made.teacher_heads["image"].prototypes.weight
    assert torch.equal(head, copy)
    assert not any(one.requires_grad for one in [*made.teacher.parameters(), *made.teacher_heads.parameters()])


def test_without_masks_the_loss_is_dinos(generator, images):
    made, shown = pair(generator, token=True), torch.stack([images(4), images(4, seed=2)])
    plain = pair(generator).loss(shown, [], 0.04)
    assert torch.allclose(made.loss(shown, [], 0.04), plain)
    assert made.get_buffer("center_image").abs().sum() > 0
    assert made.get_buffer("center_patch").abs().sum() == 0


def test_a_masked_patch_is_hidden_from_the_student_alone(generator, images):
    made, shown = pair(generator, token=True), torch.stack([images(2), images(2, seed=2)])
    masks = torch.zeros(2, 2, 4, 4, dtype=torch.bool)
    masks[:, :, 1, 2] = True
    changed = shown.clone()
    changed[:, :, :, 8:16, 16:24] = 0.0  # the masked patch
    with torch.no_grad():
        student = [made._seen(view, mask)[-2] for view, mask in zip(shown, masks, strict=True)]
        again = [made._seen(view, mask)[-2] for view, mask in zip(changed, masks, strict=True)]
        teacher = [[made.teacher(view)[-2] for view in both] for both in zip(shown, changed, strict=True)]
    assert all(torch.equal(one, other) for one, other in zip(student, again, strict=True))
    assert not any(torch.equal(one, other) for one, other in teacher)
    loss = made.loss(shown, [images(2)[:, :, :16, :16]], 0.04, masks)
    loss.backward()
    assert made.token.token.grad.abs().sum() > 0


def test_a_network_without_patches_is_refused():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    with pytest.raises(UsageError, match="tuner 'ibot' hides patches from a vision transformer, .* use 'dino'"):
        token_for(network, torch.zeros(1, 3, 8, 8), "tuner 'ibot'")
