"""Scores of odd types, odd paths on the command line, checkpoints and models that are not what they seem.

Each is refused in one sentence that says who, what and how to fix it, or taken for what it is; no run ends with it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from adbench_onnx.backbone import Onnx
from adbench_timm.models import ResNet18
from onnx import TensorProto, helper, numpy_helper, save

from adbench import AdbenchError, Context, Scores, UsageError, VectorBank, WeightsError
from adbench.builtin.folders.datasets import Folder
from adbench.builtin.toy import ToyNearest, ToyPixels
from adbench.engine.plan.protocol import Protocol
from adbench.engine.plan.recipe import Part, Recipe, complete
from adbench.engine.plan.unit import Unit
from adbench.engine.run.runner import Runner, Settings
from adbench.registration.registry import Registry, load_registry
from adbench.search import ExactIndex, nearest_among
from adbench.weights import read_state_dict

KERNEL = np.random.default_rng(0).standard_normal((8, 3, 4, 4)).astype(np.float32)


def one_sentence(error: BaseException | str) -> None:
    text = str(error)
    assert 0 < len(text) < 700
    assert "\n" not in text
    assert "Traceback" not in text


# Scores


class Odd(ToyNearest):
    """Scores as a function of the test's makes them."""

    name = "odd-scores"
    change: ClassVar[Callable[[torch.Tensor], torch.Tensor]]

    def score(self, query: Any, bank: VectorBank) -> Scores:
        return Scores(type(self).change(query.need_patches(self.title).norm(dim=-1)))


class OddFeatures(ToyPixels):
    """Features as a function of the test's makes them."""

    name = "odd-features"
    change: ClassVar[Callable[[torch.Tensor], torch.Tensor]]

    def extract(self, batch: Any) -> Any:
        seen = super().extract(batch)
        return seen.having(patches=type(self).change(seen.patches))


@cache
def installed() -> Registry:
    registry = load_registry()
    for cls in (Odd, OddFeatures):
        registry.add_component(cls, "made", "1")
    return registry


def run(parts: Path, cls: type, change: Callable[[torch.Tensor], torch.Tensor], **slots: Any) -> Any:
    cls.change = staticmethod(change)
    registry = installed()
    recipe = {"recipe": "odd", "backbone": "toy-pixels", "scorer": "toy-nearest", **slots}
    unit = Unit(complete(Recipe.model_validate(recipe), registry), Folder(root=parts), "bolt", 0, Protocol())
    return Runner(registry, Settings(parts.parent / "runs", figures=False, device="cpu", redo=True)).run(unit)


REFUSED: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "complex": (lambda s: s.to(torch.complex64), "complex64"),
    "whole numbers": (lambda s: s.long(), "int64"),
    "bytes": (lambda s: s.to(torch.uint8), "uint8"),
    "truth": (lambda s: s > 0, "bool"),
    "float8": (lambda s: s.to(torch.float8_e4m3fn), "float8"),
    "sparse": (lambda s: s.to_sparse(), "sparse"),
    "too large": (lambda s: (s + 1).double() * 1e300, "in float32"),
    "too small": (lambda s: (s + 1).double() * 1e-300, "fit into float32"),
    "half that overflows": (lambda s: ((s + 1) * 1e6).half(), "float16 ends at 65504"),
    "not a number": (lambda s: s * torch.nan, "finite"),
    "one grid": (lambda s: s[:, :1], "shape"),
    "no tensor": (lambda s: s.tolist(), "tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_scores_that_break_the_contract(name: str, parts: Path) -> None:
    change, said = REFUSED[name]
    record = run(parts, Odd, change, scorer="odd-scores").record
    assert record.status == "failed"
    assert "scorer 'odd-scores'" in record.reason
    assert said in record.reason
    one_sentence(record.reason)


FIGURES: dict[str, float] = {}


def plain(parts: Path) -> float:
    """The figure of the scores as they are; every test's parts are the same."""
    if not FIGURES:
        FIGURES["plain"] = run(parts, Odd, lambda s: s, scorer="odd-scores").record.metrics["image-auroc"].value
    return FIGURES["plain"]


TAKEN: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "with gradients": lambda s: s.clone().requires_grad_(),
    "of a parameter": torch.nn.Parameter,
    "of a graph": lambda s: (s.clone().requires_grad_() * 2).exp().log() / 2,
    "float64": lambda s: s.double(),
    "lazily negated": lambda s: torch.complex(torch.zeros_like(s), -s).conj().imag,
    "a view": lambda s: s.flip(0).flip(0).transpose(1, 2).contiguous().transpose(1, 2),
    "of inference": lambda s: torch.inference_mode()(s.clone)(),
}


