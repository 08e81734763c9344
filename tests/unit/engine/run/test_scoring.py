from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from adbench import Geometry, ImageScores, StorageError
from adbench.builtin.stages.aggregators import Max
from adbench.engine.run.scoring import ScoreSpool
from adbench.engine.store.array_file import ArrayFile


def image(number, *, patches=True, vector=True):
    return ImageScores(
        id=f"bolt/{number}",
        patches=torch.full((2, 1 + number), float(number)) if patches else None,
        image=0.5 * number,
        vector=torch.arange(3.0) + number if vector else None,
    )


def said(*images):
    made = ScoreSpool()
    for number, one in enumerate(images):
        made.add([one], [Geometry.whole(9, 7 + number // 2)])
    return made


def test_what_was_said_comes_back_image_by_image():
    made = said(image(0), image(1, vector=False), image(2))
    assert len(made) == 3
    assert [one.id for one in made] == ["bolt/0", "bolt/1", "bolt/2"]
    assert [one.image for one in made] == [0, 0.5, 1]
    assert [one.patches.tolist() for one in made[1:]] == [[[1, 1], [1, 1]], [[2, 2, 2], [2, 2, 2]]]
    assert [None if one.vector is None else one.vector.tolist() for one in made] == [[0, 1, 2], None, [2, 3, 4]]


def test_an_aggregator_reads_it_like_a_list():
    assert Max().aggregate(said(image(0), image(3))).tolist() == [0, 3]


def test_predictions():
    made = said(image(0), image(1), image(2)).predictions(np.arange(3, dtype=np.float32))
    assert made.ids == ("bolt/0", "bolt/1", "bolt/2")
    assert made.scores.tolist() == [0, 1, 2]
    assert [grid.shape for grid in made.patches] == [(2, 1), (2, 2), (2, 3)]
    assert [place.original for place in made.geometry] == [(9, 7), (9, 7), (9, 8)]
    assert made.geometry[0] is made.geometry[1]


def test_foregrounds_come_back_and_are_none_without_a_masker():
    made = ScoreSpool()
    masks = torch.tensor([[[True, False], [False, False]], [[True, True], [False, True]]])
    made.add([replace(image(1), foreground=mask) for mask in masks], [Geometry.whole(4, 4)] * 2)
    assert [one.of_object().patches.tolist() for one in made] == [[[1]], [[1, 1, 1]]]
    assert [mask.astype(bool).tolist() for mask in made.predictions(np.zeros(2)).foreground] == masks.tolist()
    assert said(image(0)).predictions(np.zeros(1)).foreground is None


def test_a_method_without_maps_gives_no_patches():
    assert said(image(0, patches=False)).predictions(np.zeros(1, np.float32)).patches is None


def test_a_full_disk_is_one_sentence(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ArrayFile, "append", full)
    with pytest.raises(StorageError, match="cannot keep scores in .*No space left.*TMPDIR"):
        said(image(0))
