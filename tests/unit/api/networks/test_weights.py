from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from adbench import Backbone, UsageError, Weights, WeightsError
from adbench.api.networks.weights import within
from adbench.files import sha256_of
from adbench.weights import WeightsOption, hub_file, load_strictly, random_weights, read_state_dict, seeded, weights_of

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1)}


class Toy(Backbone):
    """A backbone with weights."""

    name = "toy"

    class Config(Backbone.Config):
        weights: WeightsOption = "pretrained"

    @classmethod
    def provides(cls, config):
        return frozenset()

    def extract(self, batch):
        raise NotImplementedError

    def weights(self):
        return ()


class TestOption:
    def test_words_stay_words(self):
        assert Toy().identity() == {"weights": "pretrained"}
        assert Toy(weights="random").identity() == {"weights": "random"}

    def test_a_file_enters_the_identity_by_content(self, tmp_path):
        file = tmp_path / "w.pth"
        file.write_bytes(b"content")
        assert Toy(weights=str(file)).identity() == {"weights": {"file": "w.pth", "sha256": sha256_of(file)}}

    def test_a_missing_file_is_a_sentence(self, tmp_path):
        with pytest.raises(UsageError, match="give the path of a file"):
            Toy(weights=tmp_path / "none.pth").identity()


class TestReading:
    def same(self, found):
        assert found.keys() == STATE.keys()
        assert all(torch.equal(found[key], STATE[key]) for key in STATE)

    def test_safetensors(self, tmp_path):
        save_file(STATE, tmp_path / "w.safetensors")
        self.same(read_state_dict(tmp_path / "w.safetensors"))

    @pytest.mark.parametrize("zipped", [True, False])
    @pytest.mark.parametrize("wrappers", [(), ("state_dict",), ("model",), ("teacher", "model")])
    def test_torch(self, tmp_path, zipped, wrappers):
        content = STATE
        for wrapper in wrappers:
            content = {wrapper: content, "epoch": 3}
        torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        self.same(read_state_dict(tmp_path / "w.pth"))

    def test_code_is_never_run(self, tmp_path):
        class Bomb:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "exploded"),)

        for name, write in {"zip": torch.save, "pickle": lambda it, path: path.write_bytes(pickle.dumps(it))}.items():
            write({"a": Bomb()}, tmp_path / name)
            with pytest.raises(WeightsError, match="refused because reading it could run code"):
                read_state_dict(tmp_path / name)
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
    def test_truncated(self, tmp_path, kind):
        file = tmp_path / "w.bin"
        if kind == "safetensors":
            save_file(STATE, file)
        else:
            torch.save(STATE, file, _use_new_zipfile_serialization=kind == "zip")
        file.write_bytes(file.read_bytes()[:-20])
        with pytest.raises(WeightsError, match=r"w\.bin"):
            read_state_dict(file)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 20, b"{}" * 40, b"\xff" * 100])
    def test_foreign_files(self, tmp_path, content):
        (tmp_path / "w.pth").write_bytes(content)
        with pytest.raises(WeightsError, match=r"w\.pth"):
            read_state_dict(tmp_path / "w.pth")

    @pytest.mark.parametrize("content", [{}, {"a": 3}, {3: torch.ones(1)}, torch.ones(2), [torch.ones(1)]])
    def test_what_is_no_state_dict(self, tmp_path, content):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="not a state dict"):
            read_state_dict(tmp_path / "w.pth")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(WeightsError, match="no such weights file"):
            read_state_dict(tmp_path / "none.pth")


