from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from adbench import Evidence, StorageError
from adbench.api.bounded_cache import BoundedCache
from adbench.engine.pictures.figures import curves, draw, histogram, training
from adbench.engine.pictures.heatmap_sheet import (
    THUMBNAIL,
    Panel,
    choose_extremes,
    display_range,
    hatched,
    overlay,
    sheet,
    thumbnail,
)

LABELS = np.array([False] * 6 + [True] * 6)
SCORES = np.linspace(0, 1, 12).astype(np.float32)


def panel(index=0, *, size=(40, 60), anomalous=True, mask=True, map_size=(8, 8)):
    rng = np.random.default_rng(index)
    truth = np.zeros(size, dtype=bool)
    truth[5:9, 5:9] = anomalous
    return Panel(
        image=np.repeat(rng.integers(0, 255, (*size, 1), dtype=np.uint8), 3, axis=2),
        map=rng.random(map_size, dtype=np.float32),
        mask=truth if mask else None,
        title=f"part/test/a $very$ long name of a defect, longer than its place/{index:03}",
        score=float(index),
        anomalous=anomalous,
    )


def evidence(labels=LABELS, scores=SCORES, *, maps=True):
    def walk():
        for label, score in zip(labels, scores, strict=True):
            mask = np.zeros((8, 8), dtype=bool)
            mask[:2, :2] = label
            yield np.where(mask, score, score / 2).astype(np.float32), mask

    return Evidence(labels, scores, walk if maps else None)


