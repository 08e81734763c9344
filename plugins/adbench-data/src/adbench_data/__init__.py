"""Published datasets in their original folders, and lists of one's own images."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from adbench import Component, Dataset, hookimpl

if TYPE_CHECKING:
    import click

SETS = {
    "btad": ("Btad",),
    "dagm": ("Dagm",),
    "elpv": ("Elpv",),
    "kolektor": ("KolektorSdd", "KolektorSdd2"),
    "magnetic_tile": ("MagneticTile",),
    "manifest": ("ManifestDataset",),
    "mpdd": ("Mpdd",),
    "mulsen_ad": ("MulSenAD",),
    "mvtec_3d": ("MVTec3D",),
    "mvtec_ad_2": ("MVTecAD2",),
    "mvtec_loco": ("MVTecLoco",),
    "real_iad": ("RealIad", "RealIadVariety"),
    "visa": ("Visa",),
}
"""The classes of each module of `adbench_data.sets`."""


def every_dataset() -> list[type[Dataset]]:
    """Every dataset of this package."""
    return [
        getattr(import_module(f"adbench_data.sets.{module}"), name) for module, names in SETS.items() for name in names
    ]


@hookimpl
def register_components(register: Callable[[type[Component]], None]) -> None:
    for cls in every_dataset():
        register(cls)


@hookimpl
def register_commands(cli: click.Group) -> None:
    """The one command: ``submit-ad2``."""
    from adbench_data.submission.command import command

    cli.add_command(command)
