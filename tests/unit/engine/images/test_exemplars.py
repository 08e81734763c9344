import hashlib
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adbench import DataError, Sample, Source
from adbench.builtin.folders.datasets import Folder
from adbench.engine.images.exemplars import draw_exemplars
from adbench.engine.plan.protocol import Protocol, make_task

LABELLED = (Source.TRAIN, Source.LABELLED)


def images(*, twins=False, **types):
    """Test images of these types in an order without a rule, and their contents; twins come in pairs."""
    samples = [Sample("test/good/000"), Sample("test/good/001")]
    samples += [Sample(f"test/{name}/{index:03}", name) for name, count in types.items() for index in range(count)]
    content = {one.id: one.id for one in samples}
    if twins:
        content |= {one.id: f"{one.defect} {int(one.id[-3:]) // 2}" for one in samples if one.anomalous}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in content.items()}
    return tuple(sorted(samples, key=lambda one: digests[one.id] + one.id)), digests


def ids(samples):
    return [sample.id for sample in samples]


def test_the_draw_is_the_rule_of_shots_for_each_type():
    test, digests = images(crack=5, spot=6)
    exemplars, rest = draw_exemplars(test, digests, 2, 1, "bolt")
    assert ids(exemplars) == ["test/crack/002", "test/crack/003", "test/spot/002", "test/spot/003"]
    assert [one for one in test if one not in exemplars] == list(rest)


@given(st.integers(1, 3), st.booleans())
def test_seeds_share_no_exemplar_and_no_content_is_on_both_sides(shots, twins):
    test, digests = images(crack=20, spot=24, twins=twins)
    draws = [draw_exemplars(test, digests, shots, seed, "bolt") for seed in range(3)]
    for exemplars, rest in draws:
        assert len(exemplars) == 2 * shots
        assert not {digests[one.id] for one in exemplars} & {digests[one.id] for one in rest}
        assert len(rest) == len(test) - len(exemplars) * (2 if twins else 1)
    assert all(not set(one) & set(other) for (one, _), (other, _) in combinations(draws, 2))


@pytest.mark.parametrize(
    ("counts", "shots", "seed", "message"),
    [
        (
            {"crack": 5, "spot": 2},
            2,
            0,
            "2 different test images with the defect 'spot': draw 0 of 2 labelled exemplars and one",
        ),
        (
            {"crack": 5},
            2,
            2,
            "5 different test images with the defect 'crack': draw 2 of 2 labelled exemplars .* need 6",
        ),
        ({}, 1, 0, "has no defective test image to draw labelled exemplars from"),
    ],
)
def test_too_few_defects_are_refused(counts, shots, seed, message):
    test, digests = images(**counts)
    with pytest.raises(DataError, match=message):
        draw_exemplars(test, digests, shots, seed, "bolt")


def test_a_type_of_copies_is_one_image():
    test, digests = images(crack=2, twins=True)
    with pytest.raises(DataError, match="1 different test image with the defect 'crack'.*add images of it"):
        draw_exemplars(test, digests, 1, 0, "bolt")


def test_a_task_has_exemplars_under_aliases_with_numbers_for_labels(parts):
    protocol = Protocol(allow=LABELLED, defect_shots=1)
    task, clean = (make_task(Folder(root=parts), "bolt", rules, 0) for rules in (protocol, Protocol()))
    assert ids(task.train) == ids(clean.train)
    assert {*task.exemplars, *task.test} == {*clean.test}
    assert task.sha != clean.sha
    assert task.duplicates == ()
    types = sorted({one.defect for one in task.exemplars})
    expected = {task.aliases[one.id]: types.index(one.defect) + 1 for one in task.exemplars}
    assert task.labels == {**{task.aliases[one.id]: 0 for one in task.train}, **expected}
    assert not {task.aliases[one.id] for one in task.test} & task.labels.keys()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"defect_shots": 1}, "give both 'labelled' in allow"),
        ({"allow": LABELLED}, "give both 'labelled' in allow"),
        ({"allow": LABELLED, "defect_shots": 1, "contaminate": 0.1}, "contaminate unlabelled ones"),
        ({"allow": LABELLED, "defect_shots": 1, "model_per": "dataset"}, "no meaning with one model"),
        ({"allow": LABELLED, "defect_shots": 0}, "greater than or equal to 1"),
    ],
)
def test_rules_that_do_not_fit_together_are_refused(rules, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**rules)


def test_a_protocol_without_labels_is_written_as_before():
    assert "defect_shots" not in Protocol().model_dump(mode="json")
    rules = Protocol(allow=LABELLED, defect_shots=2)
    assert Protocol.model_validate(rules.model_dump(mode="json")) == rules
