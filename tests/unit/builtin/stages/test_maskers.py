import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.decomposition import PCA

from adbench import ContractError, Features, Geometry, UsageError
from adbench.builtin.stages.maskers import Border, Otsu, PcaForeground
from adbench.testing import parametrize_with_checks


@pytest.mark.slow
@parametrize_with_checks(
    [PcaForeground(threshold=1), PcaForeground(threshold=1, morphology="raster"), Otsu(), Border()]
)
def test_conforms(check):
    check()


def features(patches, images=None):
    ids = tuple(str(index) for index in range(len(patches)))
    return Features(ids, (Geometry.whole(32, 32),) * len(ids), patches=patches, images=images)


def drawn(*rows):
    """[H, W] bool: True where a row has an x."""
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def lying(where, height=50.0, axis=(0.6, 0.8)):
    """[1, H, W, 2] patches: `height` along an axis where the object is, 0 elsewhere.

    The mean lies between them: an object that fills a share p of the patches is (1 - p) heights from it, the ground p.
    """
    return height * where[None, :, :, None].float() * torch.tensor(axis)


def planes(where):
    """[1, 3, 80, 80] images: each place of a 10 x 10 drawing is 8 x 8 white pixels, or black ones."""
    return where[None, None].float().repeat_interleave(8, 2).repeat_interleave(8, 3).expand(1, 3, -1, -1)


OBJECT = drawn(*["." * 10] * 3, *["...xxxx..."] * 4, *["." * 10] * 3)
GROWN = drawn(*["." * 10] * 2, *["..xxxxxx.."] * 6, *["." * 10] * 2)


@pytest.mark.parametrize("axis", [(0.6, 0.8), (-0.6, -0.8)], ids=["positive end", "negative end"])
def test_the_object_fills_the_centre_whichever_way_the_component_points(axis):
    (mask,) = PcaForeground().mask(features(lying(OBJECT, axis=axis)))
    assert torch.equal(mask, GROWN)


@pytest.mark.parametrize(("full", "kept"), [(13, True), (12, False)])
def test_the_positive_end_needs_more_than_35_percent_of_the_centre(full, kept):
    """The centre of a 10 x 10 grid has 36 places, of which 12.6 are 35 %."""
    positive = torch.zeros(10, 10, dtype=torch.bool)
    positive[2:8, 2:8] = (torch.arange(36) < full).reshape(6, 6)
    (mask,) = PcaForeground(threshold=0).mask(features(lying(positive)))
    assert bool(mask[9, 9]) is not kept


@pytest.mark.parametrize(("height", "found"), [(11.0, True), (9.0, False)])
def test_the_threshold_is_a_distance_from_the_mean(height, found):
    """Half of the patches lie at 2 * height, half at 0: all are `height` from the mean."""
    upper = drawn(*["xxxxxx"] * 3, *["......"] * 3)
    (mask,) = PcaForeground().mask(features(lying(upper, height=2 * height)))
    assert torch.equal(mask, drawn(*["xxxxxx"] * 4, *["......"] * 2) if found else torch.zeros(6, 6, dtype=torch.bool))


def test_the_component_is_scikit_learns():
    """More channels than patches and fewer; the mask without morphology is the component above the threshold."""
    generator = np.random.default_rng(0)
    for channels in (5, 200):
        rows = (generator.normal(size=(100, channels)) * np.linspace(3, 0.5, channels)).astype(np.float32)
        component = PCA(1).fit_transform(rows).reshape(10, 10)
        expected = by_hand(component, 0.5)
        (mask,) = PcaForeground(threshold=0.5).mask(features(torch.tensor(rows).reshape(1, 10, 10, channels)))
        assert np.array_equal(mask.numpy(), expected)


def by_hand(component, threshold):
    """Centre check, dilation and closing of a 10 x 10 grid, with SciPy."""
    mask = component > threshold
    if mask[2:8, 2:8].mean() <= 0.35:
        mask = -component > threshold
    square = np.ones((3, 3))
    return ndimage.binary_erosion(ndimage.binary_dilation(mask, square, 2), square, border_value=1)


def test_a_hole_of_one_patch_is_filled():
    ring = OBJECT.clone()
    ring[4, 4] = False
    (mask,) = PcaForeground().mask(features(lying(ring)))
    assert torch.equal(mask, GROWN)


def test_raster_knows_only_the_neighbours_in_reading_order():
    (mask,) = PcaForeground(morphology="raster").mask(features(lying(OBJECT)))
    assert torch.equal(mask, drawn(*["." * 10] * 3, *["..xxxxxx.."] * 4, *["." * 10] * 3))


def test_raster_goes_on_in_the_next_row():
    """The first row's end reaches the place at the start of the second; the gap of one after that is closed."""
    where = drawn(*["." * 10] * 3, "...xxxxxxx", *["...xxxx..."] * 3, *["." * 10] * 3)
    (mask,) = PcaForeground(morphology="raster").mask(features(lying(where)))
    assert torch.equal(mask, drawn(*["." * 10] * 3, "..xxxxxxxx", "xxxxxxxx..", *["..xxxxxx.."] * 2, *["." * 10] * 3))


