from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from adbench import GOOD, DataError, Sample
from adbench.engine.evaluate.holdout import everything, held_out, require_apart

KINDS = [GOOD, "crack", "hole", "stain"]


def images(**counts):
    return [Sample(f"bolt/test/{kind}/{index:03}", kind) for kind, count in counts.items() for index in range(count)]


def contents(samples):
    return {sample.id: sample.id for sample in samples}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    counts=st.fixed_dictionaries({GOOD: st.integers(2, 20), "crack": st.integers(2, 9), "hole": st.integers(0, 9)}),
    share=st.floats(0.3, 0.7),
)
def test_every_image_has_one_part_and_every_type_of_defect_its_share(counts, share):
    samples = images(**counts)
    try:
        parting = held_out("bolt", samples, contents(samples), share)
    except DataError:
        assume(False)
    assert sorted(parting.choosing + parting.reporting) == list(range(len(samples)))
    chosen = Counter(samples[place].defect for place in parting.choosing)
    for kind, count in counts.items():
        assert abs(chosen[kind] - share * count) <= 1
    assert abs(sum(chosen.values()) - chosen[GOOD] - share * (len(samples) - counts[GOOD])) <= 1


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_images_of_one_content_never_stand_on_both_sides(data):
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=8, max_size=40))
    samples = [Sample(f"image/{index:03}", kind) for index, kind in enumerate(kinds)]
    digests = {sample.id: str(data.draw(st.integers(0, 12))) for sample in samples}
    try:
        parting = held_out("bolt", samples, digests, data.draw(st.floats(0.1, 0.9)))
    except DataError:
        return
    assert sorted(parting.choosing + parting.reporting) == list(range(len(samples)))
    sides = [{digests[samples[place].id] for place in part} for part in parting]
    assert not sides[0] & sides[1]


def test_the_parts_depend_on_ids_alone():
    samples = images(good=7, crack=5, hole=3)
    parting = held_out("bolt", samples, contents(samples), 0.5)
    backward = held_out("bolt", samples[::-1], contents(samples), 0.5)
    assert {samples[place].id for place in parting.choosing} == {samples[::-1][place].id for place in backward.choosing}
    assert (len(parting.choosing), len(parting.reporting)) == (7, 8)


def test_parts_scatter_over_the_ids():
    """By hash, not the first half by name: neighbours in a folder are often photographs of one object."""
    samples = images(good=40, crack=40)
    chosen = held_out("bolt", samples, contents(samples), 0.5).choosing
    assert 5 < sum(place < 20 for place in chosen) < 15


@pytest.mark.parametrize("counts", [{"good": 9, "crack": 1}, {"good": 1, "crack": 9}, {"good": 9}, {"crack": 9}])
def test_too_few_images_are_named(counts):
    samples = images(**counts)
    message = f"'bolt' has {counts.get('crack', 0)} defective and {counts.get('good', 0)} good"
    with pytest.raises(DataError, match=message):
        held_out("bolt", samples, contents(samples), 0.5)


def test_an_oracle_uses_every_image_twice():
    assert everything(images(good=2, crack=1)) == ((0, 1, 2), (0, 1, 2))


def test_categories_that_share_an_image_on_two_sides_are_refused():
    require_apart({"x": "bolt/1"}, {"y": "nut/1"})
    with pytest.raises(DataError, match="bolt/1 and nut/1 are the same image"):
        require_apart({"x": "bolt/1"}, {"x": "nut/1"})
