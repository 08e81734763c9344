"""The masker as a whole: weights, the patch grid, the cache, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from adbench_sam.sam import Sam
from PIL import Image
from safetensors.torch import save_file

from adbench import Context, ContractError, Features, Geometry, UsageError, WeightsError

TINY = {"model": "tiny", "pred_iou_thresh": 0, "stability_score_thresh": 0, "points_per_side": 4}


def features(images, grid=(6, 5)):
    count = len(images)
    ids = tuple(map(str, range(count)))
    return Features(ids, (Geometry.whole(*images.shape[-2:]),) * count, torch.zeros(count, *grid, 2), images=images)


def ready(ctx=None, **options):
    masker = Sam(**{**TINY, "weights": "random", **options})
    masker.prepare(ctx or Context())
    return masker


@pytest.fixture
def images(picture):
    return torch.stack([picture(), picture().flip(2), picture().flip(1)]).float() / 255


@pytest.fixture
def file(lively, tmp_path):
    """The lively weights as Meta saves them."""
    path = tmp_path / "sam_tiny.pth"
    torch.save(lively.model.state_dict(), path)
    return path


def drawing(monkeypatch, *objects):
    """The network's part is played by drawings [H, W] bool, one an image."""
    left = iter(objects)
    monkeypatch.setattr(Sam, "_found", lambda *_: next(left))


def test_a_patch_is_the_objects_from_its_share_on(monkeypatch):
    """Patches of 4 x 4 pixels; the object covers 16, 8, 4 and 0 of the pixels of four of them."""
    pixels = torch.zeros(8, 8, dtype=torch.bool)
    pixels[:4, :4], pixels[:2, 4:], pixels[4:, 0] = True, True, True
    images = torch.zeros(1, 3, 8, 8)
    for share, expected in ((0.5, [[True, True], [False, False]]), (0.25, [[True, True], [True, False]])):
        drawing(monkeypatch, pixels)
        assert ready(share=share).mask(features(images, (2, 2)))[0].tolist() == expected


def test_nothing_may_be_left(monkeypatch):
    """The framework then sees the image whole."""
    speck = torch.zeros(8, 8, dtype=torch.bool)
    speck[0, 0] = True
    drawing(monkeypatch, torch.zeros_like(speck), speck)
    assert not ready().mask(features(torch.zeros(2, 3, 8, 8), (2, 2))).any()


def test_with_no_confident_mask_nothing_is_left(images):
    """Random weights predict IoUs far below 0.88."""
    assert not ready(pred_iou_thresh=0.88).mask(features(images)).any()


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["automatic", "centre"])
def test_the_mask_is_an_object_and_no_more(file, images, prompt):
    """Guards the others: it is neither nothing nor everything, and not the same for all."""
    masks = ready(weights=file, prompt=prompt, box_nms_thresh=1).mask(features(images, (45, 35)))
    shares = masks.flatten(1).float().mean(1)
    assert 0.02 < float(shares.min()) <= float(shares.max()) < 0.98
    assert not torch.equal(masks[0], masks[1])


@pytest.mark.slow
@pytest.mark.parametrize("library", ["segment-anything", "transformers"])
@pytest.mark.parametrize("form", ["meta", "hugging face"])
def test_weights_of_either_form_in_either_library(file, lively, tmp_path, images, library, form):
    from adbench_sam.formats import to_hugging_face

    if form == "hugging face":
        file = tmp_path / "model.safetensors"
        state = to_hugging_face(lively.model.state_dict())
        save_file({name: tensor.clone() for name, tensor in state.items()}, file)
    expected = ready(weights=tmp_path / "sam_tiny.pth").mask(features(images, (45, 35)))
    masker = ready(weights=file, library=library)
    assert float((masker.mask(features(images, (45, 35))) != expected).float().mean()) < 1e-3
    assert masker.weights()[0].name == file.name
    assert not masker.weights()[0].random


def test_random_weights_depend_on_their_seed_alone():
    first, again, other = ready(), ready(Context(seed=9)), ready(random_seed=1)
    assert first.weights() == again.weights()
    assert first.weights() != other.weights()
    assert first.weights()[0].name == "random:0"
    assert first.weights()[0].random


def test_the_tiny_model_was_never_trained():
    with pytest.raises(UsageError, match=r"masker 'sam'.*model=tiny was never trained; add weights=random"):
        Sam(model="tiny")


def test_weights_of_another_size_are_refused(file):
    with pytest.raises(WeightsError, match=r"masker 'sam' \(vit_b\).*those of another model"), torch.device("meta"):
        Sam(weights=file).prepare(Context())