@pytest.mark.parametrize("morphology", ["grid", "raster"])
def test_of_an_image_without_a_foreground_nothing_is_left(morphology):
    unit = torch.nn.functional.normalize(torch.randn(1, 10, 10, 2, generator=torch.Generator().manual_seed(0)), dim=-1)
    flat = torch.full((1, 10, 10, 2), 3.0)
    mask = PcaForeground(morphology=morphology).mask(features(torch.cat([unit, flat, lying(OBJECT)])))
    assert mask.flatten(1).any(1).tolist() == [False, False, True]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1)])
def test_tiny_grids_have_masks_too(size):
    patches = torch.randn(2, *size, 3, generator=torch.Generator().manual_seed(0))
    for masker in (PcaForeground(), PcaForeground(morphology="raster"), Border()):
        mask = masker.mask(features(patches))
        assert mask.shape == (2, *size)


@pytest.mark.parametrize("inverted", [False, True], ids=["bright object", "dark object"])
def test_otsu_takes_the_side_away_from_the_border(inverted):
    (mask,) = Otsu().mask(features(torch.zeros(1, 10, 10, 1), planes(OBJECT ^ inverted)))
    assert torch.equal(mask, OBJECT)


def test_otsu_takes_the_bright_side_where_both_hold_half_of_the_border():
    left = drawn(*["xxxxx....."] * 10)
    assert torch.equal(Otsu().mask(features(torch.zeros(1, 10, 10, 1), planes(left)))[0], left)


def test_otsu_weighs_colours_as_the_eye_does():
    """Blue is dark and green is bright: of the object's two colours only green is unlike the black ground."""
    images = torch.zeros(1, 3, 80, 80)
    images[0, 1, 24:56, 24:40] = 1
    images[0, 2, 24:56, 40:56] = 1
    (mask,) = Otsu().mask(features(torch.zeros(1, 10, 10, 1), images))
    assert torch.equal(mask, drawn(*["." * 10] * 3, *["...xx....."] * 4, *["." * 10] * 3))


@pytest.mark.parametrize(("share", "found"), [(0.25, True), (0.26, False)])
def test_a_patch_is_the_objects_from_a_share_of_its_pixels_on(share, found):
    """On a grid of 5 x 5, the corners of the 4 x 4 object fill a quarter of a patch each."""
    (mask,) = Otsu(share=share).mask(features(torch.zeros(1, 5, 5, 1), planes(OBJECT)))
    assert bool(mask[1, 1]) is found
    assert mask[2, 2]


def test_otsu_resizes_to_grids_that_do_not_divide_the_image():
    (mask,) = Otsu().mask(features(torch.zeros(1, 7, 3, 1), planes(OBJECT)))
    assert mask.shape == (7, 3)
    assert mask[3].tolist() == [False, True, False]


@pytest.mark.parametrize("images", [torch.full((1, 3, 80, 80), 0.5), planes(drawn("x")).repeat(1, 1, 10, 10)])
def test_of_an_image_of_one_colour_nothing_is_left(images):
    assert not Otsu().mask(features(torch.zeros(1, 10, 10, 1), images)).any()


def test_of_an_object_smaller_than_its_share_of_a_patch_nothing_is_left():
    images = torch.zeros(1, 3, 80, 80)
    images[:, :, 40, 40] = 1
    assert not Otsu().mask(features(torch.zeros(1, 10, 10, 1), images)).any()


def test_border_leaves_out_the_outer_patches():
    (mask,) = Border(width=2).mask(features(torch.zeros(1, 5, 6, 1)))
    assert torch.equal(mask, drawn("......", "......", "..xx..", "......", "......"))


@pytest.mark.parametrize("width", [2, 3, 4, 5, 9])
def test_a_border_as_wide_as_the_grid_leaves_nothing(width):
    assert not Border(width=width).mask(features(torch.zeros(2, 4, 9, 1))).any()


def test_what_is_missing_is_reported():
    for masker in (PcaForeground(), Otsu(), Border()):
        with pytest.raises(ContractError, match=f"{masker.title}.*it reads patches"):
            masker.mask(features([]).having(patches=None))
    with pytest.raises(ContractError, match="masker 'otsu'.*prepared images"):
        Otsu().mask(features(torch.zeros(1, 2, 2, 1)))


def test_options_that_make_no_sense_are_refused():
    for make in (lambda: Border(width=0), lambda: Otsu(share=0), lambda: PcaForeground(threshold=-1)):
        with pytest.raises(UsageError, match="greater than"):
            make()
    with pytest.raises(UsageError, match="'grid' or 'raster'"):
        PcaForeground(morphology="disk")
