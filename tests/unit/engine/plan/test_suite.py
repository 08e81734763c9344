import pytest

from adbench import UsageError
from adbench.builtin.folders.datasets import Folder
from adbench.engine.plan.suite import Grid, TaskSpec, assignments_of, installed_parts, read_suite, recipes_of

MINIMAL = "suite: mine\ntasks: [{data: demo}]\n"


@pytest.fixture
def suite(tmp_path):
    def read(text):
        file = tmp_path / "suites" / "mine.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return read_suite(file)

    return read


def test_a_grid_is_every_combination_backbones_first():
    grid = Grid(backbone=["a", {"b": {"size": 2}}], bank="full", scorer=[{"knn": {"k": 1}}, {"knn": {"k": 3}}])
    assert [recipe.name for recipe in grid.recipes()] == [
        "a+full+knn-k-1",
        "a+full+knn-k-3",
        "b-size-2+full+knn-k-1",
        "b-size-2+full+knn-k-3",
    ]


def test_a_masker_may_be_none_and_necks_come_in_rows():
    grid = Grid(backbone="a", scorer="knn", masker=["none", "otsu"], neck=["none", "l2", ["patchify", "l2"]])
    made = [(recipe.masker and recipe.masker.name, [part.name for part in recipe.neck]) for recipe in grid.recipes()]
    assert made == [(masker, neck) for neck in ([], ["l2"], ["patchify", "l2"]) for masker in (None, "otsu")]


def test_views_may_be_none():
    grid = Grid(backbone="a", scorer="knn", augment=["none", "rotate"])
    assert [recipe.augment and recipe.augment.name for recipe in grid.recipes()] == [None, "rotate"]
    assert [recipe.name for recipe in grid.recipes()] == ["a+knn", "rotate+a+knn"]


def test_a_slot_without_an_axis_is_left_to_backbone_and_scorer():
    (recipe,) = Grid(backbone="a", scorer="knn").recipes()
    assert (recipe.bank, recipe.preprocess, recipe.aggregate) == (None, None, None)


def test_paths_in_a_suite_start_at_its_file(suite, tmp_path):
    made = suite("suite: mine\ntasks: [{data: ../images}, {data: demo}]\nrecipes: [./own.yaml, patchcore]\n")
    assert [task.data for task in made.tasks] == [str(tmp_path / "images"), "demo"]
    assert [item.recipe for item in made.recipes] == [str(tmp_path / "suites" / "own.yaml"), "patchcore"]


def test_a_recipe_may_have_other_parts(suite, registry):
    made = suite(
        "suite: mine\ntasks: [{data: demo}]\nrecipes: [patchcore, {recipe: patchcore, backbone: resnet18, neck: l2}]"
    )
    plain, changed = recipes_of(made, registry)
    assert changed.name == "patchcore+resnet18+l2"
    assert (changed.backbone.name, [part.name for part in changed.neck]) == ("resnet18", ["l2"])
    assert (changed.bank, changed.preprocess) == (plain.bank, plain.preprocess)


def test_a_recipe_with_other_parts_may_have_its_own_name(suite, registry):
    made = suite(
        "suite: mine\ntasks: [{data: demo}]\n"
        "recipes: [{recipe: patchcore, name: mine, backbone: resnet18}, {recipe: patchcore, name: no name}]"
    )
    assert made.recipes[0].recipe_of(registry).name == "mine"
    with pytest.raises(UsageError, match="'no name' is not a recipe's name"):
        recipes_of(made, registry)


def test_one_thing_needs_no_list(suite):
    made = suite("suite: mine\ntasks: [{data: demo, seeds: 3, shots: 4, categories: brick}]\nrecipes: [patchcore]\n")
    (task,) = made.tasks
    assert (task.seeds, task.shots, task.categories) == ((3,), (4,), ("brick",))


def test_each_number_of_shots_is_an_assignment(parts):
    spec = TaskSpec(data="x", shots=(1, "all"), seeds=(0, 1), limit_test=2)
    made = assignments_of(spec, Folder(root=parts))
    assert [(item.protocol.shots, item.protocol.limit_test, item.seeds) for item in made] == [
        (1, 2, (0, 1)),
        (None, 2, (0, 1)),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("suite: mine\nrecipes: [patchcore]\n", "name tasks or boards"),
        (MINIMAL, "name recipes or a grid"),
        (MINIMAL + "recipes: [patchcore]\nseeds: [1]\n", "seeds"),
        (MINIMAL + "grid: {backbone: [], scorer: knn}\n", "grid.backbone"),
        ("suite: mine\ntasks: [{data: demo, shots: [0.5]}]\nrecipes: [x]\n", "tasks.0.shots"),
        ("- 1\n", "suite"),
        ("suite: [\n", "suite"),
        ("suite: !!python/object/apply:os.system [echo]\n", "suite"),
    ],
)
def test_what_is_no_suite_is_reported(suite, text, words):
    with pytest.raises(UsageError, match=words):
        suite(text)


def test_a_missing_or_huge_file_is_reported(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_suite(tmp_path / "none.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        read_suite(tmp_path / "big.yaml")


def test_all_that_is_unknown_is_listed_at_once(suite, registry):
    made = suite(
        MINIMAL + "recipes: [patchcor]\n"
        "grid: {backbone: [toy-pixel, toy-pixels], bank: [{toy-vectors: {sise: 1}}], scorer: [toy-nearest, knnn]}\n"
    )
    with pytest.raises(UsageError) as caught:
        recipes_of(made, registry)
    message = str(caught.value)
    for words in ("'patchcor'", "backbone 'toy-pixel'; did you mean 'toy-pixels'", "'sise'", "scorer 'knnn'"):
        assert message.count(words) == 1, words


def test_all_installed_are_the_real_ones(registry):
    parts, cannot = installed_parts(registry, "backbone")
    assert parts
    assert not any(part.name.startswith("toy-") for part in parts)
    assert all("needs" in sentence or "cannot be made with" in sentence for sentence in cannot)
