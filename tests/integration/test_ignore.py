"""An ignore mask through the command line: what lies under it moves no score and no figure, and all is said."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from adbench.cli import call
from adbench.datasets import read_image
from adbench.detector.detector import Detector
from adbench.detector.evaluation import evaluate
from adbench.engine.evaluate.reproduce import evaluator_of
from adbench.engine.store.record import find_runs, read_record
from adbench.errors import StorageError, UsageError

METHOD = {"--backbone": "toy-pixels", "--scorer": "toy-nearest", "--preprocess": "none"}
RUN = ("--device", "cpu", "--cache", "none")
FIT = (*RUN, "--runtime", "torch")
SIDE = 64
CODE = np.s_[40:, 40:]
"""Where each image has a code of its own."""


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def picture(seed, spot=None, code=True):
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 110, (SIDE, SIDE, 3), dtype=np.uint8)
    if code:
        image[CODE] = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    if spot is not None:
        image[spot : spot + 12, 16:28] = 150
    return image


def ignore():
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[CODE] = 255
    return mask


def make(root, seed=0):
    """Images with a code that differs in each; one of the three defects lies in the code."""
    for index in range(24):
        write(root / "train" / "good" / f"{index:03}.png", picture(seed + index))
    for index in range(4):
        write(root / "test" / "good" / f"{index:03}.png", picture(seed + 100 + index))
    for index, spot in enumerate((4, 20, None)):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[np.s_[44:50, 44:50] if spot is None else np.s_[spot : spot + 12, 16:28]] = 255
        write(root / "test" / "spot" / f"{index:03}.png", picture(seed + 200 + index, spot))
        write(root / "ground_truth" / "spot" / f"{index:03}_mask.png", mask)
    return root


@pytest.fixture
def coded(tmp_path):
    return make(tmp_path / "data" / "coded")


@pytest.fixture
def masked(coded):
    write(coded / "ignore.png", ignore())
    return coded


def method(words):
    """The usual parts, but for those that are given."""
    return [word for slot, part in METHOD.items() if slot not in words for word in (slot, part)]


def run(data, out, *words, code=0):
    assert call(["run", *method(words), "--data", str(data), "--out", str(out), *RUN, *words]) == code
    (folder,) = find_runs(out)
    return folder, read_record(folder)


def evaluator(data, found):
    from adbench.builtin.folders.datasets import Folder

    return evaluator_of(*found, Folder(root=data))


@pytest.mark.slow
def test_a_run_looks_at_the_other_pixels_alone_and_says_so(masked, tmp_path, capsys):
    folder, record = run(masked, tmp_path / "with")
    told = capsys.readouterr()
    said = told.out + told.err
    assert "ignore.png marks 14.1 % of the pixels, which no fit, score or pixel metric reads" in said
    assert "1 defect lies wholly in ignored pixels, such as in coded/test/spot/002: no pixel metric counts that" in said
    assert record.facts["ignored_defects"] == 1
    scores = dict(
        zip(
            evaluator(masked, (folder, record)).predictions.ids,
            evaluator(masked, (folder, record)).predictions.scores,
            strict=True,
        )
    )
    normal = max(score for name, score in scores.items() if "good" in name)
    assert min(scores["coded/test/spot/000"], scores["coded/test/spot/001"]) > normal
    assert record.metrics["pixel-auroc"].value > 0.99
    assert read_image(folder / "sheet.png").size


@pytest.mark.slow
def test_without_the_mask_the_code_hides_the_defects_and_the_run_is_another(coded, tmp_path):
    _, plain = run(coded, tmp_path / "without", "--no-figures")
    write(coded / "ignore.png", ignore())
    _, ignoring = run(coded, tmp_path / "with", "--no-figures")
    assert plain.metrics["image-auroc"].value < ignoring.metrics["image-auroc"].value
    assert plain.metrics["pixel-aupro-30"].value < ignoring.metrics["pixel-aupro-30"].value
    assert plain.id != ignoring.id
    assert plain.task.samples_sha != ignoring.task.samples_sha
    assert "ignored_defects" not in plain.facts


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--masker", "toy-border"),
        ("--augment", "rotate:angles=90+180"),
        ("--bank", "toy-aligned", "--scorer", "toy-aligned-nearest"),
        ("--aggregate", "map-top-fraction"),
        ("--preprocess", "tile:size=32,overlap=16,multiple=8"),
        ("--executor", "process"),
    ],
)
def test_what_lies_under_the_mask_moves_nothing(masked, tmp_path, words):
    one = run(masked, tmp_path / "one", "--no-figures", *words)
    changed = make(tmp_path / "other" / "coded")
    write(changed / "ignore.png", ignore())
    for path in [*changed.glob("train/good/*"), *changed.glob("test/*/*")]:
        pixels = read_image(path).copy()
        pixels[CODE] = 255 - pixels[CODE]
        write(path, pixels)
    other = run(changed, tmp_path / "two", "--no-figures", *words)
    first, second = evaluator(masked, one).predictions, evaluator(changed, other).predictions
    np.testing.assert_allclose(first.scores, second.scores, rtol=1e-5)
    assert one[1].id != other[1].id


@pytest.mark.slow
def test_sweeps_and_new_evaluations_give_the_figures_of_the_run(masked, tmp_path, capsys):
    out = tmp_path / "runs"
    _, record = run(masked, out, "--no-figures", "--aggregate", "mean")
    capsys.readouterr()
    assert call(["sweep", str(out), "--oracle", "--aggregate", "max,mean", "--json"]) == 0
    own = json.loads(capsys.readouterr().out)["figures"]
    assert "image-auroc" in own
    assert {name: one["own"] for name, one in own.items()} == {
        name: pytest.approx(record.metrics[name].value) for name in own
    }
    _, best = run(masked, tmp_path / "max", "--no-figures", "--aggregate", "max")
    swept = evaluator(masked, (next(iter(find_runs(out))), record))
    patches = [swept.predictions.patches[place] for place in range(len(swept.samples))]
    kept = [~swept.ignored_patches(place).numpy() for place in range(len(patches))]
    by_hand = [float(one[keep].max()) for one, keep in zip(patches, kept, strict=True)]
    np.testing.assert_allclose(
        by_hand, evaluator(masked, (next(iter(find_runs(tmp_path / "max"))), best)).predictions.scores, rtol=1e-6
    )


def test_a_mask_of_another_size_fails_the_unit_and_verify_says_which(coded, tmp_path, capsys):
    write(coded / "ignore.png", ignore()[16:])
    _, record = run(coded, tmp_path / "runs", "--no-figures", code=1)
    assert "has 64x64 pixels, and ignore.png has 48x64" in record.reason
    capsys.readouterr()
    assert call(["data", "verify", str(coded)]) == 1
    assert "ignore.png has 48x64" in capsys.readouterr().out


@pytest.mark.slow
def test_run_takes_the_mask_from_a_file_elsewhere(coded, tmp_path):
    write(tmp_path / "mine.png", ignore())
    _, record = run(coded, tmp_path / "one", "--no-figures", "--ignore", str(tmp_path / "mine.png"))
    write(coded / "ignore.png", ignore())
    _, beside = run(coded, tmp_path / "two", "--no-figures")
    assert record.id == beside.id
    assert record.metrics == beside.metrics


def fit(coded, out, *words):
    good = coded / "train" / "good"
    return call(["fit", *method(words), "--normal", str(good), "--out", str(out), *FIT, *words])


@pytest.fixture
def file(coded, tmp_path):
    write(tmp_path / "ignore.png", ignore())
    out = tmp_path / "coded.adbench"
    assert fit(coded, out, "--ignore", str(tmp_path / "ignore.png"), "--threshold", "quantile:alpha=0.01") == 0
    return out


@pytest.mark.slow
def test_a_detector_carries_its_mask_and_scores_as_the_run(coded, file, tmp_path, capsys):
    assert call(["show", str(file)]) == 0
    assert "ignored: ignore.png marks 14.1 % of the pixels" in capsys.readouterr().out
    detector = Detector.load(file, cache=None, device="cpu", runtime="torch")
    assert detector.facts()["ignored"].startswith("ignore.png marks")
    found = {path.name[-12:]: path for path in detector.predict(coded / "test")}
    spot = found["spot/000.png"]
    assert spot.is_anomalous
    assert not any(one.mask[CODE].any() for one in found.values())
    assert spot.map[CODE].max() == spot.map.min()
    plain = spot.image.pixels()
    assert not np.array_equal(spot.heatmap()[CODE], plain[CODE])
    with pytest.raises(UsageError, match="the data and the detector ignore other pixels"):
        evaluate(detector, str(coded), category="coded")
    write(coded / "ignore.png", ignore())
    record = evaluate(detector, str(coded), category="coded")
    _, ran = run(coded, tmp_path / "runs", "--no-figures", "--threshold", "quantile:alpha=0.01")
    assert (record.id, record.metrics) == (ran.id, ran.metrics)


def test_a_detector_refuses_images_of_another_size_row_by_row(coded, file, tmp_path):
    write(tmp_path / "new" / "a.png", picture(1, 4))
    write(tmp_path / "new" / "b.png", picture(2)[:48])
    assert call(["predict", str(file), str(tmp_path / "new"), "--out", str(tmp_path / "out"), *FIT]) == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert rows[0]["alarm"] is True
    assert "has 48x64 pixels, and ignore.png has 64x64" in rows[1]["error"]
    heatmap = read_image(tmp_path / "out" / "heatmaps" / "a.png")
    assert len(np.unique(heatmap[CODE].reshape(-1, 3), axis=0)) > 2
    assert read_image(tmp_path / "out" / "masks" / "a.png")[CODE].max() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("file")
def test_defective_images_are_measured_without_ignored_pixels(coded, tmp_path):
    out = tmp_path / "measured.adbench"
    spots, masks = coded / "test" / "spot", coded / "ground_truth" / "spot"
    given = ("--abnormal", str(spots), "--masks", str(masks), "--ignore", str(tmp_path / "ignore.png"))
    assert fit(coded, out, *given) == 0
    figures = Detector.load(out, cache=None, device="cpu").about.figures.metrics
    assert figures["pixel-auroc"].value > 0.99
    assert figures["pixel-aupro-30"].value > 0.9


def test_more_images_are_learned_without_their_ignored_pixels(coded, tmp_path):
    write(tmp_path / "ignore.png", ignore())
    write(tmp_path / "more" / "new.png", picture(77))
    plain = picture(77)
    plain[CODE] = 0
    write(tmp_path / "other" / "new.png", plain)
    banks = []
    for name in ("more", "other"):
        made = Detector(backbone="toy-pixels", bank="full", scorer="knn", preprocess=[], cache=None, device="cpu")
        made.fit(coded / "train" / "good", ignore=tmp_path / "ignore.png").add(tmp_path / name)
        banks.append(made.fitted.method.bank.state()["vectors"])
    assert banks[0].equal(banks[1])
    assert len(banks[0]) == 25 * (64 - 9)  # of 8 x 8 patches, 3 x 3 are ignored


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["bits", "size", "nothing"])
def test_a_detector_whose_mask_was_changed_is_refused(file, tmp_path, damage):
    broken = tmp_path / "broken.adbench"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "ignore.safetensors" and damage == "nothing":
                continue
            if name == "ignore.safetensors" and damage == "bits":
                content = content[:-1] + b"\x55"
            if name == "detector.json" and damage == "size":
                content = content.replace(b'"height": 64', b'"height": 65')
            new.writestr(zipfile.ZipInfo(name), content)
    with pytest.raises(StorageError, match="ignore.safetensors"):
        Detector.load(broken, cache=None, device="cpu", runtime="torch")


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((SIDE, SIDE), np.uint8), "marks no pixel"),
        (np.full((SIDE, SIDE), 255, np.uint8), "marks all pixels"),
        (ignore()[16:], "has 64x64 pixels, and ignore.png has 48x64"),
    ],
)
def test_fit_refuses_a_mask_that_cannot_be_meant(coded, tmp_path, capsys, pixels, why):
    write(tmp_path / "ignore.png", pixels)
    assert fit(coded, tmp_path / "x.adbench", "--ignore", str(tmp_path / "ignore.png")) != 0
    assert why in capsys.readouterr().err
    assert not (tmp_path / "x.adbench").exists()


def wander(folder, seed=0):
    """Put a code at another place of each image, and a mask of its own beside each."""
    rng = np.random.default_rng(seed)
    for path in sorted([*folder.glob("train/good/*"), *folder.glob("test/*/*")]):
        pixels, mask = read_image(path).copy(), np.zeros((SIDE, SIDE), np.uint8)
        top, left = rng.integers(34, 48), rng.integers(0, 38)
        pixels[top : top + 16, left : left + 26] = rng.integers(0, 256, (16, 26, 3), dtype=np.uint8)
        mask[top : top + 16, left : left + 26] = 255
        write(path, pixels)
        write(path.with_name(f"{path.stem}.ignore.png"), mask)


@pytest.mark.slow
def test_masks_of_single_images_hold_in_runs_and_detectors(masked, tmp_path, capsys):
    wander(masked)
    _, record = run(masked, tmp_path / "runs", "--no-figures", "--threshold", "quantile:alpha=0.01")
    assert "coded: 31 images have an ignore mask of their own" in "".join(capsys.readouterr())
    assert record.metrics["pixel-auroc"].value > 0.99
    write(tmp_path / "ignore.png", ignore())
    file = tmp_path / "coded.adbench"
    words = ("--ignore", str(tmp_path / "ignore.png"), "--threshold", "quantile:alpha=0.01")
    assert fit(masked, file, *words) == 0
    detector = Detector.load(file, cache=None, device="cpu", runtime="torch")
    own = evaluate(detector, str(masked), category="coded")
    assert (own.id, own.metrics) == (record.id, record.metrics)
    assert call(["predict", str(file), str(masked / "test"), "--out", str(tmp_path / "out"), *FIT]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [row["file"].rpartition("/")[2] for row in rows] == [
        *[f"{n:03}.png" for n in range(4)],
        *["000.png", "001.png", "002.png"],
    ]
    assert [row["alarm"] for row in rows][4:6] == [True, True]
    spot = masked / "test" / "spot" / "000.png"
    hidden = read_image(spot.with_name("000.ignore.png"))[..., 0] > 127
    found = detector.predict(spot)
    assert found.map[hidden].max() == found.map.min()
    assert not found.mask[hidden].any()
    changed = read_image(spot).copy()
    changed[hidden] = 255 - changed[hidden]
    write(spot, changed)
    assert detector.predict(spot).score == pytest.approx(found.score, rel=1e-5)


def test_a_mask_of_one_image_that_does_not_fit_is_a_row(coded, file, tmp_path):
    write(tmp_path / "new" / "a.png", picture(1, 4))
    write(tmp_path / "new" / "a.ignore.png", ignore()[16:])
    write(tmp_path / "new" / "b.png", picture(2))
    assert call(["predict", str(file), str(tmp_path / "new"), "--out", str(tmp_path / "out"), *FIT]) == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert "has 64x64 pixels, and a.ignore.png has 48x64" in rows[0]["error"]
    assert rows[1]["error"] is None
