"""The file of a detector: JSON and safetensors in a stored zip, nothing that could run.

| entry | holds |
|---|---|
| ``detector.json`` | recipe, images learned from, rule, weights, versions, figures (`DetectorDescription`) |
| ``bank.safetensors`` | what the bank learned |
| ``backbone.safetensors`` | the weights of the backbone's network after its tuning, if it was tuned |
| ``neck-0.safetensors`` ... | what each neck learned, by its place |
| ``normal.safetensors`` | scores of normal images, and the highest pixels of their maps |
| ``ignore.safetensors`` | the pixels that nobody looks at, if there are any |
| ``files/SHA256`` | files that options name, where they were bundled |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from adbench.api.backbone import Weights
from adbench.api.bank import Bank
from adbench.api.component import Component
from adbench.api.networks.weights import state_digest
from adbench.api.stages import Neck
from adbench.api.training.tuner import Tuned
from adbench.datasets import IgnoreMask
from adbench.detector.fit.calibration import Calibration
from adbench.detector.fit.places import images_beside
from adbench.detector.fit.state import About, DetectorState, LearnedImage, facts_of
from adbench.detector.fit.surroundings import Surroundings
from adbench.detector.recipes import detectable
from adbench.detector.store.archive import ArchiveReader, Write, write_archive
from adbench.detector.store.description import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    DetectorDescription,
    ForeignFile,
    NormalSource,
    parse_description,
)
from adbench.detector.store.ignored import ignore_info, packed_bits, unpacked_mask
from adbench.detector.store.options import foreign_files, with_paths, without_paths
from adbench.engine.features.contract import ComponentCrash, naming_component
from adbench.engine.plan.settings import Settings
from adbench.engine.plan.threshold_rule import Rule
from adbench.engine.process.error_text import words_of
from adbench.engine.run.method import Method
from adbench.engine.store.normal_scores import NormalScores
from adbench.engine.store.provenance import package_version
from adbench.engine.store.record import PartInfo, WeightsInfo
from adbench.engine.tuning.tuned_network import TunedNetwork
from adbench.errors import DataError, StorageError, UnknownName, UsageError, WeightsError
from adbench.registration.registry import Registry, holding

if TYPE_CHECKING:
    from torch import Tensor

BANK, NORMAL, IGNORE = "bank.safetensors", "normal.safetensors", "ignore.safetensors"
BACKBONE = "backbone.safetensors"
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[0-9][A-Za-z0-9.+!_-]{0,99}")


def write_detector(path: Path, fitted: DetectorState, *, bundle: bool = False) -> Path:
    """Write a detector's file, whole or not at all.

    Args:
        path: of the file.
        fitted: what was learned.
        bundle: put files that options name into it.

    Returns:
        The path.

    Raises:
        UsageError: a neck learns and cannot keep what it learned.
        StorageError: disk full or read-only.
    """
    files = foreign_files(_components(fitted.method), inside=bundle)
    images = images_beside(fitted, path.parent)
    entries: dict[str, Write] = {MANIFEST: _bytes(_description(fitted, images, list(files)).to_bytes())}
    entries |= {name: _tensors(state) for name, state in _states(fitted.method).items()}
    entries[NORMAL] = _tensors(_normal_tensors(fitted.calibration))
    if fitted.about.ignore is not None:
        entries[IGNORE] = _tensors({"bits": packed_bits(fitted.about.ignore)})
    if bundle:
        entries |= {file.entry: _copy(where) for file, where in files.items()}
    write_archive(path, entries)
    return path


def read_detector(path: Path, settings: Settings, given: Sequence[Path] = ()) -> DetectorState:
    """The fitted method in a file that may come from an untrusted source.

    Args:
        path: of the file.
        settings: device, runtime and cache.
        given: files that options name, known by their content.

    Raises:
        StorageError: it cannot be read, is no detector, is damaged, or of a newer adbench.
        UsageError: a plugin is missing or of another version.
        WeightsError: weights cannot be had, or are others.
    """
    with closing(ArchiveReader(path, "a detector of adbench")) as archive:
        description = parse_description(archive.read(MANIFEST, MAX_MANIFEST_BYTES), str(path))
        registry = holding({(part.kind, part.name): part.dist for part in description.parts})
        _require_parts(path, description, registry)
        surroundings = Surroundings(settings, description.seed, description.class_name)
        recipe = with_paths(description.recipe, description.files, archive, surroundings.folder("files"), given)
        method = Method.of(detectable(recipe, registry, description.class_name), recipe.map)
        surroundings.prepare(method)
        method = _tuned(archive, method, description, surroundings)
        _require_weights(path, description, surroundings.weights)
        _restore(archive, method)
        calibration = _calibration(archive, description)
        ignore = _ignore(archive, description)
    about = replace(_about(description, surroundings.weights), ignore=ignore)
    return DetectorState(recipe, method, calibration, about, surroundings, home=path.absolute().parent)


def read_description(path: Path) -> DetectorDescription:
    """The description in a detector's file; no component is made.

    Raises:
        StorageError: it cannot be read, is no detector, or of a newer adbench.
    """
    with closing(ArchiveReader(path, "a detector of adbench")) as archive:
        return parse_description(archive.read(MANIFEST, MAX_MANIFEST_BYTES), str(path))


def read_facts(path: Path) -> dict[str, str]:
    """What a detector is, in words, as `Detector.facts` has it; no component is made, so that none need be installed.

    Raises:
        StorageError: it cannot be read, is no detector, or of a newer adbench.
    """
    with closing(ArchiveReader(path, "a detector of adbench")) as archive:
        description = parse_description(archive.read(MANIFEST, MAX_MANIFEST_BYTES), str(path))
        weights = [Weights(one.name, one.sha256) for one in description.weights]
        method = {"method": description.recipe.title or description.recipe.name}
        about = replace(_about(description, weights), ignore=_ignore(archive, description))
        return {**method, **facts_of(about, _calibration(archive, description))}


def _components(method: Method) -> Mapping[str, Sequence[Component]]:
    one: dict[str, Component | None] = {
        "augment": method.augmenter,
        "backbone": method.backbone,
        "tune": method.tuner,
        "masker": method.masker,
        "bank": method.bank,
    }
    one |= {"scorer": method.scorer, "aggregate": method.aggregator}
    single: dict[str, Sequence[Component]] = {slot: [part] for slot, part in one.items() if part is not None}
    return {**single, "preprocess": method.preprocess, "neck": method.necks}


def _description(
    fitted: DetectorState, images: Sequence[LearnedImage], files: list[ForeignFile]
) -> DetectorDescription:
    about, calibration = fitted.about, fitted.calibration
    normal = calibration.normal
    return DetectorDescription(
        recipe=without_paths(fitted.recipe, files),
        spec=dict(about.spec),
        parts=list(about.parts),
        seed=about.seed,
        class_name=about.class_name,
        images=list(images),
        learned=about.learned,
        white=about.white,
        ignore=None if about.ignore is None else ignore_info(about.ignore),
        normal=NormalSource(source=normal.source, reason=normal.reason[:2000], rule=calibration.rule.words),
        weights=[WeightsInfo(name=one.name, sha256=one.sha256) for one in about.weights],
        provenance=about.provenance,
        cost=about.cost,
        figures=about.figures,
        history=list(about.history),
        files=files,
    )


def _about(description: DetectorDescription, weights: Sequence[Weights]) -> About:
    return About(
        spec=description.spec,
        parts=description.parts,
        seed=description.seed,
        class_name=description.class_name,
        images=tuple(description.images),
        learned=description.learned,
        white=description.white,
        weights=tuple(weights),
        provenance=description.provenance,
        cost=description.cost,
        figures=description.figures,
        history=tuple(description.history),
        bundled=any(file.inside for file in description.files),
    )


def _states(method: Method) -> dict[str, dict[str, Tensor]]:
    """The state of each part, by entry."""
    with naming_component(method.bank, "state"):
        states = {BANK: method.bank.state()}
    if method.tuned is not None:
        states[BACKBONE] = dict(method.tuned.state)
    for place, neck in enumerate(method.necks):
        with naming_component(neck, "state"):
            state = neck.state()
        if neck.learns and not state:
            raise UsageError(f"{neck.title} learns and does not say what: a detector with it cannot be saved")
        if state:
            states[_of_neck(place)] = state
    return states


def _of_neck(place: int) -> str:
    return f"neck-{place}.safetensors"


def _restore(archive: ArchiveReader, method: Method) -> None:
    necks = [(_of_neck(place), neck) for place, neck in enumerate(method.necks) if _of_neck(place) in archive.names]
    learned: list[tuple[str, Bank | Neck]] = [(BANK, method.bank), *necks]
    for name, part in learned:
        state = _loaded(archive, name)
        try:
            with naming_component(part, "restore"):
                part.restore(state)
        except ComponentCrash as error:
            raise StorageError(
                f"{archive.path}: {part.title} cannot take over what is in it ({words_of(error)}); make it anew with"
                " 'adbench fit'"
            ) from None


def _tuned(
    archive: ArchiveReader, method: Method, description: DetectorDescription, surroundings: Surroundings
) -> Method:
    """The method with the tuned weights in the file, where its recipe has a tuner.

    Raises:
        StorageError: they are missing or damaged, or not those that the description names.
        WeightsError: they are those of another network.
    """
    if method.tuner is None:
        return method
    if not description.weights:
        raise StorageError(f"{archive.path}: it names no weights of its tuned network; make it anew with 'adbench fit'")
    state, named = _loaded(archive, BACKBONE), description.weights[0]
    weights = Weights(named.name, state_digest(state))
    own = method.backbone.weights()[0]
    if own.sha256 != named.sha256:  # else the tuner changed nothing
        if weights.sha256 != named.sha256:
            raise StorageError(f"{archive.path}: its {BACKBONE} is not what it names; copy the file again")
        with naming_component(method.backbone, "take"):
            method.backbone.take(state, weights)
        surroundings.weights = (weights, *surroundings.weights[1:])
    return replace(method, tuned=TunedNetwork(state, weights, Tuned(), 0.0))


def _loaded(archive: ArchiveReader, name: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(archive.read(name))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise StorageError(f"{archive.path}: its {name} is damaged ({words_of(error)}); copy the file again") from None


def _ignore(archive: ArchiveReader, description: DetectorDescription) -> IgnoreMask | None:
    """The ignore mask of a detector's file; None for none."""
    if description.ignore is None:
        return None
    tensors = _loaded(archive, IGNORE)
    try:
        return unpacked_mask(tensors["bits"], description.ignore)
    except (KeyError, ValueError, TypeError, RuntimeError, DataError) as error:
        raise StorageError(
            f"{archive.path}: its {IGNORE} is damaged ({words_of(error)}); copy the file again"
        ) from None


