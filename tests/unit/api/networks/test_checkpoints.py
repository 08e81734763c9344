from __future__ import annotations

import pytest
import torch

from adbench import WeightsError
from adbench.api.networks.checkpoints import mistaken_for, plain_names, unwrapped
from adbench.weights import best_part, is_head, read_state_dict

STATE = {"conv.weight": torch.ones(2), "norm.bias": torch.zeros(2)}


def below(prefix, state=STATE):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "backbone.", "_orig_mod.", "module._orig_mod.model.", "_orig_mod._orig_mod.", "teacher."],
)
def test_prefixes_that_all_names_have_are_no_part_of_them(prefix):
    assert plain_names(below(prefix)).keys() == STATE.keys()


def test_what_compiling_adds_within_a_name_goes_too():
    names = ["layer1._orig_mod.0.weight", "_fsdp_wrapped_module.layer2._checkpoint_wrapped_module.bias"]
    assert [*plain_names(dict.fromkeys(names, torch.ones(1)))] == ["layer1.0.weight", "layer2.bias"]
    with pytest.raises(ValueError, match="two of its names are one"):
        plain_names({"a._orig_mod.b": torch.ones(1), "a.b": torch.ones(1)})


def test_names_that_are_words_themselves_stay():
    names = {"model": torch.ones(1), "features.model.weight": torch.ones(1)}
    assert plain_names(names) == names


@pytest.mark.parametrize("prefix", ["model.", "module.model.backbone.", "teacher.backbone."])
def test_the_part_that_fits_is_found_beside_a_head(prefix):
    state = {**below(prefix), "head.weight": torch.ones(9), "criterion.weight": torch.ones(3)}
    assert best_part(plain_names(state), lambda part: len(part.keys() & STATE.keys())).keys() == STATE.keys()


def test_of_teacher_and_student_the_teacher_is_taken():
    state = {**below("student.backbone.", {"a": torch.zeros(1)}), **below("teacher.backbone.", {"a": torch.ones(1)})}
    assert best_part(state, lambda part: "a" in part)["a"] == 1


@pytest.mark.parametrize(
    "name",
    ["head.weight", "fc.bias", "classifier.1.weight", "heads.head.weight", "dino_head.mlp.0.weight", "AuxLogits.x"],
)
def test_heads_are_known_by_their_names(name):
    assert is_head(name)


@pytest.mark.parametrize("name", ["layer1.0.weight", "blocks.3.mlp.fc1.weight", "header.weight", "norm.weight"])
def test_what_is_no_head(name):
    assert not is_head(name)


def test_wrappers_may_lie_in_one_another():
    assert unwrapped({"model": {"state_dict": {"backbone": STATE}}, "epoch": 3}) is STATE


def test_a_dict_that_holds_itself_is_refused(tmp_path):
    knot = {"a": torch.ones(1)}
    knot["model"] = knot
    longer = {"state_dict": {"model": {}}}
    longer["state_dict"]["model"]["teacher"] = longer
    for place, content in enumerate((knot, longer)):
        torch.save(content, tmp_path / f"{place}.pth")
        with pytest.raises(WeightsError, match="not a state dict: it holds itself"):
            read_state_dict(tmp_path / f"{place}.pth")


@pytest.mark.slow
def test_wrappers_a_thousand_deep_are_no_trouble():
    deep = STATE
    for _ in range(5000):
        deep = {"model": deep}
    assert unwrapped(deep) is STATE


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer.*git lfs pull"),
        (b"/extras/objects/SHA256E-s1--0.pth\n", "git-extras pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\xef\xbb\xbf\n <HTML lang='en'>", "web page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "web page"),
        (b'{"error": "Repository not found"}', "JSON text"),
        (b"Not Found", "a text"),
        (b"", "empty file"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip archive; unpack"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5 file"),
        (b"\x93NUMPY" + bytes(20), "NumPy array"),
    ],
)
def test_a_file_is_called_what_it_is(content, what, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"w\.pth: this is .*{what}"):
        read_state_dict(tmp_path / "w.pth")


def test_weights_are_mistaken_for_nothing(tmp_path):
    from safetensors.torch import save_file

    save_file(STATE, tmp_path / "0")
    torch.save(STATE, tmp_path / "1")
    torch.save(STATE, tmp_path / "2", _use_new_zipfile_serialization=False)
    assert [mistaken_for(tmp_path / name) for name in "012"] == [None] * 3
