"""Rules about what every component does while it works."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch

from adbench import Component
from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import exercise, fingerprint
from adbench.testing.toy_data import toys

UNLIKELY = 918_273_645
"""A seed that no component sets: one that was set before, by an earlier check, would hide that it is set again."""


def check_inputs_stay_as_they_are(subject: Subject[Component]) -> None:
    """A component leaves its inputs as they are; others read them too."""
    given = toys()
    before = fingerprint(given)
    exercise(subject, given)
    require(fingerprint(given) == before, "An input was changed in place; copy before you change.")


def check_same_seed_same_bits(subject: Subject[Component]) -> None:
    """The same seed gives the same bits."""
    first, second = (fingerprint(exercise(subject, toys())) for _ in range(2))
    require(first == second, "Two components made alike gave different answers; draw from ctx.generator(name) only.")


def check_global_randomness_is_untouched(subject: Subject[Component]) -> None:
    """The global generators of Python, NumPy and torch are neither drawn from nor seeded."""
    given = toys()
    changed = _with_global_seed(UNLIKELY, lambda: _moved_by(lambda: exercise(subject, given)))
    require(not changed, f"That of {changed} changed; draw from ctx.generator(name) or ctx.rng(name).")


def _moved_by(work: Callable[[], object]) -> str:
    """The generators that some work draws from or seeds."""
    before = _generators()
    work()
    return ", ".join(name for name, state in _generators().items() if state != before[name])


def check_global_randomness_is_irrelevant(subject: Subject[Component]) -> None:
    """The seeds of the global generators make no difference."""
    answers = [_with_global_seed(seed, lambda: fingerprint(exercise(subject, toys()))) for seed in (1, 2)]
    require(answers[0] == answers[1], "The answer changed with them; draw from ctx.generator(name) or ctx.rng(name).")


def _generators() -> dict[str, str]:
    states = {"Python": random.getstate(), "NumPy": np.random.get_state(), "torch": torch.get_rng_state()}  # noqa: NPY002
    return {name: fingerprint(state) for name, state in states.items()}


def _with_global_seed(seed: int, work: Callable[[], str]) -> str:
    """The answer under other global seeds; the generators are put back afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is global randomness that is tested
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            return work()
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


RULES: tuple[Rule, ...] = (
    check_inputs_stay_as_they_are,
    check_same_seed_same_bits,
    check_global_randomness_is_untouched,
    check_global_randomness_is_irrelevant,
)
