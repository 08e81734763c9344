"""The context of a component: facts about its run, but never the dataset's name or a label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Context:
    """The surroundings of one unit of work. The only source of randomness for components.

    Attributes:
        seed: the board's seed for this unit.
        device: where tensors go, such as ``"cpu"`` or ``"cuda:0"``.
        workdir: a scratch folder, empty at first, that is there for as long as what was made with it: that of a bank or
            a backbone for as long as these are used, which may be for several units. Nobody else writes into it.
        class_name: the object's name, where the protocol grants it, else None.
        runtime: what should compute the backbone: ``"auto"``, ``"torch"``, ``"onnxruntime"`` or ``"openvino"``.
        cache: a folder that stays, for what is costly to make and cheap to check, such as an exported network; None
            where nothing may be kept.
        watch: shows progress; a component that works for long calls it with the name of a stage, the steps done and the
            total. What follows a comma in the name, such as a loss, may change from call to call.
    """

    seed: int = 0
    device: str = "cpu"
    workdir: Path = Path()
    class_name: str | None = None
    runtime: str = "auto"
    cache: Path | None = None
    watch: Callable[[str, int, int], None] = field(
        default=lambda _stage, _done, _total: None, compare=False, repr=False
    )

    def stream_seed(self, name: str) -> int:
        """A 63-bit seed for a named stream of randomness: the same name and seed give the same bits everywhere."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def generator(self, name: str) -> torch.Generator:
        """A fresh torch generator (on the CPU, so that every device draws the same numbers) for the named stream."""
        import torch

        return torch.Generator().manual_seed(self.stream_seed(name))

    def rng(self, name: str) -> np.random.Generator:
        """A fresh NumPy generator for the named stream."""
        import numpy as np

        return np.random.default_rng(self.stream_seed(name))
