"""Checks of the components' contracts while they run; an error names the component and the broken rule."""

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
from adbench.engine.process.error_text import named, words_of
from adbench.engine.process.interrupts import is_stop
from adbench.errors import AdbenchError, ContractError, UnitTimeout

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What features and scores may be given as. Scores become float32."""

HALF_MAX = torch.finfo(torch.float16).max

_NAMES = ", ".join(str(kind).removeprefix("torch.") for kind in FLOATS)
SUM_TOLERANCE = 1e-3
"""By which probabilities of classes may miss 1 together."""


class ComponentCrash(AdbenchError):
    """A component raised something that is no `AdbenchError`; the cause carries the traceback."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on the host or on the device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = words_of(error) if isinstance(error, RuntimeError) else ""
    return "DefaultCPUAllocator" in text or "not enough memory" in text


@contextmanager
def naming_component(component: Component, step: str) -> Iterator[None]:
    """Name the component in every error that leaves the block.

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
        message = words_of(error)
        if "still in" in message:
            raise
        raise UnitTimeout(f"{message}: {component.title} was still in {step}()") from None
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
    kind, _, message = named(error).partition(": ")
    return f"{kind} in {step}()" + (f": {message}" if message else "")


def require_type(who: Component, step: str, answer: object, wanted: type | tuple[type, ...]) -> None:
    """Raise `ContractError` unless a step returned what its contract promises."""
    if not isinstance(answer, wanted):
        names = " or ".join(cls.__name__ for cls in (wanted if isinstance(wanted, tuple) else (wanted,)))
        raise ContractError(who.title, f"{step} must return {names}, got {type(answer).__name__}")


def prepared_pair(step: Preprocessor, answer: object) -> tuple[Tensor, Geometry]:
    """What a preprocessor returned: an image and its geometry."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise ContractError(step.title, f"apply() must return (image, geometry), got {type(answer).__name__}")
    require_type(step, "apply()'s image", answer[0], Tensor)
    require_type(step, "apply()'s geometry", answer[1], Geometry)
    return answer


def check_prepared(step: Preprocessor, image: Tensor, geometry: Geometry) -> None:
    """A prepared image is [3, H, W] of the size that its geometry says."""
    if image.ndim != 3 or image.shape[0] != 3 or tuple(image.shape[1:]) != geometry.size:
        raise ContractError(
            step.title, f"apply() must return [3, H, W] of its geometry's size {geometry.size}, got {list(image.shape)}"
        )


def check_view(augmenter: Augmenter, image: Tensor, seen: Tensor) -> None:
    """A view is an image of the same size and type."""
    require_type(augmenter, "view()", seen, Tensor)
    if seen.shape != image.shape or seen.dtype != image.dtype:
        wanted, got = f"{list(image.shape)} {image.dtype}", f"{list(seen.shape)} {seen.dtype}"
        raise ContractError(augmenter.title, f"view() must return an image of its input's shape {wanted}, got {got}")


def check_features(backbone: Backbone, batch: Batch, features: Features) -> Features:
    """Features belong to the batch, have the right shapes and no gaps, and fill what the backbone promised.

    Returns:
        The same without a graph of gradients.
    """
    require_type(backbone, "extract()", features, Features)
    if features.ids != batch.ids or features.geometry != batch.geometry:
        raise ContractError(backbone.title, "extract() must hand on the batch's ids and geometry")
    return _checked(backbone, "extract()", backbone.provides(backbone.config) - {"text"}, features)


def check_neck(neck: Neck, before: Features, after: Features) -> Features:
    """A neck keeps the images and their order, leaves no gaps, and fills what it promised.

    Returns:
        The same without a graph of gradients.
    """
    require_type(neck, "apply()", after, Features)
    if after.ids != before.ids or after.geometry != before.geometry:
        raise ContractError(neck.title, "apply() must hand on the ids and geometry of its input")
    return _checked(neck, "apply()", neck.provides(neck.config), after)


