"""``adbench doctor``: what this machine has for adbench, to read and to paste into a bug report."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

import adbench
from adbench.cli.forms import form_options, print_rows
from adbench.cli.options import cache_option
from adbench.cli.screen import counted, echo, echo_json, visible

if TYPE_CHECKING:
    from adbench.registration.registry import Registry

Section = dict[str, str]
"""Names and what was found, in the order of printing."""

_RUNTIMES = {"torch": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""Values of ``--runtime``, and the package of each."""
_SETTINGS = (
    "ADBENCH_CACHE",
    "ADBENCH_DATA",
    "ADBENCH_DISABLE",
    "CUDA_VISIBLE_DEVICES",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HTTPS_PROXY",
    "OMP_NUM_THREADS",
    "TORCH_HOME",
)
"""Environment variables that change what a run does. None of them holds a secret; the proxy's password is hidden. Of
others that begin with ADBENCH_, no value is shown."""


@click.command("doctor")
@cache_option
@form_options("csv", "json")
def command(cache: Path | None, form: str | None) -> int:
    """Show versions, plugins, devices, runtimes, caches, settings and datasets, to paste into a bug report.

    Nothing is downloaded. The exit code is 1 if a plugin is broken.
    """
    from adbench.registration.registry import installed

    registry = installed()
    sections = _sections(registry, cache)
    if form == "json":
        echo_json(sections, indent=1)
    elif form == "csv":
        print_rows(
            ("section", "name", "value"), [(title, *row) for title, it in sections.items() for row in it.items()]
        )
    else:
        _print(sections)
    return 1 if registry.problems else 0


def _sections(registry: Registry, cache: Path | None) -> dict[str, Section]:
    return {
        "versions": _versions(),
        "plugins": _plugins(registry),
        "packages": _packages(),
        "devices": _devices(),
        "runtimes": _runtimes(),
        "cache": _cache(cache),
        "settings": _settings(os.environ, registry),
        "datasets": _datasets(registry),
    }


def _print(sections: Mapping[str, Section]) -> None:
    width = max(len(name) for section in sections.values() for name in section)
    for number, (title, section) in enumerate(sections.items()):
        echo(*([""] if number else []), title, bold=True)
        for name, found in section.items():
            echo(f"  {name:<{width}}  {found}", hang=width + 4)


def _versions() -> Section:
    from adbench.engine.store.provenance import git_state

    commit, changed = git_state(Path(adbench.__file__).parent)
    source = f" (commit {commit[:12]}{', with changes' if changed else ''})" if commit else ""
    return {
        "adbench": f"{adbench.__version__}{source}",
        "python": f"{platform.python_version()}, {sys.executable}",
        "system": platform.platform(),
    }


def _packages() -> Section:
    """The packages that adbench and its plugins require, as far as they are installed."""
    from adbench.engine.store.provenance import package_versions
    from adbench.registration.discovery import entry_points

    dists = {found.name for found in entry_points()}
    return {name: found for name, found in package_versions(dists).items() if name not in dists}


def _plugins(registry: Registry) -> Section:
    from adbench.registration.discovery import entry_points

    components = Counter(f"{entry.dist} {entry.dist_version}" for entry in registry.entries())
    recipes = Counter(f"{file.dist} {file.dist_version}" for file in registry.recipe_files.values())
    installed = {f"{found.name} {found.version}" for found in entry_points()}
    sound = {
        name: f"{counted(components[name], 'component')}, {counted(recipes[name], 'recipe')}"
        for name in sorted({*installed, *components, *recipes})
    }
    return {**sound, **{f"left out: {problem.dist}": problem.reason for problem in registry.problems}}


def _devices() -> Section:
    import psutil

    memory = psutil.virtual_memory()
    cpu = f"{counted(os.cpu_count() or 1, 'core')}; memory {_gb(memory.total)}, free {_gb(memory.available)}"
    return {"cpu": cpu, **dict(_gpus())}


def _gpus() -> Iterator[tuple[str, str]]:
    """Each GPU that torch can use, or why there is none."""
    try:
        import torch
    except ModuleNotFoundError:
        yield "cuda", "unknown: torch is not installed"
        return
    if not torch.cuda.is_available():
        yield "cuda", f"none (torch is built {f'for CUDA {torch.version.cuda}' if torch.version.cuda else 'for CPUs'})"
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        yield f"cuda:{number}", f"{card.name}, memory {_gb(card.total_memory)}"


def _runtimes() -> Section:
    from adbench.engine.store.provenance import package_version

    return {name: package_version(package) or f"pip install {package}" for name, package in _RUNTIMES.items()}


def _cache(cache: Path | None) -> Section:
    from adbench.cli.commands.cache import sizes_of
    from adbench.engine.features.cache_files import feature_folders

    if cache is None:
        return {"folder": "none"}
    content = sizes_of(cache, feature_folders(cache / "features")) if cache.is_dir() else "empty"
    return {"folder": f"{cache}", "content": content}


def _settings(environment: Mapping[str, str], registry: Registry) -> Section:
    from adbench.registration.variables import PREFIX, known_variables, nearest_to

    found = {name: _without_password(environment[name]) for name in _SETTINGS if name in environment}
    known = known_variables(registry)
    for name in sorted(name for name in environment if name.startswith(PREFIX) and name not in found):
        near = nearest_to(name, known)
        hint = f"; did you mean {near}?" if near else ""
        found[visible(name)] = "set" if name in known else f"set, but nothing that is installed reads it{hint}"
    return found or {"environment": f"none of {', '.join(_SETTINGS)} is set"}


def _without_password(value: str) -> str:
    """An address without the user and password before its host."""
    scheme, separator, rest = value.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if separator and "@" in rest else value


def _datasets(registry: Registry) -> Section:
    from adbench.cli.dataset_lines import found

    return {entry.name: "; ".join(found(entry.cls)) for entry in registry.entries("dataset")}


def _gb(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
