"""Settings of a run, none of which changes a score."""

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
    """Settings of a run, none of which changes a score.

    Attributes:
        out: the folder of runs; a `upath.UPath` for an address.
        device: torch's name of the device.
        batch_size: number of images in a batch.
        workers: number of threads that read images ahead.
        timeout: time limit of a unit in seconds; None for no limit.
        skip_bad: leave out unreadable files.
        redo: run finished units again.
        retry: statuses of units that run again; other failed units do not.
        figures: draw pictures.
        threshold: the rule of the threshold; None for no threshold, which saves fitting the bank again.
        runtime: the runtime of the backbone.
        cache: the folder of features and exported networks; None for no cache.
        cache_limit: limit for features in bytes; None for a tenth of the free disk.
        save: keep the fitted detector of each unit beside its record.
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
    save: bool = False

    def reruns(self, status: str) -> bool:
        """Whether a unit with this status runs again."""
        return self.redo or status in self.retry

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON, for a worker in another process."""
        return {**asdict(self), "out": str(self.out), "cache": None if self.cache is None else str(self.cache)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Settings:
        """The settings from the JSON of `to_json`."""
        cache = None if data["cache"] is None else Path(data["cache"])
        rule = None if data["threshold"] is None else Rule(**data["threshold"])
        made = {"out": place(data["out"]), "cache": cache, "retry": tuple(data["retry"]), "threshold": rule}
        return cls(**{**data, **made})


def choose_device(wish: str) -> str:
    """Torch's name of the device for "auto", "cpu" or "cuda".

    Raises:
        UsageError: the wish is "cuda" and there is no GPU.
    """
    import torch

    there = torch.cuda.is_available()
    if wish == "cuda" and not there:
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu, or install a build of torch for it")
    return "cuda" if wish == "cuda" or (wish == "auto" and there) else "cpu"
