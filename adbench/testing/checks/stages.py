"""Rules for augmenters, preprocessors, necks and maskers."""

from __future__ import annotations

import torch
from torch import Tensor

from adbench import Augmenter, Features, Geometry, Masker, Neck, Preprocessor
from adbench.testing.check import Rule, Subject, require
from adbench.testing.exercise import close
from adbench.testing.toy_data import pick, toys

ORIGINAL = (300, 400)
DOTS = ((150, 200), (140, 215), (70, 90), (250, 120), (40, 330))
"""Places in the original; the first ones lie in the middle, where no crop of half its size removes them."""


def check_views_are_images_of_one_size(subject: Subject[Augmenter]) -> None:
    """There is at least one view; each keeps the image's size and type, and none is the image itself."""
    augmenter, image = subject.ready(), toys().image
    require(augmenter.count > 0, f"It has {augmenter.count} views.")
    for number in range(augmenter.count):
        seen = augmenter.view(image, number)
        same = seen.shape == image.shape and seen.dtype == image.dtype
        require(same, f"View {number} is {list(seen.shape)} {seen.dtype}, not {list(image.shape)} {image.dtype}.")
        require(not torch.equal(seen, image), f"View {number} is the image itself, which is always shown.")


def check_dot_maps_back(subject: Subject[Preprocessor]) -> None:
    """The geometry maps a dot of the prepared image back to where it was, within a pixel of either image."""
    step = subject.ready()
    seen = 0
    for dot in DOTS:
        image, geometry = step.apply(_dotted(dot), Geometry.whole(*ORIGINAL))
        if float(image.max()) < 0.5 or _at_border(image):
            continue  # cropped away, all of it or a part
        seen += 1
        found = geometry.to_original(*_centre(image))
        pixel = max(1.0, (geometry.box[2] - geometry.box[0]) / geometry.size[0])
        off = max(abs(found[0] - dot[0]), abs(found[1] - dot[1]))
        require(off <= pixel, f"A dot at {dot} came back at {found[0]:.1f}, {found[1]:.1f}.")
    require(seen > 0, "No dot was to be seen afterwards, not even in the middle.")


def check_geometry_fits_the_image(subject: Subject[Preprocessor]) -> None:
    """The image stays [3, H, W] in its type and range, and the geometry says its size and the same original."""
    step = subject.ready()
    for given in (toys().image, toys().image.float() / 255):
        image, geometry = step.apply(given, Geometry.whole(*ORIGINAL))
        require(
            image.shape[0] == 3 and tuple(image.shape[1:]) == geometry.size, f"{list(image.shape)}, {geometry.size}."
        )
        require(geometry.original == ORIGINAL, f"The original became {geometry.original}.")
        require(image.dtype == given.dtype, f"{given.dtype} became {image.dtype}.")
        require(float(image.min()) >= 0 and float(image.max()) <= (255 if image.dtype == torch.uint8 else 1), "Range.")


def check_steps_add_up(subject: Subject[Preprocessor]) -> None:
    """A step builds on the geometry that it is given: after a crop, a dot still maps back to the original."""
    cropped = _dotted(DOTS[1])[:, :280, 40:]
    image, geometry = subject.ready().apply(cropped, Geometry.whole(*ORIGINAL).windowed(0, 40, 280, 360))
    found = geometry.to_original(*_centre(image))
    pixel = max(1.0, (geometry.box[2] - geometry.box[0]) / geometry.size[0])
    off = max(abs(found[0] - DOTS[1][0]), abs(found[1] - DOTS[1][1]))
    require(off <= pixel, f"A dot at {DOTS[1]} came back at {found[0]:.1f}, {found[1]:.1f}.")


def check_tiles_cover_the_image(subject: Subject[Preprocessor]) -> None:
    """A step with tiles gives images of a size that its tiles cover to the last pixel."""
    step = subject.ready()
    if step.tiling is None:
        return
    image, _ = step.apply(toys().image, Geometry.whole(*ORIGINAL))
    size = (int(image.shape[1]), int(image.shape[2]))
    require(step.tiling.padded(*size) == size, f"{size[0]}x{size[1]} pixels are not what its tiles cover.")


def _dotted(dot: tuple[int, int]) -> Tensor:
    """[3, H, W] float32, black, with a soft white dot around a point, wide enough to survive being made smaller."""
    y = torch.arange(ORIGINAL[0]) + 0.5 - dot[0]
    x = torch.arange(ORIGINAL[1]) + 0.5 - dot[1]
    return torch.exp(-(y[:, None] ** 2 + x[None] ** 2) / (2 * 6.0**2)).expand(3, -1, -1).contiguous()


def _centre(image: Tensor) -> tuple[float, float]:
    """The centre of gravity of what is bright, in continuous coordinates."""
    weight = (image.mean(0) - 0.3).clamp(min=0).double()
    y = torch.arange(len(weight)) + 0.5
    x = torch.arange(weight.shape[1]) + 0.5
    return float((weight.sum(1) * y).sum() / weight.sum()), float((weight.sum(0) * x).sum() / weight.sum())


