"""Rules for backbones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch

from adbench import AdbenchError, Backbone, Batch, Features
from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import close, fingerprint
from adbench.testing.partners import prepared_as_named
from adbench.testing.toy_data import image_batch

SIZES = ((64, 96), (97, 131), (113, 70))


def check_provides_is_true(subject: Subject[Backbone]) -> None:
    """`provides` names exactly the fields that `extract` fills, and answers before anything is loaded."""
    promised = subject.fresh().provides(subject.original.config)
    seen = _usual(subject)
    filled = {field for field in ("patches", "layers", "image") if getattr(seen, field) is not None}
    require(promised - {"text"} == filled, f"It promises {sorted(promised)} and fills {sorted(filled)}.")


def check_grids_match_images(subject: Subject[Backbone]) -> None:
    """Patches and layers are finite [B, H, W, C] and the image vector [B, D], one for each image, ids handed on."""
    backbone = subject.ready()
    batch = prepared_as_named(backbone, image_batch(64, 96, 2))
    seen = backbone.extract(batch)
    require(seen.ids == batch.ids and seen.geometry == batch.geometry, "Ids or geometry differ from the batch's.")
    for name, tensor in _tensors(seen):
        wanted = 2 if name == "image" else 4
        require(tensor.ndim == wanted and len(tensor) == 2, f"{name} is {list(tensor.shape)} for 2 images.")
        require(tensor.is_floating_point() and bool(tensor.isfinite().all()), f"{name} is not finite floating point.")


def check_batch_of_one_equals_batch_of_four(subject: Subject[Backbone]) -> None:
    """The features of an image do not depend on the rest of the batch."""
    backbone = subject.ready()
    batch = prepared_as_named(backbone, image_batch(64, 96, 4))
    together = dict(_tensors(backbone.extract(batch)))
    for i in range(len(batch)):
        alone = Batch(batch.ids[i : i + 1], batch.images[i : i + 1], batch.geometry[i : i + 1])
        for name, tensor in _tensors(backbone.extract(alone)):
            require(close(tensor, together[name][i : i + 1]), f"{name} of image {i} differs from that in a batch of 4.")


def check_odd_sizes(subject: Subject[Backbone]) -> None:
    """Images of any size give a grid, or an AdbenchError that says which sizes do."""
    backbone = subject.ready()
    for height, width in SIZES:
        try:
            seen = backbone.extract(image_batch(height, width, 1))
        except AdbenchError as refusal:
            require(len(str(refusal)) > len(backbone.title), f"{height}x{width} was refused without a word.")
            continue
        for name, tensor in _tensors(seen):
            require(0 not in tensor.shape and bool(tensor.isfinite().all()), f"{name} is bad at {height}x{width}.")


def check_grid_follows_the_image(subject: Subject[Backbone]) -> None:
    """Height and width are not mixed up: turning the image turns the grid."""
    backbone = subject.ready()
    batch = prepared_as_named(backbone, image_batch(64, 96, 1))
    if batch.images.shape[-2] == batch.images.shape[-1]:
        batch = image_batch(64, 96, 1)
    turned = Batch(batch.ids, batch.images.transpose(2, 3), batch.geometry)
    try:
        shapes = [{name: tensor.shape for name, tensor in _tensors(backbone.extract(b))} for b in (batch, turned)]
    except AdbenchError:
        return  # it takes square images only, and said so
    for name in shapes[0].keys() - {"image"}:
        (_, high, wide, _), (_, wide_too, high_too, _) = shapes[0][name], shapes[1][name]
        require((high, wide) == (high_too, wide_too), f"{name} is {high}x{wide}, and {wide_too}x{high_too} turned.")


def check_no_gradients_no_training(subject: Subject[Backbone]) -> None:
    """Eval mode without gradients: the same image twice gives the same bits, and grad mode stays as it was."""
    backbone = subject.ready()
    batch = prepared_as_named(backbone, image_batch(64, 96, 2))
    with torch.enable_grad():
        first, second = backbone.extract(batch), backbone.extract(batch)
        require(torch.is_grad_enabled(), "It switched gradients off for everybody; use the context manager.")
    require(not any(tensor.requires_grad for _, tensor in _tensors(first)), "Features carry gradients.")
    require(fingerprint(first) == fingerprint(second), "The second time the features were others; call eval().")


def check_weights_are_named(subject: Subject[Backbone]) -> None:
    """Weights have a name and a sha256 of 64 hex digits."""
    for weights in subject.ready().weights():
        require(bool(weights.name.strip()), "A name is empty.")
        digits = re.fullmatch(r"[0-9a-f]{64}", weights.sha256)
        require(bool(digits), f"The sha256 of {weights.name!r} is {weights.sha256!r}.")


def _usual(subject: Subject[Backbone]) -> Features:
    """Features of two images, prepared as the backbone names it."""
    backbone = subject.ready()
    return backbone.extract(prepared_as_named(backbone, image_batch(64, 96, 2)))


def _tensors(seen: Features) -> Iterator[tuple[str, torch.Tensor]]:
    """The filled fields of features, by name."""
    named = {"patches": seen.patches, "image": seen.image}
    yield from ((name, tensor) for name, tensor in named.items() if tensor is not None)
    yield from (seen.layers or {}).items()


RULES: dict[str, tuple[Rule, ...]] = {
    "backbone": (
        check_provides_is_true,
        check_grids_match_images,
        check_batch_of_one_equals_batch_of_four,
        check_odd_sizes,
        check_grid_follows_the_image,
        check_no_gradients_no_training,
        check_weights_are_named,
    )
}
