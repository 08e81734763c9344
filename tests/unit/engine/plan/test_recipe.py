import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from adbench import UnknownName, UsageError
from adbench.engine.plan.recipe import Part, Recipe, complete, components_of, named_recipe, read_recipe, spec_of
from adbench.registration.registry import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.mark.parametrize(
    ("written", "name", "options"),
    [
        ("knn", "knn", {}),
        ({"knn": None}, "knn", {}),
        ({"knn": {"k": 3}}, "knn", {"k": 3}),
        ({"name": "knn", "options": {"k": 3}}, "knn", {"k": 3}),
    ],
)
def test_a_part_has_short_forms(written, name, options):
    assert Part.model_validate(written) == Part(name=name, options=options)


def test_a_part_on_the_command_line():
    assert Part.parse("timm:model=resnet18,layers=2+3") == Part(
        name="timm", options={"model": "resnet18", "layers": "2+3"}
    )
    with pytest.raises(UsageError, match="'k' has no '='"):
        Part.parse("knn:k")


def test_a_list_on_the_command_line_fits_the_option(registry):
    made = Part.parse("resize:size=64+32").make("preprocessor", registry)
    assert list(made.config.size) == [64, 32]
    assert Part.parse("resize:size=64").make("preprocessor", registry).config.size == 64


def test_unknown_parts_and_options_suggest_the_nearest(registry):
    with pytest.raises(UnknownName, match="did you mean 'toy-nearest'"):
        Part(name="toy-neares").make("scorer", registry)
    with pytest.raises(UnknownName, match="did you mean 'size'"):
        Part(name="resize", options={"sise": 3}).make("preprocessor", registry)


def recipe(**slots):
    return Recipe.model_validate({"recipe": "mine", "backbone": "toy-pixels", "scorer": "toy-nearest", **slots})


def test_empty_slots_are_filled_by_backbone_and_scorer(registry):
    whole = complete(recipe(), registry)
    assert [part.name for part in whole.preprocess] == ["resize"]
    assert whole.bank is not None
    assert whole.aggregate is not None
    assert whole.neck == ()


def test_named_slots_stay(registry):
    whole = complete(recipe(preprocess=[], bank="toy-vectors", aggregate={"quantile": {"q": 0.5}}), registry)
    assert whole.preprocess == ()
    assert whole.aggregate == Part(name="quantile", options={"q": 0.5})


def test_identity_changes_with_what_decides_the_score_and_with_nothing_else(registry):
    def spec(**slots):
        whole = complete(recipe(**slots), registry)
        return spec_of(whole, components_of(whole, registry))

    assert spec() == spec(title="other words", paper="https://example.org")
    assert spec() != spec(aggregate="mean")
    assert spec() != spec(map={"sigma": 1.0})
    assert spec(aggregate="quantile") == spec(aggregate={"quantile": {}}), "defaults are filled in"


def test_a_recipe_round_trips(registry, tmp_path):
    whole = complete(recipe(), registry)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(whole.model_dump(mode="json", by_alias=True)))
    assert read_recipe(tmp_path / "mine.yaml") == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "recipe: [",
        "recipe: mine\n",
        "recipe: mine\nbackbone: a\nscorer: b\nseeds: [1]\n",
        "!!python/object:os.x {}\n",
    ],
)
def test_a_bad_recipe_file_is_one_sentence(text, tmp_path):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yaml"):
        read_recipe(tmp_path / "bad.yaml")


def test_a_recipes_name_is_harmless():
    with pytest.raises(ValidationError):
        recipe(recipe="../../etc")


def test_every_installed_recipe_can_be_read_and_completed(registry):
    assert registry.recipe_files
    for name in registry.recipe_files:
        read = read_recipe(registry.recipe(name).path)
        assert read.name == name
        components_of(complete(read, registry), registry)


def test_a_recipe_that_sets_no_later_option_of_the_map_keeps_its_id(registry):
    whole = complete(recipe(map={"sigma": 2.0}), registry)
    spec = spec_of(whole, components_of(whole, registry))
    assert spec["map"] == {"upsample": "bilinear", "sigma": 2.0, "at": "input", "border": "symmetric"}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('onnx:path="/d/a,b.onnx",layers=x', {"path": "/d/a,b.onnx", "layers": "x"}),
        ("onnx:path='/d/a,b+c=d:e \"q\".onnx'", {"path": '/d/a,b+c=d:e "q".onnx'}),
        (r"onnx:path=C:\Users\me\a.onnx", {"path": r"C:\Users\me\a.onnx"}),
        (r'onnx:path="C:\a,b\x.onnx",strip=1', {"path": r"C:\a,b\x.onnx", "strip": "1"}),
        ("onnx:path=/it's/here.onnx,layers=a", {"path": "/it's/here.onnx", "layers": "a"}),
        ('x:y="a"b",c=d', {"y": 'a"b', "c": "d"}),
        ('x: y = "/d/a b" , c = d ', {"y": "/d/a b", "c": "d"}),
        ("x:y=/d/a b=c", {"y": "/d/a b=c"}),
        ("x:y=''", {"y": ""}),
        ("x:,y=1,,", {"y": "1"}),
        ('x:y="a+b"+c', {"y": ["a+b", "c"]}),
    ],
)
def test_a_value_may_stand_in_quotes(text, options):
    assert Part.parse(text).options == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x:path=/d/a,b.onnx", "'b.onnx' has no '='.*into quotes"),
        ('x:path="/d/a,c=b.onnx', "not closed"),
        ("x:path='a\"", "not closed"),
        ("x:k=1,k=2", "gives 'k' twice"),
    ],
)
def test_what_cannot_be_read_names_the_quotes(text, message):
    with pytest.raises(UsageError, match=message):
        Part.parse(text)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\"'"), min_size=1),
    st.sampled_from("\"'"),
)
def test_any_text_without_quotes_can_be_written_in_them(value, quote):
    assert Part.parse(f"x:first=1,y={quote}{value}{quote},last=2").options == {"first": "1", "y": value, "last": "2"}


def test_a_quoted_item_is_one_item_even_after_json(registry):
    cls = registry.get("preprocessor", "resize").cls
    written = Part.parse('resize:size="6"+4').settled(cls).model_dump(mode="json")
    assert list(Part.model_validate(written).make("preprocessor", registry).config.size) == [6, 4]
    from adbench_timm.models import Timm

    part = Part.parse('timm:layers="a+b"').settled(Timm)
    assert Part.model_validate(part.model_dump(mode="json")).make("backbone", registry).config.layers == ("a+b",)


def test_a_folder_is_no_recipe_and_what_to_give_is_said(tmp_path, registry):
    folder = tmp_path / "methods"
    folder.mkdir()
    with pytest.raises(UsageError, match=r"methods: a folder, where a recipe should be; .*; see 'adbench list recipe'"):
        named_recipe(str(folder), registry)
    (folder / "mine.yaml").write_text("recipe: mine\nbackbone: toy-pixels\nscorer: toy-nearest\n")
    with pytest.raises(UsageError, match=r"give a file, such as .*methods.mine\.yaml"):
        named_recipe(str(folder), registry)
    (folder / "mine.yaml").rename(folder / "mine.txt")
    assert named_recipe(folder / "mine.txt", registry).name == "mine"


def test_a_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch, registry):
    monkeypatch.chdir(tmp_path)
    name = next(iter(registry.recipe_files))
    (tmp_path / name).mkdir()
    assert named_recipe(name, registry).name == name
