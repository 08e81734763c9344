"""How a detector computes: device, runtime, batches, cache."""

from __future__ import annotations

from pathlib import Path

from adbench.engine.plan.settings import Settings, choose_device
from adbench.engine.process.location import cache_folder

USUAL = "usual"
"""The user's own cache folder."""


def settings_of(device: str, runtime: str, batch_size: int, workers: int, cache: str | Path | None) -> Settings:
    """How a detector computes.

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    folder = cache_folder(None) if cache == USUAL else cache
    return Settings(
        out=Path(),
        device=choose_device(device),
        runtime=runtime,
        batch_size=batch_size,
        workers=workers,
        cache=None if folder is None else Path(folder),
    )
