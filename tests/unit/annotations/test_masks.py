"""Annotations of labelme and COCO become masks that adbench reads; what cannot be meant is refused by name."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from adbench import DataError, StorageError
from adbench.annotations.masks import import_masks
from adbench.cli.commands.data import command
from adbench.datasets import read_mask

SIZE = (20, 30)


def shape(label="scratch", kind="polygon", points=((2, 3), (8, 3), (8, 6), (2, 6)), **more):
    return {"label": label, "shape_type": kind, "points": [list(point) for point in points], **more}


def image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros(size, np.uint8)).save(path)


@pytest.fixture
def labelme(tmp_path):
    """Writes a file of labelme beside its image, and gives their folder."""

    def write(*shapes, name="crack/000", size=SIZE, **more):
        folder = tmp_path / "test"
        image(folder / f"{name}.png")
        content = {"imagePath": f"{name.rpartition('/')[2]}.png", "imageHeight": size[0], "imageWidth": size[1]}
        (folder / f"{name}.json").write_text(json.dumps({**content, "shapes": list(shapes), **more}))
        return folder

    return write


@pytest.fixture
def coco(tmp_path):
    """Writes COCO's file beside images, and gives it."""

    def write(*annotations, images=None, size=SIZE):
        pytest.importorskip("pycocotools", reason="pip install adbench-core[annotations]")
        image(tmp_path / "images/a/0.png")
        image(tmp_path / "images/1.png")
        content = {
            "images": images
            or [
                {"id": 7, "file_name": "a/0.png", "height": size[0], "width": size[1]},
                {"id": 8, "file_name": "1.png", "height": size[0], "width": size[1]},
            ],
            "categories": [{"id": 3, "name": "hole"}, {"id": 4, "name": "cut"}],
            "annotations": [{"id": place, **entry} for place, entry in enumerate(annotations)],
        }
        path = tmp_path / "images" / "coco.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_masks_lie_where_the_folder_layout_wants_them(labelme, tmp_path):
    folder = labelme(shape())
    labelme(name="good/000")
    out = tmp_path / "ground_truth"
    done = import_masks(folder, folder, out)
    assert (done.masks, done.normal, dict(done.shapes), done.remarks) == (1, 1, {"scratch": 1}, [])
    assert [path.relative_to(out).as_posix() for path in out.rglob("*.png")] == ["crack/000_mask.png"]
    marked = read_mask(out / "crack/000_mask.png", SIZE)
    assert np.argwhere(marked).min(axis=0).tolist() == [3, 2]
    assert np.argwhere(marked).max(axis=0).tolist() == [6, 8]
    assert marked.sum() == 4 * 7


def test_every_kind_of_shape_that_marks_an_area(labelme, tmp_path):
    bits = io.BytesIO()
    Image.fromarray(np.full((2, 3), 255, np.uint8)).save(bits, format="PNG")
    folder = labelme(
        shape("a", "rectangle", ((20, 10), (24, 12))),
        shape("b", "circle", ((5, 14), (5, 16))),
        shape("c", "mask", ((27, 0), (29, 1)), mask=base64.b64encode(bits.getvalue()).decode()),
    )
    import_masks(folder, folder, tmp_path / "out")
    page = np.asarray(Image.open(tmp_path / "out/crack/000_mask.png").copy())
    assert [int((page == number).sum()) for number in (1, 2, 3)] == [15, 13, 6]
    assert page[0, 27] == 3


def test_polygons_and_run_lengths_of_coco(coco, tmp_path):
    runs = {"size": list(SIZE), "counts": [21, 4, 600 - 25]}
    path = coco(
        {"image_id": 7, "category_id": 3, "segmentation": [[2, 3, 8, 3, 8, 6, 2, 6]]},
        {"image_id": 7, "category_id": 4, "segmentation": runs},
    )
    done = import_masks(path, path.parent, tmp_path / "out")
    assert (done.masks, done.normal) == (1, 1)
    page = np.asarray(Image.open(tmp_path / "out/a/0_mask.png").copy())
    assert np.argwhere(page == 1).tolist() == [[row, 1] for row in range(1, 5)], (
        "cut is first by name; columns come first"
    )
    assert (page == 2).sum() == 18


def test_what_is_cut_or_vanishes_is_reported(labelme, tmp_path):
    folder = labelme(shape(points=((25, 3), (40, 3), (40, 6))), shape(points=((40, 3), (45, 3), (45, 6))))
    done = import_masks(folder, folder, tmp_path / "out")
    assert done.remarks == [
        "crack/000.png: a shape of the class scratch is cut at the border",
        "crack/000.png: a shape of the class scratch marks no pixel",
    ]


def test_a_polygon_that_crosses_itself_marks_what_it_surrounds(labelme, tmp_path):
    folder = labelme(shape(points=((2, 2), (12, 12), (12, 2), (2, 12))))
    import_masks(folder, folder, tmp_path / "out")
    marked = read_mask(tmp_path / "out/crack/000_mask.png", SIZE)
    assert marked[7, 3]
    assert marked[7, 11]
    assert not marked[3, 7]


