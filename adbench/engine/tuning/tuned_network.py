"""The weights of a tuned network with what the tuner told, and the cache that keeps them by what they follow from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from adbench.api.backbone import Weights
from adbench.api.networks.exports import read_checked, write_checked
from adbench.api.training.tuner import Tuned
from adbench.engine.process.notes import Notes

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "tuned"
"""The folder of tuned networks in the cache."""

TOLD = ".told"
"""The ending of the file beside the weights."""


class _Told(BaseModel):
    """What is kept beside the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    losses: list[float]
    facts: dict[str, float]
    notes: list[str]
    seconds: float = Field(ge=0)
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class TunedNetwork:
    """A network after its tuning.

    Attributes:
        state: its state dict, on the CPU.
        weights: name and sha256 of that.
        told: what the tuner told.
        seconds: how long it took, when it was done.
    """

    state: Mapping[str, Tensor]
    weights: Weights
    told: Tuned
    seconds: float

    @property
    def facts(self) -> dict[str, float]:
        """The figures for a record, each with ``tune_`` before its name."""
        return {f"tune_{name}": float(value) for name, value in self.told.facts.items()}


@dataclass(frozen=True)
class TunedCache:
    """Tuned networks on disk, by the digest of all that they follow from. Any file may be deleted at any time.

    Attributes:
        folder: None where nothing is kept.
        notes: tells each kind of trouble once.
    """

    folder: Path | None
    notes: Notes

    def get(self, key: str) -> TunedNetwork | None:
        """The network of this key; None if there is none, or none that can be trusted."""
        if self.folder is None or not self._told(key).exists():
            return None
        told, state = (read_checked(path) or b"" for path in (self._told(key), self._weights(key)))
        try:
            return _network(_Told.model_validate_json(told), load(state))
        except (ValueError, ValidationError, SafetensorError, KeyError):
            self.notes.once("a tuned network in the cache was damaged and is made again", "damaged")
            return None

    def put(self, key: str, network: TunedNetwork) -> None:
        """Keep a network, if the folder can be written; the weights first, so that what is told of is there."""
        if self.folder is None:
            return
        try:
            write_checked(self._weights(key), save(dict(network.state)))
            write_checked(self._told(key), _told_of(network))
        except OSError as error:
            self.notes.once(f"the tuned network is not kept for the next time ({error.strerror or error})", "write")

    def _weights(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.safetensors"

    def _told(self, key: str) -> Path:
        return self._weights(key).with_suffix(TOLD)


def _network(told: _Told, state: Mapping[str, Tensor]) -> TunedNetwork:
    said = Tuned(told.losses, told.facts, tuple(told.notes))
    return TunedNetwork(state, Weights(told.name, told.sha256), said, told.seconds)


def _told_of(network: TunedNetwork) -> bytes:
    told = network.told
    content = {"losses": list(told.losses), "facts": dict(told.facts), "notes": list(told.notes)}
    weights = {"name": network.weights.name, "sha256": network.weights.sha256, "seconds": network.seconds}
    return json.dumps({**content, **weights}, allow_nan=False).encode()
