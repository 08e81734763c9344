"""The checkpoint of a training, from which a stopped training continues."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from safetensors import SafetensorError

from adbench.api.networks.exports import read_checked, write_checked

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "training"
"""The folder of checkpoints in the cache."""

EVERY, SECONDS = 100, 60.0
"""Steps, or seconds where steps are slow, from one checkpoint to the next."""

FORM = 2
"""The version of the training loop and of its state: a checkpoint of another one is never continued."""


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

        decides = {**about, "torch": torch.__version__, "form": FORM}
        digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
        for tensor in examples:
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.contiguous().numpy().data)
        self._file = folder / f"{digest.hexdigest()}.safetensors"
        self._kept, self._kept_at = 0, time.monotonic()

    def find(self, training: Resumable) -> None:
        """Load the stored state, if there is one that is whole and fits the training; else leave it as it is."""
        from safetensors.torch import load

        content = read_checked(self._file)
        if content is None:
            return
        before = {name: value.clone() for name, value in training.state().items()}
        try:
            training.restore(load(content))
        except (SafetensorError, KeyError, ValueError, IndexError, RuntimeError):  # of a network with other parts
            training.restore(before)
        self._note(training)

    def is_due(self, training: Resumable) -> bool:
        """Whether enough steps or seconds have passed since the last one."""
        taken = len(training.losses) - self._kept
        return taken >= EVERY or (taken > 0 and time.monotonic() - self._kept_at >= SECONDS)

    def keep(self, training: Resumable) -> None:
        """Store the state; a full disk costs only the checkpoint."""
        from safetensors.torch import save

        with contextlib.suppress(OSError, SafetensorError):
            state = {name: value.cpu().contiguous() for name, value in training.state().items()}
            write_checked(self._file, save(state))
        self._note(training)

    def done(self) -> None:
        """Delete the checkpoint after the training."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _note(self, training: Resumable) -> None:
        self._kept, self._kept_at = len(training.losses), time.monotonic()
