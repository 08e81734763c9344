"""Each rule by hand, and the whole against segment-anything's own generator and predictor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from adbench_sam import proposals as module
from adbench_sam.architecture import ARCHITECTURES
from adbench_sam.network import build
from adbench_sam.proposals import (
    GeneratorOptions,
    Proposals,
    border_share,
    boxes,
    centre_proposals,
    grid,
    grid_proposals,
    stability,
    unpacked,
    without_duplicates,
)
from segment_anything import SamAutomaticMaskGenerator, SamPredictor

from adbench.weights import load_strictly, seeded

pytestmark = pytest.mark.slow


def theirs(network, image, rules):
    options = {name: getattr(rules, name) for name in GeneratorOptions.__dataclass_fields__}
    with torch.no_grad():
        return SamAutomaticMaskGenerator(network.model, **options).generate(image.permute(1, 2, 0).numpy())


def ours(network, image, rules):
    with torch.no_grad():
        return grid_proposals(network, image, rules)


RULES = {
    "all of them": GeneratorOptions(8, 16, 0, 0, 1.0, 1.0),
    "without duplicates": GeneratorOptions(8, 64, 0, 0, 1.0, 0.95),
    "at the usual overlap": GeneratorOptions(8, 64, 0, 0, 1.0),
    "confident ones": GeneratorOptions(8, 10, 0.05, 0, 1.0, 0.95),
    "stable ones": GeneratorOptions(8, 16, 0, 0.7, 0.02, 1.0),
    "both": GeneratorOptions(7, 16, 0.05, 0.7, 0.02, 0.95),
    "none": GeneratorOptions(4, 16, 0.99, 0, 1.0),
}


@pytest.mark.proves("dinov3-knn-sam", "patchcore-sam")
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("height", "width"), [(90, 70), (60, 131)])
def test_masks_are_those_of_the_references_generator(lively, picture, rules, height, width):
    """Bit by bit: masks, order, predicted IoU, stability, boxes and areas."""
    image = picture(height, width)
    found, expected = ours(lively, image, rules), theirs(lively, image, rules)
    assert len(found) == len(expected)
    for index, (mask, record) in enumerate(zip(unpacked(found, height, width), expected, strict=True)):
        np.testing.assert_array_equal(mask.numpy(), record["segmentation"])
        assert found.ious[index].item() == record["predicted_iou"]
        np.testing.assert_equal(found.stability[index].item(), record["stability_score"])
        left, top, right, bottom = found.boxes[index].tolist()
        assert [left, top, right - left, bottom - top] == record["bbox"]
        assert int(found.areas[index]) == record["area"]


def test_the_rules_rule_something_out(lively, picture):
    """Guards the test above: each rule leaves some masks and takes others away."""
    counts = {name: len(ours(lively, picture(), rules)) for name, rules in RULES.items()}
    assert counts["all of them"] > 100
    assert counts["all of them"] > counts["without duplicates"] > counts["at the usual overlap"] >= 1
    assert counts["without duplicates"] > counts["confident ones"] >= 1
    assert counts["all of them"] > counts["stable ones"] >= 1
    assert counts["none"] == 0


def test_masks_through_transformers_are_the_same(lively, picture):
    twin = build(ARCHITECTURES["tiny"], "transformers")
    load_strictly(twin.model, twin.renamed(lively.model.state_dict()), "the twin")
    first, second = (ours(network, picture(), RULES["without duplicates"]) for network in (lively, twin))
    assert len(first) == len(second) > 1
    differing = np.unpackbits(first.bits ^ second.bits).sum() / (len(first) * 90 * 70)
    assert differing < 1e-3  # pixels whose logit is 0 but for rounding
    torch.testing.assert_close(second.ious, first.ious, rtol=1e-4, atol=1e-5)


def test_the_centre_is_the_references_predictor(lively, picture):
    image = picture()
    predictor = SamPredictor(lively.model)
    predictor.set_image(image.permute(1, 2, 0).numpy())
    masks, ious, _ = predictor.predict(np.array([[35.0, 45.0]]), np.array([1]))
    with torch.no_grad():
        found = centre_proposals(lively, image)
    assert np.array_equal(np.stack([mask.numpy() for mask in unpacked(found, 90, 70)]), masks)
    assert np.array_equal(found.ious.numpy(), ious)


@pytest.mark.slow
def test_at_the_usual_resolution_too(picture):
    """1024 pixels, windows of 14 that do not divide the 64 patches, and more masks than are enlarged at once."""
    shallow = replace(ARCHITECTURES["vit_b"], width=64, depth=2, heads=2, global_blocks=(1,))
    with seeded(0):
        network = build(shallow, "segment-anything")
    for parameter in network.model.parameters():
        parameter.mul_(1.5)
    rules, image = GeneratorOptions(3, 4, 0, 0, 1.0, 1.0), picture(300, 448)
    found, expected = ours(network, image, rules), theirs(network, image, rules)
    assert len(found) == len(expected) == 27
    masks = np.stack([mask.numpy() for mask in unpacked(found, 300, 448)])
    assert np.array_equal(masks, np.stack([record["segmentation"] for record in expected]))
    assert found.ious.tolist() == [record["predicted_iou"] for record in expected]
    assert 0 < masks.mean() < 1


def test_small_blocks_change_nothing(lively, picture, monkeypatch):
    whole = ours(lively, picture(), RULES["all of them"])
    monkeypatch.setattr(module, "BLOCK", 128 * 128 * 5)
    small = ours(lively, picture(), RULES["all of them"])
    assert np.array_equal(whole.bits, small.bits)
    assert torch.equal(whole.ious, small.ious)


def test_grid():
    assert grid(2).tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]
    assert grid(1).tolist() == [[0.5, 0.5]]


def test_stability():
    """Of six logits, two are above 1 and four above -1."""
    logits = torch.tensor([[[2.0, 1.5, 0.5], [-0.5, -1.5, -2.0]], [[-3.0] * 3] * 2])
    found = stability(logits, 1.0)
    assert found[0] == 0.5
    assert bool(found[1].isnan())


def drawn(*rows):
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def test_boxes():
    masks = torch.stack([drawn("....", ".xx.", ".x.."), drawn("....", "....", "...."), drawn("x...", "....", "...x")])
    assert boxes(masks).tolist() == [[1, 1, 2, 2], [0, 0, 0, 0], [0, 0, 3, 2]]


def test_border_share():
    """A 3 x 4 image has ten pixels along its border; the corner counts once."""
    masks = torch.stack([drawn("xx..", "xx..", "...."), drawn("....", ".xx.", "....")])
    assert border_share(masks).tolist() == pytest.approx([0.3, 0])


def proposals(boxes, ious):
    count = len(ious)
    zeros = torch.zeros(count)
    return Proposals(
        np.zeros((count, 1), np.uint8),
        torch.tensor(boxes, dtype=torch.float32),
        torch.tensor(ious),
        zeros,
        zeros,
        zeros,
    )


def test_of_two_that_overlap_the_more_confident_stays():
    """The first two boxes share 8 x 10 of 12 x 10: two thirds."""
    given = proposals([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], [0.7, 0.9, 0.8])
    assert without_duplicates(given, 0.6).ious.tolist() == pytest.approx([0.9, 0.8])
    assert without_duplicates(given, 0.7).ious.tolist() == pytest.approx([0.9, 0.8, 0.7])
