"""From the option `weights` to a model that has them, and to what a record says of them."""

import pytest
import torch
from safetensors.torch import save_file

from adbench import WeightsError
from adbench.files import sha256_of
from adbench.weights import resolve_weights

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


def never():
    raise AssertionError("the pretrained weights were not asked for")


def fits(part):
    return len(STATE.keys() & part.keys())


@pytest.fixture
def file(tmp_path):
    save_file(STATE, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def test_random_weights_depend_on_the_seed_alone():
    def built(seed):
        source = resolve_weights("random", seed, never)
        with source.seeded():
            model = torch.nn.Linear(3, 2)
        assert source.read(fits) is None
        return source.provenance(model.state_dict())

    assert built(1) == built(1)
    assert built(1).name == "random:1"
    assert built(1).random
    assert built(1).sha256 != built(2).sha256


def test_a_file_is_known_by_its_name_and_content(file):
    source = resolve_weights(file, 0, never)
    assert source.read(fits).keys() == STATE.keys()
    weights = source.provenance({})
    assert (weights.name, weights.sha256, weights.random) == ("net.safetensors", sha256_of(file), False)


def test_pretrained_weights_are_found_by_the_component(file):
    source = resolve_weights("pretrained", 0, lambda: (file, "hub/net"))
    assert torch.equal(source.read(fits)["weight"], STATE["weight"])
    assert source.provenance({}).name == "hub/net"


def test_the_part_that_fits_the_model_is_taken(tmp_path):
    others = {f"student.{name}": tensor + 1 for name, tensor in STATE.items()}
    save_file(
        {**{f"teacher.{name}": tensor for name, tensor in STATE.items()}, **others}, tmp_path / "both.safetensors"
    )
    found = resolve_weights(tmp_path / "both.safetensors", 0, never).read(fits)
    assert torch.equal(found["weight"], STATE["weight"])


@pytest.mark.parametrize("option", ["pretrained", "given"])
def test_a_missing_file_is_reported_at_once(option, tmp_path):
    gone = tmp_path / "gone.pt"
    with pytest.raises(WeightsError, match=r"gone.pt: there is no such weights file; give weights=PATH"):
        resolve_weights(gone if option == "given" else option, 0, lambda: (gone, "hub/net"))
