import numpy as np
import pytest
import torch
import torch.nn.functional as F

from adbench import ContractError, Features, Geometry, UsageError
from adbench.builtin.stages.necks import (
    L2,
    AverageLayers,
    ConcatLayers,
    DropLayers,
    ImageStatistics,
    ImageVector,
    Patchify,
    PoolChannels,
)
from adbench.testing import parametrize_with_checks


def features(**fields):
    return Features(ids=("a", "b"), geometry=(Geometry.whole(32, 32),) * 2, **fields)


def layers(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {str(index): torch.randn(2, *shape, generator=generator) for index, shape in enumerate(shapes)}


@pytest.mark.slow
@parametrize_with_checks(
    [
        Patchify(),
        Patchify(form="unfold", dim=5),
        PoolChannels(dim=4),
        L2(),
        ConcatLayers(),
        ConcatLayers(onto=1),
        ImageStatistics(),
        ImageVector(),
        AverageLayers(),
        DropLayers(),
    ]
)
def test_conforms(check):
    check()


def official_patchcore(levels, pretrain_dim, target_dim):
    """The official code's embedding, step by step from its description: unfold, align, pool, stack, pool."""
    patches, shapes = [], []
    for level in levels:  # [B, C, H, W]
        unfolded = F.unfold(level, 3, padding=1)
        patches.append(unfolded.reshape(*level.shape[:2], 3, 3, -1).permute(0, 4, 1, 2, 3))  # [B, HW, C, 3, 3]
        shapes.append(level.shape[-2:])
    height, width = shapes[0]
    for index in range(1, len(patches)):
        batch, _, channels = patches[index].shape[:3]
        grid = patches[index].reshape(batch, *shapes[index], channels, 3, 3).permute(0, 3, 4, 5, 1, 2)
        grid = F.interpolate(grid.reshape(-1, 1, *shapes[index]), (height, width), mode="bilinear", align_corners=False)
        grid = grid.reshape(batch, channels, 3, 3, height, width).permute(0, 4, 5, 1, 2, 3)
        patches[index] = grid.reshape(batch, height * width, channels, 3, 3)
    flat = [level.reshape(-1, *level.shape[-3:]) for level in patches]
    pooled = [F.adaptive_avg_pool1d(level.reshape(len(level), 1, -1), pretrain_dim).squeeze(1) for level in flat]
    stacked = torch.stack(pooled, dim=1).reshape(len(pooled[0]), 1, -1)
    return F.adaptive_avg_pool1d(stacked, target_dim).reshape(-1, height, width, target_dim)


@pytest.mark.proves("patchcore", "patchcore-paper", "mh-patchcore")
def test_the_official_patchcore_embedding():
    maps = layers((8, 8, 12), (4, 4, 20))
    seen = features(layers=maps)
    for neck in (Patchify(form="unfold", dim=16), ConcatLayers(), PoolChannels(dim=16)):
        seen = neck.apply(seen)
    expected = official_patchcore([level.permute(0, 3, 1, 2) for level in maps.values()], 16, 16)
    torch.testing.assert_close(seen.patches, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.proves("patchcore-anomalib", "patchcore-lite")
def test_the_average_form_is_anomalibs():
    maps = layers((8, 8, 12), (4, 4, 20))
    seen = ConcatLayers().apply(Patchify().apply(features(layers=maps)))
    pooled = [torch.nn.AvgPool2d(3, 1, 1)(level.permute(0, 3, 1, 2)) for level in maps.values()]
    expected = torch.cat([pooled[0], F.interpolate(pooled[1], size=(8, 8), mode="bilinear")], 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(seen.patches, expected)


def test_nearest_repeats():
    maps = layers((4, 4, 1), (2, 2, 1))
    seen = ConcatLayers(upsample="nearest").apply(features(layers=maps))
    expected = maps["1"].repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert torch.equal(seen.patches[..., 1:], expected)


def test_a_grid_that_is_layer_and_patches_is_changed_once_and_alike():
    grid = torch.randn(2, 4, 4, 3)
    seen = Patchify().apply(features(layers={"2": grid}, patches=grid))
    assert seen.patches is seen.layers["2"]
    assert seen.patches.shape == grid.shape


def test_unit_length_and_zero_vectors():
    patches = torch.randn(2, 3, 3, 5)
    patches[0, 0, 0] = 0
    seen = L2().apply(features(patches=patches)).patches
    assert torch.equal(seen[0, 0, 0], torch.zeros(5))
    torch.testing.assert_close(seen[1].norm(dim=-1), torch.ones(3, 3))


def test_what_is_missing_is_reported():
    with pytest.raises(ContractError, match="neck 'concat-layers'.*gives none"):
        ConcatLayers().apply(features(patches=torch.zeros(2, 3, 3, 1)))
    with pytest.raises(UsageError, match="must be odd"):
        Patchify(size=2)


def test_the_deepest_layers_go():
    maps = layers((4, 4, 3), (2, 2, 5), (1, 1, 7))
    seen = DropLayers(last=2).apply(features(layers=maps, image=torch.ones(2, 7)))
    assert list(seen.layers) == ["0"]
    assert torch.equal(seen.layers["0"], maps["0"])
    assert seen.image.shape == (2, 7)
    with pytest.raises(UsageError, match="cannot drop 3 of 3 layers"):
        DropLayers(last=3).apply(features(layers=maps))


def test_layers_are_averaged_on_the_finest_grid():
    maps = layers((4, 4, 3), (4, 4, 3), (2, 2, 3))
    seen = AverageLayers().apply(features(layers=maps))
    coarse = F.interpolate(maps["2"].permute(0, 3, 1, 2), (4, 4), mode="bilinear").permute(0, 2, 3, 1)
    torch.testing.assert_close(seen.patches, (maps["0"] + maps["1"] + coarse) / 3)
    assert seen.layers is None
    nearest = AverageLayers(upsample="nearest").apply(features(layers=maps)).patches
    assert not torch.equal(nearest, seen.patches)


def test_layers_of_other_channels_are_not_averaged():
    with pytest.raises(UsageError, match=r"these differ \(0 3, 1 5\); use 'concat-layers'"):
        AverageLayers().apply(features(layers=layers((4, 4, 3), (2, 2, 5))))


@pytest.mark.proves("adbench-lite")
def test_finer_layers_are_averaged_down_to_the_grid_of_another():
    maps = layers((6, 8, 3), (3, 4, 5), (2, 2, 7))
    seen = ConcatLayers(onto=1).apply(features(layers=maps)).patches
    halves = maps["0"].reshape(2, 3, 2, 4, 2, 3).mean((2, 4))
    torch.testing.assert_close(seen[..., :3], halves)
    assert torch.equal(seen[..., 3:8], maps["1"])
    coarse = F.interpolate(maps["2"].permute(0, 3, 1, 2), (3, 4), mode="bilinear").permute(0, 2, 3, 1)
    torch.testing.assert_close(seen[..., 8:], coarse)


def test_a_grid_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="onto=2, but there are 2 layers"):
        ConcatLayers(onto=2).apply(features(layers=layers((4, 4, 3), (2, 2, 5))))


def test_the_grid_is_part_of_the_identity_only_where_it_is_set():
    assert ConcatLayers().identity() == {"upsample": "bilinear"}
    assert ConcatLayers(onto=1).identity() == {"upsample": "bilinear", "onto": 1}


@pytest.mark.proves("adbench-lite")
def test_statistics_are_those_of_the_deepest_layer():
    maps = layers((4, 4, 3), (2, 3, 5))
    seen = ImageStatistics().apply(features(layers=maps))
    places = maps["1"].reshape(2, 6, 5).numpy()
    expected = torch.from_numpy(np.concatenate([places.mean(1), places.std(1)], axis=1))
    torch.testing.assert_close(seen.image, expected)
    assert seen.layers == maps


def test_statistics_of_patches_where_there_are_no_layers():
    patches = layers((4, 4, 3))["0"]
    assert torch.equal(
        ImageStatistics().apply(features(patches=patches)).image,
        ImageStatistics().apply(features(layers={"only": patches})).image,
    )


@pytest.mark.parametrize(
    ("neck", "expected"),
    [
        (ConcatLayers(), {"2": 6, "3": 10}),
        (L2(), {"2": 6, "3": 10}),
        (ImageStatistics(), {"2": 6, "3": 10}),
        (Patchify(), {"2": 6, "3": 10}),
        (Patchify(form="unfold"), {"2": 54, "3": 90}),
        (Patchify(form="unfold", dim=8), None),
        (PoolChannels(dim=8), {"2": 3, "3": 5}),
        (PoolChannels(dim=4), None),
        (PoolChannels(dim=5), None),
        (PoolChannels(dim=16), {"2": 6, "3": 10}),
        (AverageLayers(), None),
        (DropLayers(), None),
    ],
    ids=str,
)
def test_a_neck_says_which_channels_come_from_which_layer(neck, expected):
    assert neck.widths_after({"2": 6, "3": 10}) == expected


@pytest.mark.parametrize("neck", [L2(), Patchify(), Patchify(form="unfold"), PoolChannels(dim=8)], ids=str)
def test_what_it_says_is_what_it_does(neck):
    """A layer that changes leaves the channels of the others as they are."""
    one = torch.randn(2, 4, 5, 16, generator=torch.Generator().manual_seed(0))
    other = one.clone()
    other[..., 6:] = 0
    first, second = (neck.apply(features(patches=grid)).patches for grid in (one, other))
    if isinstance(neck, L2):
        first, second = first * one.norm(dim=-1, keepdim=True), second * other.norm(dim=-1, keepdim=True)
    width = neck.widths_after({"2": 6, "3": 10})["2"]
    assert torch.allclose(first[..., :width], second[..., :width], atol=1e-6)
    assert not torch.allclose(first[..., width:], second[..., width:])
