import shutil

import pytest

from adbench import DataError, Dataset, Sample, Split
from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.protocol import Protocol, make_task


@pytest.fixture
def dataset(parts):
    return Folder(root=parts)


def names(samples):
    return [sample.id.rsplit("/", 1)[-1].partition(".")[0] for sample in samples]


def test_everything_by_default(dataset):
    task = make_task(dataset, "bolt", Protocol(), 0)
    assert len(task.train) == 4
    assert len(task.test) == 6
    assert task.skipped == ()


def test_draws_of_different_seeds_never_share_an_image(dataset):
    draws = [names(make_task(dataset, "bolt", Protocol(shots=2), seed).train) for seed in (0, 1)]
    assert draws == [["000", "001"], ["002", "003"]]
    with pytest.raises(DataError, match="draw 2 of 2 shots needs 6"):
        make_task(dataset, "bolt", Protocol(shots=2), 2)


def test_limits_take_the_first_by_name_of_each_folder(dataset):
    task = make_task(dataset, "bolt", Protocol(limit_train=3, limit_test=2), 0)
    assert names(task.train) == ["000", "001", "002"]
    assert sorted((sample.defect, name) for sample, name in zip(task.test, names(task.test), strict=True)) == [
        ("good", "000"),
        ("good", "001"),
        ("spot", "000"),
        ("spot", "001"),
    ]


def test_the_sha_follows_content_and_choice(dataset, parts):
    before = make_task(dataset, "bolt", Protocol(), 0).sha
    assert make_task(Folder(root=parts), "bolt", Protocol(), 5).sha == before
    assert make_task(dataset, "bolt", Protocol(limit_test=2), 0).sha != before
    file = parts / "bolt" / "test" / "good" / "000.png"
    file.write_bytes((parts / "bolt" / "test" / "good" / "001.png").read_bytes())
    assert make_task(Folder(root=parts), "bolt", Protocol(), 0).sha != before


def test_bad_files_are_left_out_and_named_when_asked(dataset, parts):
    (parts / "bolt" / "train" / "good" / "001.png").write_bytes(b"")
    task = make_task(Folder(root=parts), "bolt", Protocol(), 0, skip_bad=True)
    assert names(task.train) == ["000", "002", "003"]
    assert len(task.skipped) == 1
    assert "001" in task.skipped[0]


def test_nothing_left_is_an_error(parts):
    for file in (parts / "bolt" / "train" / "good").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match="no readable normal training image"):
        make_task(Folder(root=parts), "bolt", Protocol(), 0, skip_bad=True)


def test_test_images_that_are_learned_from_are_found(parts):
    assert make_task(Folder(root=parts), "bolt", Protocol(), 0).duplicates == ()
    shutil.copy(parts / "bolt/train/good/001.png", parts / "bolt/test/good/copy.png")
    assert make_task(Folder(root=parts), "bolt", Protocol(), 0).duplicates == ("bolt/test/good/copy",)
    assert make_task(Folder(root=parts), "bolt", Protocol(shots=1), 0).duplicates == ()  # the draw has another image


def test_the_boundary_between_training_and_test_is_kept():
    images = [Sample(f"image/{index}") for index in range(5)]

    class Divided(Dataset):
        name = "divided"

        class Config(Dataset.Config):
            train: int

        def categories(self):
            return ["image"]

        def split(self, category):
            return Split(tuple(images[: self.config.train]), tuple(images[self.config.train :]))

        def digest(self, sample):
            return sample.id

        image = mask = revision = None

    two, three = (make_task(Divided(train=train), "image", Protocol(), 0) for train in (2, 3))
    assert two.former_sha == three.former_sha
    assert two.sha != three.sha


def test_one_model_learns_from_every_category(dataset):
    task = make_task(dataset, "bolt", Protocol(model_per="dataset"), 0)
    assert [sample.id.split("/")[0] for sample in task.train] == ["bolt"] * 4 + ["nut"] * 4
    assert {sample.id.split("/")[0] for sample in task.test} == {"bolt"}
    few = make_task(dataset, "bolt", Protocol(model_per="dataset", shots=1), 1)
    assert names(few.train) == ["001", "001"]
    with pytest.raises(DataError, match="contaminate has no meaning with one model"):
        make_task(dataset, "bolt", Protocol(model_per="dataset", contaminate=0.2), 0)


def test_later_rules_leave_older_ids_alone():
    assert Protocol().model_dump(mode="json") == {
        "shots": None,
        "limit_train": None,
        "limit_test": None,
        "evaluation": "original",
        "allow": ["nothing", "train"],
        "class_names": False,
    }
    changed = Protocol(model_per="dataset", contaminate=0.1)
    assert Protocol.model_validate(changed.model_dump(mode="json")) == changed
