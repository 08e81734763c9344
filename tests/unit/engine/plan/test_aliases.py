from hypothesis import given
from hypothesis import strategies as st

from adbench import Sample
from adbench.engine.plan.aliases import aliases_of, blind_order, with_ids


def named(count, folder="bolt/test/good"):
    return [Sample(f"{folder}/{index:03}", folder.rpartition("/")[2]) for index in range(count)]


def contents(samples, prefix=""):
    return {sample.id: f"{prefix}{index}" for index, sample in enumerate(samples)}


def test_an_alias_says_nothing_of_the_name():
    good, bad = named(3), named(3, "bolt/test/crack")
    one, other = aliases_of(good, contents(good), "salt"), aliases_of(bad, contents(bad), "salt")
    assert list(one.values()) == list(other.values())  # content alone decides
    assert all(set(alias) <= set("0123456789abcdef") and len(alias) == 16 for alias in one.values())


def test_images_of_one_content_have_aliases_of_their_own():
    samples = named(4)
    aliases = aliases_of(samples, dict.fromkeys((sample.id for sample in samples), "same"), "salt")
    assert len(set(aliases.values())) == 4


def test_aliases_stay_and_other_units_have_others():
    samples = named(5)
    aliases = aliases_of(samples, contents(samples), "salt")
    assert aliases == aliases_of(samples[::-1], contents(samples), "salt")
    assert set(aliases.values()).isdisjoint(aliases_of(samples, contents(samples), "other").values())


@given(st.integers(0, 2**32))
def test_the_order_tells_nothing_of_the_label(number):
    """A place in the order is as often a defect's as its share: over many draws, the first half holds half of them."""
    good, bad = named(40), named(40, "bolt/test/crack")
    digests = {**contents(good, f"{number}a"), **contents(bad, f"{number}b")}
    shown = blind_order([*good, *bad], aliases_of([*good, *bad], digests, "salt"))
    first = sum(sample.anomalous for sample in shown[:40])
    assert 2 <= first <= 38  # all of 80!/(40! 40!) orders but a share of 1e-18
    assert sorted(shown, key=lambda sample: sample.id) == sorted([*good, *bad], key=lambda sample: sample.id)


def test_messages_come_to_name_images_by_id():
    samples = named(2)
    aliases = aliases_of(samples, contents(samples), "salt")
    alias = aliases[samples[1].id]
    assert with_ids(f"NaN for {alias}; deadbeefdeadbeef", aliases) == f"NaN for {samples[1].id}; deadbeefdeadbeef"
    assert with_ids(f"x{alias}y", aliases) == f"x{alias}y"
