from __future__ import annotations

from pathlib import Path

import pytest

from adbench.builtin.images.remarks import Remarks


def test_each_kind_is_one_sentence():
    remarks = Remarks()
    for name in ("a", "b", "b"):
        remarks.add_mask(Path("ground_truth/cut") / f"{name}_mask.png", "is read by its alpha")
    remarks.add_mask(Path("ground_truth/cut/c_mask.png"), "")
    remarks.add_mask(Path("ground_truth/cut/d_mask.jpg"), "is a lossy file")
    assert list(remarks.sentences("nut")) == [
        "nut: the mask cut/d_mask.jpg is a lossy file",
        "nut: the mask cut/a_mask.png is read by its alpha (and 1 more masks like it)",
    ]


@pytest.mark.parametrize(
    ("peak", "bits", "times"), [(0, 8, 256), (255, 8, 256), (256, 10, 64), (4095, 12, 16), (4096, 14, 4)]
)
def test_what_fits_fewer_bits(peak, bits, times):
    remarks = Remarks()
    remarks.add_peak(peak)
    remarks.add_peak(peak // 2)
    (message,) = remarks.sentences("nut")
    assert f"no number above {(1 << bits) - 1} was seen, which fits {bits}: if" in message
    assert f"the camera has {bits} bits, all is {times} times too dark" in message
    assert message.endswith(f"white={(1 << bits) - 1}")
    assert remarks.wants_peaks


@pytest.mark.parametrize("peak", [16384, 65535])
def test_what_needs_all_bits_is_no_news(peak):
    remarks = Remarks()
    remarks.add_peak(peak)
    assert not list(remarks.sentences("nut"))
    assert not remarks.wants_peaks


def test_names_from_strangers_are_printable():
    remarks = Remarks()
    remarks.add_mask(Path("ground_truth/\x1b[31mcut/a\n.png"), "is a lossy file")
    (message,) = remarks.sentences("n\x07t")
    assert message.isprintable()
