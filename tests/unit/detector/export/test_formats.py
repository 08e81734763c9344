from __future__ import annotations

import pytest
import torch
from torch import nn

from adbench.detector.export.formats import onnx_bytes, recorded
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
