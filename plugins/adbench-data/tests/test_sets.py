"""What each set's own rule makes of its original folders."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest
import tifffile
from adbench_data import every_dataset
from adbench_data.sets.btad import Btad
from adbench_data.sets.dagm import Dagm
from adbench_data.sets.elpv import Elpv
from adbench_data.sets.kolektor import KolektorSdd, KolektorSdd2
from adbench_data.sets.magnetic_tile import MagneticTile
from adbench_data.sets.mpdd import Mpdd
from adbench_data.sets.mulsen_ad import MulSenAD
from adbench_data.sets.mvtec_3d import MVTec3D
from adbench_data.sets.mvtec_ad_2 import MVTecAD2
from adbench_data.sets.mvtec_loco import MVTecLoco
from adbench_data.sets.real_iad import RealIad, RealIadVariety
from adbench_data.sets.visa import Visa

from adbench import BadImage, DataError, UsageError

PUBLISHED = [cls.name for cls in every_dataset() if cls.name != "manifest"]


def names(samples):
    return [sample.id for sample in samples]


def kinds(split):
    return Counter(sample.defect for sample in split.test)


@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_of_a_complete_tree_is_passed_over(drawn, name):
    (cls,) = [cls for cls in every_dataset() if cls.name == name]
    found = cls(root=drawn(name), partial=True)
    for category in found.categories():
        over = [each for each in found.survey(category).passed_over if "copy" not in each.file]
        assert over == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_set_is_found_below_the_folder_that_its_archive_unpacks(drawn, tmp_path, monkeypatch, name):
    (cls,) = [cls for cls in every_dataset() if cls.name == name]
    folder = drawn(name)
    if cls.unpacked:
        inner = tmp_path / "above" / cls.unpacked[0]
        inner.parent.mkdir(parents=True)
        shutil.move(folder, inner)
        assert cls(root=tmp_path / "above").root == inner.resolve()
        monkeypatch.setattr("adbench_data.sets.elpv.find_spec", lambda name: None)
        monkeypatch.setenv("ADBENCH_DATA", str(tmp_path / "above"))
        assert cls().root == inner.resolve()


def test_btad_matches_masks_by_stem(drawn):
    found = Btad(root=drawn("btad"), partial=True)
    split = found.split("01")
    assert names(split.train) == [f"01/train/good/000{number}" for number in range(3)]
    assert names(split.test) == ["01/test/good/0000", "01/test/ko/0000", "01/test/ko/0001"]
    assert [found.mask(sample).sum() for sample in split.test] == [0, 12, 12]
    assert found.mask_paths(split.test[1])[0].suffix == ".png"


def test_mpdd_is_in_mvtecs_layout(drawn):
    split = Mpdd(root=drawn("mpdd"), partial=True).split("tubes")
    assert (len(split.train), kinds(split)) == (2, {"good": 1, "hole": 2})


def test_visa_follows_the_authors_table(drawn):
    found = Visa(root=drawn("visa"), partial=True)
    split = found.split("candle")
    assert names(split.train) == [f"candle/train/good/000{number}" for number in range(3)]
    assert names(split.test) == ["candle/test/bad/000", "candle/test/bad/001", "candle/test/good/0003"]
    assert found.mask(split.test[0]).sum() == 12, "a mask of ones is as good as one of white"


def test_visas_table_names_an_image_that_is_not_there(drawn):
    root = drawn("visa")
    (root / "candle/Data/Images/Normal/0001.JPG").unlink()
    (root / "pcb1/Data/Masks/Anomaly/001.png").unlink()
    found = Visa(root=root, partial=True)
    with pytest.raises(DataError, match=r"one of the images of its list cannot be found, such as candle.*unpack"):
        found.split("candle")
    with pytest.raises(DataError, match=r"one of the masks of its list cannot be found, such as pcb1"):
        found.split("pcb1")


def test_visas_table_is_damaged(drawn):
    root = drawn("visa")
    table = root / "split_csv/1cls.csv"
    text = table.read_text()
    table.write_text(text.replace("split,label", "label"))
    with pytest.raises(DataError, match="has no column 'split'"):
        Visa(root=root, partial=True).split("candle")
    table.write_text(text.replace("candle,test,normal", "candle,validation,normal"))
    with pytest.raises(DataError, match="odd line"):
        Visa(root=root, partial=True).split("candle")
    table.write_text(text + "candle,test\n")
    with pytest.raises(DataError, match="row 14: has 2 cells, its head 5"):
        Visa(root=root, partial=True).split("candle")


def test_a_set_that_is_here_in_part_is_refused_unless_that_is_wanted(drawn):
    root = drawn("btad")
    with pytest.raises(DataError, match=r"3 training and 3 test images are there, and 400 and 70 were published"):
        Btad(root=root).split("01")
    assert Btad(root=root).board_name == "btad"
    assert Btad(root=root, partial=True).board_name == "btad-partial-true"


def test_magnetic_tiles(drawn):
    split = MagneticTile(root=drawn("magnetic-tile"), partial=True).split("magnetic_tile")
    assert names(split.train) == [f"magnetic_tile/train/good/exp1_num_{100 + n}" for n in (1, 2, 3, 4, 6)]
    assert kinds(split) == {"good": 2, "blowhole": 2, "break": 2, "crack": 2, "fray": 2, "uneven": 1}


@pytest.mark.slow
def test_magnetic_tiles_are_split_as_in_the_copy_in_mvtecs_layout(copy_of_tiles, tmp_path, draw, mark):
    """The copy numbers images by name within their folder."""
    from PIL import Image

    for folder in sorted(copy_of_tiles.glob("t*/*")):
        kind = "Free" if folder.name == "good" else folder.name.capitalize()
        there = tmp_path / f"MT_{kind}" / "Imgs"
        there.mkdir(parents=True, exist_ok=True)
        for image in folder.iterdir():
            (there / f"exp_{image.stem}.jpg").symlink_to(image)
            mask = copy_of_tiles / "ground_truth" / folder.name / f"{image.stem}_mask.png"
            if mask.exists():
                shutil.copy(mask, there / f"exp_{image.stem}.png")
    for number in (900, 901, 902, 903):  # the four without an annotation
        draw(tmp_path / f"MT_Uneven/Imgs/exp_{number}.jpg")
        mark(tmp_path / f"MT_Uneven/Imgs/exp_{number}.png", marked=False)
    for file in tmp_path.glob("MT_*/Imgs/*.jpg"):
        if file.is_symlink():
            target = file.resolve()
            file.unlink()
            shutil.copy(target, file)
    found = MagneticTile(root=tmp_path)
    split = found.split("magnetic_tile")
    for part, samples in (("train", split.train), ("test", split.test)):
        copied = sorted(f"{path.parent.name}/{path.stem}" for path in (copy_of_tiles / part).glob("*/*"))
        assert sorted(f"{one.defect}/{one.id.rpartition('exp_')[2]}" for one in samples) == copied
    for sample in split.test[::40]:
        if sample.anomalous:
            mask = copy_of_tiles / "ground_truth" / sample.defect / f"{sample.id.rpartition('exp_')[2]}_mask.png"
            assert np.array_equal(found.mask(sample), np.asarray(Image.open(mask)) > 127)


def test_kolektor_keeps_a_part_on_one_side(drawn):
    split = KolektorSdd(root=drawn("kolektor-sdd"), partial=True).split("commutator")
    sides = {name.split("/")[-1].split("-")[0] for name in names(split.train)}
    normal = {name.split("/")[-1].split("-")[0] for name in names(split.test) if "/good/" in name}
    assert normal == {"kos01", "kos06"}
    assert not sides & normal
    assert kinds(split)["defect"] == 3


def test_kolektor_2_learns_from_normal_images(drawn):
    found = KolektorSdd2(root=drawn("kolektor-sdd2"), partial=True)
    split = found.split("surface")
    assert names(split.train) == [f"surface/train/good/{number}" for number in (10000, 10002, 10004)]
    assert kinds(split) == {"good": 2, "defect": 2}
    assert "2 left out by the set's rule" in found.survey("surface").labels


def test_dagm_leaves_defective_training_images_out(drawn):
    found = Dagm(root=drawn("dagm"), partial=True)
    assert found.categories() == ["Class1", "Class10"]
    split = found.split("Class10")
    assert (len(split.train), kinds(split)) == (2, {"good": 3, "defect": 1})


def test_mvtec_ad_2_judges_the_public_part(drawn):
    found = MVTecAD2(root=drawn("mvtec-ad-2"), partial=True)
    split = found.split("vial")
    assert (len(split.train), kinds(split)) == (2, {"good": 2, "bad": 1})
    assert "3 left out" in found.survey("vial").labels
    assert found.mask(split.test[0]).sum() == 12


@pytest.mark.parametrize("modality", ["rgb", "depth", "normals"])
def test_mvtec_3d_looks_at_one_modality(drawn, modality):
    found = MVTec3D(root=drawn("mvtec-3d"), modality=modality, partial=True)
    split = found.split("tire")
    assert names(split.test)[2:] == ["tire/test/hole/000", "tire/test/hole/001"], "the same ids in every modality"
    assert (len(split.train), kinds(split)) == (3, {"good": 2, "hole": 2})
    assert found.survey("tire").passed_over == ()
    sample = split.test[-1]
    assert found.image(sample).shape == (10, 12, 3)
    assert found.image(sample).dtype == ("uint8" if modality == "rgb" else "float32")
    assert found.mask(sample).sum() == 12
    ignored = found.ignored(sample)
    assert (None if ignored is None else int(ignored.sum())) == {"rgb": None, "depth": 1, "normals": 5}[modality]


def test_mvtec_3ds_modalities_have_different_digests_and_names(drawn):
    root = drawn("mvtec-3d")
    found = [MVTec3D(root=root, modality=modality, partial=True) for modality in ("rgb", "depth", "normals")]
    digests = {one.digest(one.split("tire").test[-1]) for one in found}
    assert len(digests) == 3
    assert found[1].board_name == "mvtec-3d-modality-depth-partial-true"


def test_mvtec_3ds_points_are_damaged(drawn, scan):
    found = MVTec3D(root=drawn("mvtec-3d"), modality="depth", partial=True)
    sample = found.split("tire").train[0]
    path = found.image_path(sample)
    nothing = np.zeros((10, 12, 3), np.float32)
    for pixels, what in (
        (nothing, "no pixel with a point"),
        (nothing[..., 0], "not .H, W, 3. coordinates"),
        (nothing.astype(np.uint8), "not .H, W, 3. coordinates"),
        (np.full_like(nothing, np.nan), "not finite"),
    ):
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        with pytest.raises(BadImage, match=what):
            found.ignored(sample)
    path.write_bytes(b"II*\0 nothing")
    with pytest.raises(BadImage, match="no TIFF of points"):
        found.image(sample)


def test_a_user_s_ignore_mask_is_added_to_the_pixels_without_a_point(drawn, mark, tmp_path):
    root, mine = drawn("mvtec-3d"), mark(tmp_path / "ignore.png")
    found = MVTec3D(root=root, modality="depth", partial=True, ignore=mine)
    assert found.ignored(found.split("tire").train[0]).sum() == 13


def test_mulsens_own_labels_are_those_of_one_sensor(drawn):
    root = drawn("mulsen-ad")
    for modality, own, other in (("rgb", "2", "10"), ("infrared", "10", "2")):
        found = MulSenAD(root=root, modality=modality, partial=True)
        split = found.split("nut")
        assert names(split.test) == [
            f"nut/test/crack/{own}",
            "nut/test/good/0",
            "nut/test/good/1",
            *sorted(f"nut/test/good/crack-{number}" for number in ("11", other)),
        ]
        assert [int(found.mask(sample).sum()) for sample in split.test] == [12, 0, 0, 0, 0]
        assert found.survey("nut").passed_over == ()


def test_mulsens_labels_of_any_sensor_are_the_same_in_all_modalities(drawn):
    root = drawn("mulsen-ad")
    both = [MulSenAD(root=root, modality=one, labels="any", partial=True) for one in ("rgb", "infrared")]
    splits = [found.split("nut") for found in both]
    assert splits[0].test == splits[1].test
    assert kinds(splits[0]) == {"good": 2, "crack": 3}
    masks = [[found.mask(sample) for sample in splits[0].test[:3]] for found in both]
    assert [[one is not None for one in row] for row in masks] == [[False, False, True], [True, False, False]]
    assert both[0].board_name == "mulsen-ad-labels-any-partial-true"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("object,a,b,c\n2,1,0,0\n", "1 rows for 3 images"),
        ("object,a,b,c\n2,1,0,0\n10,0,1,1\n11,0,0\n", "odd row"),
        ("object,a,b,c\n2,1,0,0\n10,0,1,1\n11,0,0,yes\n", "odd row"),
        (None, "data.csv"),
    ],
)
def test_mulsens_table_is_damaged(drawn, text, what):
    root = drawn("mulsen-ad")
    table = root / "nut/RGB/GT/crack/data.csv"
    table.unlink() if text is None else table.write_text(text)
    with pytest.raises(DataError, match=what):
        MulSenAD(root=root, modality="infrared", partial=True).split("nut")


def test_mvtec_loco_tells_defects_apart(drawn):
    found = MVTecLoco(root=drawn("mvtec-loco"), partial=True)
    split = found.split("pushpins")
    assert kinds(split) == {"good": 1, "logical_anomalies": 2, "structural_anomalies": 2}
    assert [[region.saturation for region in found.regions(sample)] for sample in split.test] == [
        [],
        [5],
        [5, 3],
        [5],
        [5, 3],
    ]
    assert found.mask(split.test[1]).sum() == 12
    assert len(MVTecLoco(root=found.root, validation=True, partial=True).split("pushpins").train) == 3


def test_mvtec_locos_numbers_are_those_with_validation_images():
    found = MVTecLoco(validation=True)
    assert (MVTecLoco().expected("pushpins"), found.expected("pushpins")) == ((372, 310), (441, 310))
    assert found.board_name == "mvtec-loco-validation-true"


def test_mvtec_locos_defects_do_not_fit(drawn, mark):
    root = drawn("mvtec-loco")
    found = MVTecLoco(root=root, partial=True)
    sample = found.split("pushpins").test[1]
    mask = found.mask_paths(sample)[0]
    for size, value in (((10, 12), 7), ((8, 9), 255)):
        mark(mask, value=value, size=size)
        with pytest.raises(BadImage, match=r"does not fit its image or defects_config"):
            found.regions(sample)
    mask.unlink()
    with pytest.raises(DataError, match="holds no mask of"):
        MVTecLoco(root=root, partial=True).split("pushpins")


@pytest.mark.parametrize("text", ["{}x", "[7]", '[{"pixel_value": 255}]', '[{"pixel_value": "x"}]', "7"])
def test_mvtec_locos_list_of_defects_is_damaged(drawn, text):
    root = drawn("mvtec-loco")
    (root / "pushpins/defects_config.json").write_text(text)
    found = MVTecLoco(root=root, partial=True)
    with pytest.raises(DataError, match=r"defects_config\.json"):
        found.regions(found.split("pushpins").test[1])


def test_real_iad_follows_the_authors_lists(drawn):
    root = drawn("real-iad")
    found = RealIad(root=root)
    split = found.split("zipper")
    assert (len(split.train), kinds(split)) == (2, {"good": 2, "AK": 1})
    assert found.board_name == "real-iad"
    with pytest.raises(DataError, match="holds none of the folders"):
        RealIad(root=root, size="256").categories()
    with pytest.raises(DataError, match="put the folder realiad_jsons_sv beside the images"):
        RealIad(root=root, views="single-view").split("zipper")


def test_real_iad_variety_has_the_categories_of_its_lists(drawn):
    root = drawn("real-iad-variety")
    found = RealIadVariety(root=root)
    assert found.categories() == ["audiojack", "zipper"]
    split = found.split("zipper")
    assert (len(split.train), kinds(split)) == (2, {"good": 2, "AK": 1})
    assert found.mask(next(sample for sample in split.test if sample.defect == "AK")).sum() == 12
    assert found.specimen(split.test[0]).startswith("realiadvariety_1024/zipper/")
    (root / "realiadvariety_jsons/zipper.json").unlink()
    assert RealIadVariety(root=root).categories() == ["audiojack"]
    with pytest.raises(
        DataError, match=r"holds no list in realiadvariety_jsons with images in realiadvariety_raw; ask"
    ):
        RealIadVariety(root=root, size="raw").categories()


def test_real_iads_contaminated_lists_hide_defects_among_the_training_images(drawn):
    root = drawn("real-iad")
    found = RealIad(root=root, contaminated="0.4")
    split = found.split("zipper")
    assert (len(split.train), kinds(split)) == (3, {"good": 2})
    assert not any(sample.anomalous for sample in split.train), "no method may be told"
    assert found.board_name == "real-iad-contaminated-0.4"
    assert found.survey("zipper").labels.endswith("1 of the 3 training images show a defect, which no method is told")
    over = [str(one) for one in found.survey("zipper").passed_over]
    assert over == []
    with pytest.raises(DataError, match=r"put the folder realiad_jsons_fuiad_0\.1 beside the images"):
        RealIad(root=root, contaminated="0.1").split("zipper")
    with pytest.raises(DataError, match="leave out views"):
        RealIad(root=root, contaminated="0.4", views="single-view").split("zipper")


@pytest.mark.parametrize("entry", [None, 7, {}, {"image_path": None, "mask_path": None}, [["x"]]])
def test_a_list_of_real_iad_is_damaged(drawn, entry):
    import json

    root = drawn("real-iad")
    (root / "realiad_jsons/zipper.json").write_text(json.dumps({"train": [entry], "test": []}))
    with pytest.raises(DataError, match="odd entry"):
        RealIad(root=root).split("zipper")


def test_a_list_leads_out_of_the_folder(drawn, draw):
    import json

    root = drawn("real-iad")
    outside = draw(root.parent / "secret.jpg")
    entry = {"image_path": "../../../secret.jpg", "mask_path": None, "anomaly_class": "OK"}
    (root / "realiad_jsons/zipper.json").write_text(json.dumps({"train": [entry], "test": [entry]}))
    assert outside.exists()
    with pytest.raises(DataError, match="cannot be found"):
        RealIad(root=root).split("zipper")


def test_elpv_keeps_blocks_together(drawn):
    found = Elpv(root=drawn("elpv"), keep="blocks", partial=True)
    for category in ("mono", "poly"):
        split = found.split(category)
        cells = [
            {(int(name[-4:]) - 1) // 60 for name in names(samples) if "/good/" in name}
            for samples in (split.train, split.test)
        ]
        assert not cells[0] & cells[1]
        assert len(split.train) >= 2 * sum(not sample.anomalous for sample in split.test) > 0
        assert kinds(split)["defective"] == (30 if category == "mono" else 40)


def test_elpvs_uncertain_cells_are_an_option(drawn):
    root = drawn("elpv")
    likely, possibly = (Elpv(root=root, defective=least, partial=True).split("mono") for least in ("0.67", "0.33"))
    assert set(kinds(likely)) == {"good", "defective", "likely"}
    assert set(kinds(possibly)) == {"good", "defective", "likely", "possibly"}
    assert Elpv(root=root, defective="0.67", draw=2).board_name == "elpv-defective-0.67-draw-2"
    with pytest.raises(UsageError, match="option 'defective'"):
        Elpv(root=root, defective="0.5")


def test_elpvs_draws_differ(drawn):
    root = drawn("elpv")
    draws = {tuple(names(Elpv(root=root, draw=number, partial=True).split("poly").train)) for number in range(6)}
    assert len(draws) > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["images/cell0001.png 0.0", "images/cell0001.png x mono", "a.png 2.0 mono", "a.png 0 x"]
)
def test_elpvs_table_is_damaged(drawn, line):
    root = drawn("elpv")
    (root / "labels.csv").write_text(line + "\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 1"):
        Elpv(root=root).categories()


def test_elpv_without_its_table_says_so(drawn):
    root = drawn("elpv")
    (root / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels\.csv is missing; unpack or install the data again"):
        Elpv(root=root).categories()


@pytest.mark.parametrize(
    ("name", "category", "counts"),
    [
        ("kolektor-sdd", "commutator", "14 images are there, and 399 were published"),
        ("dagm", "Class10", "8 images are there, and 2300 were published"),
        ("elpv", "mono", "180 images are there, and 1074 were published"),
    ],
)
def test_half_of_a_set_that_has_no_official_split_is_refused(drawn, name, category, counts):
    """The publisher's number of images holds under every option of the split."""
    (cls,) = [cls for cls in every_dataset() if cls.name == name]
    found = cls(root=drawn(name))
    with pytest.raises(DataError, match=f"{counts}; .* anew|{counts}; unpack the archive again, or take"):
        found.split(category)
    assert sum(cls.sizes.values()) == cls.source.images


def test_the_package_of_elpv_is_split_as_published():
    pytest.importorskip("elpv_dataset", reason="pip install elpv-dataset")
    found = Elpv()
    assert {name: (len(found.split(name).train), len(found.split(name).test)) for name in found.categories()} == {
        "mono": (392, 196 + 313),
        "poly": (614, 306 + 402),
    }


def test_a_set_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADBENCH_DATA", raising=False)
    monkeypatch.setattr("adbench_data.sets.elpv.find_spec", lambda name: None)
    for cls in every_dataset():
        if cls.name != "manifest":
            monkeypatch.setattr(cls, "_home", lambda self: tmp_path / "home")
            with pytest.raises(DataError, match="download it from|adbench data get|pip install|ask for it"):
                cls().categories()
