"""Harmonic means, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from adbench_clip.harmonic import harmonic_mean, mean_over_windows

from adbench import UsageError


@pytest.mark.proves("winclip", "winclip-few")
def test_a_place_has_the_harmonic_mean_of_its_windows():
    """Four windows of 2 x 2 on 3 x 3 places; the middle lies in all of them: 4 / (1 + 2 + 4 + 5) = 1/3."""
    windows = torch.tensor([[[1, 1 / 2], [1 / 4, 1 / 5]]])
    expected = [[1, 2 / 3, 1 / 2], [2 / 5, 1 / 3, 2 / 7], [1 / 4, 2 / 9, 1 / 5]]
    assert mean_over_windows(windows, (3, 3))[0].tolist() == [pytest.approx(row) for row in expected]


def test_windows_of_one_place_are_the_places():
    scores = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mean_over_windows(scores, (3, 4)), scores)


def test_one_window_is_everywhere():
    assert torch.equal(mean_over_windows(torch.full((1, 1, 1), 0.25), (3, 5)), torch.full((1, 3, 5), 0.25))


def test_windows_need_not_be_square():
    """Two windows of 1 x 2 on 1 x 3 places."""
    assert mean_over_windows(torch.tensor([[[0.5, 0.25]]]), (1, 3)).tolist() == [[pytest.approx([1 / 2, 1 / 3, 1 / 4])]]


def test_a_window_of_score_zero_makes_its_places_zero():
    assert mean_over_windows(torch.tensor([[[0.0, 0.5]]]), (1, 3)).tolist() == [[[0, 0, 0.5]]]


def test_more_windows_than_places_are_refused():
    with pytest.raises(UsageError, match="4x2 windows cannot lie on 3x3 patches"):
        mean_over_windows(torch.ones(1, 4, 2), (3, 3))


def test_maps_are_joined_place_by_place():
    one, other = torch.tensor([[[0.5, 0.2]]]), torch.tensor([[[0.25, 0.0]]])
    assert harmonic_mean([one, other]).tolist() == [[[pytest.approx(1 / 3), 0]]]
