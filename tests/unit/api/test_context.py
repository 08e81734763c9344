import random

import numpy as np
import torch

from adbench import Context


def test_streams_are_repeatable_and_independent():
    one, same, other = Context(seed=1), Context(seed=1), Context(seed=2)
    draw = lambda ctx, name: torch.rand(3, generator=ctx.generator(name))  # noqa: E731
    assert torch.equal(draw(one, "a"), draw(same, "a"))
    assert not torch.equal(draw(one, "a"), draw(one, "b"))
    assert not torch.equal(draw(one, "a"), draw(other, "a"))
    assert one.rng("a").integers(1 << 60) == same.rng("a").integers(1 << 60)


def test_the_bits_are_pinned():
    assert Context(seed=0).stream_seed("coreset") == 8855975402934750821, "records of older versions depend on it"


def test_global_generators_are_left_alone():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    Context().generator("x")
    Context().rng("x").random()
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    assert states[0] == after[0]
    assert states[1] == after[1]
    assert torch.equal(states[2], after[2])
