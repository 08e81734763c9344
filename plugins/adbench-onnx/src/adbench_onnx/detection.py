"""Detection of a model's form: how images go in, and how each output is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from adbench import UsageError, WeightsError
from adbench_onnx.input_form import InputForm, answers, input_form_of, noise
from adbench_onnx.layouts import Local, Maps, Size, Tokens, locality, maps_of, refuse, tokens_of
from adbench_onnx.session import DoesNotRunError, Model, open_model

if TYPE_CHECKING:
    import numpy as np

Layout = Literal["auto", "nchw", "nhwc"]


@dataclass(frozen=True)
class OutputOptions:
    """The form of the outputs, as far as the user gives it.

    Attributes:
        layout: of outputs of rank 4; ``"auto"`` to find out.
        strip: leading tokens of outputs of rank 3; None to find out.
        grid: their rows and columns; None to find out.
    """

    layout: Layout = "auto"
    strip: int | None = None
    grid: Size | None = None


@dataclass(frozen=True)
class ModelForm:
    """The detected form of a model.

    Attributes:
        input: how images go in.
        outputs: how those outputs are read that can be layers, in order.
        left_out: those that cannot, where none was named.
    """

    input: InputForm
    outputs: Mapping[str, Maps | Tokens]
    left_out: tuple[str, ...]

    @property
    def plain(self) -> tuple[bool, bool]:
        """Whether all maps are NCHW, and all tokens those of places."""
        maps = [one.channels == 1 for one in self.outputs.values() if isinstance(one, Maps)]
        tokens = [one.places == 1 and not one.leading for one in self.outputs.values() if isinstance(one, Tokens)]
        return all(maps), all(tokens)

    def __str__(self) -> str:
        outputs = ", ".join(f"{name} {how}" for name, how in self.outputs.items())
        left = f"; left out, as neither maps nor tokens: {', '.join(self.left_out)}" if self.left_out else ""
        return f"it takes {self.input}; it gives {outputs}{left}"


def detect_form(model: Model, given: OutputOptions, *, named: bool) -> ModelForm:
    """Detect the form of a model by running noise through it.

    Args:
        model: the model.
        given: the form that the user gives.
        named: whether its outputs were asked for by name, so that none may be left out.

    Raises:
        UsageError: it does not run, or an output is neither maps nor tokens, or does not show which.
    """
    form, arrays = input_form_of(model)
    probe = _Probe(model, form)
    read = {
        name: _reading(place, array, given, probe)
        for place, (name, array) in enumerate(zip(model.outputs, arrays, strict=True))
    }
    shapes = {name: array.shape for name, array in zip(model.outputs, arrays, strict=True)}
    unread = tuple(name for name, how in read.items() if how is None)
    outputs = {name: how for name, how in read.items() if how is not None}
    for name in unread:
        if named or not outputs or len(shapes[name]) in (3, 4):
            raise refuse(model.file, name, shapes[name])
    return ModelForm(form, outputs, (*model.left_out, *unread))


@lru_cache(maxsize=16)
def _detected(
    path: Path, _: tuple[int, int], layers: tuple[str, ...], image_input: str | None, given: OutputOptions
) -> ModelForm:
    model = open_model(path, layers, image_input, 0, "cpu")
    return detect_form(model, given, named=bool(layers))


def detected_form(
    path: Path, layers: tuple[str, ...], image_input: str | None, given: OutputOptions
) -> ModelForm | None:
    """The detected form of the model in a file, once for each content; None if the model cannot be used."""
    try:
        state = path.stat()
        return _detected(path, (state.st_size, state.st_mtime_ns), layers, image_input, given)
    except (OSError, ImportError, UsageError, WeightsError):
        return None


class _Probe:
    """Further outputs of the model, for images that change."""

    def __init__(self, model: Model, form: InputForm) -> None:
        self._model, self.form = model, form

    @cache  # noqa: B019 - it lives as long as one detection
    def aspect(self) -> tuple[list[np.ndarray], Size] | None:
        """The outputs for images of another aspect, and their size."""
        height, width = self.form.size
        for fixed, size in zip(self.form.fixed[::-1], ((height, 2 * width), (2 * height, width)), strict=True):
            if not fixed:
                try:
                    return answers(self._model, self.form, noise(self.form, size)), size
                except DoesNotRunError:
                    continue
        return None

    @cache  # noqa: B019
    def changes(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """By how much the outputs change with the upper half of images, and with the left one."""
        images = noise(self.form)
        before = answers(self._model, self.form, images)
        upper, left = images.copy(), images.copy()
        upper[:, :, : images.shape[2] // 2] *= -1
        left[..., : images.shape[3] // 2] *= -1
        both = (answers(self._model, self.form, some) for some in (upper, left))
        rows, columns = ([one - other for one, other in zip(some, before, strict=True)] for some in both)
        return rows, columns


def _reading(place: int, array: np.ndarray, given: OutputOptions, probe: _Probe) -> Maps | Tokens | None:
    """The reading of one output; None if it is no layer, or if its form cannot be detected."""
    if array.dtype.kind != "f":
        return None
    size = probe.form.size

    def other() -> tuple[tuple[int, ...], Size] | None:
        again = probe.aspect()
        return again and (again[0][place].shape, again[1])

    if array.ndim == 3:
        return tokens_of(array.shape, size, (given.strip, given.grid), lambda: (other() or (None,))[0])
    if array.ndim != 4:
        return None
    if given.layout != "auto":
        return Maps(1 if given.layout == "nchw" else 3)

    def local() -> Local:
        rows, columns = probe.changes()
        return locality(rows[place]), locality(columns[place])

    return maps_of(array, size, other, local)