def _at_border(image: Tensor) -> bool:
    bright = image.mean(0) > 0.3
    return bool(bright[0].any() | bright[-1].any() | bright[:, 0].any() | bright[:, -1].any())


def check_neck_keeps_the_images(subject: Subject[Neck]) -> None:
    """A neck hands on ids and geometry, and what it `provides` is there and finite."""
    given = toys()
    seen = _ready_neck(subject).apply(given.test.features)
    require(seen.ids == given.test.ids and seen.geometry == given.test.features.geometry, "Ids or geometry differ.")
    promised = subject.original.provides(subject.original.config)
    missing = [field for field in promised if getattr(seen, field, None) is None]
    require(not missing, f"It promises {', '.join(missing)}, but left it empty.")
    for name, tensor in _tensors(seen).items():
        require(bool(tensor.isfinite().all()), f"{name} is not finite.")
        require(len(tensor) == len(given.test) and tensor.ndim == (2 if name == "image" else 4), f"{name}'s shape.")


def check_neck_of_one_equals_neck_of_four(subject: Subject[Neck]) -> None:
    """What a neck makes of an image does not depend on the rest of the batch."""
    given = toys()
    neck = _ready_neck(subject)
    together = _tensors(neck.apply(pick(given.test.features, slice(4))))
    for i in range(4):
        for name, tensor in _tensors(neck.apply(pick(given.test.features, slice(i, i + 1)))).items():
            require(close(tensor, together[name][i : i + 1]), f"{name} of image {i} differs from that in a batch of 4.")


def check_widths_of_layers_add_up(subject: Subject[Neck]) -> None:
    """The channels that `widths_after` counts for all layers are together those of the patches."""
    neck, features = _ready_neck(subject), toys().test.features
    if "layers" in neck.needs:
        widths = {name: layer.shape[-1] for name, layer in features.need_layers(neck.title).items()}
    else:
        channels = features.need_patches(neck.title).shape[-1]
        widths, features = {"one": 6, "two": channels - 6}, features.having(layers=None)
    patches, after = neck.apply(features).patches, neck.widths_after(widths)
    if after is not None and patches is not None:
        total = sum(after.values())
        require(total == patches.shape[-1], f"It counts {total} channels, and the patches have {patches.shape[-1]}.")


def check_mask_has_its_shape(subject: Subject[Masker]) -> None:
    """A mask is [B, H, W] bool on the patch grid."""
    given = toys()
    mask = subject.ready().mask(given.test.features)
    require(mask.dtype == torch.bool and mask.shape == given.truth.shape, f"It is {mask.dtype} {list(mask.shape)}.")


def check_mask_of_one_equals_mask_of_four(subject: Subject[Masker]) -> None:
    """The mask of an image does not depend on the rest of the batch."""
    given = toys()
    masker = subject.ready()
    together = masker.mask(pick(given.test.features, slice(4)))
    for i in range(4):
        alone = masker.mask(pick(given.test.features, slice(i, i + 1)))
        require(bool((alone[0] == together[i]).all()), f"That of image {i} differs from that in a batch of 4.")


def check_neck_state_round_trip(subject: Subject[Neck]) -> None:
    """A neck gives all that it learned in `state`, as named tensors that survive safetensors; `restore` takes it."""
    from safetensors.torch import load, save

    neck, other, features = _ready_neck(subject), subject.ready(), toys().test.features
    if not neck.learns:
        return
    state = neck.state()
    require(bool(state), "It learns, and its state is empty; return what `fit` learned as named tensors.")
    other.restore(load(save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})))
    before, after = _tensors(neck.apply(features)), _tensors(other.apply(features))
    same = all(torch.equal(before[name], after[name]) for name in before)
    require(same, "The restored neck changes features otherwise than the one it came from.")


def _ready_neck(subject: Subject[Neck]) -> Neck:
    neck = subject.ready()
    if neck.learns:
        neck.fit(toys().train, subject.ctx)
    return neck


def _tensors(seen: Features) -> dict[str, Tensor]:
    named = {"patches": seen.patches, "image": seen.image, **(seen.layers or {})}
    return {name: tensor for name, tensor in named.items() if tensor is not None}


RULES: dict[str, tuple[Rule, ...]] = {
    "augmenter": (check_views_are_images_of_one_size,),
    "preprocessor": (
        check_dot_maps_back,
        check_geometry_fits_the_image,
        check_steps_add_up,
        check_tiles_cover_the_image,
    ),
    "neck": (
        check_neck_keeps_the_images,
        check_neck_of_one_equals_neck_of_four,
        check_neck_state_round_trip,
        check_widths_of_layers_add_up,
    ),
    "masker": (check_mask_has_its_shape, check_mask_of_one_equals_mask_of_four),
}
