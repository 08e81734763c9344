"""DINO's and iBOT's losses, against lightly's on fixed tensors."""

from __future__ import annotations

import pytest
import torch
from adbench_tune.losses import dino_loss, follow_mean, ibot_loss

pytestmark = pytest.mark.proves("ssl-prototypes", "ssl-prototypes-lite")


def fixed(*shape, step):
    """Sines of evenly spaced angles, in double precision."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).mul(step).sin().reshape(shape)


TEACHER, STUDENT, CENTER = fixed(2, 3, 5, step=0.7), fixed(4, 3, 5, step=1.3), fixed(5, step=0.4)
TOLD, SAID = fixed(4, 5, step=0.7), fixed(4, 5, step=1.3)
MASKS = torch.zeros(3, 2, 3, dtype=torch.bool)
MASKS[0, 0, :] = True
MASKS[2, 1, 1] = True


def test_figures_of_lightly():
    """Of lightly 1.6.0 (MIT), `DINOLoss` and `IBOTPatchLoss` with these centers, on the tensors above."""
    assert float(dino_loss(TEACHER, STUDENT, CENTER)) == pytest.approx(5.508522061681398, rel=1e-7)
    assert float(dino_loss(TEACHER, STUDENT, CENTER, sharp=0.07)) == pytest.approx(5.6194638319927215, rel=1e-7)
    assert float(ibot_loss(TOLD, SAID, MASKS, CENTER)) == pytest.approx(6.180240738328529, rel=1e-7)
    center = CENTER.clone()
    follow_mean(center, TEACHER)
    wanted = [-0.0093085173, 0.3508522819, 0.6555038144, 0.8535777831, 0.9122844437]
    assert center.tolist() == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_lightly_itself_where_it_is_installed(generator, seed):
    reference = pytest.importorskip("lightly.loss.dino_loss").DINOLoss(16)
    patches = pytest.importorskip("lightly.loss.ibot_loss").IBOTPatchLoss(16)
    draw = generator(seed)
    teacher, student = torch.randn(2, 5, 16, generator=draw), torch.randn(6, 5, 16, generator=draw)
    center = torch.randn(16, generator=draw)
    reference.center.data = center.reshape(1, 1, 16).clone()
    patches.center.center = center.reshape(1, 16).clone()
    wanted = reference(list(teacher), list(student))
    assert torch.allclose(dino_loss(teacher, student, center), wanted, rtol=1e-5)
    masks = torch.rand(4, 3, 3, generator=draw) < 0.4
    told, said = (torch.randn(int(masks.sum()), 16, generator=draw) for _ in range(2))
    assert torch.allclose(ibot_loss(told, said, masks, center), patches(told, said, masks), rtol=1e-5)
    moved = center.clone()
    follow_mean(moved, teacher)
    assert torch.allclose(moved, reference.center.flatten(), atol=1e-6)


def test_a_pair_of_one_view_does_not_count():
    """With one image, two views and two outputs, by hand: only (teacher 1, student 2) and (2, 1) count."""
    teacher = torch.tensor([[[4.0, 0.0]], [[0.0, 4.0]]])
    student = torch.tensor([[[0.1, 0.0]], [[0.0, 0.2]]])
    log = torch.log_softmax(student / 0.1, dim=-1)
    by_hand = -(log[1, 0, 0] + log[0, 0, 1]) / 2  # the teacher is all but certain
    assert torch.allclose(dino_loss(teacher, student, torch.zeros(2)), by_hand, atol=1e-5)


def test_a_teacher_teaches_and_does_not_learn():
    student = STUDENT.clone().requires_grad_(True)
    dino_loss(TEACHER, student, CENTER).backward()
    assert student.grad.abs().sum() > 0
