"""Masks on disk."""

from __future__ import annotations

import pytest
import torch
from adbench_sam.mask_cache import MaskCache


@pytest.fixture
def kept(tmp_path):
    return MaskCache.of(tmp_path, {"model": "tiny"})


def mask(height=90, width=70):
    return torch.rand(height, width, generator=torch.Generator().manual_seed(0)) > 0.5


def test_what_is_kept_comes_back(kept, picture):
    kept.put(picture(), mask())
    assert torch.equal(kept.get(picture()), mask())
    assert kept.get(picture(70, 90)) is None
    assert kept.get(picture() + 1) is None


def test_another_way_of_looking_has_another_folder(kept, tmp_path, picture):
    kept.put(picture(), mask())
    assert MaskCache.of(tmp_path, {"model": "vit_b"}).get(picture()) is None
    assert torch.equal(MaskCache.of(tmp_path, {"model": "tiny"}).get(picture()), mask())


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" + data[1:]]
)
def test_a_damaged_file_is_not_there_and_is_replaced(kept, picture, damage):
    kept.put(picture(), mask())
    (file,) = kept.folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert kept.get(picture()) is None
    kept.put(picture(), mask())
    assert torch.equal(kept.get(picture()), mask())


def test_a_flipped_bit_is_found(kept, picture):
    kept.put(picture(), mask())
    (file,) = kept.folder.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(bytes(data))
    assert kept.get(picture()) is None


def test_nothing_is_left_of_a_draft(kept, picture):
    kept.put(picture(), mask())
    assert [file.suffix for file in kept.folder.iterdir()] == [".png"]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, picture):
    (tmp_path / "masks").write_text("a file where the folder would be")
    kept = MaskCache.of(tmp_path, {})
    kept.put(picture(), mask())
    assert kept.get(picture()) is None
