"""What CLIP sees, against open_clip itself and against windows that are looked at one by one."""

from __future__ import annotations

import pytest
import torch
from adbench_clip.vision import AT_ONCE, VisionNetwork, VisionOutputs, embedded, run_block, value_path, window_tokens


@pytest.fixture
def visual(whole):
    return whole[0].visual


@pytest.fixture
def pictures(gaussian_noise):
    return gaussian_noise(2, 3, 32, 32)


def outputs_of(visual, pictures, **options):
    with torch.no_grad():
        return VisionNetwork(visual, VisionOutputs(**options))(pictures)


def close(left, right):
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-5)


@pytest.mark.proves("winclip", "winclip-few", "clip-patch-knn")
def test_image_and_patches_are_open_clips(whole, visual, pictures):
    image, patches = outputs_of(visual, pictures)
    with torch.no_grad():
        tokens = visual.forward_intermediates(pictures, indices=[1], normalize_intermediates=True)
        close(image, whole[0].encode_image(pictures))
    close(patches, tokens["image_intermediates"][0].permute(0, 2, 3, 1))


@pytest.mark.proves("musc", "april-gan-few")
def test_blocks_are_open_clips(visual, pictures):
    _, raw, first, second = outputs_of(visual, pictures, patches="raw", blocks=(0, 1))
    with torch.no_grad():
        found = visual.forward_intermediates(pictures, indices=[0, 1])["image_intermediates"]
    close(first, found[0].permute(0, 2, 3, 1))
    close(second, found[1].permute(0, 2, 3, 1))
    assert torch.equal(raw, second)


@pytest.mark.proves("april-gan", "april-gan-few")
def test_projected_blocks_are_in_the_space_of_text(visual, pictures):
    _, patches, first, last = outputs_of(visual, pictures, patches="text", projected=(0, 1))
    assert patches.shape == first.shape == (2, 4, 4, 16)
    assert torch.equal(patches, last)
    _, _, raw = outputs_of(visual, pictures, blocks=(0,))
    with torch.no_grad():
        close(first, visual.ln_post(raw) @ visual.proj)


def test_tokens_of_windows_by_hand():
    """On a grid of 2 x 3, counted from 1 row by row: 1 2 3 / 4 5 6."""
    assert window_tokens((2, 3), 2).tolist() == [[0, 1, 2, 4, 5], [0, 2, 3, 5, 6]]
    assert window_tokens((2, 3), 1).tolist() == [[0, place] for place in range(1, 7)]


def test_winclip_has_196_and_169_windows():
    assert window_tokens((15, 15), 2).shape == (196, 5)
    assert window_tokens((15, 15), 3).shape == (169, 10)


@pytest.mark.proves("winclip", "winclip-few")
def test_a_window_is_the_class_token_and_its_patches_alone(visual, pictures):
    """The window at row 1, column 2 of 3 x 3 windows of 2 x 2 patches, put through open_clip's own transformer."""
    *_, windows = outputs_of(visual, pictures, windows=(2,))
    assert windows.shape == (2, 3, 3, 16)
    with torch.no_grad():
        tokens = embedded(visual, pictures)
        chosen = tokens[:, [0, 1 + 1 * 4 + 2, 1 + 1 * 4 + 3, 1 + 2 * 4 + 2, 1 + 2 * 4 + 3]]
        alone = visual.ln_post(visual.transformer(chosen)[:, 0]) @ visual.proj
    close(windows[:, 1, 2], alone)


def test_the_window_of_all_patches_is_the_image(visual, pictures):
    image, _, windows = outputs_of(visual, pictures, windows=(4,))
    close(windows[:, 0, 0], image)


def test_many_windows_go_through_in_parts(visual, pictures, monkeypatch):
    *_, together = outputs_of(visual, pictures, windows=(1,))
    assert together.shape[1] * together.shape[2] <= AT_ONCE
    monkeypatch.setattr("adbench_clip.vision.AT_ONCE", 3)
    *_, parted = outputs_of(visual, pictures, windows=(1,))
    close(parted, together)


def test_a_block_is_open_clips(visual, gaussian_noise):
    tokens = gaussian_noise(2, 5, 64)
    block = visual.transformer.resblocks[0]
    with torch.no_grad():
        close(run_block(block, tokens), block(tokens))


def test_the_value_path_is_attention_to_oneself(visual, gaussian_noise):
    """A token that is alone in its sequence attends to itself, and so its block is its value path."""
    tokens = gaussian_noise(2, 5, 64)
    block = visual.transformer.resblocks[1]
    with torch.no_grad():
        alone = torch.cat([block(tokens[:, place : place + 1]) for place in range(5)], dim=1)
        close(value_path(block, tokens), alone)


def test_the_value_path_changes_patches_alone(visual, pictures):
    image, patches, first = outputs_of(visual, pictures, blocks=(0,))
    same_image, others, same_first = outputs_of(visual, pictures, blocks=(0,), value=True)
    assert torch.equal(image, same_image)
    assert torch.equal(first, same_first)
    assert not torch.allclose(patches, others)


def test_names_are_in_the_order_of_what_is_given():
    outputs = VisionOutputs(windows=(2, 3), blocks=(5,), projected=(5, 7))
    assert outputs.names == ["block5", "text5", "text7", "window2", "window3"]
