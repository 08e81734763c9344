from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from adbench.detector.export.formats import onnx_bytes, recorded, write
from adbench.errors import UsageError

pytest.importorskip("onnx")


class Inverse(nn.Module):
    """An operation that ONNX has not."""

    def forward(self, images):
        return (torch.linalg.inv(images + torch.eye(8)).sum((1, 2, 3)),)


def test_what_onnx_lacks_is_one_sentence():
    recording = recorded(Inverse(), torch.zeros(1, 3, 8, 8), 1)
    with pytest.raises(UsageError, match="torch cannot write this method as ONNX .*; take --format torch") as caught:
        onnx_bytes(recording)
    assert "\n" not in str(caught.value)


class Sliced(nn.Module):
    """Keeps two parts of one tensor."""

    def __init__(self):
        super().__init__()
        whole = torch.arange(8.0)
        self.register_buffer("first", whole[:3])
        self.register_buffer("second", whole[2:6])

    def forward(self, images):
        return (images.float().mean((1, 2, 3)) + self.first.sum() + self.second.sum(),)


def test_a_torch_file_of_parts_of_a_tensor_warns_of_nothing(tmp_path):
    recording = recorded(Sliced(), torch.zeros(1, 4, 4, 3, dtype=torch.uint8), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(recording, "torch", tmp_path / "x.pt2", {})
    assert (tmp_path / "x.pt2").stat().st_size > 0
