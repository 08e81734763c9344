"""The preprocessor 'align' through the command line: images without an object stay as they are, and are counted."""

from __future__ import annotations

import pytest

KEPT = ("--preprocess", "crop-to-multiple:of=1")
"""A preparation that changes nothing."""


@pytest.mark.slow
def test_images_without_an_object_stay_as_they_are(bench):
    done = [bench.run("--category", "lines", *more) for more in (KEPT, (*KEPT, "--preprocess", "align"))]
    assert [one.code for one in done] == [0, 0], done[1].err
    (plain,), (aligned,) = (one.records for one in done)
    assert "turned_test" not in plain.facts
    assert aligned.facts["turned_test"] == 0
    assert aligned.metrics["pixel-auroc"].value == plain.metrics["pixel-auroc"].value
    assert "0 of 8 test images were turned; the others show no object with a clear pose" in done[1].err
    assert "were turned" not in done[0].err
