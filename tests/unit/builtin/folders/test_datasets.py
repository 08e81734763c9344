from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adbench import GOOD, BadImage, DataError, Sample, UnknownName, UsageError
from adbench.builtin.folders.datasets import Folder, MVTecAD
from adbench.reports import Survey

DATA = Path(os.environ.get("ADBENCH_TEST_DATA") or Path(__file__).parents[4].parent / "shared" / "data")


def picture(path: Path, value: int = 0, size: tuple[int, int] = (6, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, np.uint8)).save(path)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two categories; 'nut' has two training images, a good test image and two scratches with masks."""
    root = tmp_path / "data"
    for category in ("nut", "bolt"):
        folder = root / category
        for index in (2, 10):
            picture(folder / "train" / "good" / f"{index:02}.png", index)
            picture(folder / "test" / "scratch" / f"{index:02}.png", 100 + index)
            mask = np.zeros((6, 8), np.uint8)
            mask[index % 5, 3] = 255
            (folder / "ground_truth" / "scratch").mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(folder / "ground_truth" / "scratch" / f"{index:02}_mask.png")
        picture(folder / "test" / "good" / "0.png", 55)
    return root


def test_categories_and_samples_are_sorted_by_name(root):
    folder = Folder(root=root)
    assert folder.categories() == ["bolt", "nut"]
    split = folder.split("nut")
    assert [sample.id for sample in split.train] == ["nut/train/good/02", "nut/train/good/10"]
    assert [(sample.id, sample.defect) for sample in split.test] == [
        ("nut/test/good/0", GOOD),
        ("nut/test/scratch/02", "scratch"),
        ("nut/test/scratch/10", "scratch"),
    ]


def test_a_root_may_be_one_category(root, monkeypatch):
    assert Folder(root=root / "nut").categories() == ["nut"]
    monkeypatch.chdir(root / "nut")
    assert Folder(root=".").split("nut").train[0].id == "nut/train/good/02"


def test_images_and_masks(root):
    folder = Folder(root=root)
    good, scratch, _ = folder.split("nut").test
    assert folder.image(good).shape == (6, 8, 3)
    assert folder.image_path(scratch) == (root / "nut" / "test" / "scratch" / "02.png").resolve()
    assert not folder.mask(good).any()
    assert folder.mask(good).shape == (6, 8)
    assert np.argwhere(folder.mask(scratch)).tolist() == [[2, 3]]


def test_identity_and_digest_follow_the_content_alone(root, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    one, other = Folder(root=root), Folder(root=moved)
    sample = one.split("nut").test[1]
    assert one.identity() == other.identity() == {}
    assert one.digest(sample) == other.digest(sample)
    good = one.split("nut").test[0]
    assert one.digest(good) == hashlib.sha256(one.image_path(good).read_bytes()).hexdigest()
    before = one.digest(sample)
    picture(root / "nut" / "ground_truth" / "scratch" / "02_mask.png", 255)
    assert one.digest(sample) != before


def test_a_mask_may_have_the_images_name_and_another_suffix(root):
    masks = root / "nut" / "ground_truth" / "scratch"
    (masks / "02_mask.png").unlink()
    picture(masks / "02.BMP", 255)
    folder = Folder(root=root)
    assert folder.mask(folder.split("nut").test[1]).all()


def test_without_ground_truth_there_is_no_mask(root):
    shutil.rmtree(root / "nut" / "ground_truth")
    folder = Folder(root=root)
    assert folder.mask(folder.split("nut").test[1]) is None
    assert not folder.mask(folder.split("nut").test[0]).any()


def test_a_mask_is_missing(root):
    (root / "nut" / "ground_truth" / "scratch" / "10_mask.png").unlink()
    folder = Folder(root=root)
    sample = folder.split("nut").test[2]
    for ask in (folder.mask, folder.digest):
        with pytest.raises(BadImage, match=r"10\.png: has no mask 10_mask\.png in ground_truth/scratch"):
            ask(sample)


def test_a_mask_without_an_image(root):
    picture(root / "nut" / "ground_truth" / "scratch" / "11_mask.png")
    with pytest.raises(DataError, match=r"11_mask\.png: a mask with no partner"):
        Folder(root=root).split("nut")


def test_a_mask_of_another_size(root):
    picture(root / "nut" / "ground_truth" / "scratch" / "02_mask.png", 255, (8, 6))
    folder = Folder(root=root)
    with pytest.raises(BadImage, match="the mask has 8x6 pixels, its image has 6x8"):
        folder.mask(folder.split("nut").test[1])


def test_two_files_for_one_sample_or_mask(root):
    clash = picture(root / "nut" / "test" / "scratch" / "02.bmp")
    with pytest.raises(DataError, match="rename one of them"):
        Folder(root=root).split("nut")
    clash.unlink()
    picture(root / "nut" / "ground_truth" / "scratch" / "02.png")
    with pytest.raises(DataError, match="masks of one image"):
        Folder(root=root).split("nut")


def test_defective_training_images(root):
    picture(root / "nut" / "train" / "bent" / "1.png")
    with pytest.raises(DataError, match="training images are normal"):
        Folder(root=root).split("nut")


@pytest.mark.parametrize(("part", "what"), [("train", "training"), ("test", "test")])
def test_nothing_to_learn_from_or_to_judge(root, part, what):
    shutil.rmtree(root / "nut" / part)
    with pytest.raises(DataError, match=f"category 'nut' has no {what} image: put normal images into .*{part}"):
        Folder(root=root).split("nut")
    assert Folder(root=root).split("bolt").train


def test_a_folder_that_is_missing_empty_or_a_file(tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist; give the folder.*--data demo"):
        Folder(root=tmp_path / "nowhere").categories()
    with pytest.raises(DataError, match="holds no category"):
        Folder(root=tmp_path).categories()
    with pytest.raises(DataError, match="is no folder"):
        Folder(root=picture(tmp_path / "a.png")).categories()
    with pytest.raises(UsageError, match="root"):
        Folder()


def test_hidden_files_other_files_and_links_that_lead_out(root, tmp_path):
    good = root / "nut" / "train" / "good"
    picture(good / ".hidden.png")
    picture(root / ".git" / "train" / "good" / "0.png")
    (good / "notes.txt").write_text("")
    (good / "outside.png").symlink_to(picture(tmp_path / "outside.png"))
    (good / "inside.png").symlink_to(good / "02.png")
    folder = Folder(root=root)
    assert folder.categories() == ["bolt", "nut"]
    assert [sample.id.split("/")[-1] for sample in folder.split("nut").train] == ["02", "10", "inside"]


def test_unknown_names(root):
    with pytest.raises(UnknownName, match="did you mean 'bolt'"):
        Folder(root=root).split("bolts")
    with pytest.raises(UnknownName, match="unknown sample"):
        Folder(root=root).image(Sample("nut/test/good/77"))


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> Path:
    """No data in any of the places where MVTec AD is looked for."""
    monkeypatch.delenv("ADBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(MVTecAD, "_home", lambda self: tmp_path / "home")
    return tmp_path


def mvtec(folder: Path) -> Path:
    for category in ("bottle", "zipper"):
        picture(folder / category / "train" / "good" / "000.png")
        picture(folder / category / "test" / "good" / "000.png", 1)
    picture(folder / "other" / "train" / "good" / "000.png")
    return folder


@pytest.mark.parametrize("below", ["", "mvtec-ad", "mvtec_anomaly_detection"])
def test_mvtec_ad_is_found_by_the_environment(nowhere, monkeypatch, below):
    mvtec(nowhere / "sets" / below)
    monkeypatch.setenv("ADBENCH_DATA", str(nowhere / "sets"))
    assert MVTecAD().categories() == ["bottle", "zipper"]


def test_mvtec_ad_is_found_by_settings_and_at_home(nowhere):
    mvtec(nowhere / "home")
    assert MVTecAD().root == nowhere / "home"
    mvtec(nowhere / "configured")
    (nowhere / "configs").mkdir()
    (nowhere / "configs" / "local.yaml").write_text("datasets: {mvtec-ad: configured}")
    assert MVTecAD().root == nowhere / "configured"


def test_settings_that_cannot_be_read(nowhere):
    (nowhere / "configs").mkdir()
    for text in ("datasets: [", "datasets: 3", "7"):
        (nowhere / "configs" / "local.yaml").write_text(text)
        with pytest.raises(DataError, match=r"local\.yaml cannot be read"):
            MVTecAD().categories()


def test_mvtec_ad_is_not_there(nowhere):
    with pytest.raises(DataError, match=r"'adbench data get mvtec-ad'.*--data demo"):
        MVTecAD().categories()


def test_a_root_that_was_asked_for_is_not_replaced(nowhere):
    mvtec(nowhere / "home")
    with pytest.raises(DataError, match="holds no category"):
        MVTecAD(root=nowhere).categories()
    assert MVTecAD(root=nowhere / "home" / "bottle").categories() == ["bottle"]


def test_published_counts_are_complete():
    assert len(MVTecAD.published) == 15
    assert [sum(column) for column in zip(*MVTecAD.published.values(), strict=True)] == [3629, 1725]


@pytest.mark.parametrize(
    ("name", "category", "train", "test"),
    [
        ("mvtec-mini", "hazelnut", 38, 22),
        ("mvtec-mini", "transistor", 38, 22),
        ("magnetic-tile", "magnetic_tile", 761, 579),
    ],
)
def test_real_images(name, category, train, test):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there")
    folder = Folder(root=DATA / name)
    split = folder.split(category)
    assert (len(split.train), len(split.test)) == (train, test)
    assert len({folder.digest(sample) for sample in split.test[::20]}) == len(split.test[::20])
    for sample in split.test[::20]:
        mask = folder.mask(sample)
        assert mask.shape == folder.image(sample).shape[:2]
        assert mask.any() == sample.anomalous


def test_the_union_of_several_masks_counts_and_all_are_in_the_digest(root):
    masks = root / "nut" / "ground_truth" / "scratch"
    (masks / "02_mask.png").unlink()
    for name, row in (("000.png", 1), ("001.png", 4)):
        mask = np.zeros((6, 8), np.uint8)
        mask[row, 2] = 255
        (masks / "02").mkdir(exist_ok=True)
        Image.fromarray(mask).save(masks / "02" / name)
    folder = Folder(root=root)
    sample = folder.split("nut").test[1]
    assert np.argwhere(folder.mask(sample)).tolist() == [[1, 2], [4, 2]]
    read = [folder.image_path(sample), masks / "02" / "000.png", masks / "02" / "001.png"]
    shas = " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in read)
    assert folder.digest(sample) == hashlib.sha256(shas.encode()).hexdigest()


def test_digests_of_an_image_and_of_an_image_with_a_mask_stay_what_they_were(root):
    folder = Folder(root=root)
    good, scratch, _ = folder.split("nut").test
    assert folder.digest(good) == sha(folder.image_path(good))
    (mask,) = folder.mask_paths(scratch)
    both = f"{sha(folder.image_path(scratch))} {sha(mask)}"
    assert folder.digest(scratch) == hashlib.sha256(both.encode()).hexdigest()


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_survey_says_how_folders_were_read_and_what_was_not(root):
    picture(root / "nut" / "test" / "OK" / "7.png")
    picture(root / "nut" / "train" / "good" / "cam" / "7.png")
    picture(root / "spare" / "7.png")
    folder = Folder(root=root)
    survey = folder.survey("nut")
    assert survey.labels == "train: good 2 normal; test: OK 1, good 1 normal; scratch 2 defective"
    assert [item.file for item in survey.passed_over] == ["nut/train/good/cam/7.png"]
    assert [str(item) for item in folder.survey().passed_over] == ["spare: holds images, but neither train nor test"]
    assert Folder(root=root / "nut").survey() == Survey()
    with pytest.raises(UnknownName):
        folder.survey("bolts")


def test_an_option_settles_what_names_mean(root):
    (root / "nut" / "test" / "good").rename(root / "nut" / "test" / "clean")
    with pytest.raises(DataError, match="the name may mean normal or defective"):
        Folder(root=root).split("nut")
    normal, defective = Folder(root=root, normal=["clean"]), Folder(root=root, normal=["good"])
    assert [sample.defect for sample in normal.split("nut").test] == [GOOD, "scratch", "scratch"]
    assert [sample.defect for sample in defective.split("nut").test] == ["clean", "scratch", "scratch"]


@pytest.mark.parametrize("spoil", ["size", "empty"])
def test_nobody_is_reported_to_delete_a_mask(root, spoil):
    mask = root / "nut" / "ground_truth" / "scratch" / "02_mask.png"
    if spoil == "size":
        picture(mask, 255, (3, 3))
    else:
        mask.write_bytes(b"")
    folder = Folder(root=root)
    with pytest.raises(BadImage, match="02_mask.png: .*; repair it$") as caught:
        folder.mask(folder.split("nut").test[1])
    assert "remove" not in str(caught.value)


def test_a_root_that_holds_no_category_says_what_it_holds(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "nut").symlink_to(tmp_path)
    with pytest.raises(DataError, match=r"holds no category.*; nut: is a link that leads out of the dataset's folder"):
        Folder(root=tmp_path / "root").categories()


def test_names_that_are_no_utf8(root):
    (root / "bolt").rename(root / os.fsdecode(b"bolt\xe9"))
    picture(root / os.fsdecode(b"bolt\xe9") / "train" / "good" / os.fsdecode(b"\xe9.png"), 9)
    folder = Folder(root=root)
    assert folder.categories() == [r"bolt\xe9", "nut"]
    sample = folder.split(r"bolt\xe9").train[-1]
    assert sample.id == r"bolt\xe9/train/good/\xe9"
    assert (folder.image(sample) == 9).all()
    folder.image_path(sample).write_bytes(b"no image")
    with pytest.raises(BadImage) as caught:
        folder.image(sample)
    assert str(caught.value).encode("utf-8").startswith(os.fsencode(root.resolve()))
    assert r"bolt\xe9/train/good/\xe9.png: is no image" in str(caught.value)


def deep(root: Path, highest: int) -> None:
    """All images of 'nut' with 16 bits, whose highest number is this."""
    for path in (root / "nut").glob("t*/*/*.png"):
        Image.fromarray(np.linspace(0, highest, 48).reshape(6, 8).astype(np.uint16)).save(path)


@pytest.mark.parametrize(("highest", "bits"), [(255, 8), (1023, 10), (4000, 12), (16383, 14)])
def test_what_a_camera_of_fewer_bits_has_left_dark_is_reported(root, highest, bits):
    deep(root, highest)
    (message,) = Folder(root=root).remarks("nut")  # it looks into a few images, if nobody has read any
    assert f"no number above {(1 << bits) - 1} was seen, which fits {bits}" in message
    assert f"white={(1 << bits) - 1}" in message
    assert not Folder(root=root).remarks("bolt")


def test_nothing_is_reported_where_16_bits_are_used_or_somebody_has_said_what_white_is(root):
    deep(root, 16384)
    assert not Folder(root=root).remarks("nut")
    deep(root, 4000)
    assert not Folder(root=root, white=4095).remarks("nut")


def test_the_highest_number_is_that_of_all_images_that_were_read(root):
    deep(root, 900)
    folder = Folder(root=root)
    (sample, *_) = folder.split("nut").test
    Image.fromarray(np.full((6, 8), 3000, np.uint16)).save(folder.image_path(sample))
    folder.image(sample)
    assert "4095 was seen, which fits 12" in folder.remarks("nut")[0]


def test_white_decides_the_pixels_and_with_them_the_identity(root):
    deep(root, 4095)
    plain, reported = Folder(root=root), Folder(root=root, white=4095)
    sample = plain.split("nut").train[0]
    assert plain.image(sample).max() == pytest.approx(4095 / 65535)
    assert reported.image(sample).max() == 1
    assert len({folder.digest(sample) for folder in (plain, reported, Folder(root=root, white=4000))}) == 3
    assert Folder(root=root, marks="auto").digest(sample) == plain.digest(sample)


@pytest.mark.parametrize("white", [0, -1, float("inf"), float("nan")])
def test_white_is_a_number_above_0(root, white):
    with pytest.raises(UsageError):
        Folder(root=root, white=white)


def inverted(root: Path) -> None:
    for path in (root / "nut" / "ground_truth").glob("*/*.png"):
        with Image.open(path) as picture:
            pixels = 255 - np.array(picture)
        Image.fromarray(pixels).save(path)


def test_what_marks_a_defect_can_be_said(root):
    before = {sample.id: Folder(root=root).mask(sample) for sample in Folder(root=root).split("nut").test}
    inverted(root)
    reported = Folder(root=root, marks="dark")
    for sample in reported.split("nut").test:
        np.testing.assert_array_equal(reported.mask(sample), before[sample.id])
    defect = reported.split("nut").test[1]
    with pytest.raises(BadImage, match="marks=dark"):
        Folder(root=root).mask(defect)
    assert Folder(root=root, marks="light").mask(defect).sum() == 47
    assert Folder(root=root, marks="light").digest(defect) != reported.digest(defect)


def test_how_masks_had_to_be_read_is_reported_once_for_each_way(root):
    for path in (root / "nut" / "ground_truth").glob("*/*.png"):
        alpha = np.zeros((6, 8, 4), np.uint8)
        alpha[2:4, 2:4, 3] = 255
        Image.fromarray(alpha).save(path)
    folder = Folder(root=root)
    assert not folder.remarks("nut")
    for sample in folder.split("nut").test:
        folder.mask(sample)
    (message,) = folder.remarks("nut")
    assert message == "nut: the mask scratch/02_mask.png is read by its alpha (and 1 more masks like it)"
    assert not folder.remarks("bolt")


def test_a_mask_may_be_a_gif(root):
    for path in (root / "nut" / "ground_truth").glob("*/*.png"):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".gif"))
        path.unlink()
    folder = Folder(root=root)
    assert [folder.mask(sample).sum() for sample in folder.split("nut").test] == [0, 1, 1]
    assert not folder.survey("nut").passed_over
