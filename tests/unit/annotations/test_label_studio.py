"""Label Studio's JSON export becomes masks; what cannot be meant is refused by name."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from adbench import DataError
from adbench.annotations.brush_rle import encode
from adbench.annotations.export import export_masks
from adbench.annotations.masks import import_masks
from adbench.builtin.folders.datasets import Folder
from adbench.cli.commands.data import command
from adbench.datasets import read_mask

SIZE = (20, 40)
BLOCK = np.zeros(SIZE, bool)
BLOCK[5:10, 10:20] = True


def result(kind, value, size=SIZE):
    return {
        "type": kind,
        "from_name": "tag",
        "to_name": "image",
        "original_height": size[0],
        "original_width": size[1],
        "value": {kind: ["scratch"], **value},
    }


def rectangle(**more):
    return result("rectanglelabels", {"x": 25, "y": 25, "width": 22.5, "height": 20, "rotation": 0, **more})


def polygon(points):
    return result("polygonlabels", {"points": points})


@pytest.fixture
def project(tmp_path):
    """Writes an export with one task beside its image; gives the export and the folder of the images."""

    def write(*results, address="/data/local-files/?d=cut/0.png", annotations=None, name="cut/0.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(path)
        task = {"id": 1, "data": {"image": address}}
        task["annotations"] = [{"result": list(results)}] if annotations is None else annotations
        (tmp_path / "project.json").write_text(json.dumps([task]))
        return tmp_path / "project.json", tmp_path / "images"

    return write


def mask_of(made, tmp_path, name="cut/0"):
    import_masks(*made, tmp_path / "masks")
    return read_mask(tmp_path / "masks" / f"{name}_mask.png", SIZE)


def test_a_brush_is_read_exactly(project, tmp_path):
    made = project(result("brushlabels", {"format": "rle", "rle": encode(BLOCK)}))
    np.testing.assert_array_equal(mask_of(made, tmp_path), BLOCK)


def test_a_rectangle_is_in_percent(project, tmp_path):
    found = mask_of(project(rectangle()), tmp_path)
    assert found[5:10, 10:20].all()
    assert not found[:4].any()
    assert not found[:, :9].any()
    assert not found[11:].any()


def test_a_rectangle_turns_about_its_upper_left_corner(project, tmp_path):
    found = mask_of(project(rectangle(x=50, y=25, rotation=90)), tmp_path)
    assert found[6:13, 17:20].all()
    assert not found[:, 22:].any()


def test_a_polygon_and_an_ellipse_mark_their_inside(project, tmp_path):
    ellipse = result("ellipselabels", {"x": 75, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0})
    found = mask_of(project(polygon([[0, 0], [25, 0], [25, 50], [0, 50]]), ellipse), tmp_path)
    assert found[5, 5]
    assert found[10, 30]
    assert not found[10, 20]
    area = np.pi * 4 * 4
    assert abs(found[:, 24:].sum() - area) < 0.5 * area


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=cut/0%20a.png", "cut/0 a.png"),
        ("/data/upload/3/0123abcd-part.png", "part.png"),
        ("https://host/some/part.png?token=1", "part.png"),
        ("s3://bucket/some/part.png", "part.png"),
        ("cut/1.png", "cut/1.png"),
    ],
)
def test_images_are_found_by_label_studios_addresses(address, name, project, tmp_path):
    made = project(rectangle(), address=address, name=name)
    assert mask_of(made, tmp_path, name.removesuffix(".png")).any()


@pytest.mark.parametrize("address", ["/data/local-files/?d=../../etc/passwd", "/data/local-files/?d=/etc/passwd"])
def test_addresses_stay_below_the_folder(address, project, tmp_path):
    with pytest.raises(DataError, match="no path below the folder of images"):
        import_masks(*project(rectangle(), address=address), tmp_path / "masks")


@pytest.mark.parametrize(
    ("annotations", "normal"),
    [
        ([], 1),
        ([{"result": []}], 1),
        ([{"result": [{"type": "choices", "value": {"choices": ["good"]}}]}], 1),
        ([{"was_cancelled": True, "result": [rectangle()]}], 1),
    ],
)
def test_images_without_shapes_are_normal(annotations, normal, project, tmp_path):
    done = import_masks(*project(annotations=annotations), tmp_path / "masks")
    assert (done.masks, done.normal) == (0, normal)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([{"result": [rectangle()]}, {"result": []}], "has 2 annotations; keep one of them"),
        ([{"result": [result("keypointlabels", {"x": 1, "y": 1})]}], "a keypointlabels marks no area"),
        ([{"result": [result("brushlabels", {"format": "rle", "rle": [1, 2, 3]})]}], "cannot be read: the run lengths"),
        ([{"result": [result("brushlabels", {"format": "rle", "rle": "abc"})]}], "cannot be read"),
        ([{"result": [rectangle(), result("rectanglelabels", {}, size=(5, 5))]}], "images of several sizes"),
        ([{"result": [polygon([[0, 0], [1, 1]])]}], "a shape has 2 points"),
        ([{"result": [polygon([[0, 0], [9000, 0], [0, 9000]])]}], "far outside of the image"),
        ([{"result": [rectangle(x="wide")]}], "no JSON export of Label Studio"),
        ([{"result": 5}], "no JSON export of Label Studio"),
        ("none", "no JSON export of Label Studio"),
    ],
)
def test_what_cannot_be_meant_is_refused(annotations, message, project, tmp_path):
    with pytest.raises(DataError, match=message):
        import_masks(*project(annotations=annotations), tmp_path / "masks")
    assert not (tmp_path / "masks").exists()


def test_an_image_of_another_size_is_refused(project, tmp_path):
    made = project(result("rectanglelabels", {"x": 1, "y": 1, "width": 9, "height": 9}, size=(10, 10)))
    with pytest.raises(DataError, match="annotate the image itself"):
        import_masks(*made, tmp_path / "masks")


def test_a_datasets_masks_go_out_and_come_back(tmp_path):
    rng, root = np.random.default_rng(0), tmp_path / "data"
    for name in ("train/good/0", "test/good/0", "test/cut/0", "test/cut/1"):
        path = root / "nut" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 14), dtype=np.uint8)).save(path)
    masks = {}
    for number in "01":
        path = root / f"nut/ground_truth/cut/{number}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        masks[number] = rng.random((9, 14)) < 0.3
        Image.fromarray(masks[number].astype(np.uint8) * 255).save(path)
    file = tmp_path / "tasks.json"
    assert export_masks(Folder(root=root), ["nut"], file, "label-studio") == 3
    done = import_masks(file, root, tmp_path / "back")
    assert (done.masks, done.normal) == (2, 1)
    for number, mask in masks.items():
        np.testing.assert_array_equal(read_mask(tmp_path / f"back/nut/test/cut/{number}_mask.png", (9, 14)), mask)


def test_the_command_line_imports_it(project, tmp_path):
    file, images = project(rectangle())
    done = CliRunner().invoke(
        command, ["import", str(file), "--images", str(images), "--out", str(tmp_path / "out")], catch_exceptions=False
    )
    assert done.output.startswith("1 mask in ")
    assert (tmp_path / "out/cut/0_mask.png").exists()
