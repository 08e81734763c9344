"""What does not fit is refused before it is built, with figures and a way out."""

from __future__ import annotations

import pytest
import torch
from adbench_memory.coreset import Coreset
from adbench_memory.full import Full

from adbench import Context, UsageError
from adbench.api.banks import room


@pytest.fixture
def free(monkeypatch):
    def free(size):
        monkeypatch.setattr(room, "free_bytes", lambda device: size)

    return free


@pytest.mark.parametrize("bank", [Full(), Coreset(), Coreset(projection="gaussian", dim=2)])
def test_banks_refuse_what_does_not_fit(bank, free, patch_stream, gaussian_noise, monkeypatch):
    free(30_000_000)
    monkeypatch.setattr(torch, "empty", None)  # it is not even asked for
    stream = patch_stream(gaussian_noise(1, 10, 10, 8))
    stream.batches *= 10_000  # as many more images to come
    with pytest.raises(
        UsageError,
        match=r"with 1,000,000 vectors of 8 channels would need .*, but 0\.03 GB are free \(cpu\); .*pool-channels",
    ):
        bank.fit(stream, Context())


def test_what_fits_is_taken(free, patch_stream, gaussian_noise):
    free(4 * 100 * 8)
    bank = Full()
    bank.fit(patch_stream(gaussian_noise(1, 10, 10, 8)), Context())
    assert len(bank.vectors) == 100


def test_grids_that_grow_are_asked_about_again(free, patch_stream, gaussian_noise):
    free(100_000)
    with pytest.raises(UsageError, match="with 3,604 vectors"):
        Full().fit(
            patch_stream(
                gaussian_noise(1, 2, 2, 8),
                gaussian_noise(1, 30, 40, 8),
                gaussian_noise(1, 30, 40, 8),
                gaussian_noise(1, 30, 40, 8),
            ),
            Context(),
        )
