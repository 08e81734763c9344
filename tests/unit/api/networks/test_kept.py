"""What is kept of a network between processes; the networks are those of `test_runtime`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from adbench import Context, UsageError
from adbench.api.networks import runtime as module
from adbench.api.networks.kept import Proofs
from adbench.networks import LateModule, Network, kept_facts


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, images):
        return [images * self.factor]


class Builder:
    """Counts how often the network is built."""

    def __init__(self):
        self.built = 0

    def __call__(self):
        self.built += 1
        return Doubled()


def network(build, cache: Path | None, runtime="openvino", precision="float32"):
    ctx = Context(runtime=runtime, cache=cache)
    late = LateModule(build, precision)
    return Network(late, ctx, mean=(0, 0, 0), std=(1, 1, 1), weights="0" * 64, identity={"model": "doubled"}, who="it")


IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class TestLateModule:
    def test_is_built_once_for_the_comparison_and_never_again(self, tmp_path):
        first, second = Builder(), Builder()
        wanted = network(first, tmp_path)(IMAGES)
        net = network(second, tmp_path)
        assert torch.equal(net(IMAGES)[0], wanted[0])
        assert torch.allclose(wanted[0], 2 * IMAGES)
        assert (first.built, second.built, net.runtime, net.notes) == (1, 0, "openvino", ())

    def test_is_built_for_each_size_that_is_new(self, tmp_path):
        network(Builder(), tmp_path)(IMAGES)
        build = Builder()
        net = network(build, tmp_path)
        net(IMAGES)
        assert build.built == 0
        net(IMAGES[:, :, :6])
        assert build.built == 1

    @pytest.mark.parametrize("kept", ["*.proof", "*.onnx"])
    @pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\0" * 99)])
    def test_is_built_where_what_was_kept_is_gone_or_damaged(self, kept, damage, tmp_path):
        network(Builder(), tmp_path)(IMAGES)
        (path,) = (tmp_path / "runtimes").glob(kept)
        damage(path)
        build = Builder()
        assert torch.allclose(network(build, tmp_path)(IMAGES)[0], 2 * IMAGES)
        assert build.built == 1

    def test_is_built_where_nothing_is_kept(self):
        build = Builder()
        network(build, None)(IMAGES)
        assert build.built == 1

    def test_is_built_by_torch_at_the_first_images(self, tmp_path):
        build = Builder()
        net = network(build, tmp_path, runtime="torch")
        assert build.built == 0
        net(IMAGES)
        net(IMAGES)
        assert build.built == 1

    def test_in_half_precision_has_no_other_runtime(self, tmp_path):
        with pytest.raises(UsageError, match="computes in float32"):
            network(Builder(), tmp_path, precision="float16")

    def test_is_the_same_network_for_an_export(self, tmp_path):
        network(Builder(), tmp_path)(IMAGES)
        build = Builder()
        net = network(build, tmp_path)
        net(IMAGES)
        assert torch.equal(net.recordable()(IMAGES)[0], 2 * IMAGES)
        net.recordable()(IMAGES)
        assert build.built == 1

    def test_is_compared_where_the_kept_runtime_fails(self, tmp_path, monkeypatch):
        network(Builder(), tmp_path)(IMAGES)

        def broken(*_):
            raise RuntimeError("no such instruction")

        monkeypatch.setattr(module, "opened", broken)
        with pytest.raises(UsageError, match="openvino cannot compute the network .no such instruction"):
            network(Builder(), tmp_path)(IMAGES)

    def test_a_failed_comparison_is_no_proof(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "opened", lambda *_: lambda given: [3 * given])
        for _ in range(2):
            with pytest.raises(UsageError, match="openvino does not give what torch gives"):
                network(Builder(), tmp_path)(IMAGES)


class TestProofs:
    def test_are_by_export_runtime_and_threads(self, tmp_path):
        proofs = Proofs(tmp_path)
        proofs.keep("openvino", "a", 1, 1e-6)
        assert Proofs(tmp_path).has("openvino", "a", 1, 1e-4)
        for runtime, export, threads in [("onnxruntime", "a", 1), ("openvino", "b", 1), ("openvino", "a", 2)]:
            assert not proofs.has(runtime, export, threads, 1e-4)

    def test_hold_the_error_that_was_found(self, tmp_path):
        Proofs(tmp_path).keep("openvino", "a", 1, 1e-5)
        assert not Proofs(tmp_path).has("openvino", "a", 1, 1e-6)

    def test_count_for_one_kind_of_processor(self, tmp_path, monkeypatch):
        Proofs(tmp_path).keep("openvino", "a", 1, 0.0)
        monkeypatch.setattr("adbench.api.networks.kept._processor", lambda: "another")
        assert not Proofs(tmp_path).has("openvino", "a", 1, 1e-4)

    def test_that_cannot_be_written_are_done_without(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        for proofs in (Proofs(tmp_path / "file"), Proofs(None)):
            proofs.keep("openvino", "a", 1, 0.0)
            assert not proofs.has("openvino", "a", 1, 1e-4)


class TestKeptFacts:
    def test_are_found_once(self, tmp_path):
        ctx, found = Context(cache=tmp_path), []
        for _ in range(3):
            facts = kept_facts(ctx, {"model": "a"}, lambda: found.append(1) or {"mean": (0.5, 0.25), "size": None})
            assert facts == {"mean": [0.5, 0.25], "size": None}
        assert kept_facts(ctx, {"model": "b"}, lambda: {"mean": [1.0]}) == {"mean": [1.0]}
        assert len(found) == 1

    def test_are_found_each_time_without_a_cache(self):
        found = []
        for _ in range(2):
            kept_facts(Context(), {}, lambda: found.append(1) or {})
        assert len(found) == 2
