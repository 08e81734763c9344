"""What computes a network, by a small one whose export takes no time."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import Tensor, nn

from adbench import Context, UnknownName, UsageError
from adbench.api.networks import runtime as module
from adbench.api.networks.runtime import relative_error
from adbench.networks import Network

OTHERS = ["onnxruntime", "openvino"]
"""Both are test dependencies."""

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)


class Small(nn.Module):
    """Two maps, the second with a transformer's table of the grid."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 8, 3, padding=1)
            self.second = nn.Conv2d(8, 4, 2, stride=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = self.first(images).relu()
        second = self.second(first)
        return [first, second + torch.arange(second.shape[2] * second.shape[3]).view(second.shape[2:]).float().cos()]


class Unexportable(Small):
    def forward(self, images: Tensor) -> list[Tensor]:
        return [super().forward(images)[0], torch.linalg.svdvals(images)]


class Lengthy(Small):
    """Bound to the length of the batch that it is exported with."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [found * (1 + len(images)) for found in super().forward(images)]


def network(runtime="auto", cache=None, net=None, device="cpu", **identity):
    ctx = Context(runtime=runtime, cache=cache, device=device)
    facts = {"model": "small", **identity}
    return Network(net or Small(), ctx, mean=MEAN, std=STD, weights="0" * 64, identity=facts, who="backbone 'small'")


def images(count=3, height=16, width=24):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count))


def truth(given, net=None):
    with torch.no_grad():
        return (net or Small())((given - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])


def files(cache, suffix=".onnx"):
    return sorted((cache / "runtimes").glob(f"*{suffix}"))


class TestNamed:
    @pytest.mark.slow
    @pytest.mark.parametrize("keeps", [True, False])
    @pytest.mark.parametrize("runtime", OTHERS)
    def test_gives_what_torch_gives(self, runtime, keeps, tmp_path):
        net = network(runtime, tmp_path if keeps else None)
        for given in (images(5), images(1), images(2), images(2, 20, 14), images(4)):
            assert relative_error(net(given), truth(given)) <= 1e-5
        assert (net.runtime, net.notes) == (runtime, ())

    def test_torch_exports_nothing(self, tmp_path):
        net = network("torch", tmp_path)
        assert relative_error(net(images(9)), truth(images(9))) <= 1e-6
        assert net.runtime == "torch"
        assert list(tmp_path.iterdir()) == []

    def test_answers_are_the_callers_own(self):
        for runtime in ("torch", *OTHERS):
            net = network(runtime)
            before = net(images(2))[0]
            copied = before.clone()
            net(images(2) + 1)
            assert torch.equal(before, copied)
            assert not before.requires_grad

    def test_unknown_is_refused(self):
        with pytest.raises(UnknownName, match="unknown runtime 'openvin'; did you mean 'openvino'"):
            network("openvin")

    @pytest.mark.parametrize("runtime", OTHERS)
    def test_not_installed_is_refused_with_the_way_out(self, runtime, monkeypatch):
        monkeypatch.setattr(module, "installed", lambda _: False)
        with pytest.raises(UsageError, match=rf"pip install 'adbench-core\[{runtime}\]'"):
            network(runtime)

    def test_not_on_a_gpu_and_not_in_half(self):
        with pytest.raises(UsageError, match="on the CPU, not on cuda:0; use --runtime torch or --device cpu"):
            network("openvino", device="cuda:0")
        with pytest.raises(UsageError, match="onnxruntime computes in float32"):
            network("onnxruntime", net=Small().half())

    def test_what_cannot_be_exported_is_an_error(self, capfd):
        net = network("onnxruntime", net=Unexportable())
        with pytest.raises(
            UsageError, match=r"'small': .* cannot be exported to ONNX .*svdvals.*; use --runtime torch"
        ):
            net(images())
        assert capfd.readouterr().out == ""

    def test_other_answers_are_an_error(self, monkeypatch):
        monkeypatch.setattr(module, "opened", lambda *_: lambda given: [2 * found for found in truth(given)])
        with pytest.raises(UsageError, match="onnxruntime does not give what torch gives: relative error 1e"):
            network("onnxruntime")(images())

    def test_a_graph_bound_to_its_batch_is_seen_even_on_one_image(self):
        with pytest.raises(UsageError, match="does not give what torch gives"):
            network("onnxruntime", net=Lengthy())(images(1))


class TestAuto:
    def test_takes_the_first_of_a_written_order(self, tmp_path):
        """No clock is read: which one it is does not depend on the machine."""
        assert module.PREFERENCE == ("openvino", "onnxruntime")
        assert not hasattr(module, "time")
        net = network("auto", tmp_path)
        assert net.runtime == "auto"
        assert relative_error(net(images()), truth(images())) <= 1e-5
        assert (net.runtime, net.notes) == (OTHERS[-1], ())

    def test_takes_the_second_where_the_first_is_not_installed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "installed", lambda runtime: runtime == "onnxruntime")
        net = network("auto", tmp_path)
        net(images())
        assert (net.runtime, net.notes) == ("onnxruntime", ())

    def test_only_what_is_needed_is_opened(self, tmp_path, monkeypatch):
        opened, plain = [], module.opened
        monkeypatch.setattr(module, "opened", lambda runtime, *rest: opened.append(runtime) or plain(runtime, *rest))
        network("auto", tmp_path)(images())
        assert opened == ["openvino"]

    @pytest.mark.parametrize(("off", "taken"), [(3e-5, "openvino"), (3e-4, "onnxruntime")])
    def test_equal_means_to_one_in_ten_thousand(self, off, taken, tmp_path, monkeypatch):
        plain = module.opened

        def opened(runtime, *rest):
            compute = plain(runtime, *rest)
            return compute if runtime != "openvino" else lambda given: [found * (1 + off) for found in compute(given)]

        monkeypatch.setattr(module, "opened", opened)
        net = network("auto", tmp_path)
        net(images())
        assert net.runtime == taken
        assert len(net.notes) == (taken != "openvino")

    def test_is_torch_where_nothing_is_kept(self):
        net = network("auto", None)
        net(images())
        assert net.runtime == "torch"

    def test_is_torch_where_nothing_else_is_installed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "installed", lambda _: False)
        net = network("auto", tmp_path)
        net(images())
        assert (net.runtime, net.notes) == ("torch", ())

    def test_is_torch_in_half_precision(self, tmp_path):
        net = network("auto", tmp_path, Small().to(torch.bfloat16))
        assert net(images())[0].dtype == torch.bfloat16
        assert net.runtime == "torch"

    def test_what_cannot_be_exported_is_torch_with_a_note(self, tmp_path):
        net = network("auto", tmp_path, Unexportable())
        assert relative_error(net(images(5)), truth(images(5), Unexportable())) <= 1e-6
        assert net.runtime == "torch"
        assert len(net.notes) == 1
        assert "backbone 'small': the network cannot be exported to ONNX" in net.notes[0]

    def test_other_answers_are_left_out_with_a_note(self, tmp_path, monkeypatch):
        truth = module.opened

        def opened(runtime, *rest):
            return (
                truth(runtime, *rest) if runtime == "onnxruntime" else lambda _: [torch.full((2, 8, 16, 24), torch.nan)]
            )

        monkeypatch.setattr(module, "opened", opened)
        net = network("auto", tmp_path)
        net(images())
        assert net.runtime == "onnxruntime"
        assert "openvino does not give what torch gives: relative error inf; it is left out" in net.notes[0]

    def test_many_sizes_are_torchs(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "MOST_SIZES", 1)
        net = network("auto", tmp_path)
        for height in (16, 18, 20):
            net(images(2, height))
        assert net.runtime == "openvino+torch"
        assert net.notes == (
            "backbone 'small': torch computes all sizes of images but the first 1; resize to one size",
        )


class TestCache:
    def test_is_used_the_next_time(self, tmp_path, monkeypatch):
        network("auto", tmp_path)(images())
        monkeypatch.setattr(module, "exported", None)
        net = network("auto", tmp_path)
        assert relative_error(net(images()), truth(images())) <= 1e-5
        assert net.runtime == OTHERS[-1]
        assert network("onnxruntime", tmp_path)(images())

    def test_is_by_size_weights_and_identity(self, tmp_path):
        for net, given in [
            (network("onnxruntime", tmp_path), images()),
            (network("onnxruntime", tmp_path), images(7)),
            (network("openvino", tmp_path), images()),
            (network("onnxruntime", tmp_path), images(3, 20)),
            (network("onnxruntime", tmp_path, layers=[1]), images()),
        ]:
            net(given)
        assert len(files(tmp_path)) == 3

    @pytest.mark.parametrize("damage", [lambda whole: whole[:-9], lambda _: b"", lambda whole: b"\0" * len(whole)])
    def test_damage_is_made_good(self, damage, tmp_path):
        network("onnxruntime", tmp_path)(images())
        (file,) = files(tmp_path)
        whole = file.read_bytes()
        file.write_bytes(damage(whole))
        net = network("onnxruntime", tmp_path)
        assert relative_error(net(images()), truth(images())) <= 1e-5
        assert net.notes == ("backbone 'small': the kept export was damaged and has been made again",)
        assert network("onnxruntime", tmp_path)(images())
        assert len(file.read_bytes()) == len(whole)

    def test_that_cannot_be_written_is_reported_and_done_without(self, tmp_path):
        (tmp_path / "runtimes").write_text("in the way")
        net = network("auto", tmp_path)
        net(images())
        assert net.runtime == OTHERS[-1]
        assert "the export is not kept for the next time (" in net.notes[0]

    def test_leaves_no_drafts(self, tmp_path):
        network("auto", tmp_path)(images())
        assert {file.suffix for file in (tmp_path / "runtimes").iterdir()} == {".onnx", ".proof"}
        assert not list((tmp_path / "runtimes").glob(".*"))

    @pytest.mark.slow
    def test_two_processes_at_once(self, tmp_path):
        code = f"""
        import sys; sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
        from pathlib import Path
        from test_runtime import images, network, relative_error, truth
        net = network("auto", Path({str(tmp_path)!r}))
        assert relative_error(net(images()), truth(images())) < 1e-5
        print(net.notes)
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for process in both:
            out, err = process.communicate()
            assert (process.returncode, out.strip()) == (0, "()"), err
        assert len(files(tmp_path)) == 1


def test_slices_of_a_batch_are_the_batch():
    net = network("torch", net=Small().to(memory_format=torch.channels_last))
    seen = []
    net._module.network.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    assert relative_error(net(images(10)), truth(images(10))) <= 1e-6
    assert [len(part) for part in seen] == [4, 4, 2]
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in seen)


class TestRelativeError:
    def test_is_the_worst_image_of_the_worst_output(self):
        wanted = [torch.ones(2, 4), torch.ones(2, 1, 1, 1)]
        found = [wanted[0].clone(), wanted[1].clone()]
        found[0][1, 0] += 0.5
        assert relative_error(found, wanted) == pytest.approx(0.25)

    def test_of_other_shapes_is_infinite(self):
        assert relative_error([torch.ones(2, 3)], [torch.ones(2, 4)]) == float("inf")
        assert relative_error([], [torch.ones(2, 4)]) == float("inf")

    def test_of_nan_is_no_number_that_passes(self):
        assert not relative_error([torch.full((1, 2), torch.nan)], [torch.ones(1, 2)]) <= 1e-3