def _calibration(archive: ArchiveReader, description: DetectorDescription) -> Calibration:
    tensors = _loaded(archive, NORMAL)
    try:
        scores = tensors["scores"].numpy().astype(np.float32).reshape(-1)
        peaks = tensors["peaks"].numpy().astype(np.float32).reshape(-1) if "peaks" in tensors else None
        rule = Rule.parse(description.normal.rule)
    except (KeyError, TypeError, UsageError) as error:
        raise StorageError(f"{archive.path}: it has no usable normal scores ({words_of(error)})") from None
    if not np.isfinite(scores).all() or (peaks is not None and not np.isfinite(peaks).all()):
        raise StorageError(f"{archive.path}: its normal scores are not finite; make it anew with 'adbench fit'")
    return Calibration(NormalScores(scores, description.normal.source, description.normal.reason), peaks, rule)


def _require_parts(path: Path, description: DetectorDescription, registry: Registry) -> None:
    """Raise `UsageError` unless every part is installed in the version that the detector was made with."""
    for part in description.parts:
        try:
            here = registry.get(part.kind, part.name)
        except UnknownName:
            raise UsageError(
                f"{path}: it needs {part.kind} {part.name!r}, which is not installed; {_way_to(part)}"
            ) from None
        if here.cls.version != part.version:
            raise UsageError(
                f"{path}: it was made with version {part.version} of {part.kind} {part.name!r}, and here is version"
                f" {here.cls.version}, which gives other scores; install {part.dist} {part.dist_version}, or fit anew"
            )