def test_a_missing_file_is_reported_at_once(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no such weights file; give weights=PATH"):
        Sam(weights=tmp_path / "none.pth").prepare(Context())


def test_a_file_that_holds_code_is_refused(tmp_path):
    torch.save({"state_dict": Path}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil.pth: .*refused because reading it could run code"):
        ready(weights=tmp_path / "evil.pth")


@pytest.mark.slow
def test_offline_is_one_clear_error(tmp_path):
    """In a process of its own: the hub's client reads the environment when it is imported."""
    code = "from adbench import Context; from adbench_sam.sam import Sam; Sam(model='vit_l').prepare(Context())"
    surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    surroundings.pop("HF_HUB_CACHE", None)
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=surroundings, check=False)
    reported = done.stderr.strip().rpartition("\n")[2]
    assert "WeightsError: the weights facebook/sam-vit-large/model.safetensors are not cached in" in reported
    assert "weights=PATH" in reported
    assert time.monotonic() - started < 15  # on a machine that is busy; the hub is given three seconds


def test_without_images_the_contract_is_broken(images):
    with pytest.raises(ContractError, match=r"masker 'sam' broke its contract: it reads the prepared images"):
        ready().mask(features(images).having(images=None))


@pytest.mark.slow
def test_a_mask_is_found_once(file, images, tmp_path, monkeypatch):
    """The second masker has the first one's answers, on another grid too, and asks the network nothing."""
    ctx = Context(cache=tmp_path / "cache")
    first = ready(ctx, weights=file).mask(features(images, (45, 35)))
    assert len(list(ctx.cache.glob("masks/*/*.png"))) == len(images)
    monkeypatch.setattr(Sam, "_found", None)
    again = ready(ctx, weights=file)
    assert torch.equal(again.mask(features(images, (45, 35))), first)
    again.mask(features(images, (6, 5)))


@pytest.mark.slow
def test_the_share_of_a_patch_needs_no_new_mask_and_all_else_does(file, images, tmp_path):
    ctx = Context(cache=tmp_path / "cache")
    folders = lambda: len(list(ctx.cache.glob("masks/*")))  # noqa: E731
    for options in ({}, {"share": 0.1}):
        ready(ctx, weights=file, **options).mask(features(images))
    assert folders() == 1
    for options in ({"keep": "all"}, {"border_share": 0.7}, {"prompt": "centre"}, {"weights": "random"}):
        ready(ctx, **{"weights": file, **options}).mask(features(images))
    assert folders() == 5


def test_without_a_cache_nothing_is_kept(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ready().mask(features(images))
    assert not list(tmp_path.iterdir())


def test_options_are_those_of_the_reference():
    """Same names, same defaults."""
    import inspect

    from segment_anything import SamAutomaticMaskGenerator

    theirs = inspect.signature(SamAutomaticMaskGenerator).parameters
    named = set(Sam.Config.model_fields) & set(theirs) - {"model"}
    assert len(named) == 6
    assert all(Sam.Config.model_fields[name].default == theirs[name].default for name in named)


MASKER = "sam:model=tiny,weights=random,points_per_side=3,pred_iou_thresh=0,stability_score_thresh=0,border_share=1"


@pytest.fixture
def parts(tmp_path):
    """One category in MVTec's layout: gray noise, and a bright square where there is a defect."""
    root, rng = tmp_path / "parts", np.random.default_rng(0)
    for place in ("train/good/0", "train/good/1", "test/good/0", "test/spot/0"):
        pixels = rng.integers(90, 110, (48, 48, 3), dtype=np.uint8)
        file = root / "bolt" / f"{place}.png"
        if "spot" in place:
            pixels[16:32, 16:32] = 220
            write(root / "bolt" / "ground_truth" / "spot" / "0_mask.png", ((pixels > 200) * 255)[..., 0])
        write(file, pixels)
    return root


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.mark.slow
def test_from_the_command_line_to_the_record(parts, tmp_path, capsys, monkeypatch):
    from adbench.cli import call
    from adbench.engine.store.record import find_runs, read_record

    monkeypatch.setenv("ADBENCH_CACHE", str(tmp_path / "cache"))
    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--device", "cpu")
    masked = (*method, "--masker", f"{MASKER},bank=drop")
    code = call(["run", *masked, "--data", str(parts), "--out", str(tmp_path / "runs"), "--no-figures"])
    assert code == 0, capsys.readouterr().err
    (record,) = [read_record(folder) for folder in find_runs(tmp_path / "runs")]
    assert record.status == "ok"
    assert "adbench-sam" in {part.dist for part in record.recipe.parts}
    assert record.recipe.spec["masker"][0]["options"]["model"] == "tiny"
    assert record.regime.random_weights
    assert {item.name for item in record.provenance.weights} == {"random:0"}
    assert {"seen_whole_train", "seen_whole_test"} <= set(record.facts)
    assert len(list((tmp_path / "cache").glob("masks/*/*.png"))) == 4


def test_missing_weights_end_the_run_with_one_line(parts, tmp_path, capsys):
    from adbench.cli import call

    method = ("--backbone", "toy-pixels", "--scorer", "toy-nearest", "--masker", f"sam:weights={tmp_path}/none.pth")
    code = call(["run", *method, "--data", str(parts), "--out", str(tmp_path / "runs"), "--device", "cpu"])
    reported = capsys.readouterr().err
    assert code != 0
    assert "none.pth" in reported
    assert "Traceback" not in reported


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module.model."])
@pytest.mark.parametrize("form", ["meta", "hugging face"])
def test_weights_are_taken_as_training_leaves_them(file, lively, tmp_path, images, prefix, form):
    from adbench_sam.formats import to_hugging_face

    state = lively.model.state_dict() if form == "meta" else to_hugging_face(lively.model.state_dict())
    expected = ready(weights=file).mask(features(images, (45, 35)))
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in state.items()}}, tmp_path / "w.pth")
    assert torch.equal(ready(weights=tmp_path / "w.pth").mask(features(images, (45, 35))), expected)
