"""Graphs that come again, with a stub in the GPU's place."""

from __future__ import annotations

import torch

from adbench.api.networks import cuda
from adbench.networks import CudaGraphed, to_device


class Stub:
    """Records like a CUDA graph: fixed inputs and outputs."""

    def __init__(self):
        self.recorded, self.replayed, self.computed = [], 0, 0

    def compute(self, images):
        self.computed += 1
        return [images * 2]

    def record(self, compute, images):
        self.recorded.append(tuple(images.shape))

        def replay(given):
            self.replayed += 1
            return [given * 2]

        return replay


def test_a_shape_is_computed_then_recorded_then_replayed():
    stub = Stub()
    graphed = CudaGraphed(stub.compute, stub.record)
    for _ in range(4):
        assert torch.equal(graphed(torch.ones(2, 3))[0], torch.full((2, 3), 2.0))
    assert (stub.computed, stub.recorded, stub.replayed) == (1, [(2, 3)], 3)


def test_a_last_batch_is_not_recorded():
    stub = Stub()
    graphed = CudaGraphed(stub.compute, stub.record)
    for count in (4, 4, 1):
        graphed(torch.ones(count, 3))
    assert stub.recorded == [(4, 3)]


def test_layouts_and_types_are_told_apart():
    stub = Stub()
    graphed = CudaGraphed(stub.compute, stub.record)
    plain = torch.ones(1, 3, 4, 4)
    for images in (plain, plain.to(memory_format=torch.channels_last), plain.double()):
        graphed(images)
        graphed(images)
    assert len(stub.recorded) == 3


def test_what_cannot_be_recorded_is_computed_with_a_note():
    stub, tried = Stub(), []

    def refuse(_, images):
        tried.append(images)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    graphed = CudaGraphed(stub.compute, refuse)
    for _ in range(4):
        assert torch.equal(graphed(torch.ones(2, 3))[0], torch.full((2, 3), 2.0))
    assert len(tried) == 1
    assert graphed.notes == [
        "images of shape [2, 3] run without a CUDA graph (operation not permitted when stream is capturing)"
    ]


def test_graphs_are_few():
    stub = Stub()
    graphed = CudaGraphed(stub.compute, stub.record)
    for count in (*range(1, 9), *range(1, 9)):
        graphed(torch.ones(count, 3))
    assert len(stub.recorded) == cuda.MOST_GRAPHS


def test_images_stay_where_they_belong():
    images = torch.ones(2, 3)
    assert to_device(images, "cpu") is images
    assert to_device(images, "meta").device.type == "meta"
