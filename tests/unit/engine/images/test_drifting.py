import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adbench import Sample, UnknownName, UsageError
from adbench.engine.images.corrupting import at_level, corrupted
from adbench.engine.images.corruption import EVERY, NAMES, Corruption, amount_at
from adbench.engine.images.drifting import WINDOWS, DriftStream, parse_drifts


def stream_of(count=7, name="noise", strength=5, seed=0, twins=()):
    samples = tuple(Sample(f"a/test/good/{number:03}") for number in range(count))
    digests = {sample.id: hashlib.sha256(sample.id.encode()).hexdigest() for sample in samples}
    for one, other in twins:
        digests[samples[other].id] = digests[samples[one].id]
    return DriftStream(samples, digests, Corruption(name, strength), seed)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 9))
def test_each_window_shows_every_image_once_and_the_change_grows_evenly(count, strength, seed):
    windows = list(stream_of(count, strength=strength, seed=seed).windows())
    assert len(windows) == WINDOWS
    for number, arrivals in enumerate(windows):
        assert sorted(one.sample.id for one in arrivals) == [f"a/test/good/{place:03}" for place in range(count)]
        assert {one.window for one in arrivals} == {number}
    levels = [one.level for arrivals in windows for one in arrivals]
    assert (levels[0], levels[-1]) == (0, pytest.approx(strength))
    np.testing.assert_allclose(np.diff(levels), strength / (len(levels) - 1))


def test_the_seed_decides_order_and_halves():
    first, again, other = (stream_of(20, seed=seed) for seed in (0, 0, 1))
    assert list(first.windows()) == list(again.windows())
    assert list(first.windows()) != list(other.windows())
    orders = {tuple(one.sample.id for one in arrivals) for arrivals in first.windows()}
    assert len(orders) == WINDOWS, "the order differs between windows"
    assert first.halves == again.halves != other.halves


@given(st.integers(2, 20), st.integers(0, 5))
def test_halves_are_equal_and_twins_stay_together(count, seed):
    stream = stream_of(count, seed=seed, twins=[(0, 1)])
    assert stream.halves[stream.samples[0].id] == stream.halves[stream.samples[1].id]
    assert abs(sum(stream.halves.values()) - count / 2) <= 1.5


def test_digests_differ_between_windows_and_images():
    stream = stream_of()
    digests = [stream.digest(one) for arrivals in stream.windows() for one in arrivals]
    assert len(set(digests)) == len(digests) == 7 * WINDOWS


@pytest.mark.parametrize("name", NAMES)
def test_one_direction_holds_for_the_whole_stream_and_noise_is_always_new(name):
    image = np.random.default_rng(0).integers(60, 190, (64, 64, 3), dtype=np.uint8)
    stream = stream_of(name=name)
    first, second = list(stream.windows())[-1][-2:]
    same_level = [stream.changed(image, one._replace(level=4.0)) for one in (first, second)]
    assert np.array_equal(*same_level) == (name != "noise")
    assert not np.array_equal(same_level[0], image)
    np.testing.assert_array_equal(stream.changed(image, first._replace(level=0.0)), image)


@pytest.mark.parametrize("corruption", EVERY, ids=str)
def test_a_level_that_is_a_strength_is_the_corruption(corruption):
    image = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    found = at_level(image, corruption.name, float(corruption.strength), corruption.seed("a"))
    np.testing.assert_array_equal(found, corrupted(image, corruption, "a"))


@pytest.mark.parametrize("name", sorted({*NAMES} - {"jpeg"}))
@given(st.floats(0.02, 4.9), st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_a_little_more_changes_an_image_a_little_more(name, level, seed):
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
    image = np.repeat((0.5 + 0.3 * np.sin(rows / 5) * np.cos(columns / 7))[:, :, None], 3, axis=2)
    near, far = (at_level(image, name, one, seed).astype(float) for one in (level, min(5.0, level + 0.1)))
    assert np.abs(near - far).mean() < 0.06
    assert np.abs(near - image).mean() <= np.abs(far - image).mean() + 0.01


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.floats(-3, 3), st.floats(0, 5))
def test_amounts_are_interpolated_and_exact_at_strengths(amounts, nothing, level):
    steps = [nothing, *amounts]
    assert amount_at(amounts, level, nothing) == pytest.approx(np.interp(level, range(6), steps), abs=1e-9)
    assert [amount_at(amounts, place, nothing) for place in range(6)] == steps


def test_words_choose_streams():
    assert parse_drifts(["noise"]) == (Corruption("noise", 5),)
    assert parse_drifts(["shift:2", "noise", "noise:5"]) == (Corruption("noise", 5), Corruption("shift", 2))
    assert [str(one) for one in parse_drifts(["all"])] == [f"{name}:5" for name in NAMES]
    assert parse_drifts(map(str, parse_drifts(["all"]))) == parse_drifts(["all"])
    with pytest.raises(UnknownName, match="fog"):
        parse_drifts(["fog"])
    with pytest.raises(UsageError, match="noise:1 to noise:5"):
        parse_drifts(["noise:6"])