def picture(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.info.keys() <= {"dpi"}
        return np.asarray(image.convert("RGB"))


def test_extremes_of_both_classes():
    scores, labels = np.array([5, 1, 3, 2, 4, 9, 7, 8, 6, 10]), np.array([False] * 5 + [True] * 5)
    assert choose_extremes(scores, labels, 8) == [1, 3, 4, 0, 8, 6, 5, 9]
    assert choose_extremes(scores, labels, 4) == [1, 0, 8, 9]


def test_few_images_are_all_chosen_once():
    assert choose_extremes(SCORES[:5], LABELS[:5], 16) == [0, 1, 2, 3, 4]
    assert choose_extremes(SCORES[:0], LABELS[:0], 16) == []


def test_ties_keep_the_order_of_the_images():
    assert choose_extremes(np.zeros(12), LABELS, 8) == [0, 1, 4, 5, 6, 7, 10, 11]


def test_a_thumbnail_is_small_and_keeps_the_smallest_defect():
    mask = np.zeros((2000, 1000), dtype=bool)
    mask[777, 333] = True
    whole = panel(size=(2000, 1000))
    small = thumbnail(Panel(whole.image, whole.map, mask, "x", 0.0, anomalous=True))
    assert small.image.shape == (THUMBNAIL, THUMBNAIL // 2, 3)
    assert small.map.shape == small.image.shape[:2]
    assert small.mask is not None
    assert small.mask[777 * THUMBNAIL // 2000, 333 * THUMBNAIL // 2000]
    assert small.mask.sum() <= 4


def test_a_small_image_is_not_enlarged():
    assert thumbnail(panel(size=(40, 60))).image.shape == (40, 60, 3)


def test_display_range_ignores_one_wild_map():
    maps = [np.linspace(0, 1, 100) for _ in range(60)]
    assert display_range([*maps, np.linspace(0, 1000, 100)]) == pytest.approx((0.5, 1.0))


def test_display_range_of_constant_maps_is_not_empty():
    low, high = display_range([np.full((2, 2), 3.0)])
    assert low < high


def test_overlay_leaves_low_places_gray_and_lights_high_ones():
    image = np.full((1, 3, 3), 100, dtype=np.uint8)
    drawn = overlay(image, np.array([[-5.0, 0.0, 9.0]]), (0.0, 1.0))
    assert drawn[0, :2] == pytest.approx(100 / 255)
    assert drawn[0, 2].max() > 0.8
    assert drawn.min() >= 0
    assert drawn.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("anomalous", [[True], [False], [False] * 5 + [True] * 3])
def test_sheet(tmp_path, anomalous):
    sheet([panel(index, anomalous=value) for index, value in enumerate(anomalous)], tmp_path / "sheet.png")
    assert picture(tmp_path / "sheet.png").std() > 1


def test_sheet_of_mixed_sizes_and_missing_masks(tmp_path):
    panels = [panel(0), panel(1, size=(90, 30)), panel(2, mask=False), panel(3, map_size=(300, 200))]
    sheet(panels, tmp_path / "sheet.png")
    assert picture(tmp_path / "sheet.png").std() > 1


def test_the_outline_of_the_mask_is_drawn(tmp_path):
    def cyan(**options):
        sheet([panel(**options)], tmp_path / "sheet.png", limits=(10, 11))
        pixels = picture(tmp_path / "sheet.png").astype(int)
        return int(((pixels[..., 0] < 80) & (pixels[..., 1] > 200) & (pixels[..., 2] > 220)).sum())

    assert cyan() > 20
    assert cyan(mask=False) == 0


def test_a_defect_that_fills_the_image_has_an_outline(tmp_path):
    full = panel()
    full = Panel(full.image, full.map, np.ones((40, 60), dtype=bool), "x", 1.0, anomalous=True)
    sheet([full], tmp_path / "sheet.png", limits=(10, 11))
    pixels = picture(tmp_path / "sheet.png").astype(int)
    assert ((pixels[..., 0] < 80) & (pixels[..., 1] > 200) & (pixels[..., 2] > 220)).sum() > 200


def green(tmp_path, foreground):
    sheet([replace(panel(), foreground=foreground)], tmp_path / "sheet.png", limits=(10, 11))
    pixels = picture(tmp_path / "sheet.png").astype(int)
    return int(((pixels[..., 0] < 160) & (pixels[..., 1] > 230) & (pixels[..., 2] < 40)).sum())


def test_the_outline_of_the_foreground_is_drawn(tmp_path):
    foreground = np.zeros((400, 600), dtype=bool)  # of another size than the image
    assert green(tmp_path, None) == green(tmp_path, foreground) == green(tmp_path, ~foreground) == 0
    foreground[100:300, 100:500] = True
    assert green(tmp_path, foreground) > 100


def test_ignored_pixels_are_dim_and_hatched(tmp_path):
    ignored = np.zeros((80, 120), dtype=bool)
    ignored[:, 60:] = True
    found = hatched(np.full((80, 120, 3), 200, np.uint8), ignored)
    assert (found[:, :60] == 200).all()
    assert {tuple(colour) for colour in found[:, 60:].reshape(-1, 3).tolist()} == {(106,) * 3, (170,) * 3}
    plain, hidden = (
        sheet([replace(panel(), ignored=mask)], tmp_path / "sheet.png", limits=(10, 11))
        or (tmp_path / "sheet.png").read_bytes()
        for mask in (None, ignored)
    )
    assert plain != hidden


def test_a_thumbnails_foreground_is_where_it_covers_half_a_pixel():
    foreground = np.zeros((80, 120), dtype=bool)
    foreground[:40, :61] = True
    small = thumbnail(replace(panel(size=(40, 60)), foreground=foreground)).foreground
    assert small[:20, :31].all()
    assert int(small.sum()) == 20 * 31


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sheet([panel(index) for index in range(3)], tmp_path / name / "sheet.png")
        histogram(LABELS, SCORES, tmp_path / name / "histogram.png")
        curves(evidence(), tmp_path / name / "curves.png")
    for file in ("sheet.png", "histogram.png", "curves.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "scores"),
    [(LABELS, SCORES), (LABELS[:6], SCORES[:6]), (LABELS[6:], SCORES[6:]), (LABELS, np.full(12, 0.5)),
     (LABELS[:1], SCORES[:1]), (LABELS, SCORES * 1e-9)],
)  # fmt: skip
def test_histogram_and_curves_of_any_test_set(tmp_path, labels, scores):
    histogram(labels, scores, tmp_path / "histogram.png")
    curves(evidence(labels, scores), tmp_path / "curves.png")
    assert picture(tmp_path / "histogram.png").std() > 1
    assert picture(tmp_path / "curves.png").std() > 1


def test_curves_of_a_method_without_maps(tmp_path):
    curves(evidence(maps=False), tmp_path / "curves.png")
    assert picture(tmp_path / "curves.png").std() > 1


class Gray:
    """A dataset of one picture, which says what was read."""

    def __init__(self):
        self.read = []

    def image(self, sample):
        self.read.append(sample.id)
        return np.full((16, 16, 3), 0.5, dtype=np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("maps", [True, False])
def test_draw_writes_a_sheet_only_where_there_are_maps(tmp_path, maps):
    evident = evidence(maps=maps)
    pairs = list(evident.maps()) if evident.maps else []
    judge = SimpleNamespace(
        samples=[SimpleNamespace(id=f"part/{index}", anomalous=label) for index, label in enumerate(LABELS)],
        predictions=SimpleNamespace(scores=SCORES, patches=pairs or None),
        dataset=Gray(),
        map=lambda index: pairs[index][0],
        mask=lambda index: pairs[index][1],
        foreground=lambda _: None,
        ignored=lambda _: None,
        evidence=lambda: evident,
        cache=BoundedCache(),
    )
    for _ in range(2):
        draw(judge, tmp_path)
    assert sorted(judge.dataset.read) == sorted(sample.id for sample in judge.samples if maps)  # once for both sheets
    expected = ["curves.png", "histogram.png", *(["sheet.png"] if maps else [])]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("losses", [[3.0], [1.0] * 4, [5e6, *(1 / (1 + step) for step in range(400))], [-1.0, -2.0]])
def test_losses_of_a_training_are_drawn(tmp_path, losses):
    training(losses, tmp_path / "losses.png")
    assert picture(tmp_path / "losses.png").std() > 1


@pytest.mark.slow
def test_draw_writes_losses_only_after_a_training(tmp_path):
    judge = SimpleNamespace(predictions=SimpleNamespace(scores=SCORES, patches=None))
    for name, losses in (("trained", [2.0, 1.0]), ("not", ())):
        (tmp_path / name).mkdir()
        draw(judge, tmp_path / name, evidence(maps=False), losses=losses)
    assert (tmp_path / "trained" / "losses.png").exists()
    assert not (tmp_path / "not" / "losses.png").exists()


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        histogram(LABELS, SCORES, tmp_path / "nowhere" / "histogram.png")


@pytest.mark.slow
def test_pyplot_is_not_touched(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, numpy; from pathlib import Path; from adbench.engine.pictures.figures import histogram;"
        "histogram(numpy.array([True, False]), numpy.array([1., 0.]), Path(sys.argv[1]));"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.png")], check=False)
    assert done.returncode == 0
    assert Image.open(io.BytesIO((tmp_path / "x.png").read_bytes())).size[0] > 100


def test_the_colours_of_heat_are_matplotlibs():
    from matplotlib import colormaps

    from adbench.engine.pictures.heatmap_sheet import glow

    levels = (np.arange(256) + 0.1) / 255
    assert np.array_equal(glow(levels[None])[0][0], colormaps["inferno"](np.arange(256))[:, :3])
