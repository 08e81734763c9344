from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from adbench import StorageError
from adbench.api.geometry import Geometry
from adbench.builtin.demo import TILE, Demo
from adbench.engine.pictures.gallery import EACH, HEAT_SIDE, gallery, heat_layer, outline
from adbench.engine.pictures.heatmap_sheet import glow
from adbench.engine.plan.protocol import Protocol, make_task
from adbench.engine.store.predictions import Predictions, write_predictions

SIZE = (TILE, TILE)


@pytest.fixture
def run(tmp_path, make_record):
    """A run on the demo's bricks whose scores ascend in the order of the images, and its record."""

    def make(*, maps=True, sha=None):
        task = make_task(Demo(), "brick", Protocol(), 0)
        ids = tuple(sample.id for sample in task.test)
        rng = np.random.default_rng(0)
        patches = tuple(rng.random((8, 8), dtype=np.float32) for _ in ids) if maps else None
        geometry = tuple(Geometry(SIZE, SIZE, (0.0, 0.0, *map(float, SIZE))) for _ in ids)
        scores = np.arange(len(ids), dtype=np.float32)
        info = write_predictions(tmp_path, Predictions(ids, geometry, scores, patches))
        record = make_record(category="brick")
        spec = {**record.recipe.spec, "map": {}}
        given = {"samples_sha": sha or task.sha, "protocol": Protocol().model_dump(mode="json")}
        return (
            tmp_path,
            task,
            record.model_copy(
                update={
                    "predictions": info,
                    "recipe": record.recipe.model_copy(update={"spec": spec}),
                    "task": record.task.model_copy(update=given),
                }
            ),
        )

    return make


def test_it_shows_the_highest_normal_and_the_lowest_defective_images(run):
    folder, task, record = run()
    normal = [sample.id for sample in task.test if not sample.anomalous]
    defective = [sample.id for sample in task.test if sample.anomalous]
    assert list(gallery(folder, record, Demo())) == [*reversed(normal[-EACH:]), *defective[:EACH]]


def test_a_picture_is_a_photograph_with_heat_and_the_defect_s_outline(run):
    folder, task, record = run()
    sample = next(s for s in task.test if s.anomalous)
    photograph, heat, line = gallery(folder, record, Demo())[sample.id]
    shown = np.asarray(Image.open(io.BytesIO(photograph)).convert("RGB"), dtype=float)
    assert shown.shape == (TILE, TILE, 3)
    assert np.abs(shown - Demo().image(sample)).mean() < 8
    layer = Image.open(io.BytesIO(heat))
    assert (layer.format, layer.mode, layer.size) == ("WEBP", "RGBA", (HEAT_SIDE, HEAT_SIDE))
    assert line
    assert len(photograph) + len(heat) + len(line) < 12_000


def test_a_normal_image_has_no_outline(run):
    folder, task, record = run()
    found = gallery(folder, record, Demo())
    assert {found[s.id][2] for s in task.test if s.id in found and not s.anomalous} == {""}


def test_heat_is_clear_where_nothing_is_found_and_glows_where_something_is():
    level = np.zeros((TILE, TILE))
    level[:, TILE // 2 :] = 1
    clear, glowing = np.asarray(Image.open(io.BytesIO(heat_layer(level))), dtype=float)[16, [4, 28]]
    assert clear[3] < 20
    assert glowing[3] == pytest.approx(0.85 * 255, abs=12)
    assert glowing[:3] == pytest.approx(glow(np.ones((1, 1)))[0][0, 0] * 255, abs=25)


def test_an_outline_goes_around_each_region_on_a_square_of_1000():
    mask = np.zeros((100, 200), bool)
    mask[0:50, 0:100] = True
    mask[80:100, 180:200] = True
    lines = [re.findall(r"(\d+) (\d+)", line) for line in outline(mask).split("Z") if line.strip()]
    assert len(lines) == 2
    first, second = ([(int(x), int(y)) for x, y in line] for line in lines)
    assert (max(x for x, _ in first), max(y for _, y in first)) == pytest.approx((500, 500), abs=10)
    assert (min(x for x, _ in second), min(y for _, y in second)) == pytest.approx((900, 800), abs=10)


def test_the_same_run_gives_the_same_pictures(run):
    folder, _, record = run()
    assert gallery(folder, record, Demo()) == gallery(folder, record, Demo())


def test_other_images_than_the_run_s_are_refused(run):
    folder, _, record = run(sha="0" * 64)
    with pytest.raises(StorageError, match="made on other images"):
        gallery(folder, record, Demo())


def test_without_maps_or_predictions_there_are_none(run):
    folder, _, record = run(maps=False)
    assert gallery(folder, record, Demo()) == {}
    assert gallery(folder, record.model_copy(update={"predictions": None}), Demo()) == {}
