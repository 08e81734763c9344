"""The form of a model's image input: layout, channels, size and number, from its declaration and by trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from adbench import UsageError
from adbench_onnx.session import DoesNotRunError

if TYPE_CHECKING:
    import numpy as np

    from adbench_onnx.session import Model

GRAY = (0.299, 0.587, 0.114)
"""What red, green and blue are worth in a gray image: ITU-R BT.601, as in Pillow's and OpenCV's conversions."""

SIDE = 256
"""Of images where the model does not say or show another size."""

LEAST_SIDE = 8
"""What is declared to be smaller is no height and no width, but a number of channels."""

SIDES = (SIDE, 224, 384, 448, 336, 518, 512, 240, 288, 299, 320, 128, 64, 32, 96, 640, 1024)
"""What models were exported for that do not say so, the likeliest first."""


@dataclass(frozen=True)
class InputForm:
    """The form of the image input.

    Attributes:
        channels_last: whether as [B, H, W, C] instead of [B, C, H, W].
        channels: 3 for RGB, 1 for gray.
        size: height and width in pixels that surely work.
        fixed: which of them cannot be others, as far as the model declares it.
        batch: how many images at once; None for any number.
    """

    channels_last: bool
    channels: int
    size: tuple[int, int]
    fixed: tuple[bool, bool]
    batch: int | None

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether images of this size agree with what is declared."""
        return all(one == own or not fixed for one, own, fixed in zip(size, self.size, self.fixed, strict=True))

    def given(self, images: np.ndarray) -> np.ndarray:
        """Images [B, C, H, W] in the model's layout."""
        import numpy as np

        return np.ascontiguousarray(images.transpose(0, 2, 3, 1) if self.channels_last else images)

    def __str__(self) -> str:
        layout, kind = "NHWC" if self.channels_last else "NCHW", {1: "gray", 3: "RGB"}[self.channels]
        size = "x".join(str(side) if fixed else "any" for side, fixed in zip(self.size, self.fixed, strict=True))
        many = "any number" if self.batch is None else str(self.batch)
        return f"{kind} images as {layout}, {'any size' if size == 'anyxany' else f'{size} pixels'}, {many} at once"


def answers(model: Model, form: InputForm, images: np.ndarray) -> list[np.ndarray]:
    """All outputs [B, ...] for images [B, C, H, W], in groups of the model's batch size; the last one is padded.

    Raises:
        DoesNotRunError: it does not take them, or an output has not one item an image.
    """
    import numpy as np

    count = form.batch or len(images)
    parts = []
    for start in range(0, len(images), count):
        some = images[start : start + count]
        filled = np.concatenate([some, np.repeat(some[-1:], count - len(some), axis=0)])
        found = model.compute(form.given(filled))
        for name, array in zip(model.outputs, found, strict=True):
            if array.ndim == 0 or len(array) != count:
                raise DoesNotRunError(f"output {name!r} has the shape {list(array.shape)} for {count} images")
        parts.append([array[: len(some)] for array in found])
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def input_form_of(model: Model) -> tuple[InputForm, list[np.ndarray]]:
    """The first form that the model accepts for two images of noise, and its outputs.

    Raises:
        UsageError: it declares another number of channels, or takes none of what was tried.
    """
    reason = ""
    for form in _candidates(model):
        try:
            return form, answers(model, form, noise(form))
        except DoesNotRunError as error:
            reason = reason or str(error)
    raise UsageError(
        f"{model.file}: it takes no images of {', '.join(map(str, sorted(SIDES)))} pixels, of 3 channels or 1"
        f" ({reason}); export it with the size that it is for as its input's shape"
    )


def noise(form: InputForm, size: tuple[int, int] | None = None, images: int = 2) -> np.ndarray:
    """Images of noise [B, C, H, W] float32, always the same."""
    import numpy as np

    draw = np.random.default_rng(0)
    return draw.standard_normal((images, form.channels, *(size or form.size))).astype(np.float32)


def _candidates(model: Model) -> Iterator[InputForm]:
    """Candidate forms, the likeliest first."""
    layouts = sorted(_layouts(model), key=lambda item: (not item[2], item[0], -item[1]))
    if layouts and layouts[0][2] and not (len(layouts) > 1 and layouts[1][2]):
        layouts = layouts[:1]  # declared, so that nothing else need be tried
    declared = model.shape[0]
    batches: tuple[int | None, ...] = (None, 1) if declared is None else (declared,)
    for side, (last, channels, _), batch in product(SIDES, layouts, batches):
        sides = model.shape[1:3] if last else model.shape[2:4]
        fixed = sides[0] is not None, sides[1] is not None
        if not all(fixed) or side == SIDE:
            yield InputForm(last, channels, (sides[0] or side, sides[1] or side), fixed, batch)


def _layouts(model: Model) -> list[tuple[bool, int, bool]]:
    """Possible layouts: whether channels are last, their number, and whether the model declares it.

    Raises:
        UsageError: neither place can be that of 3 channels or 1.
    """
    places = {False: (model.shape[1], model.shape[3]), True: (model.shape[3], model.shape[1])}
    found = [
        (last, count, declared is not None)
        for last, (declared, side) in places.items()
        for count in (3, 1)
        if declared in (None, count) and (side is None or side >= LEAST_SIDE)
    ]
    if not found:
        shape = ", ".join("any" if one is None else str(one) for one in model.shape)
        raise UsageError(
            f"{model.file}: input {model.input!r} is [{shape}]; a backbone needs 3 channels or 1, second or last"
        )
    return found