@pytest.mark.parametrize("name", TAKEN)
def test_scores_that_only_look_odd(name: str, parts: Path) -> None:
    with torch.enable_grad():
        odd = run(parts, Odd, TAKEN[name], scorer="odd-scores").record
    assert (odd.status, odd.reason) == ("ok", "")
    assert odd.metrics["image-auroc"].value == pytest.approx(plain(parts), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.long(), "int64"),
        (lambda p: (p + 1).half() * 60000, "float16 ends at"),
        (lambda p: p.double() + 1e300, "in float32"),
        (lambda p: p.to(torch.complex64), "complex64"),
    ],
)
def test_features_that_break_the_contract(change: Any, said: str, parts: Path) -> None:
    record = run(parts, OddFeatures, change, backbone="odd-features").record
    assert record.status == "failed"
    assert "backbone 'odd-features'" in record.reason
    assert said in record.reason


@pytest.mark.parametrize("least", [7e4, 1e9])
def test_features_that_16_bits_cannot_hold(least: float, parts: Path) -> None:
    record = run(parts, OddFeatures, lambda p: p + least, backbone="odd-features", features="float16").record
    assert record.status == "failed"
    assert "backbone 'odd-features'" in record.reason
    assert "'features: float16' cannot hold" in record.reason
    assert run(parts, OddFeatures, lambda p: p + least, backbone="odd-features").record.status == "ok"


# Paths on the command line

