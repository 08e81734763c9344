"""Every installed component that computes on a device, on the toys of the conformance kit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from torch import Tensor

from adbench import Context
from adbench.networks import Network
from adbench.registration.registry import installed
from adbench.testing.check import Subject, Unavailable
from adbench.testing.exercise import exercise
from adbench.testing.partners import bank_for
from adbench.testing.toy_data import Toys, ToyStream, toys

CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}

BACKBONES = [
    ("dinov3", {"size": "tiny", "resolution": 64}),
    ("dinov3", {"size": "tiny", "resolution": 64, "layers": [1, 3], "final_norm": False}),
    ("dinov3", {"size": "convnext-tiny", "resolution": 64, "layers": [0, 1]}),
    ("dinov2", {"resolution": 70, "layers": [0, 1]}),
    ("dinov2", {"resolution": 70, "layers": [1], "registers": True}),
    ("resnet18", {"layers": [1, 2]}),
    ("efficientnet-lite0", {}),
    ("timm", {"model": "vit_tiny_patch16_224", "layers": [1, 3]}),
    ("timm", {"model": "swin_tiny_patch4_window7_224", "layers": [0, 1]}),
    ("timm", {"model": "convnext_atto", "layers": [0, 1]}),
    ("clip", {"windows": [2], "blocks": [0], "text_blocks": [1]}),
    ("clip", {"windows": [], "patches": "text", "last_block": "value"}),
    ("toy-pixels", {}),
]
VARIANTS = [
    ("bank", "coreset", {"fraction": 0.2}),
    ("bank", "coreset", {"fraction": 0.2, "start": "mean-of-ten", "projection": "linear", "dim": 4}),
    ("bank", "prototypes", {"count": 3, "covariance": "cluster"}),
    ("bank", "aligned", {"reads": "layers"}),
    ("bank", "test-set", {"reads": "layers"}),
    ("scorer", "knn", {"k": 3, "metric": "cosine"}),
    ("scorer", "knn", {"reweight": 3}),
    ("scorer", "aligned-knn", {"radius": 0, "images": 5}),
    ("scorer", "mahalanobis", {"image_sigma": 4}),
    ("scorer", "mahalanobis", {"reweight": 3}),
    ("scorer", "gallery-knn", {"images": 3, "k": 2}),
    ("neck", "patchify", {"form": "unfold", "dim": 7}),
    ("neck", "concat-layers", {"upsample": "nearest"}),
]
"""Options that lead along other lines than the defaults do."""

ELSEWHERE = {"sam", "anomalib"}
"""SAM segments its pictures on the CPU in all but the network; anomalib's networks are compared in tests/peers."""

PLAIN = [
    (kind, entry.cls.name, {})
    for kind in ("neck", "masker", "bank", "scorer")
    for entry in installed().entries(kind)
    if entry.cls.name not in ELSEWHERE
]


STEPS = 20
"""Of a trained bank: enough to compare the devices."""


def brief(cls, options):
    """Options with few steps, if a component trains."""
    return {**options, "steps": STEPS} if "steps" in cls.Config.model_fields else options


@pytest.fixture(autouse=True)
def scorers_read_small_banks(monkeypatch, tmp_path):
    """Banks of few steps and with small random networks."""

    def bank(scorer):
        usual = bank_for(scorer)
        return small(type(usual), usual.config.model_dump(), tmp_path)

    monkeypatch.setattr("adbench.testing.exercise.bank_for", bank)


def made(kind, name, options, tmp_path):
    """The component with random weights; a skip where a library of its own is missing."""
    cls = next((entry.cls for entry in installed().entries(kind) if entry.cls.name == name), None)
    if cls is None:
        pytest.skip(f"{kind} {name!r} is not installed here")
    return small(cls, options, tmp_path)


def small(cls, options, tmp_path):
    """The component with random weights, few steps and, of CLIP, a small network."""
    asked = cls.Config.model_fields
    if "architecture" in asked:
        pytest.importorskip("open_clip")
        file = tmp_path / "tiny.json"
        file.write_text(json.dumps(CLIP))
        options = {**options, "architecture": file}
    weights = {"weights": "random"} if "weights" in asked else {}
    return cls(**{**brief(cls, options), **weights})


def answered(component, device, tmp_path):
    """What it says about the toys, and what is said of its network."""
    subject = Subject(component, Context(device=device, workdir=tmp_path, class_name="screw"))
    try:
        seen = exercise(subject, toys_on(toys(), device))
    except Unavailable as missing:
        pytest.skip(str(missing))
    if isinstance(seen, dict):
        seen.pop("facts", None)  # of a bank: figures as text, of which the last digit may differ
    return seen


