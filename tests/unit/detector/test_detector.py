"""Detector: learns from whatever holds images, and says the same in memory, out of a file and in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import adbench as ad
from adbench.detector.detector import Detector
from adbench.engine.run.method import Method
from adbench.engine.store.predictions import read_predictions
from adbench.errors import BadImage, DataError, StorageError, UnknownName, UsageError


def test_a_defect_scores_above_the_threshold_and_is_marked(toy_detector, noise, spotted):
    normal, defective = toy_detector.predict(noise(1, seed=7)[0]), toy_detector.predict(spotted)
    assert normal.is_anomalous is False
    assert defective.is_anomalous is True
    assert defective.score > defective.threshold > 0
    assert defective.map.shape == (32, 32)
    assert defective.mask[10:18, 10:18].all()
    assert not defective.mask[24:, 24:].any()
    assert defective.p_value == 1 / 25


def test_scores_thresholds_and_the_record_are_those_of_a_run(parts, tmp_path, toys):
    options = toys
    [record] = found = ad.run(data=parts, category="bolt", out=tmp_path / "runs", figures=False, **options)
    detector = Detector(**options).fit(parts / "bolt")
    run = read_predictions(found.outcomes[0].folder, record.predictions)
    for name, score, patches in zip(run.ids, run.scores, run.patches, strict=True):
        prediction = detector.predict((parts / name).with_suffix(".png"))
        assert prediction.score == score
        assert np.array_equal(prediction.patches, patches)
    measured = ad.evaluate(detector, parts, category="bolt")
    assert measured.id == record.id
    assert measured.metrics == record.metrics
    assert (measured.task, measured.regime, measured.drew) == (record.task, record.regime, record.drew)


def test_the_threshold_is_that_of_a_run(tmp_path, toys, noise, spotted):
    for part, count in (("train", 12), ("test", 1)):
        for number, image in enumerate(noise(count)):
            path = tmp_path / "parts" / "nut" / part / "good" / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    Image.fromarray(spotted).save(tmp_path / "parts" / "nut" / "test" / "good" / "spot.png")
    rule, options = "conformal:alpha=0.1", toys
    found = ad.run(data=tmp_path / "parts", out=tmp_path / "runs", threshold=rule, figures=False, **options)
    detector = Detector(**options).fit(tmp_path / "parts" / "nut" / "train" / "good", threshold=rule)
    assert detector.threshold().value == found.outcomes[0].threshold.value


def test_a_detector_out_of_a_file_says_the_same(toy_detector, saved, quick, spotted):
    loaded = Detector.load(saved, **quick)
    before, after = toy_detector.predict(spotted), loaded.predict(spotted)
    assert after.score == before.score
    assert np.array_equal(after.map, before.map)
    assert (after.p_value, after.threshold) == (before.p_value, before.threshold)
    assert loaded.about == toy_detector.about
    assert np.array_equal(loaded.state.calibration.peaks, toy_detector.state.calibration.peaks)


def test_the_same_detector_is_the_same_file(toy_detector, saved, tmp_path):
    assert toy_detector.save(tmp_path / "again.adbench").read_bytes() == saved.read_bytes()


def test_many_images_come_one_by_one_and_in_order(toy_detector, noise):
    taken = []

    def images():
        for number, image in enumerate(noise(40, seed=3)):
            taken.append(number)
            yield image

    predictions = toy_detector.predict(images())
    assert taken == []
    first = next(predictions)
    assert len(taken) < 40
    rest = list(predictions)
    alone = [toy_detector.predict(image).score for image in noise(40, seed=3)]
    assert [first.score, *(one.score for one in rest)] == pytest.approx(alone, rel=1e-6)


def test_arrays_files_and_pillow_images_of_one_picture_score_alike(toy_detector, tmp_path, noise):
    image = noise(1, seed=5)[0]
    Image.fromarray(image).save(tmp_path / "one.png")
    scores = {toy_detector.predict(given).score for given in (image, Image.fromarray(image), tmp_path / "one.png")}
    assert len(scores) == 1


def test_another_rule_draws_another_line(toy_detector, toys, spotted):
    detector = Detector(**toys)
    detector.state = toy_detector.state
    loose, strict = detector.threshold("quantile:alpha=0.5"), detector.threshold("sigma:k=3")
    assert loose.value < strict.value
    assert detector.predict(spotted).threshold == strict.value


def test_with_too_few_images_there_is_a_p_value_and_the_reason_for_no_threshold(toys, noise, spotted):
    detector = Detector(**toys).fit(noise(6))
    prediction = detector.predict(spotted)
    assert prediction.threshold is None
    assert prediction.is_anomalous is None
    assert prediction.p_value == 1 / 7
    assert "needs 19 normal images" in detector.threshold().reason
    assert "needs 19 normal images" in repr(detector)


def test_one_image_gives_scores_alone_and_says_why(toys, noise, spotted):
    detector = Detector(**toys).fit(noise(1))
    prediction = detector.predict(spotted)
    assert (prediction.p_value, prediction.threshold, prediction.mask) == (None, None, None)
    assert "a single normal image" in detector.threshold().reason


def test_a_folder_of_a_category_stands_for_its_training_images_and_others_are_not_searched(parts, tmp_path, toys):
    assert len(Detector(**toys).fit(parts / "bolt").about.images) == 4
    with pytest.raises(DataError, match="name the folder of the normal ones itself"):
        Detector(**toys).fit(parts)
    with pytest.raises(DataError, match="no normal image"):
        Detector(**toys).fit([])


def test_images_unlike_those_it_learned_from_are_reported(toy_detector, noise):
    small = toy_detector.predict(noise(1, side=16)[0])
    assert small.notes == ("it has 16 x 16 pixels, where the detector learned from 32 x 32",)
    gray = toy_detector.predict(noise(1)[0][:, :, 0])
    assert gray.notes == ("it has gray alone, where the detector learned from colours",)
    deep = toy_detector.predict(noise(1)[0].astype(np.uint16) * 257)
    assert deep.notes == ("it has more than 8 bits a channel, where the detector learned from 8 bits a channel",)
    assert toy_detector.predict(noise(1)[0]).notes == ()


def test_methods_that_need_the_other_test_images_are_refused_in_a_sentence(toys, quick, noise):
    with pytest.raises(UsageError, match="makes no detector.*learns from the images that are to be scored"):
        Detector(**{**toys, "bank": "toy-test-vectors"}).fit(noise(2))
    with pytest.raises(UsageError, match="'rscin'"):
        Detector(**toys, aggregate="rscin").fit(noise(2))


def test_what_cannot_be_meant_is_refused(toys, spotted):
    with pytest.raises(UsageError, match="a detector needs a method"):
        Detector(backbone="toy-pixels")
    with pytest.raises(UsageError, match="no slot 'banc'"):
        Detector("patchcore-lite", banc="full")
    with pytest.raises(UnknownName, match="did you mean 'patchcore-lite'"):
        Detector("patchcore-light")
    with pytest.raises(UsageError, match="learned nothing yet"):
        Detector(**toys).predict(spotted)


def test_bad_images_are_named(toy_detector, tmp_path, spotted):
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(BadImage, match="bad.png"):
        toy_detector.predict(tmp_path / "bad.png")
    with pytest.raises(BadImage, match="shape 2x2x7"):
        toy_detector.predict(np.zeros((2, 2, 7), np.uint8))
    with pytest.raises(BadImage, match="between 0 and 1"):
        toy_detector.predict(np.full((32, 32), 7.0))
    found = list(toy_detector.outcomes([tmp_path / "bad.png", spotted]))
    assert isinstance(found[0], BadImage)
    assert found[1].is_anomalous


def test_an_image_that_is_not_for_the_method_ends_nothing(toys, noise, spotted):
    detector = Detector(**{**toys, "preprocess": "center-crop:size=32"}).fit(noise(8))
    small = np.zeros((16, 16, 3), np.uint8)
    found = list(detector.outcomes([spotted, small, small, spotted]))
    assert [isinstance(one, BadImage) for one in found] == [False, True, True, False]
    assert str(found[1]).startswith("image-000001: preprocessor 'center-crop': an image of 16x16 pixels is smaller")
    with pytest.raises(BadImage, match="put 'resize' before it or make the crop smaller"):
        detector.predict(small)


def test_an_image_that_the_scorer_refuses_leaves_the_others_of_its_batch(toy_detector, noise, monkeypatch):
    images, plain = list(noise(4, seed=3)), Method.score
    bad = iter([True, True, False, False, True])  # the batch, then each image alone

    def score(self, features):
        if next(bad):
            raise DataError("it has another grid; resize all images to one size")
        return plain(self, features)

    expected = [toy_detector.predict(image).score for image in images[1:3]]
    monkeypatch.setattr(Method, "score", score)
    found = list(toy_detector.outcomes(images))
    assert [isinstance(one, BadImage) for one in found] == [True, False, False, True]
    assert [one.score for one in found[1:3]] == expected
    assert str(found[0]) == "image-000000: it has another grid; resize all images to one size"


def test_numbers_of_another_byte_order_are_the_same_image(toy_detector, noise):
    deep = noise(1)[0].astype(np.uint16) * 257
    assert toy_detector.predict(deep.astype(">u2")).score == toy_detector.predict(deep).score


def test_images_that_were_read_before_have_the_same_outcomes(toy_detector, tmp_path, spotted):
    (tmp_path / "bad.png").write_bytes(b"no image")
    images = [spotted, tmp_path / "bad.png", np.zeros((16, 16, 3), np.uint8)]
    expected, found = toy_detector.outcomes(images), toy_detector.outcomes_of(map(toy_detector.read, images))
    for one, other in zip(expected, found, strict=True):
        assert str(one) == str(other) if isinstance(one, BadImage) else one.score == other.score


def test_a_place_that_cannot_be_written_is_a_sentence(toy_detector, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        toy_detector.save(tmp_path / "file" / "toy.adbench")


def test_pictures_that_a_fit_leaves_out_are_told_of(tmp_path, toys, noise):
    told = []
    for number, pixels in enumerate(noise(3)):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"x")
    Detector(**toys, note=told.append).fit(tmp_path)
    assert [sentence for sentence in told if "1 x .heic" in sentence]


def test_it_shows_itself_in_a_notebook_with_every_name_escaped(toy_detector, tmp_path, toys, spotted):
    path = tmp_path / "<b>bold.png"
    Image.fromarray(spotted).save(path)
    page = toy_detector.predict(path)._repr_html_()
    assert "&lt;b&gt;bold.png" in page
    assert "<b>" not in page
    assert "data:image/png;base64," in page
    assert "24 normal images" in toy_detector._repr_html_()
    assert "has learned nothing yet" in Detector(**toys)._repr_html_()
    assert toy_detector.predict(path).show().size == (64, 32)


@pytest.mark.slow
def test_evaluating_a_detector_of_other_images_gives_a_record_of_its_own(toy_detector, parts, tmp_path, toys, quick):
    detector = Detector(**toys)
    detector.state = toy_detector.state
    record = ad.evaluate(detector, str(parts), category="bolt", out=tmp_path / "runs")
    own = ad.evaluate(Detector(**toys).fit(parts / "bolt"), parts, category="bolt")
    assert record.id != own.id
    assert record.task.train == 24
    assert (tmp_path / "runs").is_dir()
    assert detector.about.figures.metrics == record.metrics
    path: Path = detector.save(tmp_path / "measured.adbench")
    assert Detector.load(path, **quick).about.figures == detector.about.figures
