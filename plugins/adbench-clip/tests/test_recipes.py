"""The recipes are complete and name their sources, and the methods run from images to a record."""

from __future__ import annotations

import json

import adbench_clip
import pytest
from adbench_clip.april_gan import AprilGan
from adbench_clip.clip import Clip
from adbench_clip.few_shot.exemplars import LabelledExemplars
from adbench_clip.few_shot.exemplars_prompts import ExemplarsPrompts
from adbench_clip.few_shot.max_exemplar import MaxExemplarScorer
from adbench_clip.few_shot.tip_adapter import TipAdapter
from adbench_clip.learned_prompts import LearnedPrompts
from adbench_clip.prompt_contrast import PromptContrast
from adbench_clip.prompts import Prompts
from adbench_clip.prompts_few import PromptsFew
from adbench_clip.winclip import WinClip

from adbench.engine.plan.recipe import read_recipe
from adbench.testing import check_recipe, recipe_files

FILES = recipe_files(adbench_clip)
OURS = {
    "backbone/clip": Clip,
    "bank/prompts": Prompts,
    "bank/prompts-few": PromptsFew,
    "bank/learned-prompts": LearnedPrompts,
    "scorer/prompt-contrast": PromptContrast,
    "scorer/winclip": WinClip,
    "scorer/april-gan": AprilGan,
    "bank/exemplars": LabelledExemplars,
    "bank/exemplars-prompts": ExemplarsPrompts,
    "scorer/max-exemplar": MaxExemplarScorer,
    "scorer/tip-adapter": TipAdapter,
}


def test_all_are_here():
    names = {"winclip", "winclip-few", "clip-patch-knn", "april-gan", "april-gan-few", "clip-few-shot", "tip-adapter"}
    names |= {"prompt-learn"}
    assert {file.stem for file in FILES} == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_is_complete_and_names_one_model(file):
    made = check_recipe(file, OURS).values()
    models = {(part.config.model, part.config.tag) for part in made if hasattr(part.config, "tag")}
    assert len(models) == 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_preparation_is_what_the_backbone_takes(file):
    recipe = read_recipe(file)
    made = Clip(**recipe.backbone.options)
    assert [part.model_dump() for part in recipe.preprocess] == [
        {"name": name, "options": options}
        for step in Clip.defaults(made.config)["preprocess"]
        for name, options in step.items()
    ]


@pytest.fixture
def run(tmp_path, tiny, capsys):
    """What a method says of one category of the demo: the records on it, and the errors."""
    from adbench.cli import call

    def run(scorer, bank, *more):
        model = f"architecture={tiny},weights=random"
        layers = "windows=,text_blocks=0+1" if scorer == "april-gan" else "windows=2+3"
        words = ["run", "--backbone", f"clip:{model},{layers}", "--bank", f"{bank}:{model},told=true"]
        words += ["--scorer", scorer, "--data", "demo", "--category", "grass", "--limit-test", "6", "--json"]
        call([*words, "--out", str(tmp_path), "--cache", "none", "--no-figures", *more])
        out, err = capsys.readouterr()
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")], " ".join(err.split())

    return run


@pytest.mark.slow
@pytest.mark.parametrize("scorer", ["winclip", "april-gan"])
@pytest.mark.parametrize(("bank", "shots"), [("prompts", ()), ("prompts-few", ("--shots", "2"))])
def test_from_images_to_a_record(run, scorer, bank, shots):
    (record,), _ = run(scorer, bank, "--allow", "class-names", *shots)
    assert record["status"] == "ok"
    assert record["regime"]["class_names"] is True
    assert record["regime"]["train_images"] == (2 if shots else 0)
    assert record["regime"]["random_weights"] is True
    assert record["facts"]["normal_prompts"] == 154


@pytest.mark.slow
def test_prompts_are_learned_from_shots(run):
    (record,), _ = run("winclip", "learned-prompts", "--allow", "class-names", "--shots", "2", "--threshold", "none")
    assert record["status"] == "ok"
    assert record["regime"]["train_images"] == 2
    assert (record["facts"]["normal_prompts"], record["facts"]["abnormal_prompts"]) == (7, 4)
    assert record["facts"]["loss_last"] <= record["facts"]["loss_first"]


@pytest.mark.slow
@pytest.mark.parametrize("bank", ["prompts", "learned-prompts"])
def test_the_name_is_not_to_be_had_for_nothing(run, bank):
    records, told = run("winclip", bank)
    assert not records
    assert (
        f"bank '{bank}' needs the object's name, which the protocol does not allow ('adbench run --allow class-names'"
        in told
    )


@pytest.mark.slow
def test_more_shots_than_images_are_reported(run):
    records, errors = run("winclip", "prompts-few", "--allow", "class-names", "--shots", "100")
    assert records == []
    assert "100 shots" in errors
