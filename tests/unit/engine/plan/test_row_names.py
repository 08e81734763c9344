"""Methods that share a name are told apart by what differs."""

from __future__ import annotations

import pytest

from adbench.engine.plan.row_names import distinct_names


def spec(k=1, weights=None, scorer="knn", version=1, **more):
    options = {"layers": [2, 3]} | ({} if weights is None else {"weights": {"file": weights[0], "sha256": weights[1]}})
    return {
        "backbone": [{"name": "timm", "version": 1, "options": options}],
        "scorer": [{"name": scorer, "version": version, "options": {"k": k}}],
        **more,
    }


FIRST, SECOND = ("best.pth", "a1" * 32), ("best.pth", "b2" * 32)


def named(*specs, name="m", places=None):
    keys = [f"{number}" * 64 for number in range(len(specs))]
    return list(distinct_names(dict.fromkeys(keys, name), dict(zip(keys, specs, strict=True)), places).values())


def test_a_name_of_its_own_stays_as_it_is():
    assert distinct_names({"x": "m", "y": "n"}, {"x": spec(), "y": spec(k=3)}) == {"x": "m", "y": "n"}


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (spec(), spec(k=3), ["m (k 1)", "m (k 3)"]),
        (spec(), spec(scorer="far"), ["m (scorer knn)", "m (scorer far)"]),
        (spec(), spec(version=2), ["m (scorer version 1)", "m (scorer version 2)"]),
        (spec(), spec(map={"sigma": 4.0}), ["m (sigma none)", "m (sigma 4.0)"]),
        (spec(), spec(tuned_on=["demo"]), ["m (tuned_on none)", "m (tuned_on demo)"]),
        (spec(weights=FIRST), spec(weights=SECOND), ["m (weights best.pth a1a1a1a1)", "m (weights best.pth b2b2b2b2)"]),
        (spec(weights=FIRST), spec(weights=("last.pth", "b2" * 32)), ["m (weights best.pth)", "m (weights last.pth)"]),
        (spec(), spec(weights=FIRST), ["m (weights none)", "m (weights best.pth)"]),
    ],
    ids=["option", "part", "version", "map", "tuned", "content", "file", "with and without"],
)
def test_what_differs_is_reported(one, other, message):
    assert named(one, other) == message


def test_files_of_one_name_are_reported_by_their_folders_where_these_are_known():
    places = {FIRST[1]: "/home/a/expA/best.pth", SECOND[1]: "/home/b/expB/best.pth"}
    assert named(spec(weights=FIRST), spec(weights=SECOND), places=places) == [
        "m (weights expA/best.pth)",
        "m (weights expB/best.pth)",
    ]
    deeper = {FIRST[1]: "/a/run/best.pth", SECOND[1]: "/b/run/best.pth"}
    assert named(spec(weights=FIRST), spec(weights=SECOND), places=deeper)[0] == "m (weights a/run/best.pth)"


def test_more_digits_where_eight_would_not_do():
    close = ("best.pth", "a1" * 31 + "ff")
    one, other = named(spec(weights=FIRST), spec(weights=close))
    assert one != other


def test_three_of_one_name_are_three_names():
    message = named(spec(), spec(k=3), spec(scorer="far"))
    assert len(set(message)) == 3
    assert message[1] == "m (scorer knn, k 3)"


@pytest.mark.parametrize(
    "strange",
    [
        {},
        5,
        None,
        [],
        {"scorer": "knn"},
        {"scorer": [{"name": "\x1b[2J" * 99}]},
        {"a": [[[[[[[[1]]]]]]]]},
        {"": {"": 1}},
    ],
)
def test_untrusted_specs_get_names_too(strange):
    message = named(spec(), strange, spec())
    assert len(set(message)) == 3, "specs of one content under two keys are two rows as well"
    assert max(map(len, message)) < 1000


def test_a_name_cannot_be_chosen_to_look_like_anothers():
    keys = ["0" * 64, "1" * 64, "2" * 64]
    names = dict(zip(keys, ["m", "m", "m (k 1)"], strict=True))
    message = distinct_names(names, dict(zip(keys, [spec(), spec(k=3), spec()], strict=True)))
    assert len(set(message.values())) == 3