NAMES = [
    "a,b.onnx",
    "a+b.onnx",
    "a=b,c=d.onnx",
    "a b.onnx",
    " a .onnx",
    "a'b,.onnx",
    "C:\\x,y.onnx",
    "a:b,c:d.onnx",
    "é,ü,日.onnx",
    "--a,.onnx",
    "$(x),`y`.onnx",
    ",.onnx",
    "a\tb,.onnx",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_file_can_be_named(name: str, tmp_path: Path) -> None:
    path = drawn(tmp_path / name)
    part = Part.parse(f'onnx:path="{path}",layers=maps,strip=0')
    assert part.options == {"path": str(path), "layers": "maps", "strip": "0"}
    assert part.make("backbone", installed()).identity()["path"]["file"] == name


@pytest.mark.parametrize("text", ["onnx:path=a,b.onnx", 'onnx:path="a', "onnx:path='a,b=c", "onnx:layers", "x:a=1,a=2"])
def test_what_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(UsageError) as error:
        Part.parse(text)
    one_sentence(error.value)


# Checkpoints


def knot() -> Any:
    made: dict[str, Any] = {"a": torch.ones(1)}
    made["state_dict"] = made
    return made


def deep() -> Any:
    made: Any = {"a": torch.ones(1)}
    for _ in range(150):
        made = {"model": made}
    return made


CHECKPOINTS: dict[str, tuple[Any, str]] = {
    "a knot": (knot, "holds itself"),
    "a whole module": (lambda: torch.nn.Linear(2, 2), "convert it to safetensors"),
    "a list": (lambda: [torch.ones(2)], "not a state dict"),
    "nothing": (dict, "it is empty"),
    "an empty wrapper": (lambda: {"state_dict": {}, "epoch": 3}, "it is empty"),
    "two names of one": (lambda: {"_orig_mod.a": torch.ones(1), "a": torch.ones(1)}, "two of its names"),
    "numbers": (lambda: {"a": 3}, "no named tensor"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_hold_no_weights(name: str, tmp_path: Path) -> None:
    make, said = CHECKPOINTS[name]
    torch.save(make(), tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=said) as error:
        read_state_dict(tmp_path / "w.pth")
    one_sentence(error.value)


def test_a_checkpoint_may_be_wrapped_as_often_as_one_likes(tmp_path: Path) -> None:
    torch.save(deep(), tmp_path / "w.pth")
    assert read_state_dict(tmp_path / "w.pth").keys() == {"a"}


FILES = [
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    b"<!doctype HTML><title>Sign in</title>",
    b'{"error":"gated"}',
    b"404: Not Found\n",
    b"",
    b"\x1f\x8b\x08\x00" + bytes(9),
    bytes(3000),
    b"PK\x03\x04" + bytes(99),
    b"\x80\x02}q\x00.",
    (2**40).to_bytes(8, "little") + b"{}",
]


@pytest.mark.parametrize("content", FILES)
@pytest.mark.parametrize("make", [lambda path: ResNet18(weights=path), lambda path: Onnx(path=path)])
def test_files_that_are_no_models(content: bytes, make: Any, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.bin") as error:
        make(tmp_path / "w.bin").prepare(Context())
    one_sentence(error.value)


# ONNX models


def drawn(path: Path, shape: Any = ("b", 3, "h", "w"), nodes: Any = (), output: str = "maps", **constants: Any) -> Path:
    conv = helper.make_node("Conv", ["image", "kernel"], ["maps"], strides=[4, 4])
    values = {"kernel": KERNEL, **{name: np.array(value) for name, value in constants.items()}}
    graph = helper.make_graph(
        [conv, *nodes],
        "drawn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


LAST = helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1])
CUT = helper.make_node("Reshape", ["maps", "to"], ["cut"])

MODELS: dict[str, dict[str, Any]] = {
    "nhwc": {"nodes": [LAST], "output": "last"},
    "nhwc, as many rows as channels": {"nodes": [LAST], "output": "last", "shape": ("b", 3, 32, 32)},
    "batch of one": {"shape": (1, 3, 64, 64)},
    "batch of four": {"shape": (4, 3, "h", "w")},
    "not square": {"shape": ("b", 3, 40, 64)},
    "224": {"shape": (1, 3, 224, 224)},
    "224 that nobody says": {"nodes": [CUT], "output": "cut", "to": [0, 8, 56, 56]},
    "nothing declared": {"shape": (None, None, None, None)},
    "negative sizes declared": {"shape": (-1, 3, -1, -1)},
}


@pytest.mark.parametrize("name", MODELS)
def test_models_run_as_they_are(name: str, parts: Path) -> None:
    """With the options that nobody gives, on three images, to the figures of the plain model on images of that size."""
    model = drawn(parts.parent / "m.onnx", **MODELS[name])
    output = MODELS[name].get("output", "maps")
    record = run(parts, Odd, lambda s: s, backbone={"onnx": {"path": str(model), "layers": [output]}}).record
    assert (record.status, record.reason) == ("ok", "")
    plain = drawn(parts.parent / "plain.onnx")
    size = record.recipe.spec["preprocess"][0]["options"]["size"]
    slots = {"backbone": {"onnx": {"path": str(plain), "layers": ["maps"]}}, "preprocess": [{"resize": {"size": size}}]}
    wanted = run(parts, Odd, lambda s: s, **slots).record
    for metric in ("image-auroc", "pixel-auroc"):
        assert record.metrics[metric].value == pytest.approx(wanted.metrics[metric].value, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": ("b", 4, "h", "w")}, "3 channels or 1"),
        ({"shape": (1, 3, 32, 32), "nodes": [CUT], "output": "cut", "to": [8, 8, 8]}, "has the shape"),
        ({"nodes": [CUT], "output": "cut", "to": [0, -1]}, "of rank 2"),
        ({"nodes": [CUT], "output": "cut", "to": [0, 7, -1, 4, 8]}, "takes no images|of rank 5"),
    ],
)
def test_models_that_cannot_be_used(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(AdbenchError, match=said) as error:
        Onnx(path=drawn(tmp_path / "m.onnx", **options)).prepare(Context())
    one_sentence(error.value)


# Searches


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("copies", [2, 9, 400])
def test_a_thousand_equal_vectors(copies: int, metric: str) -> None:
    draw = torch.Generator().manual_seed(copies)
    vectors = torch.randn(1600 // copies, 16, generator=draw).repeat(copies, 1)
    query = torch.cat([vectors[:20], torch.randn(20, 16, generator=draw)])
    owners = [str(place % 3) for place in range(len(vectors))]
    asking = [str(place % 5) for place in range(len(query))]
    without = torch.tensor([[owner == one for owner in owners] for one in asking])
    every = torch.arange(len(vectors)).expand(len(query), -1)
    wanted = nearest_among(query, vectors, every, 5, metric, without)
    found = ExactIndex(vectors, metric, owners=owners).search(query, 5, asking)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


# Files


def test_two_thousand_results_with_a_hundred_files() -> None:
    script = """
        import numpy as np
        from adbench import Geometry, ImageScores
        from adbench.engine.run.scoring import ScoreSpool
        import torch
        kept = []
        for number in range(2000):
            said = ScoreSpool()
            one = ImageScores("a", torch.full((2, 2), float(number)), foreground=torch.ones(2, 2) > 0)
            said.add([one], [Geometry.whole(4, 4)])
            kept.append(said.predictions(np.zeros(1, np.float32)))
        assert [int(one.patches[0][0, 0]) for one in kept] == list(range(2000))
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1000:]
