"""Images to batches to features: read ahead, grouped by size, kept between walks where more than one is to come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.dataset import Dataset, Sample
from adbench.api.features import Batch, Features, FeatureStream
from adbench.api.geometry import Geometry
from adbench.api.stages import Masker, Neck, Preprocessor
from adbench.engine.clock import Clock
from adbench.engine.contract import blame, check_features, check_foreground, check_neck, check_prepared
from adbench.errors import StorageError

MEMORY_FOR_FEATURES = 1 << 30
"""Bytes of features kept in memory between walks; what is beyond waits on disk."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Prepared = tuple[Tensor, Geometry]


def read_ahead(work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int) -> Iterator[Result]:
    """Results in order, computed by threads at most `ahead` items early."""
    # One thread of arithmetic for each reader: torch would start as many as there are cores in each of them, and they
    # would wait for one another and for the backbone (measured: a fifth of the time an image on two cores). A thread
    # that has not asked for its number yet takes the last one set, so this one asks first.
    torch.get_num_threads()
    with ThreadPoolExecutor(workers, "adbench-read", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class ImageLoader:
    """Reads images, prepares them, and groups neighbours of one size into batches."""

    def __init__(self, dataset: Dataset, preprocess: Sequence[Preprocessor], batch_size: int, workers: int) -> None:
        self.dataset, self.preprocess = dataset, preprocess
        self.batch_size, self.workers = batch_size, workers

    def prepare(self, sample: Sample) -> Prepared:
        """One image, [3, H, W] float32 from 0 to 1, and where its pixels come from.

        Raises:
            BadImage: the file cannot be read.
        """
        with blame(self.dataset, "image"):
            image = torch.from_numpy(self.dataset.image(sample)).permute(2, 0, 1)
        geometry = Geometry.whole(image.shape[1], image.shape[2])
        for step in self.preprocess:
            with blame(step, "apply"):
                image, geometry = step.apply(image, geometry)
                check_prepared(step, image, geometry)
        return (image.float().div_(255) if image.dtype == torch.uint8 else image), geometry

    def batches(self, samples: Sequence[Sample]) -> Iterator[Batch]:
        """Batches in the order of the samples; a batch ends early where the size changes."""
        prepared = read_ahead(self.prepare, samples, self.workers, 2 * self.batch_size)
        group: list[tuple[str, Prepared]] = []
        for sample, item in zip(samples, prepared, strict=True):
            if group and (len(group) == self.batch_size or group[0][1][0].shape != item[0].shape):
                yield _batch(group)
                group = []
            group.append((sample.id, item))
        if group:
            yield _batch(group)


def _batch(group: list[tuple[str, Prepared]]) -> Batch:
    return Batch(
        ids=tuple(name for name, _ in group),
        images=torch.stack([image for _, (image, _) in group]),
        geometry=tuple(geometry for _, (_, geometry) in group),
    )


class ExtractedStream(FeatureStream):
    """What the backbone sees in some images.

    Args:
        loader, samples, backbone: whence the features come.
        folder: for what is to be kept and does not fit into memory.
        images: whether the prepared images go along with the features, for parts that read them.
        keep: whether another walk is expected, so that features are kept (in memory, then in `folder`).
        seen: called with the number of images after each batch.
    """

    def __init__(
        self,
        loader: ImageLoader,
        samples: Sequence[Sample],
        backbone: Backbone,
        folder: Path,
        *,
        images: bool = False,
        keep: bool = False,
        seen: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.loader, self.samples, self.backbone, self.seen = loader, samples, backbone, seen
        self._kept: list[Callable[[], Features]] | None = None
        self._images, self._keep, self._folder = images, keep, folder

    @property
    def ids(self) -> Sequence[str]:
        return [sample.id for sample in self.samples]

    def __iter__(self) -> Iterator[Features]:
        if self._kept is not None:
            yield from (load() for load in self._kept)
            return
        kept: list[Callable[[], Features]] = []
        used = 0
        for batch in self.loader.batches(self.samples):
            features = extract(self.backbone, batch).having(images=batch.images if self._images else None)
            self.seen(len(batch))
            if self._keep:
                used += _bytes(features)
                file = (
                    self._folder / f"features-{id(self)}-{len(kept)}.safetensors"
                    if used > MEMORY_FOR_FEATURES
                    else None
                )
                kept.append(_keeper(features, file))
            yield features
        self._kept = kept if self._keep else None


def extract(backbone: Backbone, batch: Batch) -> Features:
    """A checked call of the backbone, without gradients."""
    with blame(backbone, "extract"), torch.no_grad():
        features = backbone.extract(batch)
        check_features(backbone, batch, features)
        return features


def _keeper(features: Features, file: Path | None) -> Callable[[], Features]:
    """A function that gives the features back, from memory or from a file of our own in the unit's scratch folder.

    Raises:
        StorageError: the scratch folder is full.
    """
    if file is None:
        return lambda: features
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    layers = features.layers or {}
    tensors = {name: getattr(features, name) for name in ("patches", "image", "foreground", "images")}
    flat = {key: value for key, value in tensors.items() if value is not None}
    flat |= {f"layer.{name}": value for name, value in layers.items()}
    device = next(iter(flat.values())).device
    try:
        save_file({key: value.contiguous() for key, value in flat.items()}, file)
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"cannot keep features in {file.parent}: {error}; free some space there, or set TMPDIR to a larger folder"
        ) from None
    rest = features.having(patches=None, image=None, foreground=None, images=None, layers=None)

    def load() -> Features:
        read = load_file(file, device=str(device))
        found = {name: read[f"layer.{name}"] for name in layers} or None
        return rest.having(layers=found, **{key: value for key, value in read.items() if not key.startswith("layer.")})

    return load


def _bytes(features: Features) -> int:
    tensors = [
        features.patches,
        features.image,
        features.foreground,
        features.images,
        *(features.layers or {}).values(),
    ]
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


class ChangedStream(FeatureStream):
    """Another stream's features after a change."""

    def __init__(self, source: FeatureStream, change: Callable[[Features], Features]) -> None:
        self.source, self.change = source, change

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        return map(self.change, self.source)


def apply_necks(necks: Sequence[Neck], features: Features) -> Features:
    """Features after all necks, without gradients."""
    for neck in necks:
        with blame(neck, "apply"), torch.no_grad():
            before, features = features, neck.apply(features)
            check_neck(neck, before, features)
    return features


def find_object(masker: Masker | None, features: Features) -> Features:
    """Features with the foreground that the masker finds, if there is one."""
    if masker is None:
        return features
    with blame(masker, "mask"), torch.no_grad():
        foreground = masker.mask(features)
        check_foreground(masker, features, foreground)
    return features.having(foreground=foreground)


class TimedStream(FeatureStream):
    """Another stream, with the time that its features take added to the clock's "extract"."""

    def __init__(self, source: FeatureStream, clock: Clock) -> None:
        self.source, self.clock = source, clock

    @property
    def ids(self) -> Sequence[str]:
        return self.source.ids

    def __iter__(self) -> Iterator[Features]:
        walk = iter(self.source)
        while True:
            with self.clock.measure("extract"):
                features = next(walk, None)
            if features is None:
                return
            yield features
