"""Rules for tuners."""

from __future__ import annotations

import torch
from torch import Tensor

from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import close
from adbench.testing.toy_network import ToyBatches, toy_trainable
from adbench.training import Tuner


def check_network_keeps_its_form(subject: Subject[Tuner]) -> None:
    """The network keeps the names and shapes of its weights, stays finite, and gives maps of the same shapes."""
    trainable, images = toy_trainable(subject.ctx.device), ToyBatches().batch.images[:2]
    before, maps = _shapes(trainable.network.state_dict()), [found.shape for found in trainable.network(images)]
    subject.ready().tune(trainable, ToyBatches(), subject.ctx)
    state = trainable.network.state_dict()
    require(_shapes(state) == before, "A name or a shape of the weights changed.")
    require(all(bool(value.isfinite().all()) for value in state.values()), "A weight is not finite.")
    with torch.no_grad():
        after = [found.shape for found in trainable.network.eval()(images)]
    require(after == maps, f"The network gives {after}, not {maps}.")


def check_names_do_not_matter(subject: Subject[Tuner]) -> None:
    """What images are called makes no difference, be it hexadecimal digits or the path of a defective image."""
    given = ToyBatches()
    plain = _tuned(subject, given)
    named = _tuned(subject, given.renamed([f"toy/train/crack/{number:03}" for number in range(len(given))]))
    require(all(close(plain[name], named[name]) for name in plain), "Other names gave other weights.")


def _tuned(subject: Subject[Tuner], images: ToyBatches) -> dict[str, Tensor]:
    """The network's weights after a tuning."""
    trainable = toy_trainable(subject.ctx.device)
    subject.ready().tune(trainable, images, subject.ctx)
    return {name: value.detach().cpu().float() for name, value in trainable.network.state_dict().items()}


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


RULES: dict[str, tuple[Rule, ...]] = {"tuner": (check_network_keeps_its_form, check_names_do_not_matter)}
