import pytest

from adbench import AdbenchError, BadImage, UnknownName, UsageError, errors
from adbench.errors import IncompatibleParts, near_to
from adbench.errors import __doc__ as tree


def test_unknown_name_suggests_the_nearest():
    assert str(UnknownName("scorer", "kn", ["knn", "mutual"])) == "unknown scorer 'kn'; did you mean 'knn'?"


def test_unknown_name_lists_what_there_is_when_nothing_is_near():
    assert str(UnknownName("scorer", "zzz", ["mutual", "knn"])) == "unknown scorer 'zzz'; known: knn, mutual"
    assert str(UnknownName("scorer", "zzz", [])) == "unknown scorer 'zzz'; there is none"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("patchcore-lit", "patchcore-lite"),
        ("patchcor", "patchcore-lite"),
        ("pad", "padim-lite"),
        ("kx", "k"),
        ("knm", "knn"),
        ("dinov3", None),
        ("winclip", None),
        ("subspace-ad", None),
        ("k", None),
    ],
)
def test_a_name_is_offered_only_where_it_is_near(name, meant):
    known = ["k", "knn", "mutual", "padim-lite", "patchcore-lite", "residual"]
    assert near_to(name, [other for other in known if other != name]) == meant


def test_many_names_are_not_listed_but_the_command_that_lists_them_is():
    names = [f"method-{number}" for number in range(21)]
    assert str(UnknownName("recipe", "zzz", names, see="adbench list recipe")) == (
        "unknown recipe 'zzz'; 21 are known: see 'adbench list recipe'"
    )
    assert str(UnknownName("sample", "zzz", names)) == "unknown sample 'zzz'; 21 are known"


def test_bad_image_names_the_file_and_the_way_out():
    assert str(BadImage("a/b.png", "is empty")) == "a/b.png: is empty; repair or remove it"
    assert str(BadImage.missing("b.png")) == "b.png: there is no such file; give the path of one that is there"


def test_incompatible_parts_says_every_reason():
    error = IncompatibleParts("mine", ["first", "second"])
    assert error.reasons == ("first", "second")
    assert isinstance(error, UsageError)
    assert "first; second" in str(error)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in errors.__all__
        if isinstance(getattr(errors, n), type) and issubclass(getattr(errors, n), AdbenchError)
    ],
)
def test_the_tree_in_the_docstring_holds_every_error(name):
    assert name in tree