class TestLoading:
    def test_equal_tensors_are_taken(self):
        model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        load_strictly(model, other.state_dict(), "x")
        assert torch.equal(model.weight, other.weight)

    def test_faults_are_reported_together(self):
        state = {"weight": torch.ones(3, 5), "extra": torch.ones(1)}
        with pytest.raises(
            WeightsError, match=r"(?s)backbone 'x'.*1 missing \(bias\).*unexpected \(extra\).*shape \(wei"
        ):
            load_strictly(torch.nn.Linear(2, 3), state, "backbone 'x'")

    def test_only_the_first_are_named(self):
        state = {f"k{i}": torch.ones(1) for i in range(9)}
        with pytest.raises(WeightsError, match=r"9 unexpected \(k0, k1, k2, \.\.\.\)"):
            load_strictly(torch.nn.Identity(), state, "x")


class TestRandom:
    def made(self, seed):
        with seeded(seed):
            return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()

    def test_the_seed_decides_the_bits(self):
        assert random_weights(self.made(1), 1) == random_weights(self.made(1), 1)
        assert random_weights(self.made(1), 1).sha256 != random_weights(self.made(2), 2).sha256

    def test_a_record_says_random(self):
        found = random_weights(self.made(7), 7)
        assert found.name == "random:7"
        assert found.random
        assert len(found.sha256) == 64

    def test_global_randomness_is_untouched(self):
        before = torch.get_rng_state()
        self.made(3)
        assert torch.equal(before, torch.get_rng_state())

    def test_half_precision_has_bytes_too(self):
        assert random_weights({"a": torch.ones(2, dtype=torch.bfloat16)}, 0).sha256


def test_weights_of_a_file(tmp_path):
    (tmp_path / "w").write_bytes(b"x")
    assert weights_of(tmp_path / "w", "mine") == Weights("mine", sha256_of(tmp_path / "w"))


class TestHub:
    """No test here needs a network."""

    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        constants = pytest.importorskip("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        return tmp_path

    def test_a_cached_file_needs_no_network(self, cache):
        snapshot = cache / "models--timm--x" / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").write_bytes(b"x")
        (cache / "models--timm--x" / "refs").mkdir()
        (cache / "models--timm--x" / "refs" / "main").write_text("abc")
        assert hub_file("timm/x", "model.safetensors") == snapshot / "model.safetensors"

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            (401, "accept its licence"),
            (403, "set HF_TOKEN"),
            (404, "the hub has no timm/x/f"),
            (503, "cannot be reached"),
        ],
    )
    def test_refusals(self, cache, monkeypatch, status, words):
        def refuse(*_, **__):
            error = OSError(f"{status} from the hub")
            error.response = types.SimpleNamespace(status_code=status)
            raise error

        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", refuse)
        with pytest.raises(WeightsError, match=words):
            hub_file("timm/x", "f")

    def test_a_host_that_never_answers(self, cache, monkeypatch):
        monkeypatch.setattr("adbench.api.networks.weights.HUB_PATIENCE", 0.05)
        monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *_: time.sleep(2))
        with pytest.raises(WeightsError, match=r"cannot be reached \(no answer within 0.05 seconds\)"):
            hub_file("timm/x", "f")

    @pytest.mark.slow
    def test_offline_says_what_where_and_the_ways_out(self, tmp_path):
        """In a process of its own: the hub's client reads the environment when it is imported."""
        pytest.importorskip("huggingface_hub")
        code = "from adbench.weights import hub_file; hub_file('timm/resnet18.tv_in1k', 'model.safetensors')"
        surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
        surroundings.pop("HF_HUB_CACHE", None)
        ended = subprocess.run(
            [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=False
        )
        reported = ended.stderr.strip().splitlines()[-1]
        for part in (
            "WeightsError",
            "timm/resnet18.tv_in1k/model.safetensors",
            str(Path(tmp_path, "hub")),
            "http://127.0.0.1:9 cannot be reached",
            "Run once with a network",
            "HF_HOME",
            "weights=PATH",
        ):
            assert part in reported


class TestWithin:
    def test_the_result_comes_back(self):
        assert within(5, lambda: 3) == 3

    def test_none_is_a_result(self):
        assert within(5, lambda: None) is None

    def test_errors_come_back(self):
        with pytest.raises(ZeroDivisionError):
            within(5, lambda: 1 / 0)
