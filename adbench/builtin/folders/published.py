"""Published datasets: their sources, and the usual places of their folders."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from adbench import DataError, Field, StorageError
from adbench.builtin.folders.archive import Archive, DataSource
from adbench.builtin.folders.file_dataset import FileDataset
from adbench.errors import printable
from adbench.files import read_yaml


class PublishedDataset(FileDataset):
    """A dataset with a name and a publisher.

    It is looked for in the option `root`, in the environment variable of its source, in ``configs/local.yaml``, and in
    the user's data folder.

    Attributes:
        source: where it comes from.
        unpacked: names of the folder that its archive unpacks.
    """

    source: ClassVar[DataSource]
    unpacked: ClassVar[tuple[str, ...]] = ()

    class Config(FileDataset.Config):
        root: Path | None = Field(
            None,
            description="the folder of the categories; default ADBENCH_DATA, then configs/local.yaml, then where"
            " 'adbench data get' puts it",
        )

    config: Config

    @abstractmethod
    def is_in(self, folder: Path) -> bool:
        """Whether a folder holds this dataset, or a part of it."""

    @cached_property
    def root(self) -> Path:
        if self.config.root is not None:
            return self._unpacked_in(existing(self.config.root, self.title))
        places = list(self._places())
        for place in places:
            for folder in (place, place / self.name, *(place / name for name in self.unpacked)):
                if self.is_in(folder):
                    return folder.resolve()
        raise DataError(f"{self.title} is not there (looked in {', '.join(map(str, places))}); {self._how_to_get()}")

    def _unpacked_in(self, folder: Path) -> Path:
        """The folder itself, or the one in it that the archive unpacked."""
        inner = [] if self.is_in(folder) else [folder / name for name in self.unpacked if self.is_in(folder / name)]
        return inner[0] if inner else folder

    def _how_to_get(self) -> str:
        places = f"name its folder with --root or {self.source.variable}"
        if isinstance(self.source, Archive):
            return f"get it with 'adbench data get {self.name}', {places}, or start with --data demo"
        return f"{self.source.advice or f'download it from {self.source.page}'}, or {places}"

    def download(self, target: Path | None, progress: Callable[[str, int, int | None], None]) -> Path:
        """Fetch, check and unpack the whole dataset.

        Args:
            target: the folder that will hold the categories; default the user's data folder.
            progress: called with what is being done, the bytes done, and the bytes to do or None.

        Returns:
            The folder.

        Raises:
            DataError: it cannot be fetched, or is not what it should be; the message says how to do it by hand.
            StorageError: it cannot be written.
        """
        from adbench.builtin.folders.download import download

        target = (target or self._home()).expanduser().resolve()
        if not isinstance(self.source, Archive):
            how = self.source.by_hand(target)
            raise DataError(f"{self.title} cannot be downloaded by adbench; {how[:1].lower()}{how[1:]}")
        download(self.source, target, progress)
        return target

    def _places(self) -> Iterator[Path]:
        """The possible places of the data, the most explicit first."""
        if variable := os.environ.get(self.source.variable):
            yield Path(variable).expanduser()
        for folder in (Path.cwd(), Path(__file__).resolve().parents[3]):
            yield from _from_settings(folder / "configs" / "local.yaml", self.name)
        yield self._home()

    def _home(self) -> Path:
        from platformdirs import user_data_path

        return user_data_path("adbench", appauthor=False) / self.name


def existing(path: Path, who: str) -> Path:
    """The folder as an absolute path.

    Raises:
        DataError: there is none.
    """
    folder = path.expanduser().resolve()
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DataError(f"{who}: {printable(path)} {what}; give the folder that holds the images, or use --data demo")
    return folder


def _from_settings(path: Path, dataset: str) -> Iterator[Path]:
    """The folder that a file of local settings names for a dataset, if it does.

    Raises:
        DataError: the file cannot be read as such.
    """
    if not path.is_file():
        return
    try:
        settings = read_yaml(path, "a file of settings") or {}
        named = (settings.get("datasets") or {}).get(dataset)
    except (StorageError, AttributeError) as error:
        raise DataError(f"{path} cannot be read: {error}; write 'datasets: {{{dataset}: /path/to/it}}'") from None
    if named is not None:
        yield (path.parent.parent / Path(str(named)).expanduser()).resolve()
