import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from adbench.engine.run.seed_watch import SeedWatch, WatchedContext


def test_nothing_is_drawn_where_nobody_asks():
    ctx = WatchedContext(seed=3, device="cpu")
    chance = SeedWatch(ctx)
    assert (ctx.device, ctx.class_name, repr(ctx.workdir)) == ("cpu", None, "PosixPath('.')")
    torch.randn(3, generator=torch.Generator().manual_seed(0))
    assert not chance.drew


@pytest.mark.parametrize(
    "draw",
    [
        lambda ctx: ctx.seed,
        lambda ctx: ctx.rng("bank"),
        lambda ctx: ctx.generator("bank"),
        lambda ctx: ctx.stream_seed("bank"),
        lambda ctx: replace(ctx, device="cpu"),
        lambda _: torch.randn(1),
        lambda _: np.random.rand(),
        lambda _: random.random(),
        lambda _: torch.manual_seed(3),
    ],
)
def test_what_a_seed_may_decide_is_noticed(draw):
    ctx = WatchedContext(seed=3)
    chance = SeedWatch(ctx)
    draw(ctx)
    assert chance.drew


def test_what_was_drawn_before_does_not_count_where_nobody_can_tell():
    random.random()
    assert not SeedWatch(WatchedContext()).drew


def test_a_watched_context_is_a_context():
    assert WatchedContext(seed=3).stream_seed("a") == WatchedContext(seed=3).stream_seed("a")
    assert WatchedContext(seed=3) == replace(WatchedContext(seed=4), seed=3)
