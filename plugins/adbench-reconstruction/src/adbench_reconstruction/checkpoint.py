"""The checkpoint of a training, from which a stopped training continues."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from adbench.files import atomic_write

if TYPE_CHECKING:
    from adbench_reconstruction.training import Training

EVERY = 100
"""Steps from one checkpoint to the next."""


class Checkpoint:
    """The file of a training's last valid state, named by everything that decides the training.

    Args:
        folder: where it lies.
        about: what decides the training beside the examples, as JSON.
        examples: what is learned from.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], examples: torch.Tensor) -> None:
        digest = hashlib.sha256(json.dumps({**about, "torch": torch.__version__}, sort_keys=True).encode())
        digest.update(str(tuple(examples.shape)).encode())
        digest.update(examples.contiguous().numpy().data)
        self._file = folder / "autoencoder" / f"{digest.hexdigest()}.safetensors"
        self._kept = 0

    def find(self, training: Training) -> None:
        """Load the stored state, if there is one that can be read."""
        with contextlib.suppress(FileNotFoundError, SafetensorError):
            training.restore(load_file(self._file))
            self._kept = len(training.losses)

    def keep(self, training: Training) -> None:
        """Store the state if enough steps have passed; a full disk costs only the checkpoint."""
        if len(training.losses) - self._kept < EVERY:
            return
        with contextlib.suppress(OSError, SafetensorError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            state = {name: value.cpu().contiguous() for name, value in training.state().items()}
            atomic_write(self._file, save(state))
            self._kept = len(training.losses)

    def done(self) -> None:
        """Delete the checkpoint after the training."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
