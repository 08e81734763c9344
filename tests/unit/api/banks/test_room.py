"""What is free, and the sentence where that is too little."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from adbench import UsageError
from adbench.api.banks import room
from adbench.banks import free_bytes, require_room


def test_what_is_free_is_what_the_system_says(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12345))
    assert free_bytes("cpu") == 12345


def test_on_a_gpu_its_own_memory_counts(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 30)
    assert free_bytes("cuda:0") == 1040


def test_too_little_is_reported_with_figures_and_a_way_out(monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda device: 2_000_000_000)
    require_room(2_000_000_000, "the bank", "use less", "cpu")
    with pytest.raises(UsageError, match=r"the bank would need 2\.5 GB, but 2 GB are free \(cpu\); use less"):
        require_room(2_500_000_000, "the bank", "use less", "cpu")