def _way_to(part: PartInfo) -> str:
    """How to get a part that is not here. A stranger names it: only the name of a package is put in a command."""
    if not _PACKAGE.fullmatch(f"{part.dist}=={part.dist_version}"):
        return "the file names no package that has it, so ask whoever made the file"
    if package_version(part.dist) == part.dist_version:
        return f"{part.dist} {part.dist_version} is here and has no such part, so ask whoever made the file"
    return f"pip install {part.dist}=={part.dist_version}"


def _require_weights(path: Path, description: DetectorDescription, weights: Sequence[Weights]) -> None:
    """Raise `WeightsError` unless the weights that were loaded are those that the detector was made with."""
    here, wanted = [one.sha256 for one in weights], [one.sha256 for one in description.weights]
    if here != wanted:
        names = ", ".join(f"{one.name} ({one.sha256[:12]})" for one in description.weights) or "none"
        found = ", ".join(f"{one.name} ({one.sha256[:12]})" for one in weights) or "none"
        raise WeightsError(
            f"{path}: it was made with the weights {names}, and here are {found}; get those, or fit anew"
        )


def _normal_tensors(calibration: Calibration) -> dict[str, Tensor]:
    import torch

    peaks = {} if calibration.peaks is None else {"peaks": torch.from_numpy(calibration.peaks)}
    return {"scores": torch.from_numpy(np.asarray(calibration.normal.values, np.float32)), **peaks}


def _bytes(content: bytes) -> Write:
    def write(entry: IO[bytes]) -> None:
        entry.write(content)

    return write


def _tensors(state: Mapping[str, Tensor]) -> Write:
    from safetensors.torch import save

    def write(entry: IO[bytes]) -> None:
        entry.write(save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}))

    return write


def _copy(path: Path) -> Write:
    def write(entry: IO[bytes]) -> None:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                entry.write(block)

    return write
