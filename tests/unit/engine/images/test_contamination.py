import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench import DataError, Sample
from adbench.builtin.folders.datasets import Folder
from adbench.engine.images.contamination import contaminate, defects_needed
from adbench.engine.plan.protocol import Protocol, make_task


def images(normal, defective, *, names="", twins=False):
    """Training images, test images and their contents; with `twins`, defects repeat each other in pairs."""
    train = tuple(Sample(f"{names}train/good/{index:03}") for index in range(normal))
    good = tuple(Sample(f"{names}test/good/{index:03}") for index in range(3))
    bad = tuple(Sample(f"{names}test/spot/{index:03}", "spot") for index in range(defective))
    contents = [f"{sample.id.removeprefix(names)}" for sample in (*train, *good)]
    contents += [f"bad {index // 2 if twins else index}" for index in range(defective)]
    digests = [hashlib.sha256(content.encode()).hexdigest() for content in contents]
    return train, (*bad, *good), dict(zip([sample.id for sample in (*train, *good, *bad)], digests, strict=True))


@given(st.integers(2, 60), st.floats(0.01, 0.5), st.integers(0, 5), st.booleans())
def test_the_share_is_right_and_no_content_is_on_both_sides(normal, share, seed, twins):
    train, test, digests = images(normal, 70, twins=twins)
    needed = defects_needed(normal, share)
    if not needed or (twins and needed % 2):
        with pytest.raises(DataError):
            contaminate(train, test, digests, share, seed, "bolt")
        return
    mixed, rest = contaminate(train, test, digests, share, seed, "bolt")
    assert sorted(mixed + rest, key=lambda it: it.id) == sorted(train + test, key=lambda it: it.id)
    assert sum(sample.anomalous for sample in mixed) == needed
    assert abs(needed / len(mixed) - share) <= 1 / len(mixed)
    assert not {digests[sample.id] for sample in mixed} & {digests[sample.id] for sample in rest}


@given(st.integers(0, 5), st.floats(0.1, 0.2), st.floats(0.3, 0.5))
def test_a_larger_share_contains_the_images_of_a_smaller_one(seed, small, large):
    train, test, digests = images(20, 30)
    fewer, more = ({*contaminate(train, test, digests, share, seed, "bolt")[0]} for share in (small, large))
    assert fewer < more


@given(st.integers(0, 9))
def test_the_order_depends_on_the_contents_alone(seed):
    """Neither names nor labels decide where an image stands, so its place reveals nothing."""
    train, test, digests = images(20, 30)
    mixed, _ = contaminate(train, test, digests, 0.3, seed, "bolt")
    others = {f"{9999 - index}": sample for index, sample in enumerate((*train, *test))}
    renamed = {name: digests[sample.id] for name, sample in others.items()}
    new = {sample.id: Sample(name, sample.defect) for name, sample in others.items()}
    again, _ = contaminate([new[it.id] for it in train], [new[it.id] for it in test], renamed, 0.3, seed, "bolt")
    assert [renamed[sample.id] for sample in again] == [digests[sample.id] for sample in mixed]
    places = [place for place, sample in enumerate(mixed) if sample.anomalous]
    assert places != list(range(len(mixed) - len(places), len(mixed)))
    assert places != list(range(len(places)))


def test_seeds_draw_other_defects():
    train, test, digests = images(20, 30)
    draws = {frozenset(it.id for it in contaminate(train, test, digests, 0.2, seed, "bolt")[0]) for seed in range(5)}
    assert len(draws) == 5


@pytest.mark.parametrize(
    ("normal", "defective", "share", "message"),
    [
        (9, 3, 0.25, "needs 3 defective test images to learn from and one to judge; it has 3"),
        (4, 3, 0.1, "needs less than one defective image; use a larger share"),
    ],
)
def test_too_few_defects_are_refused(normal, defective, share, message):
    train, test, digests = images(normal, defective)
    with pytest.raises(DataError, match=message):
        contaminate(train, test, digests, share, 0, "bolt")


def test_training_images_with_labelled_defects_are_refused():
    train, test, digests = images(9, 5)
    with pytest.raises(DataError, match="labelled defects among its training images"):
        contaminate((*train, test[0]), test[1:], digests, 0.25, 0, "bolt")


def test_a_task_is_contaminated(parts):
    task = make_task(Folder(root=parts), "bolt", Protocol(contaminate=0.2), 0)
    clean = make_task(Folder(root=parts), "bolt", Protocol(), 0)
    assert [sum(sample.anomalous for sample in part) for part in (task.train, task.test)] == [1, 2]
    assert (len(task.train), len(task.test)) == (5, 5)
    assert task.sha != clean.sha
    assert task.duplicates == ()


@pytest.mark.parametrize("share", [0, -0.1, 0.51, float("nan"), float("inf")])
def test_shares_are_above_zero_and_at_most_a_half(share):
    with pytest.raises(ValueError, match="contaminate"):
        Protocol(contaminate=share)


def test_a_clean_protocol_is_written_as_before():
    assert "contaminate" not in Protocol().model_dump(mode="json")
    dirty = Protocol(contaminate=0.1)
    assert Protocol.model_validate(dirty.model_dump(mode="json")) == dirty
