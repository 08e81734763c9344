from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from adbench import StorageError
from adbench.api.geometry import Geometry
from adbench.builtin.demo import TILE, Demo
from adbench.engine.pictures.gallery import EACH, gallery
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


def test_a_picture_is_the_photograph_beside_its_heatmap(run):
    folder, task, record = run()
    address = gallery(folder, record, Demo())[next(s.id for s in task.test if s.anomalous)]
    head, _, body = address.partition(",")
    assert head == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(body)))
    assert picture.size == (2 * TILE, TILE)
    left = np.asarray(picture.convert("RGB"), dtype=float)[:, :TILE]
    sample = next(s for s in task.test if s.anomalous)
    assert np.abs(left - Demo().image(sample)).mean() < 8
    assert len(address) < 16_000


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
