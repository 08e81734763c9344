from __future__ import annotations

import os
import unicodedata

import pytest

from adbench.builtin.folders.names import (
    image_stems,
    is_zero,
    masked_stem,
    meaning,
    numbered_stem,
    part_named,
    same,
    spelt,
)

NORMAL = "good Good GOOD ok OK O.K. okay normal NORMAL Normals nominal healthy intact defect_free DefectFree defectless"
NORMAL += (
    " no_defect non-defective without_defects undamaged anomaly_free not_anomalous flawless 良品 \uff2f\uff2b 正常"
)
DEFECTIVE = "crack ko NG nok notOk not_ok no_good bad abnormal defective damaged broken_large Anomaly color combined"
DEFECTIVE += " faulty_imprint logical_anomalies no_label missing_screw token okra print 1 07 gross_scratch rayé"
UNCLEAR = "negative Positives clean pass 0 00 class_0 good_2 good1 ok_front Good-new goodparts normal_light images all"
UNCLEAR += " unlabeled mask ground_truth io reference no_visible_defect free_of_defects - _"


@pytest.mark.parametrize("name", NORMAL.split())
def test_names_that_mean_normal(name):
    assert meaning(name) is True


@pytest.mark.parametrize("name", DEFECTIVE.split())
def test_names_that_mean_defective(name):
    assert meaning(name) is False


@pytest.mark.parametrize("name", UNCLEAR.split())
def test_names_that_may_mean_either_are_nobodys_to_guess(name):
    assert meaning(name) is None


def test_every_kind_of_defect_of_mvtec_ad_and_mpdd_is_one():
    kinds = """bent bent_lead bent_wire broken broken_large broken_small broken_teeth cable_swap color combined
    contamination crack cut cut_inner_insulation cut_lead cut_outer_insulation damaged_case defective fabric_border
    fabric_interior faulty_imprint flip fold glue glue_strip gray_stroke hole liquid manipulated_front
    metal_contamination misplaced missing_cable missing_wire oil pill_type poke poke_insulation print rough scratch
    scratch_head scratch_neck split_teeth squeeze squeezed_teeth thread thread_side thread_top
    bend_and_parts_mismatch defective_painting flattening major_rust parts_mismatch scratches total_rust"""
    assert [kind for kind in kinds.split() if meaning(kind) is not False] == []


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("TESTING", "test"),
        ("Ground_Truth", "ground_truth"),
        ("groundtruth", "ground_truth"),
        ("GroundTruth", "ground_truth"),
        ("ground-truth", "ground_truth"),
        ("GT", "ground_truth"),
        ("val", None),
        ("test_public", None),
        ("good", None),
    ],
)
def test_parts_of_a_category(name, part):
    assert part_named(name) == part


@pytest.mark.parametrize(
    "mask",
    ["7", "7_mask", "7_MASK", "7-mask", "7.mask", "7_label", "7_Label", "7_gt", "7_GT", "7_ground_truth", "7_seg",
     "mask_7", "gt-7", "7.png", "7.jpg_mask", "7_annotation"],
)  # fmt: skip
def test_a_mask_names_its_image(mask):
    assert "7" in image_stems(mask)


def test_the_mask_that_is_called_as_mvtec_ad_calls_it_comes_first():
    assert next(image_stems("7_mask")) == "7"
    assert list(image_stems("a_gt"))[:2] == ["a_gt", "a_gt"], "an image may be called so itself"


def test_numbered_masks_and_masks_among_images():
    assert [numbered_stem(stem) for stem in ("7_mask_0", "7-mask12", "7_0", "7_mask")] == ["7", "7", None, None]
    assert [masked_stem(stem) for stem in ("7_label", "7_GT", "7", "label")] == ["7", "7", None, None]


def test_spellings_of_one_name():
    assert same(unicodedata.normalize("NFD", "Rayé")) == same("rayé")
    assert same("STRASSE") == same("straße")
    assert same("a-b") != same("a_b")
    assert is_zero("00")
    assert not is_zero("10")


def test_names_that_are_no_utf8_can_be_written():
    assert spelt(os.fsdecode(b"ray\xe9")) == r"ray\xe9"
    assert spelt("rayé\t") == "rayé\t", "all others stay what they are"
