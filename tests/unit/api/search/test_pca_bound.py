import pytest
import torch

from adbench.api.search.candidates import Block
from adbench.api.search.pca_bound import ProjectedRows, principal_axes


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_leading_axes_bound_the_distances_of_other_rows(scale, monkeypatch):
    monkeypatch.setattr(ProjectedRows, "LEAST_ROWS", 1)
    rows = scale * (draw(2000, 9) @ draw(9, 300, seed=1) + 0.1 * draw(2000, 300, seed=2) + 7)
    query = scale * (draw(50, 9, seed=3) @ draw(9, 300, seed=1) + 0.1 * draw(50, 300, seed=4) + 7)
    projected = ProjectedRows.if_faster(lambda: iter([Block(rows, rows, torch.arange(2000))]), rows.shape, 600)
    found, bound = projected.shortlist(query, 1)
    others = torch.cdist(query.double(), rows.double()).scatter(1, found, float("inf")).amin(1)
    assert (bound <= others).all()
    assert (bound > 0.5 * others).all()


def test_axes_hold_the_share_that_is_asked_for():
    rows = draw(500, 90) * torch.tensor([10.0] * 40 + [0.1] * 50) + 3
    center, axes = principal_axes(rows, 0.95)
    torch.testing.assert_close(center, rows.mean(0))
    torch.testing.assert_close(axes.T @ axes, torch.eye(64))
    left = (rows - center) - (rows - center) @ axes @ axes.T
    assert left.square().sum() < 0.05 * (rows - center).square().sum()


@pytest.mark.parametrize("odd", [float("inf"), float("nan")])
def test_what_is_not_finite_has_no_axes(odd, monkeypatch):
    monkeypatch.setattr(ProjectedRows, "LEAST_ROWS", 1)
    rows = draw(40, 300)
    rows[3, 4] = odd
    assert ProjectedRows.if_faster(lambda: iter([Block(rows, rows, torch.arange(40))]), rows.shape, 600) is None


def test_equal_rows_have_the_fewest_axes():
    assert principal_axes(torch.ones(50, 300), 0.95)[1].shape == (300, 32)
