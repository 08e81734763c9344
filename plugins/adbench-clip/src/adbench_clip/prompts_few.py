"""The bank of prompts and of a few normal images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from adbench import Context, ContractError, DataError, Features, FeatureStream, Source, UsageError, VectorBank
from adbench.search import ExactIndex, RecordableIndex
from adbench_clip.prompts import Prompts

if TYPE_CHECKING:
    from torch import Tensor

PATCHES = "patches"
LAYER = "layer."
"""Under which the bank's state has the vectors of a layer: ``layer.window2``."""


class PromptsFew(Prompts, VectorBank):
    """Prompts and all patches, windows and blocks of a few normal images (WinCLIP+, APRIL-GAN).

    Scorers that know vectors alone, such as `knn`, find the patches. WinCLIP's default keeps 1.7 MB an image.
    """

    name = "prompts-few"
    learns_from: ClassVar[Source] = Source.TRAIN
    needs = frozenset({"patches"})

    def __init__(self, /, **options: Any) -> None:
        super().__init__(**options)
        self._ids: tuple[str, ...] = ()
        self._indices: dict[str, ExactIndex | RecordableIndex] = {}

    def fit(self, features: FeatureStream, ctx: Context) -> None:
        """Keep the vectors of all images, once in memory.

        Raises:
            DataError: the stream is empty.
            ContractError: grids or layers change from image to image, or are not finite.
        """
        if not len(features):
            raise DataError(f"{self.title}: there is no image to learn from; give at least one normal image")
        read = self.prototypes(ctx)  # first, so that a fault in them is known before an image is read
        kept: dict[str, Tensor] = {}
        done = 0
        for part in features:
            for name, tensor in _grids(part, self.title).items():
                _store(kept, name, tensor, done, len(features), ctx.device)
            done += len(part)
        self._set_learned({**read, **{name: rows.flatten(0, 2) for name, rows in kept.items()}}, tuple(features.ids))

    def _set_learned(self, learned: Mapping[str, Tensor], ids: tuple[str, ...]) -> None:
        self._learned, self._ids, self._indices = dict(learned), ids, {}

    @property
    def vectors(self) -> Tensor:
        return self._known(PATCHES)

    @property
    def owners(self) -> Sequence[str]:
        each = len(self.vectors) // len(self._ids)
        return [name for name in self._ids for _ in range(each)]

    @property
    def layers(self) -> frozenset[str]:
        """The names of the layers whose vectors the bank keeps."""
        return frozenset(name.removeprefix(LAYER) for name in self._learned if name.startswith(LAYER))

    def association(self, grid: Tensor, layer: str | None = None) -> Tensor:
        """1 - cosine similarity to the most similar normal vector of the same layer.

        Args:
            grid: [B, H, W, C].
            layer: its name, or None for the patches.

        Returns:
            [B, H, W] float32.

        Raises:
            UsageError: it learned no such layer, or one of another width.
        """
        name = PATCHES if layer is None else LAYER + layer
        known = self._learned.get(name)
        if known is None or known.shape[1] != grid.shape[-1]:
            raise UsageError(f"{self.title} learned no {name!r} of width {grid.shape[-1]}; fit it on the same backbone")
        if name not in self._indices:
            self._indices[name] = ExactIndex(known, "cosine", keep=False)
        index, rows = self._indices[name], grid.flatten(0, 2)
        nearest, _ = index.search(rows, 1) if isinstance(index, ExactIndex) else index.search(rows, 1, "cosine")
        return nearest[:, 0].reshape(grid.shape[:3]).to(grid.device)

    def for_export(self) -> PromptsFew:
        """The bank with searches that are matrix products."""
        twin = copy(self)
        names = [name for name in self._learned if name == PATCHES or name.startswith(LAYER)]
        twin._indices = {name: RecordableIndex(self._learned[name]) for name in names}  # noqa: SLF001  its own
        return twin

    def state(self) -> dict[str, Tensor]:
        import torch

        if not self._learned:
            return {}
        return {**self._learned, "ids": torch.tensor(list("\0".join(self._ids).encode()), dtype=torch.uint8)}

    def restore(self, state: dict[str, Tensor]) -> None:
        learned = {name: tensor for name, tensor in state.items() if name != "ids"}
        self._set_learned(learned, tuple(bytes(state["ids"].tolist()).decode().split("\0")))

    def facts(self) -> Mapping[str, float]:
        """The facts of `prompts`, and the number of images."""
        return {**super().facts(), "references": len(self._ids)}


def _grids(part: Features, who: str) -> dict[str, Tensor]:
    """The grids of a batch: patches, windows and blocks."""
    layers = {LAYER + name: layer for name, layer in (part.layers or {}).items()}
    return {PATCHES: part.need_patches(who), **layers}


def _store(kept: dict[str, Tensor], name: str, tensor: Tensor, done: int, total: int, device: str) -> None:
    """Write a batch's grids after those of earlier images, into memory that was allocated for all images."""
    import torch

    if name not in kept:
        kept[name] = torch.empty(total, *tensor.shape[1:], device=device)
    if kept[name].shape[1:] != tensor.shape[1:]:
        raise ContractError(
            "the backbone", f"all images have one grid of {name!r}; resize them to one size before 'prompts-few'"
        )
    if not tensor.isfinite().all():
        raise ContractError("the backbone", f"features are finite, but {name!r} has NaN or infinity")
    kept[name][done : done + len(tensor)] = tensor
