"""Changes a detector's bank: images that it learns from besides, and images that it forgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone

from adbench.api.bank import Bank
from adbench.detector.fit.images import GivenDataset, GivenImage
from adbench.detector.fit.places import learned_images
from adbench.detector.fit.state import About, DetectorState, LearnedImage
from adbench.detector.fit.surroundings import Surroundings
from adbench.engine.features.contract import naming_component
from adbench.engine.features.feature_reader import FeatureReader
from adbench.engine.features.image_loader import ImageLoader, source_images
from adbench.engine.features.sealed_stream import Seal, SealedStream
from adbench.engine.features.streams import ImageStream
from adbench.engine.features.views import views_of
from adbench.engine.plan.aliases import aliases_of
from adbench.engine.plan.settings import Settings
from adbench.engine.process.clock import Clock
from adbench.engine.process.global_state import undisturbed
from adbench.errors import UnknownName, UsageError

_KEPT = "the normal scores are those of before"


def with_images(state: DetectorState, images: Sequence[GivenImage], settings: Settings) -> DetectorState:
    """The state after the bank has learned from more normal images; those that it knows are left out.

    The normal scores, which thresholds and p-values follow from, stay: new images that are chosen because they raised
    false alarms would not be a fair sample. Where more normal vectors never raise a normal image's score, as in a
    memory bank with the nearest neighbour, what they promise stays true.

    Raises:
        UsageError: the bank cannot learn from more images, or all of them are known.
        BadImage: an image cannot be read.
    """
    method, about = state.method, state.about
    if any(neck.learns for neck in method.necks):
        raise UsageError("a neck of this detector learns from all images at once; fit it again with all of them")
    if method.tuner is not None:
        raise UsageError("this detector's network is tuned to all images at once; fit it again with all of them")
    dataset = GivenDataset(_unknown(images, about), about.white, about.ignore)
    digests = {sample.id: dataset.digest(sample) for sample in dataset.samples}
    aliases = aliases_of(dataset.samples, digests, about.id)
    surroundings = Surroundings(settings, about.seed, about.class_name)
    loader = ImageLoader(method.preprocess, settings.batch_size, settings.workers)
    half = state.recipe.features == "float16"
    reader = FeatureReader(method.backbone, loader, Clock(settings.device), images=method.reads_images, half=half)
    sources = source_images(dataset, dataset.samples, aliases, digests)
    stream, seal = ImageStream(reader, sources, views_of(method.augmenter)), Seal()
    with undisturbed(), _unchanged_on_failure(method.bank), seal.reopened(), naming_component(method.bank, "add"):
        method.bank.add(SealedStream(stream, method.bank_features, seal), surroundings.ctx)
    learned, files = learned_images(dataset, dataset.samples, digests, aliases)
    note = f"{_today()}: {len(learned)} images added ({_few([image.name for image in learned])}); {_KEPT}"
    changed = replace(about, images=(*about.images, *learned), history=(*about.history, note))
    return replace(state, about=changed, folders=(state.folders, surroundings), files={**state.files, **files})


def _unknown(images: Sequence[GivenImage], about: About) -> list[GivenImage]:
    """Those that the detector has not learned from, each content once."""
    given = GivenDataset(images, about.white, about.ignore)
    fresh = {given.digest(sample): image for sample, image in zip(given.samples, images, strict=True)}
    known = {image.sha256 for image in about.images}
    found = [image for digest, image in fresh.items() if digest not in known]
    if not found:
        raise UsageError("the detector has learned from all of these images already")
    return found


def without_images(state: DetectorState, names: Sequence[str]) -> DetectorState:
    """The state after the bank has forgotten images, named by file name or by how their sha256 begins.

    Raises:
        UnknownName: it never learned from such an image.
        UsageError: the bank cannot forget, or nothing would be left.
    """
    about, bank = state.about, state.method.bank
    if state.method.tuner is not None:
        raise UsageError("this detector's network is tuned to all its images at once; fit it again without these")
    gone = [image for name in names for image in _named(about.images, name)]
    with _unchanged_on_failure(bank), naming_component(bank, "remove"):
        bank.remove([image.alias for image in gone])
    note = f"{_today()}: {len(gone)} images removed ({_few([image.name for image in gone])}); {_KEPT}"
    left = tuple(image for image in about.images if image not in gone)
    return replace(state, about=replace(about, images=left, history=(*about.history, note)))


def _named(images: Sequence[LearnedImage], name: str) -> list[LearnedImage]:
    found = [image for image in images if image.name == name or (len(name) >= 8 and image.sha256.startswith(name))]
    if not found:
        raise UnknownName("image", name, {image.name for image in images}, "of this detector", see="adbench bank show")
    return found


@contextmanager
def _unchanged_on_failure(bank: Bank) -> Iterator[None]:
    """Put the bank back as it was, if the block fails."""
    before = bank.state()
    try:
        yield
    except BaseException:
        bank.restore(before)
        raise


def _today() -> str:
    return datetime.now(timezone.utc).date().isoformat()


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
