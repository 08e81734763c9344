"""What merely happened: versions, device, git, weights. Never part of a record's identity."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import adbench
from adbench.api.backbone import Weights
from adbench.engine.record import Provenance, WeightsInfo

_PACKAGES = (
    "numpy",
    "pillow",
    "scipy",
    "torch",
    "torchvision",
    "timm",
    "faiss-cpu",
    "onnxruntime",
    "openvino",
    "transformers",
)


def provenance_of(
    device: str, runtime: str, weights: Iterable[Weights], dists: Iterable[str], started: datetime
) -> Provenance:
    """Where and on what a unit runs.

    Args:
        device: torch's name of the device.
        runtime: what computed the backbone.
        weights: what the backbone loaded.
        dists: distributions of the plugins that take part.
        started: when the unit began.
    """
    import torch

    commit, dirty = git_state(Path(adbench.__file__).parent)
    return Provenance(
        adbench=adbench.__version__,
        git=commit,
        dirty=dirty,
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=device_name(device),
        runtime=runtime,
        started=started.isoformat(timespec="seconds"),
        weights=[WeightsInfo(name=item.name, sha256=item.sha256) for item in weights],
        packages=_versions([*_PACKAGES, *dists]),
    )


def device_name(device: str) -> str:
    """The device in words: the GPU's name, or the processor's and its number of cores."""
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}"
    return f"{_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether there are uncommitted changes; (None, None) for an installed package."""
    try:
        if Path(_git(folder, "rev-parse", "--show-toplevel")) != folder.parent:
            return None, None  # installed into an environment inside somebody else's repository
        commit = _git(folder, "rev-parse", "HEAD")
        return commit, bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  fixed words, no shell
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in sorted(set(names)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
