"""What models take and give, found out from themselves: each gives what torch's convolution gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from adbench_onnx.backbone import GRAY, Onnx
from adbench_onnx.layouts import LEADING, Tokens, tokens_of
from onnx import TensorProto, helper, numpy_helper, save
from torch.nn import functional

from adbench import Batch, Context, Geometry, UsageError, WeightsError

KINDS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.float64: TensorProto.DOUBLE}


def kernel(channels=3, seed=0):
    return np.random.default_rng(seed).standard_normal((8, channels, 4, 4)).astype(np.float32)


@pytest.fixture
def drawn(tmp_path):
    """A model as a file. Its nodes may use `first` (images as NCHW) and `maps` (what the convolution gives)."""

    def make(nodes=(), outputs=("maps",), shape=("b", 3, "h", "w"), kind=np.float32, channels=3, **constants):
        last = (shape[3] == channels and shape[1] != channels) or constants.pop("last", False)
        begin = [
            helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2])
            if last
            else helper.make_node("Identity", ["image"], ["first"]),
            helper.make_node("Conv", ["first", "kernel"], ["maps"], strides=[4, 4]),
        ]
        constants = {
            "kernel": kernel(channels).astype(kind),
            **{key: np.array(value) for key, value in constants.items()},
        }
        graph = helper.make_graph(
            [*begin, *nodes],
            "drawn",
            [helper.make_tensor_value_info("image", KINDS[kind], shape)],
            [helper.make_tensor_value_info(name, KINDS[kind], None) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        path = tmp_path / f"drawn{len(list(tmp_path.iterdir()))}.onnx"
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return make


@pytest.fixture
def extract():
    """A function that prepares a backbone, and gives its features of some images and the backbone."""

    def features_and_backbone(path, size=(32, 48), images=3, **options):
        backbone = Onnx(**{"path": path, "mean": (0, 0, 0), "std": (1, 1, 1), **options})
        backbone.prepare(Context())
        pixels = pictures(size, images)
        ids = tuple(map(str, range(images)))
        return backbone.extract(Batch(ids, pixels, (Geometry.whole(*size),) * images)), backbone

    return features_and_backbone


def pictures(size=(32, 48), images=3):
    return torch.rand(images, 3, *size, generator=torch.Generator().manual_seed(1))


def convolved(pixels, channels=3):
    """[B, H, W, 8]: what every model here gives for images [B, C, H, W]."""
    return functional.conv2d(pixels, torch.from_numpy(kernel(channels)), stride=4).permute(0, 2, 3, 1)


LAST = helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1])
TOKENS = [
    helper.make_node("Reshape", ["maps", "flat"], ["channels"]),
    helper.make_node("Transpose", ["channels"], ["tokens"], perm=[0, 2, 1]),
]
FLAT = {"flat": [0, 8, -1]}


def close(found, wanted, tolerance=1e-4):
    torch.testing.assert_close(found.float(), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "shape",
    [
        ("b", 3, "h", "w"),
        ("b", 3, 32, 48),
        (1, 3, 32, 48),
        (4, 3, 32, 48),
        (None, None, None, None),
        ("b", "h", "w", 3),
        (1, 32, 48, 3),
        (4, 32, "w", 3),
    ],
)
@pytest.mark.parametrize("output", ["maps", "last"])
@pytest.mark.parametrize("images", [1, 5])
def test_layouts_and_numbers_of_images(shape, output, images, drawn, extract):
    path = drawn([LAST], [output], shape)
    seen, backbone = extract(path, images=images, layers=[output])
    close(seen.patches, convolved(pictures(images=images)))
    (note,) = backbone.notes
    assert f"{output} maps as {'NHWC' if output == 'last' else 'NCHW'}" in note
    assert ("images as NHWC" in note) == (shape[3] == 3)


@pytest.mark.parametrize("size", [(32, 32), (40, 40)])
@pytest.mark.parametrize("output", ["maps", "last"])
@pytest.mark.parametrize("free", [True, False])
def test_as_many_rows_as_channels(size, output, free, drawn, extract):
    """[B, 8, 8, 8] from 32x32: only what happens to the images tells."""
    path = drawn([LAST], [output], ("b", 3, *(("h", "w") if free else size)))
    close(extract(path, size, layers=[output])[0].patches, convolved(pictures(size)))


def test_both_layouts_in_one_model(drawn, extract):
    seen, _ = extract(drawn([LAST], ["maps", "last"]))
    for layer in seen.layers.values():
        close(layer, convolved(pictures()))


@pytest.mark.parametrize("shape", [("b", 1, "h", "w"), ("b", "h", "w", 1), (1, 1, 32, 48), (2, 32, 48, 1)])
def test_one_channel(shape, drawn, extract):
    gray = (pictures() * torch.tensor(GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    seen, backbone = extract(drawn(shape=shape, channels=1), layers=["maps"])
    close(seen.patches, convolved(gray, 1))
    assert "gray images" in backbone.notes[0]
    seen, _ = extract(drawn(shape=shape, channels=1), layers=["maps"], mean=[0.4], std=[0.2])
    close(seen.patches, convolved((gray - 0.4) / 0.2, 1), 1e-3)


def test_one_channel_that_is_not_declared(drawn, extract):
    gray = (pictures() * torch.tensor(GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True)
    for last in (False, True):
        path = drawn(shape=(None, None, None, None), channels=1, last=last)
        close(extract(path, layers=["maps"])[0].patches, convolved(gray, 1))


def test_channels_last_that_are_not_declared(drawn, extract):
    close(extract(drawn(shape=(None, None, None, None), last=True), layers=["maps"])[0].patches, convolved(pictures()))


def test_other_numbers_of_channels_are_named(drawn):
    with pytest.raises(UsageError, match=r"\[any, 4, any, any\]; a backbone needs 3 channels or 1"):
        Onnx(path=drawn(shape=("b", 4, "h", "w"), channels=4)).prepare(Context())


@pytest.mark.parametrize("mean", [[0.5, 0.5], [], [0.1] * 4])
def test_means_are_one_or_three(mean, drawn):
    with pytest.raises(UsageError, match="give one number, or three joined by"):
        Onnx(path=drawn(), mean=mean)


def test_half_precision(drawn, extract):
    close(extract(drawn(kind=np.float16), layers=["maps"])[0].patches, convolved(pictures()), 3e-2)


def test_a_type_that_the_runtime_cannot_compute_in_is_named(drawn):
    with pytest.raises(WeightsError, match="no code for one of its operators in its type; export it in float32"):
        Onnx(path=drawn(kind=np.float64)).prepare(Context())


class TestSizes:
    @pytest.mark.parametrize("size", [(224, 224), (32, 48), (48, 32)])
    def test_a_declared_one_is_the_default(self, size, drawn, extract):
        path = drawn(shape=("b", 3, *size))
        assert Onnx.defaults(Onnx.Config(path=path))["preprocess"] == [{"resize": {"size": list(size)}}]
        close(extract(path, size, layers=["maps"])[0].patches, convolved(pictures(size)))
        with pytest.raises(
            UsageError, match=r"takes images of (\d+)x(\d+) .* not of 64x64; write .*resize:size=\1\+\2"
        ):
            extract(path, (64, 64))

    def test_one_that_is_not_declared_is_found(self, drawn, extract):
        """It is written into a Reshape, as exporters do."""
        cut = helper.make_node("Reshape", ["maps", "grid"], ["cut"])
        path = drawn([cut], ["cut"], grid=[0, 8, 56, 56])
        assert Onnx.defaults(Onnx.Config(path=path))["preprocess"] == [{"resize": {"size": [224, 224]}}]
        close(extract(path, (224, 224), 1, layers=["cut"])[0].patches, convolved(pictures((224, 224), 1)))
        with pytest.raises(UsageError, match=r"224x224 .* not of 256x256; write --preprocess resize:size=224\+224 \("):
            extract(path, (256, 256), 1)

    def test_any_is_256_by_default(self, drawn):
        assert Onnx.defaults(Onnx.Config(path=drawn()))["preprocess"] == [{"resize": {"size": [256, 256]}}]

    def test_half_of_it_may_be_declared(self, drawn):
        path = drawn(shape=("b", 3, 64, "w"))
        assert Onnx.defaults(Onnx.Config(path=path))["preprocess"] == [{"resize": {"size": [64, 256]}}]

    def test_a_file_that_cannot_be_used_is_reported_when_it_is_opened(self, tmp_path):
        (tmp_path / "a.onnx").write_bytes(b"\x08\x08nothing")
        config = Onnx.Config(path=tmp_path / "a.onnx")
        assert Onnx.defaults(config)["preprocess"] == [{"resize": {"size": [256, 256]}}]
        with pytest.raises(WeightsError, match="cut short, damaged, or something else"):
            Onnx(path=tmp_path / "a.onnx").prepare(Context())


class TestNumbers:
    def test_a_hidden_one_is_found(self, drawn, extract):
        """The batch is declared free, but a Reshape makes it one."""
        one = helper.make_node("Reshape", ["maps", "grid"], ["one"])
        path = drawn([one], ["one"], ("b", 3, 32, 48), grid=[1, 8, 8, 12])
        seen, backbone = extract(path, layers=["one"])
        close(seen.patches, convolved(pictures()))
        assert "1 at once" in backbone.notes[0]

    def test_a_batch_that_is_added_to_the_rows_is_no_batch(self, drawn, extract):
        """[B, 8, 8, 12] made one image of B times as many rows: image by image it is right."""
        one = helper.make_node("Reshape", ["maps", "grid"], ["one"])
        seen, _ = extract(drawn([one], ["one"], ("b", 3, 32, 48), grid=[1, 8, -1, 12]), layers=["one"])
        close(seen.patches, convolved(pictures()))

    def test_an_output_without_it_is_refused(self, drawn):
        gone = helper.make_node("Reshape", ["maps", "grid"], ["gone"])
        with pytest.raises(UsageError, match=r"output 'gone' has the shape \[8, 8, 12\] for"):
            Onnx(path=drawn([gone], ["gone"], (1, 3, 32, 48), grid=[8, 8, 12])).prepare(Context())


class TestTokens:
    @pytest.mark.parametrize("leading", [0, 1, 2, 4, 5])
    @pytest.mark.parametrize("free", [True, False])
    def test_leading_ones_are_found(self, leading, free, drawn, extract):
        nodes = [*TOKENS, helper.make_node("Slice", ["tokens", "from", "to", "axis"], ["some"])]
        nodes.append(helper.make_node("Concat", ["some", "tokens"], ["all"], axis=1))
        shape = ("b", 3, "h", "w") if free else ("b", 3, 32, 48)
        path = drawn(nodes, ["all"], shape, **FLAT, **{"from": [0], "to": [leading], "axis": [1]})
        seen, backbone = extract(path, layers=["all"])
        close(seen.patches, convolved(pictures()))
        assert (f"after {leading} leading" in backbone.notes[0]) == (leading > 0)

    def test_those_of_other_numbers_are_asked_for(self, drawn, extract):
        nodes = [*TOKENS, helper.make_node("Concat", ["tokens", "tokens"], ["twice"], axis=1)]
        path = drawn(nodes, ["twice"], ("b", 3, 32, 48), **FLAT)
        with pytest.raises(UsageError, match=r"\[2, 192, 8\], tokens that do not make a grid; .*strip=N"):
            Onnx(path=path).prepare(Context())
        close(extract(path, layers=["twice"], strip=96)[0].patches, convolved(pictures()))
        close(extract(path, layers=["twice"], grid=[8, 12])[0].patches, convolved(pictures()))

    def test_channels_may_come_first(self, drawn, extract):
        seen, backbone = extract(drawn(TOKENS[:1], ["channels"], **FLAT), layers=["channels"])
        close(seen.patches, convolved(pictures()))
        assert "channels first" in backbone.notes[0]

    @pytest.mark.parametrize(("size", "patch"), [(224, 16), (224, 14), (518, 14), (256, 16), (384, 32), (64, 16)])
    @pytest.mark.parametrize("leading", LEADING[:5])
    def test_those_of_usual_transformers(self, size, patch, leading):
        count = (size // patch) ** 2 + leading
        assert tokens_of((1, count, 1024), (size, size), (None, None), lambda: None) == Tokens(1, leading)

    def test_a_few_numbers_are_no_places(self):
        assert tokens_of((1, 300, 4), (256, 256), (None, None), lambda: None) is None


class TestOutputs:
    def test_what_is_no_layer_is_left_out_where_none_is_named(self, drawn, extract):
        nodes = [
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Reshape", ["maps", "vector"], ["logits"]),
            helper.make_node("ArgMax", ["maps"], ["best"], axis=1),
        ]
        path = drawn(nodes, ["maps", "logits"], ("b", 3, 32, 48), vector=[0, -1])
        seen, backbone = extract(path)
        assert seen.layers.keys() == {"maps"}
        assert torch.equal(seen.image, seen.layers["maps"].mean((1, 2)))
        assert "left out, as neither maps nor tokens: logits" in backbone.notes[0]
        with pytest.raises(UsageError, match=r"'logits' is \[2, 768\], of rank 2; name outputs"):
            extract(path, layers=["logits"])

    def test_a_model_without_any_is_refused(self, drawn):
        nodes = [helper.make_node("Reshape", ["maps", "vector"], ["logits"])]
        with pytest.raises(UsageError, match="of rank 2; name outputs of rank 4"):
            Onnx(path=drawn(nodes, ["logits"], ("b", 3, 32, 48), vector=[0, -1])).prepare(Context())

    def test_a_layout_that_nothing_shows_is_asked_for(self, drawn, extract):
        """All places equal, and as many as channels."""
        nodes = [
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Expand", ["pooled", "wide"], ["even"]),
        ]
        path = drawn(nodes, ["even"], ("b", 3, 32, 32), wide=[1, 8, 8, 8])
        with pytest.raises(UsageError, match="layout the model does not show; .*layout=nchw or layout=nhwc"):
            Onnx(path=path).prepare(Context())
        seen, _ = extract(path, (32, 32), layers=["even"], layout="nchw")
        close(seen.patches, convolved(pictures((32, 32))).mean((1, 2), keepdim=True).expand(-1, 8, 8, -1))

    def test_what_is_told_is_not_found_out(self, drawn, extract):
        seen, _ = extract(drawn(shape=("b", 3, 32, 32)), (32, 32), layers=["maps"], layout="nhwc")
        close(seen.patches, convolved(pictures((32, 32))).permute(0, 3, 1, 2))


class TestIdentity:
    def test_is_that_of_options_written_out(self, drawn):
        path = drawn()
        assert Onnx(path=path).identity() == Onnx(path=path, layout="nchw", strip=0).identity()

    def test_differs_where_the_reading_does(self, drawn):
        path = drawn([LAST], ["last"])
        assert Onnx(path=path).identity() != Onnx(path=path, layout="nchw").identity()
        first = helper.make_node("Concat", ["one", "tokens"], ["all"], axis=1)
        one = helper.make_node("Slice", ["tokens", "from", "to", "axis"], ["one"])
        path = drawn([*TOKENS, one, first], ["all"], **FLAT, **{"from": [0], "to": [1], "axis": [1]})
        assert Onnx(path=path).identity() != Onnx(path=path, strip=0).identity()


class TestFiles:
    def test_one_that_is_cut_short(self, drawn):
        path = drawn()
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(WeightsError, match="cut short, damaged, or something else"):
            Onnx(path=path).prepare(Context())

    @pytest.mark.parametrize(
        ("content", "what"),
        [(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<html>", "web page"), (b"", "empty file")],
    )
    def test_one_that_is_something_else(self, content, what, tmp_path):
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=rf"a\.onnx: this is an? .*{what}"):
            Onnx(path=tmp_path / "a.onnx").prepare(Context())

    def test_one_whose_weights_lie_elsewhere_names_the_way_to_join_them(self, drawn, tmp_path):
        from onnx import load, save

        save(load(drawn()), tmp_path / "a.onnx", save_as_external_data=True, location="big.data", size_threshold=0)
        message = r"weights lie in another file \('big.data'\).*onnx.save\(onnx.load\('a.onnx'\), 'whole.onnx'\)"
        with pytest.raises(WeightsError, match=message):
            Onnx(path=tmp_path / "a.onnx").prepare(Context())
        save(load(tmp_path / "a.onnx"), tmp_path / "whole.onnx")
        Onnx(path=tmp_path / "whole.onnx").prepare(Context())
