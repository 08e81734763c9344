"""Where the images lie that a detector learned from: paths below a folder, which say nothing of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from adbench.api.component import sha256_of
from adbench.api.dataset import Sample
from adbench.detector.fit.images import GivenDataset
from adbench.detector.fit.state import DetectorState, LearnedImage


def learned_image(name: str, digest: str, alias: str, file: Path | None, root: Path | None) -> LearnedImage:
    """An image with the path of its file.

    Args:
        name: for people.
        digest: as the dataset has it: of the file's bytes, or also of how its pixels are read.
        alias: what the bank calls it.
        file: None for an array.
        root: the folder that the path begins at.
    """
    image = LearnedImage(name=name, sha256=digest, alias=alias)
    if file is None or root is None:
        return image
    content = sha256_of(file)
    return placed(image.model_copy(update={"content": None if content == digest else content}), file, root)


def learned_images(
    dataset: GivenDataset, samples: Sequence[Sample], digests: Mapping[str, str], aliases: Mapping[str, str]
) -> tuple[tuple[LearnedImage, ...], dict[str, Path]]:
    """Images that a caller gave, with their paths below the folder that holds all of them.

    Args:
        dataset: holds the images.
        samples: in the order in which they are learned from.
        digests: the content of each, by id.
        aliases: what the bank calls each, by id.

    Returns:
        The images, and by alias the file of each one that has one.
    """
    files = {one.id: file for one in samples if (file := dataset.file_of(one)) is not None}
    root = common_folder(files.values())
    images = tuple(
        learned_image(dataset.name_of(one), digests[one.id], aliases[one.id], files.get(one.id), root)
        for one in samples
    )
    return images, {aliases[name]: file for name, file in files.items()}


def placed(image: LearnedImage, file: Path, root: Path) -> LearnedImage:
    """The image with the path of its file below a folder; unchanged where it does not lie there or has an odd name."""
    with suppress(ValueError, ValidationError):
        path = file.relative_to(root).as_posix()
        path.encode()
        return LearnedImage(**{**image.model_dump(), "path": path})
    return image


def common_folder(files: Iterable[Path]) -> Path | None:
    """The deepest folder that holds all files; None where there is none."""
    folders = {file.parent for file in files}
    with suppress(ValueError):  # nothing, or several drives
        return Path(os.path.commonpath(folders))
    return None


def images_beside(state: DetectorState, folder: Path) -> Sequence[LearnedImage]:
    """The images with paths as a detector's file in a folder holds them: below that folder, where they lie there."""
    return [_beside(state, image, Path(os.path.abspath(folder))) for image in state.about.images]  # noqa: PTH100  no links


def _beside(state: DetectorState, image: LearnedImage, folder: Path) -> LearnedImage:
    file = state.files.get(image.alias)
    if file is None and state.home is not None and image.path is not None:
        file = state.home / image.path
        file = file if file.is_file() else None
    return image if file is None else placed(image, file, folder)
