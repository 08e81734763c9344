"""The public rules, for every component of the package."""

from __future__ import annotations

import pytest
from adbench_flow.cflow import CFlow
from adbench_flow.energy import Energy
from adbench_flow.fastflow import FastFlow
from adbench_flow.flow_matching import FlowMatching

from adbench.testing import parametrize_with_checks

pytestmark = pytest.mark.slow

COMPONENTS = [
    FastFlow(reads="patches", blocks=4, steps=60, batch=8, energy="squares"),
    FastFlow(blocks=2, steps=60, batch=8, energy="squares"),
    CFlow(reads="patches", blocks=4, steps=60, batch=8, condition=16, vectors=256, rate=0.002),
    FlowMatching(steps=60, batch=8, width=64, condition=16, vectors=256, rate=0.003),
    FlowMatching(steps=60, batch=8, width=64, condition=16, vectors=256, rate=0.003, score="one-step"),
]


@parametrize_with_checks(COMPONENTS)
def test_conforms(check):
    check()


@parametrize_with_checks([Energy()])
def test_the_scorer_conforms(check, monkeypatch):
    """With a bank that learns at once."""
    monkeypatch.setattr(Energy, "defaults", classmethod(lambda cls, config: {"bank": "toy-energy"}))
    check()