def check_rounded(backbone: Component, features: Features, rounded: Features) -> None:
    """Features that were finite still are so in 16 bits.

    Raises:
        ContractError: one is larger than float16 can be.
    """
    before, after = _tensors(features), _tensors(rounded)
    for name, tensor in after.items():
        if not _finite(tensor):
            bad = (~torch.isfinite(tensor.reshape(len(features), -1)).all(dim=1)).nonzero()[0]
            largest = float(before[name][bad].abs().max())
            raise ContractError(
                backbone.title,
                f"extract()'s {name} is up to {largest:.3g} for {features.ids[int(bad)]}, which 'features: float16'"
                f" cannot hold ({HALF_MAX:g} at most); set the recipe's features to float32",
            )


def check_foreground(masker: Masker, features: Features, mask: Tensor) -> None:
    """A foreground says yes or no for each place of the patch grid."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise ContractError(masker.title, f"mask() must return a bool tensor [B, H, W], got {got}")
    if features.patches is not None and mask.shape != features.patches.shape[:3]:
        shapes = f"{list(features.patches.shape[:3])}, got {list(mask.shape)}"
        raise ContractError(masker.title, f"mask() must return a mask of the grid's shape {shapes}")


def check_scores(scorer: Component, query: Features, scores: Scores, gives: frozenset[str]) -> Scores:
    """Scores are finite, one for each place of the grid and each image, and what the scorer promised.

    Returns:
        The same as float32, without a graph of gradients.
    """
    require_type(scorer, "score()", scores, Scores)
    for field in gives:
        if getattr(scores, field) is None:
            raise ContractError(scorer.title, f"it promises the {field} score but score() left it empty")
    patches, image = scores.patches, scores.image
    if patches is not None:
        patches = _score(scorer, "score()'s patches", patches, len(query), 3, "[B, H, W]", query.ids)
        if query.patches is not None and patches.shape != query.patches.shape[:3]:
            wanted, got = list(query.patches.shape[:3]), list(patches.shape)
            raise ContractError(scorer.title, f"score() must return patches of the grid's shape {wanted}, got {got}")
    if image is not None:
        image = _score(scorer, "score()'s image", image, len(query), 1, "[B]", query.ids)
    return Scores(patches, image, None if scores.classes is None else _classes(scorer, scores.classes, query.ids))


def _classes(scorer: Component, classes: Tensor, ids: Sequence[str]) -> Tensor:
    """Probabilities [B, K] of at least two classes, which add up to 1; the same as float32."""
    found = _score(scorer, "score()'s classes", classes, len(ids), 2, "[B, K]", ids)
    if found.shape[1] < 2 or (found < 0).any() or ((found.sum(1) - 1).abs() > SUM_TOLERANCE).any():
        raise ContractError(
            scorer.title, "score()'s classes must be probabilities of at least two classes, which add up to 1"
        )
    return found


def check_image_scores(aggregator: Component, scores: Tensor, ids: Sequence[str]) -> Tensor:
    """One finite score for each image of the test set; the same as float32, without a graph of gradients."""
    return _score(aggregator, "aggregate()", scores, len(ids), 1, "[N]", ids)


def check_facts(bank: Component, facts: object) -> None:
    """Facts are finite numbers by name."""
    if not isinstance(facts, Mapping):
        raise ContractError(bank.title, f"facts() must return a mapping, got {type(facts).__name__}")
    for name, value in facts.items():
        if not isinstance(name, str) or not isinstance(value, Real) or not math.isfinite(value):
            raise ContractError(bank.title, f"facts() must be finite numbers by name, got {name!r}: {value!r}")


def check_losses(bank: Component, losses: object) -> None:
    """Losses are finite numbers in a sequence."""
    if not isinstance(losses, Sequence):
        raise ContractError(bank.title, f"losses() must return a sequence, got {type(losses).__name__}")
    for loss in losses:
        if not isinstance(loss, Real) or not math.isfinite(loss):
            raise ContractError(bank.title, f"losses() must be finite numbers, got {loss!r}")


def _checked(who: Component, step: str, promised: frozenset[str], features: Features) -> Features:
    """What was promised is there, and what is there has the right shape and is finite."""
    for field in promised:
        if getattr(features, field) is None:
            raise ContractError(who.title, f"it promises {field!r} but {step} left it empty")
    patches, layers, image = features.patches, features.layers, features.image
    if patches is not None:
        patches = _check(who, f"{step}'s patches", patches, len(features), 4, "[B, H, W, C]", features.ids)
    if layers is not None:
        layers = {
            name: _check(who, f"{step}'s {name}", layer, len(features), 4, "[B, H, W, C]", features.ids)
            for name, layer in layers.items()
        }
    if image is not None:
        image = _check(who, f"{step}'s image", image, len(features), 2, "[B, D]", features.ids)
    if patches is features.patches and image is features.image and _same(layers, features.layers):
        return features
    return features.having(patches=patches, layers=layers, image=image)


def _same(after: dict[str, Tensor] | None, before: dict[str, Tensor] | None) -> bool:
    """Whether layers are the same tensors."""
    return all(after[name] is layer for name, layer in before.items()) if after and before else after is before


def _tensors(features: Features) -> dict[str, Tensor]:
    """The tensors of features, by name."""
    found = {"patches": features.patches, "image": features.image, **(features.layers or {})}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _check(who: Component, what: str, tensor: Tensor, count: int, ndim: int, shape: str, ids: Sequence[str]) -> Tensor:
    """A tensor that keeps the rules, without its graph of gradients."""
    if not isinstance(tensor, Tensor):
        raise ContractError(who.title, f"{what} must be a tensor {shape}, got {type(tensor).__name__}")
    if tensor.ndim != ndim or tensor.shape[0] != count:
        raise ContractError(who.title, f"{what} must be {shape} for {count} images, got {list(tensor.shape)}")
    if tensor.dtype not in FLOATS or tensor.layout != torch.strided:
        got = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix("torch.")
        raise ContractError(who.title, f"{what} must be floating point ({_NAMES}) and dense, got {got}; return float32")
    if tensor.requires_grad or tensor.is_neg():
        tensor = tensor.detach().resolve_neg()
    if not _finite(tensor):
        bad = ~torch.isfinite(tensor.float().reshape(count, -1)).all(dim=1)
        raise ContractError(
            who.title,
            f"{what} must be finite, but has NaN or infinity for {ids[int(bad.nonzero()[0])]}{_narrow(who, tensor)}",
        )
    return tensor


def _finite(tensor: Tensor) -> bool:
    """Whether all is, in float32; a sum is soon made, and is not finite if one of its terms is not."""
    return math.isfinite(float(tensor.sum(dtype=torch.float32))) or bool(torch.isfinite(tensor.float()).all())


def _narrow(who: Component, tensor: Tensor) -> str:
    """What else to say where the type was too small."""
    if tensor.dtype == torch.float64 and bool(torch.isfinite(tensor).all()):
        return " in float32; scale what is returned"
    half = tensor.dtype == torch.float16 or getattr(who.config, "precision", "") == "float16"
    return f"; float16 ends at {HALF_MAX:g}: let it compute in float32 or bfloat16" if half else ""


def _score(who: Component, what: str, tensor: Tensor, count: int, ndim: int, shape: str, ids: Sequence[str]) -> Tensor:
    """A score that keeps the rules as float32: exactly, or from float64 rounded to 7 digits."""
    tensor = _check(who, what, tensor, count, ndim, shape, ids)
    found = tensor.float()
    if tensor.dtype == torch.float64 and bool((lost := (found == 0) & (tensor != 0)).any()):
        raise ContractError(
            who.title, f"{what} must fit into float32, but has {float(tensor[lost][0]):.3g}; return their logarithm"
        )
    return found
