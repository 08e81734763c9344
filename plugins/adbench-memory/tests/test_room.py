"""What does not fit is refused before it is built, with figures and a way out."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch
from adbench_memory import room
from adbench_memory.coreset import Coreset
from adbench_memory.full import Full

from adbench import Context, UsageError


@pytest.fixture
def free(monkeypatch):
    def free(size):
        monkeypatch.setattr(room, "free_bytes", lambda device: size)

    return free


@pytest.mark.parametrize("bank", [Full(), Coreset(), Coreset(projection="gaussian", dim=2)])
def test_banks_refuse_what_does_not_fit(bank, free, given, draw, monkeypatch):
    free(30_000_000)
    monkeypatch.setattr(torch, "empty", None)  # it is not even asked for
    stream = given(draw(1, 10, 10, 8))
    stream.batches *= 10_000  # as many more images to come
    with pytest.raises(
        UsageError, match=r"would need 0\.0\d+ GB for 1,000,000 vectors .* 0\.03 GB are free \(cpu\); .*memory=GB"
    ):
        bank.fit(stream, Context())


def test_what_fits_is_taken(free, given, draw):
    free(4 * 100 * 8)
    bank = Full()
    bank.fit(given(draw(1, 10, 10, 8)), Context())
    assert len(bank.vectors) == 100


def test_grids_that_grow_are_asked_about_again(free, given, draw):
    free(100_000)
    with pytest.raises(UsageError, match="for 3,604 vectors"):
        Full().fit(given(draw(1, 2, 2, 8), draw(1, 30, 40, 8), draw(1, 30, 40, 8), draw(1, 30, 40, 8)), Context())


def test_a_pool_has_to_fit_too(free, given, draw):
    free(1_000_000)
    with pytest.raises(UsageError, match="are free"):
        Coreset(memory=1).fit(given(draw(4, 100, 100, 8)), Context())


def test_what_is_free_is_what_the_system_says(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12345))
    assert room.free_bytes("cpu") == 12345


def test_on_a_gpu_its_own_memory_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 30)
    assert room.free_bytes("cuda:0") == 1040
