"""How units are run: nothing here changes a score."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.location import place
from adbench.errors import UsageError

RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Settings:
    """What does not change a score.

    Attributes:
        out: the folder of runs; a `upath.UPath` for one that is not on a disk of this machine.
        device: torch's name of it.
        batch_size: images a batch.
        workers: threads that read images ahead.
        timeout: seconds that one unit may take; None for no limit.
        skip_bad: leave out files that cannot be read.
        redo: run finished units again.
        retry: run units again whose record has one of these statuses; others that did not end well stay as they are.
        figures: draw pictures.
        threshold: how a threshold is set on normal images; None for none, which saves fitting the bank again.
        runtime: what should compute the backbone.
        cache: the folder that keeps features and exported networks; None for none.
        cache_limit: bytes of features that it may hold; None for a tenth of the free disk.
    """

    out: Path
    device: str = "cpu"
    batch_size: int = 8
    workers: int = 2
    timeout: float | None = None
    skip_bad: bool = False
    redo: bool = False
    retry: tuple[str, ...] = ()
    figures: bool = True
    threshold: Rule | None = None
    runtime: str = "auto"
    cache: Path | None = None
    cache_limit: int | None = None

    def again(self, status: str) -> bool:
        """Whether a unit that ended so is run again."""
        return self.redo or status in self.retry

    def to_json(self) -> dict[str, Any]:
        """For a worker elsewhere."""
        return {**asdict(self), "out": str(self.out), "cache": None if self.cache is None else str(self.cache)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """What `to_json` gave."""
        cache = None if data["cache"] is None else Path(data["cache"])
        rule = None if data["threshold"] is None else Rule(**data["threshold"])
        made = {"out": place(data["out"]), "cache": cache, "retry": tuple(data["retry"]), "threshold": rule}
        return cls(**{**data, **made})


def choose_device(wish: str) -> str:
    """Torch's name for "auto", "cpu" or "cuda".

    Raises:
        UsageError: a GPU is asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if wish == "cuda" and not there:
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu, or install a build of torch for it")
    return "cuda" if wish == "cuda" or (wish == "auto" and there) else "cpu"