@pytest.mark.parametrize(
    ("shapes", "problem"),
    [
        ([shape(kind="line")], "a line marks no area"),
        ([shape(points=((1, 1), (2, 2)))], "has 2 points"),
        ([shape(points=((1, 1), (2, 2), (float("nan"), 3)))], "is no number"),
        ([shape(points=((1, 1), (2, 2), (1e9, 3)))], "far outside of the image"),
        ([{"label": "x", "shape_type": "polygon", "points": "abc"}], "no list of points"),
        ([{"label": "x", "shape_type": "polygon"}], "no list of points"),
        ([{"shape_type": "polygon"}], "has no label"),
        ([7], "has no label"),
        ([shape(kind="mask", mask="!!")], "a mask is no picture"),
        ([shape(kind="mask")], "a mask is no picture"),
    ],
)
def test_shapes_that_cannot_be_meant(labelme, tmp_path, shapes, problem):
    folder = labelme(*shapes)
    with pytest.raises(DataError, match=f"000.json: .*{problem}"):
        import_masks(folder, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"imageHeight": 1 << 20, "imageWidth": 1 << 20}, "is none"),
        ({"imageHeight": "20"}, "is none"),
        ({"imageHeight": 21}, r"has 20 x 30 pixels, and was annotated with 21 x 30"),
        ({"imagePath": "gone.png"}, r"gone\.png"),
        ({"shapes": None}, "no file of labelme"),
    ],
)
def test_files_that_do_not_fit_their_image(labelme, tmp_path, more, problem):
    folder = labelme(shape(), **more)
    with pytest.raises(DataError, match=problem):
        import_masks(folder, folder, tmp_path / "out")


def test_a_path_of_another_machine_names_the_image_beside(labelme, tmp_path):
    folder = labelme(shape(), imagePath="C:\\Users\\me\\000.png")
    assert import_masks(folder, folder, tmp_path / "out").masks == 1


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.png", "C:\\a.png", "https://example.org/a.png", "", "a\x1b.png"]
)
def test_coco_may_not_lead_out_of_the_folder(coco, tmp_path, name):
    path = coco(images=[{"id": 7, "file_name": name, "height": 20, "width": 30}])
    with pytest.raises(DataError, match="no path below the folder of images") as caught:
        import_masks(path, path.parent, tmp_path / "out")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"image_id": 9, "category_id": 3, "segmentation": []}, "no file of COCO"),
        ({"image_id": 7, "category_id": 9, "segmentation": []}, "no file of COCO"),
        ({"image_id": 7, "category_id": 3}, "no file of COCO"),
        ({"image_id": 7, "category_id": 3, "segmentation": []}, "has no outline, only a box"),
        ({"image_id": 7, "category_id": 3, "segmentation": [[1, 2, 3]]}, "no list of x, y"),
        ({"image_id": 7, "category_id": 3, "segmentation": [[1, 2, 3, 4]]}, "has 2 points"),
        ({"image_id": 7, "category_id": 3, "segmentation": [[1, 2, 3, 4, 1e12, 2]]}, "far outside"),
        ({"image_id": 7, "category_id": 3, "segmentation": {"size": [20, 30], "counts": [700]}}, "do not fill"),
        ({"image_id": 7, "category_id": 3, "segmentation": {"size": [20, 30], "counts": [-1, 601]}}, "do not fill"),
        ({"image_id": 7, "category_id": 3, "segmentation": {"size": [2, 300], "counts": [600]}}, "do not fill"),
        ({"image_id": 7, "category_id": 3, "segmentation": {"size": [20, 30], "counts": "abc"}}, "are packed"),
    ],
)
def test_annotations_of_coco_that_cannot_be_meant(coco, tmp_path, entry, problem):
    path = coco(entry)
    with pytest.raises(DataError, match=problem):
        import_masks(path, path.parent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "7", "[]", "{}", '{"images": 7, "categories": [], "annotations": []}'])
def test_what_is_no_file_of_coco(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=r"a\.json"):
        import_masks(tmp_path / "a.json", tmp_path, tmp_path / "out")


def test_classes_that_nobody_has_named_are_refused(labelme, tmp_path):
    folder = labelme(shape("scratch"), shape("scrach"))
    with pytest.raises(DataError, match="the class 'scrach' is not among dent, scratch"):
        import_masks(folder, folder, tmp_path / "out", ["dent", "scratch"])
    import_masks(folder, folder, tmp_path / "out", ["dent", "scratch", "scrach"])
    page = np.asarray(Image.open(tmp_path / "out/crack/000_mask.png").copy())
    assert set(page.ravel()) == {0, 3}


def test_a_mask_that_is_there_is_never_overwritten(labelme, tmp_path):
    folder = labelme(shape())
    labelme(shape(), name="crack/001")
    import_masks(folder, folder, tmp_path / "out")
    (tmp_path / "out/crack/000_mask.png").unlink()
    with pytest.raises(StorageError, match=r"001_mask\.png: is there already"):
        import_masks(folder, folder, tmp_path / "out")
    assert not (tmp_path / "out/crack/000_mask.png").exists(), "nothing is written where something is wrong"


def test_the_command_says_what_it_wrote(labelme, tmp_path):
    folder = labelme(shape(points=((25, 3), (40, 3), (40, 6))))
    result = CliRunner().invoke(command, ["import", str(folder), "--out", str(tmp_path / "out")], standalone_mode=False)
    assert result.exception is None, result.exception
    assert f"1 mask in {tmp_path / 'out'}: scratch 1; 0 images have none" in result.output
    assert "warning: crack/000.png: a shape of the class scratch is cut at the border" in result.output
