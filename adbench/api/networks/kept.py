"""What is kept of a network between processes, so that the next one need not build it: facts and proofs.

A library of networks takes seconds to import, and a network has to be built by it only where torch computes it. So a
network's exports are kept (`exports`), and beside them the facts that a backbone reads from its network, and the proofs
that a runtime gave on this machine what torch gives.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.api.networks.exports import NEEDED, digest_of, read_checked, write_checked

if TYPE_CHECKING:
    from torch import nn

    from adbench.api.context import Context

FOLDER = "runtimes"
"""Of `Context.cache`."""


@dataclass(frozen=True, eq=False)
class LateModule:
    """A torch module that is built when torch has to compute it.

    Attributes:
        build: gives it on the context's device, in its final precision.
        precision: torch's name of it, such as ``"float32"``.
    """

    build: Callable[[], nn.Module]
    precision: str


def kept_facts(ctx: Context, identity: Mapping[str, Any], find: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """JSON-compatible facts of a network, as they were kept, or as `find` gives them, which are then kept.

    Args:
        ctx: its cache holds them; without one `find` is always called.
        identity: JSON-compatible facts that decide them: model, layers, weights, versions of packages.
        find: builds the network and reads them from it.
    """
    path = ctx.cache and ctx.cache / FOLDER / f"{digest_of({'facts of': identity})}.facts"
    facts = _read(path) if path else None
    if facts is None:
        facts = json.loads(json.dumps(find()))  # lists instead of tuples, as the next process gets them
        if path:
            _write(path, facts)
    return facts


class Proofs:
    """The runtimes that gave what torch gives, by export: kept where exports are kept.

    A proof counts on the same kind of processor, for the same version of the runtime and the same number of threads.

    Args:
        folder: where they are kept; None to keep none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def has(self, runtime: str, export: str, threads: int, tolerance: float) -> bool:
        """Whether a runtime was found to differ from torch by no more than a relative error.

        Args:
            runtime: such as ``"openvino"``.
            export: the key of the exported network.
            threads: with which it computes.
            tolerance: the largest relative error that passes.
        """
        path = self._path(runtime, export, threads)
        error = ((path and _read(path)) or {}).get("relative_error")
        return isinstance(error, float) and error <= tolerance

    def keep(self, runtime: str, export: str, threads: int, error: float) -> None:
        """Keep the relative error that was found; where the folder cannot be written, the next process finds it."""
        path = self._path(runtime, export, threads)
        if path:
            _write(path, {"relative_error": error})

    def _path(self, runtime: str, export: str, threads: int) -> Path | None:
        packages = {package: version(package) for package in NEEDED[runtime]}
        facts = {"proof of": export, "runtime": runtime, "threads": threads, "processor": _processor(), **packages}
        facts |= {"images": "alone and several"}
        return self._folder and self._folder / f"{digest_of(facts)}.proof"


@cache
def _processor() -> str:
    """The kind of processor, with what it can do: a runtime chooses its kernels by that."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    first = {line.partition(":")[0].strip(): line for line in reversed(lines)}
    return " ".join(
        [platform.machine(), platform.processor(), *(first.get(key, "") for key in ("model name", "flags"))]
    )


def _read(path: Path) -> dict[str, Any] | None:
    """What `_write` wrote; None if it is missing or damaged."""
    content = read_checked(path)
    found = None if content is None else json.loads(content)
    return found if isinstance(found, dict) else None


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    """Keep facts; where that is impossible, the next process finds them again."""
    try:
        write_checked(path, json.dumps(facts).encode())
    except OSError:
        return
