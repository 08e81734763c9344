"""The public rules, with a small network of the form that anomalib's have."""

from __future__ import annotations

import pytest
from adbench_anomalib import bank as bank_module
from adbench_anomalib.bank import Anomalib
from adbench_anomalib.scorer import AnomalibScores

from adbench.testing import parametrize_with_checks

from .conftest import FakeAdapter

pytestmark = pytest.mark.slow

FAST = {"model": "fake", "steps": 60, "batch": 8}


def made(monkeypatch=None, **options):
    patched = pytest.MonkeyPatch()
    patched.setattr(bank_module, "adapter_of", lambda model: FakeAdapter)
    try:
        return Anomalib(**options)
    finally:
        patched.undo()


@parametrize_with_checks([made(**FAST)])
def test_conforms(check):
    check()


@parametrize_with_checks([AnomalibScores()])
def test_the_scorer_conforms(check, monkeypatch):
    """With a bank that learns at once."""
    monkeypatch.setattr(AnomalibScores, "defaults", classmethod(lambda cls, config: {"bank": {"anomalib": FAST}}))
    check()
