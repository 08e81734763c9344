"""Holds components to their contracts while they run, and says who broke which rule."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real

import torch
from torch import Tensor

from adbench.api.backbone import Backbone
from adbench.api.component import Component
from adbench.api.features import Batch, Features, Scores
from adbench.api.geometry import Geometry
from adbench.api.stages import Augmenter, Masker, Neck, Preprocessor
from adbench.engine.interrupt import is_stop
from adbench.engine.words import named, words_of
from adbench.errors import AdbenchError, ContractError, UnitTimeout


class ComponentCrash(AdbenchError):
    """A component raised something that is no `AdbenchError`; the cause carries the traceback."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the host or on the device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = words_of(error) if isinstance(error, RuntimeError) else ""
    return "DefaultCPUAllocator" in text or "not enough memory" in text


@contextmanager
def blame(component: Component, step: str) -> Iterator[None]:
    """Name the component in whatever goes wrong inside the block.

    A fork of the process that comes out of a component ends here: the engine goes on in the one that it began in.

    Raises:
        UnitTimeout: time ran out while the component was at work.
        ComponentCrash: it raised anything that is not ours, `SystemExit` and the like included. Running out of memory
            passes through as it is, and so does a user who stops the run.
    """
    process = os.getpid()
    try:
        yield
    except UnitTimeout as error:
        said = words_of(error)
        if "still in" in said:
            raise
        raise UnitTimeout(f"{said}: {component.title} was still in {step}()") from None
    except AdbenchError:
        raise
    except BaseException as error:
        if is_stop(error) or is_out_of_memory(error):
            raise
        raise ComponentCrash(f"{component.title} raised {in_step(error, step)}") from error
    finally:
        if os.getpid() != process:
            os._exit(0)


def in_step(error: BaseException, step: str) -> str:
    """What was raised, and where, in words."""
    kind, _, said = named(error).partition(": ")
    return f"{kind} in {step}()" + (f": {said}" if said else "")


def check_prepared(step: Preprocessor, image: Tensor, geometry: Geometry) -> None:
    """A prepared image is [3, H, W] of the size that its geometry says."""
    if image.ndim != 3 or image.shape[0] != 3 or tuple(image.shape[1:]) != geometry.size:
        raise ContractError(
            step.title, f"apply() must return [3, H, W] of its geometry's size {geometry.size}, got {list(image.shape)}"
        )


def check_view(augmenter: Augmenter, image: Tensor, seen: Tensor) -> None:
    """A view is an image of the same size and type."""
    if seen.shape != image.shape or seen.dtype != image.dtype:
        wanted, got = f"{list(image.shape)} {image.dtype}", f"{list(seen.shape)} {seen.dtype}"
        raise ContractError(augmenter.title, f"view() must return an image of its input's shape {wanted}, got {got}")


def check_features(backbone: Backbone, batch: Batch, features: Features) -> None:
    """Features belong to the batch, have the right shapes and no gaps, and fill what the backbone promised."""
    if features.ids != batch.ids or features.geometry != batch.geometry:
        raise ContractError(backbone.title, "extract() must hand on the batch's ids and geometry")
    _check_filled(backbone, "extract()", backbone.provides(backbone.config) - {"text"}, features)


def check_neck(neck: Neck, before: Features, after: Features) -> None:
    """A neck keeps the images and their order, leaves no gaps, and fills what it promised."""
    if after.ids != before.ids or after.geometry != before.geometry:
        raise ContractError(neck.title, "apply() must hand on the ids and geometry of its input")
    _check_filled(neck, "apply()", neck.provides(neck.config), after)


def check_foreground(masker: Masker, features: Features, mask: Tensor) -> None:
    """A foreground says yes or no for each place of the patch grid."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ContractError(masker.title, f"mask() must return a bool tensor [B, H, W], got {got}")
    if features.patches is not None and mask.shape != features.patches.shape[:3]:
        shapes = f"{list(features.patches.shape[:3])}, got {list(mask.shape)}"
        raise ContractError(masker.title, f"mask() must return a mask of the grid's shape {shapes}")


def check_scores(scorer: Component, query: Features, scores: Scores, gives: frozenset[str]) -> None:
    """Scores are finite, one for each place of the grid and each image, and what the scorer promised."""
    if not isinstance(scores, Scores):
        raise ContractError(scorer.title, f"score() must return Scores, got {type(scores).__name__}")
    for field in gives:
        if getattr(scores, field) is None:
            raise ContractError(scorer.title, f"it promises the {field} score but score() left it empty")
    if scores.patches is not None:
        _check(scorer, "score()'s patches", scores.patches, len(query), 3, "[B, H, W]", query.ids)
        if query.patches is not None and scores.patches.shape != query.patches.shape[:3]:
            wanted, got = list(query.patches.shape[:3]), list(scores.patches.shape)
            raise ContractError(scorer.title, f"score() must return patches of the grid's shape {wanted}, got {got}")
    if scores.image is not None:
        _check(scorer, "score()'s image", scores.image, len(query), 1, "[B]", query.ids)


def check_image_scores(aggregator: Component, scores: Tensor, ids: Sequence[str]) -> None:
    """One finite score for each image of the test set."""
    _check(aggregator, "aggregate()", scores, len(ids), 1, "[N]", ids)


def check_facts(bank: Component, facts: object) -> None:
    """Facts are finite numbers by name."""
    if not isinstance(facts, Mapping):
        raise ContractError(bank.title, f"facts() must return a mapping, got {type(facts).__name__}")
    for name, value in facts.items():
        if not isinstance(name, str) or not isinstance(value, Real) or not math.isfinite(value):
            raise ContractError(bank.title, f"facts() must be finite numbers by name, got {name!r}: {value!r}")


def _check_filled(who: Component, step: str, promised: frozenset[str], features: Features) -> None:
    """What was promised is there, and what is there has the right shape and is finite."""
    for field in promised:
        if getattr(features, field) is None:
            raise ContractError(who.title, f"it promises {field!r} but {step} left it empty")
    for name, grid in {"patches": features.patches, **(features.layers or {})}.items():
        if grid is not None:
            _check(who, f"{step}'s {name}", grid, len(features), 4, "[B, H, W, C]", features.ids)
    if features.image is not None:
        _check(who, f"{step}'s image", features.image, len(features), 2, "[B, D]", features.ids)


def _check(who: Component, what: str, tensor: Tensor, count: int, ndim: int, shape: str, ids: Sequence[str]) -> None:
    if not isinstance(tensor, Tensor):
        raise ContractError(who.title, f"{what} must be a tensor {shape}, got {type(tensor).__name__}")
    if tensor.ndim != ndim or tensor.shape[0] != count:
        raise ContractError(who.title, f"{what} must be {shape} for {count} images, got {list(tensor.shape)}")
    if bool(torch.isfinite(tensor.sum(dtype=torch.float32))):
        return  # a sum is soon made, and is not finite if one of its terms is not
    bad = ~torch.isfinite(tensor.reshape(count, -1)).all(dim=1)
    if bool(bad.any()):
        raise ContractError(
            who.title, f"{what} must be finite, but has NaN or infinity for {ids[int(bad.nonzero()[0])]}"
        )
