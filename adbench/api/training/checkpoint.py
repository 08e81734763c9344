"""The checkpoint of a training, from which a stopped training continues."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetensors import SafetensorError

from adbench.api.atomic_file import atomic_write

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 100
"""Steps from one checkpoint to the next."""


class Resumable(Protocol):
    """A training whose state can be stored."""

    losses: list[float]

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""


class Checkpoint:
    """The file of a training's last valid state, named by everything that decides the training.

    Args:
        folder: where it lies.
        about: what decides the training beside the examples, as JSON.
        examples: what is learned from, on the CPU.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], examples: Iterable[Tensor]) -> None:
        import torch

        digest = hashlib.sha256(json.dumps({**about, "torch": torch.__version__}, sort_keys=True).encode())
        for tensor in examples:
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        self._file = folder / f"{digest.hexdigest()}.safetensors"
        self._kept = 0

    def find(self, training: Resumable) -> None:
        """Load the stored state, if there is one that can be read."""
        from safetensors.torch import load_file

        with contextlib.suppress(OSError, SafetensorError):
            training.restore(load_file(self._file))
            self._kept = len(training.losses)

    def keep(self, training: Resumable) -> None:
        """Store the state if enough steps have passed; a full disk costs only the checkpoint."""
        if len(training.losses) - self._kept < EVERY:
            return
        from safetensors.torch import save

        with contextlib.suppress(OSError, SafetensorError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            state = {name: value.cpu().contiguous() for name, value in training.state().items()}
            atomic_write(self._file, save(state))
            self._kept = len(training.losses)

    def done(self) -> None:
        """Delete the checkpoint after the training."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