def assert_alike(found: object, wanted: object, tolerance: float = 1e-4, where: str = "") -> None:
    """The same, but for rounding: floats to a share of the largest, everything else exactly.

    Args:
        found, wanted: nested values, of the device under test and of the CPU.
        tolerance: share of the largest value of a tensor.
        where: for messages.
    """
    if isinstance(wanted, Tensor):
        assert isinstance(found, Tensor), where
        _tensors(found.detach().cpu(), wanted.detach().cpu(), tolerance, where)
    elif is_dataclass(wanted):
        for field in fields(wanted):
            pair = (getattr(found, field.name), getattr(wanted, field.name))
            assert_alike(*pair, tolerance, f"{where}.{field.name}")
    elif isinstance(wanted, Mapping):
        assert isinstance(found, Mapping), where
        assert found.keys() == wanted.keys(), where
        for key in wanted:
            assert_alike(found[key], wanted[key], tolerance, f"{where}[{key!r}]")
    elif isinstance(wanted, Sequence) and not isinstance(wanted, str):
        assert isinstance(found, Sequence), where
        assert len(found) == len(wanted), where
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            assert_alike(one, other, tolerance, f"{where}[{place}]")
    elif isinstance(wanted, float):
        assert abs(found - wanted) <= tolerance * max(1.0, abs(wanted)), f"{where}: {found}, not {wanted}"
    else:
        assert found == wanted, where


def _tensors(found: Tensor, wanted: Tensor, tolerance: float, where: str) -> None:
    assert found.shape == wanted.shape, where
    assert found.dtype == wanted.dtype, where
    if not wanted.is_floating_point():
        assert torch.equal(found, wanted), where
    elif wanted.numel():
        largest = max(float(wanted.abs().max()), 1e-6)
        apart = float((found.double() - wanted.double()).abs().max())
        assert apart <= tolerance * largest, f"{where}: {apart / largest:.1e} of the largest apart"


def toys_on(toys: Toys, device: str) -> Toys:
    """The toys as the engine hands them over: features on the device, masks and prepared images on the CPU."""
    train, test, labelled = (_on(stream, device) for stream in (toys.train, toys.test, toys.labelled))
    return replace(toys, train=train, test=test, labelled=labelled)


def _on(stream: ToyStream, device: str) -> ToyStream:
    features = stream.features
    layers = {name: layer.to(device) for name, layer in (features.layers or {}).items()}
    moved = features.having(patches=features.patches.to(device), image=features.image.to(device), layers=layers or None)
    return ToyStream(moved, stream.batch, stream.labels)


@pytest.mark.parametrize(("kind", "name", "options"), PLAIN + VARIANTS)
def test_a_part_says_what_it_says_on_the_cpu(kind, name, options, device, tmp_path):
    component = made(kind, name, options, tmp_path)
    found, wanted = answered(component, device, tmp_path), answered(component, "cpu", tmp_path)
    assert_alike(found, wanted, 1e-3 if kind == "scorer" else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), BACKBONES)
def test_a_backbone_sees_what_it_sees_on_the_cpu(name, options, device, tmp_path):
    component = made("backbone", name, options, tmp_path)
    assert_alike(answered(component, device, tmp_path), answered(component, "cpu", tmp_path), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), [BACKBONES[0], BACKBONES[3], BACKBONES[5], BACKBONES[10]])
def test_half_precision_is_close_to_the_cpus_float32(name, options, precision, device, tmp_path):
    rough = answered(made("backbone", name, {**options, "precision": precision}, tmp_path), device, tmp_path)
    exact = answered(made("backbone", name, options, tmp_path), "cpu", tmp_path)
    for layer, wanted in {"": exact.patches, **(exact.layers or {})}.items():
        found = (rough.layers or {}).get(layer) if layer else rough.patches
        if wanted is not None:
            likeness = torch.nn.functional.cosine_similarity(found.cpu(), wanted, dim=-1)
            assert found.dtype == torch.float32
            assert likeness.min() > 0.98, layer


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), BACKBONES[:-1])
def test_a_recorded_graph_gives_what_the_first_call_gave(name, options, device, tmp_path):
    """The first call of a size launches kernel by kernel, the second records, the third replays."""
    component = made("backbone", name, options, tmp_path)
    subject = Subject(component, Context(device=device, workdir=tmp_path, class_name="screw"))
    backbone = subject.ready()
    batch = toys().batch
    if name == "clip":
        batch = replace(batch, images=batch.images[..., :32, :32].contiguous())
    elif name == "dinov2":
        batch = replace(batch, images=torch.nn.functional.pad(batch.images, (0, 2, 0, 6)))
    elif "224" in str(options):
        batch = replace(batch, images=torch.nn.functional.interpolate(batch.images, (224, 224)))
    seen = [backbone.extract(batch) for _ in range(4)]
    for again in seen[1:]:
        assert_alike(again, seen[0], 0)
    assert backbone.notes == (), "some size was not recorded"


def test_a_network_on_a_gpu_records_graphs(device):
    """That there are no notes means something: on a GPU a network is recorded, on a CPU it is not."""
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU()).to(device)

    class Listed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, images):
            return [self.inner(images)]

    network = Network(
        Listed(), Context(device=device), mean=(0, 0, 0), std=(1, 1, 1), weights="0" * 64, identity={}, who="test"
    )
    for _ in range(3):
        network(torch.rand(2, 3, 8, 8))
    ways = [] if network._graphed is None else list(network._graphed._ways.values())
    assert len(ways) == (0 if device == "cpu" else 1)
    assert all(way is not None and way is not network._module for way in ways)
