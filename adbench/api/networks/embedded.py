"""ONNX models as steps of a recording, whose nodes become part of the exported file."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from torch import Tensor, dtype

OPERATOR = "adbench::embedded"
"""Torch's name of the step that gives one output, until an export puts the model's own nodes in its place."""


_numbers = count()


class EmbeddedModel:
    """An ONNX model that an export records as a step, and then makes part of the file.

    It is called once before anybody records, so that the shapes of its outputs are known.

    Args:
        content: the model, as one ONNX file holds it.
        image: name of the input that it is given.
        outputs: names of the outputs to compute.
        compute: the outputs for images in the model's own form, outside of an export.
    """

    known: ClassVar[MutableMapping[str, EmbeddedModel]] = WeakValueDictionary()
    """Those that live, by key: torch's operators take texts, and no objects."""

    def __init__(
        self, content: bytes, image: str, outputs: Sequence[str], compute: Callable[[Tensor], list[Tensor]]
    ) -> None:
        self.content, self.image, self.outputs, self._compute = content, image, tuple(outputs), compute
        self._forms: dict[tuple[int, ...], list[tuple[tuple[int, ...], dtype]]] = {}
        self._key = str(next(_numbers))
        self.known[self._key] = self

    def __call__(self, images: Tensor) -> list[Tensor]:
        """The outputs for images in the model's own form, each by a step of its own."""
        step = _step()
        return [step(images, self._key, number) for number in range(len(self.outputs))]

    def computed(self, images: Tensor, number: int) -> Tensor:
        """One of the outputs; notes the forms of all."""
        found = self._compute(images)
        self._forms[tuple(images.shape)] = [(tuple(one.shape), one.dtype) for one in found]
        return found[number].clone()

    def blank(self, images: Tensor, number: int) -> Tensor:
        """A tensor of the form that one of the outputs had for earlier images of this form."""
        shape, kind = self._forms[tuple(map(int, images.shape))][number]
        return images.new_empty(shape, dtype=kind)


@cache
def _step() -> Any:
    import torch

    def compute(images: Tensor, key: str, number: int) -> Tensor:
        return EmbeddedModel.known[key].computed(images, number)

    schema = "(Tensor images, str key, int number) -> Tensor"
    operator = torch.library.custom_op(OPERATOR, compute, mutates_args=(), schema=schema)
    operator.register_fake(lambda images, key, number: EmbeddedModel.known[key].blank(images, number))
    return operator
