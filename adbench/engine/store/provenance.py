"""The provenance of a record: versions, device, git, weights. It is never part of a record's identity."""

from __future__ import annotations

import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import adbench
from adbench.api.backbone import Weights
from adbench.engine.store.record import Provenance, WeightsInfo

_CORE = "adbench-core"
"""The distribution that this file is part of."""

_NOT_AT_WORK = {"dev", "docs", "test", "tests"}
"""Extras whose packages no run uses."""


def provenance_of(
    device: str, runtime: str, weights: Iterable[Weights], dists: Iterable[str], started: datetime
) -> Provenance:
    """The provenance of a unit.

    Args:
        device: torch's name of the device.
        runtime: what computed the backbone.
        weights: what the backbone loaded.
        dists: distributions that the parts come from; recorded are their versions, and those of what they require.
        started: when the unit began.
    """
    import torch

    commit, dirty = _own_state()
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
        packages=package_versions(dists),
    )


def device_name(device: str) -> str:
    """The device in words: the GPU's name, or the processor's and its number of cores."""
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads != 1 else ''}"


@cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@cache
def _own_state() -> tuple[str | None, bool | None]:
    """Of adbench itself, as it was when the process needed it first: the code that runs is the one that was read."""
    return git_state(Path(adbench.__file__).parent)


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and whether there are uncommitted changes; (None, None) for an installed package."""
    if not (folder.parent / ".git").exists():
        return None, None  # installed, perhaps into an environment inside somebody else's repository
    try:
        status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None, None
    commit = next((line.split()[-1] for line in status if line.startswith("# branch.oid ")), "")
    if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return None, None  # nothing was committed yet
    return commit, any(not line.startswith("#") for line in status)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603  fixed words, no shell
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()


def package_versions(dists: Iterable[str]) -> dict[str, str]:
    """Versions of the core, of these distributions and of the packages that they require, as far as installed."""
    taking_part = {_CORE, *dists}
    names = taking_part.union(*map(_required_by, taking_part))
    found = {name: package_version(name) for name in sorted(names)}
    return {name: installed for name, installed in found.items() if installed is not None}


@cache
def _required_by(dist: str) -> frozenset[str]:
    """Packages that a distribution requires, also for its extras; none for one that is not installed."""
    try:
        about = metadata(dist)
    except PackageNotFoundError:
        return frozenset()
    extras = {"", *(about.get_all("Provides-Extra") or ())} - _NOT_AT_WORK
    names = (_name_of(line, extras) for line in about.get_all("Requires-Dist") or ())
    return frozenset(name for name in names if name)


def _name_of(line: str, extras: Iterable[str]) -> str | None:
    """The package that a line of a distribution's metadata requires; None where nothing here does, or it is broken."""
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        return None
    marker = wanted.marker
    if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in extras):
        return None
    return canonicalize_name(wanted.name)


@cache
def package_version(name: str) -> str | None:
    """The version of an installed package; None for another."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
