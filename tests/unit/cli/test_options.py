import click
import pytest
from click.testing import CliRunner

from adbench import Source, UnknownName, UsageError
from adbench.cli.commands.plan import command as plan_command
from adbench.cli.commands.run import command as run_command
from adbench.cli.options import SectionedCommand, option, recipe_from
from adbench.cli.scope import protocol_from
from adbench.registration.registry import load_registry

NOTHING_SAID = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "allow": (),
    "contaminate": None,
    "model_per": "category",
    "defect_shots": None,
}


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def recipe(registry):
    return lambda name=None, **slots: recipe_from(registry, name, slots)


def test_a_method_put_together_by_hand_is_named_after_its_parts(recipe):
    made = recipe(backbone="toy-pixels:cell=4", scorer="toy-nearest", neck=("l2", "patchify"), bank=None, preprocess=())
    assert made.name == "toy-pixels-cell-4+l2-patchify+toy-nearest"
    assert made.backbone.options == {"cell": "4"}
    assert (made.bank, made.preprocess) == (None, None), "left to what backbone and scorer name"


def test_none_takes_a_part_out_of_a_recipe(registry, tmp_path):
    file = tmp_path / "masked.yaml"
    file.write_text("recipe: masked\nbackbone: toy-pixels\nscorer: toy-nearest\nmasker: otsu\nneck: [l2]")
    kept = recipe_from(registry, str(file), {"masker": None, "neck": ()})
    emptied = recipe_from(registry, str(file), {"masker": "none", "neck": ("none",)})
    assert (kept.masker.name, [part.name for part in kept.neck], kept.name) == ("otsu", ["l2"], "masked")
    assert (emptied.masker, emptied.neck, emptied.name) == (None, (), "masked+no-neck+no-masker")


def test_none_empties_a_slot(recipe):
    made = recipe(backbone="toy-pixels", scorer="toy-nearest", preprocess=("none",))
    assert made.preprocess == ()


def test_parts_replace_those_of_a_recipe_and_its_name_says_so(recipe, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("recipe: own\nbackbone: toy-pixels\nscorer: toy-nearest\naggregate: mean\n")
    assert recipe(str(file)).name == "own"
    made = recipe(str(file), aggregate="max", neck=())
    assert (made.name, made.aggregate.name, made.backbone.name) == ("own+max", "max", "toy-pixels")


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ({"backbone": "toy-pixels"}, "name a method"),
        ({"backbone": "toy pixels", "scorer": "toy-nearest"}, "did you mean 'toy-pixels'"),
        ({"backbone": "./net.onnx", "scorer": "toy-nearest"}, "unknown backbone './net.onnx'"),
        ({"backbone": "", "scorer": "toy-nearest"}, "unknown backbone ''"),
        ({"backbone": "toy-pixels", "scorer": "toy-nearest", "neck": ("l22",)}, "did you mean 'l2'"),
        ({"backbone": "toy-pixels", "scorer": "toy-nearest:k"}, "'k' has no '='"),
    ],
)
def test_what_is_no_method_is_said(recipe, slots, words):
    with pytest.raises(UsageError, match=words):
        recipe(**slots)


def test_an_option_called_self_is_no_surprise(recipe, registry):
    part = recipe(backbone="toy-pixels:self=1", scorer="toy-nearest").backbone
    with pytest.raises(UnknownName, match="unknown option 'self'"):
        part.make("backbone", registry)


@pytest.mark.parametrize(("text", "grid"), [("original", None), ("256", (256, 256)), ("1", (1, 1))])
def test_the_evaluation_grid(text, grid):
    assert protocol_from({**NOTHING_SAID, "evaluation": text}).grid == grid


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "99999", "²", "", "256x256"])
def test_what_is_no_evaluation_grid_is_said(text):
    with pytest.raises(UsageError, match="--evaluation"):
        protocol_from({**NOTHING_SAID, "evaluation": text})


def test_help_has_headings_in_the_order_of_the_options():
    @click.command(cls=SectionedCommand)
    @option("--apple", section="Fruit", help="Green.")
    @option("--tom", section="Cats", help="Grey.")
    @option("--pear", section="Fruit", help="Yellow.")
    def command():
        raise AssertionError

    lines = CliRunner().invoke(command, ["--help"]).output.split()
    order = ["Fruit:", "--apple", "--pear", "Cats:", "--tom", "Other:", "--help"]
    assert [word for word in lines if word in order] == order


@pytest.mark.parametrize("command", [run_command, plan_command], ids=["run", "plan"])
def test_every_option_has_a_heading_and_a_help(command):
    for parameter in command.params:
        assert parameter.section in {"Method", "Task", "Run", "Cache"}
        assert parameter.help, parameter.name


def test_more_than_normal_images_has_to_be_granted():
    plain, granted = protocol_from(NOTHING_SAID), protocol_from({**NOTHING_SAID, "allow": ("test", "class-names")})
    assert (Source.TEST in plain.allow, plain.class_names) == (False, False)
    assert (Source.TEST in granted.allow, granted.class_names) == (True, True)
