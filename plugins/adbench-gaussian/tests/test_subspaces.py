"""Projections onto the nearest of several subspaces, against projections onto each in double precision."""

from __future__ import annotations

import pytest
import torch
from adbench_gaussian import subspaces
from adbench_gaussian.subspaces import Subspaces, strongest_axes


def bases(gaussian_noise, count, dimensions, channels=8):
    return [torch.linalg.qr(gaussian_noise(channels, dimensions, seed=one))[0] for one in range(count)]


def nearest_projections(rows, means, axes):
    """Of each row, the projection with the least residual, by the definition."""
    found = []
    for row in rows.double():
        each = [mean + (row - mean) @ axis @ axis.T for mean, axis in zip(means.double(), axes, strict=True)]
        found.append(min(each, key=lambda one: (row - one).norm()))
    return torch.stack(found)


def test_a_row_is_redrawn_from_the_subspace_that_it_is_nearest_to(gaussian_noise):
    axes = [one.double() for one in bases(gaussian_noise, 5, 3)]
    means, rows = gaussian_noise(5, 8, seed=7) + 100, gaussian_noise(60, 8, seed=8) + 100
    seen = Subspaces.through(means, axes).redrawn(rows)
    torch.testing.assert_close(seen.double(), nearest_projections(rows, means, axes), rtol=1e-6, atol=1e-4)


def test_the_nearest_subspace_need_not_have_the_nearest_mean():
    """A line along the first axis through a mean far away is nearer than a point close by."""
    line, point = torch.tensor([[1.0, 0, 0]]).T, torch.zeros(3, 0)
    found = Subspaces.through([torch.tensor([100.0, 0, 0]), torch.tensor([0.0, 3, 0])], [line, point])
    assert found.redrawn(torch.tensor([[0.0, 1, 0]])).tolist() == [[0, 0, 0]]


def test_subspaces_may_have_different_dimensions(gaussian_noise):
    found = Subspaces.through(gaussian_noise(3, 8), [bases(gaussian_noise, 1, many)[0] for many in (4, 0, 2)])
    assert found.components.shape == (3, 4, 8)
    assert found.dimensions == 6


def test_subspaces_without_a_dimension_are_their_means(gaussian_noise):
    means = gaussian_noise(3, 8)
    seen = Subspaces.through(means, [torch.zeros(8, 0)] * 3).redrawn(means + 0.01)
    assert torch.equal(seen, means)


def test_how_rows_are_cut_does_not_matter(gaussian_noise, monkeypatch):
    found = Subspaces.through(gaussian_noise(4, 8, seed=9), bases(gaussian_noise, 4, 2))
    rows = gaussian_noise(50, 8, seed=10)
    whole = found.redrawn(rows)
    monkeypatch.setattr(subspaces, "BLOCK", 64)
    torch.testing.assert_close(found.redrawn(rows), whole, rtol=1e-5, atol=1e-5)


def test_what_lies_in_a_subspace_stays(gaussian_noise):
    axes, means = bases(gaussian_noise, 3, 2), gaussian_noise(3, 8, seed=5) * 10
    inside = torch.cat([mean + gaussian_noise(9, 2, seed=6) @ axis.T for mean, axis in zip(means, axes, strict=True)])
    torch.testing.assert_close(Subspaces.through(means, axes).redrawn(inside), inside, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("share", "most", "expected"), [(0.5, 0, 1), (0.95, 0, 2), (0.95, 1, 1), (0.999, 9, 3)])
def test_axes_are_counted_by_share_and_by_number(share, most, expected):
    variances = torch.tensor([6.0, 3.5, 0.5, 0.0, 0.0], dtype=torch.float64)
    axes = strongest_axes(variances.diag(), share, most)
    assert torch.equal(axes.abs(), torch.eye(5, dtype=torch.float64)[:, :expected])


def test_the_steps_of_an_export_give_the_same(gaussian_noise, monkeypatch):
    found = Subspaces.through(gaussian_noise(4, 8, seed=9), bases(gaussian_noise, 4, 2))
    rows = gaussian_noise(50, 8, seed=10)
    known = found.redrawn(rows)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(found.redrawn(rows), known, rtol=1e-5, atol=1e-5)


def test_an_exported_program_takes_any_number_of_rows(gaussian_noise, monkeypatch):
    monkeypatch.setattr(subspaces, "BLOCK", 64)  # so that rows would be cut into parts
    found = Subspaces.through(gaussian_noise(4, 8, seed=9), bases(gaussian_noise, 4, 2))

    class Redraws(torch.nn.Module):
        def forward(self, rows):
            return found.redrawn(rows)

    rows = torch.export.Dim("rows", min=2, max=1000)
    program = torch.export.export(Redraws(), (gaussian_noise(50, 8),), dynamic_shapes=[{0: rows}])
    asked = gaussian_noise(21, 8, seed=10)
    torch.testing.assert_close(program.module()(asked), found.redrawn(asked), rtol=1e-5, atol=1e-5)
