"""VisA: the one large set that may be used commercially."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from adbench import GOOD, DataError
from adbench.datasets import Archive
from adbench.errors import printable
from adbench_data.listed import PublishedSet
from adbench_data.listing import TEST, TRAIN, Item
from adbench_data.texts import Row, read_table

_SPLIT = "split_csv/1cls.csv"


class Visa(PublishedSet):
    """VisA: 12 categories of boards, capsules, candles and food (Zou et al., ECCV 2022), CC BY 4.0.

    The authors' one-class split, ``split_csv/1cls.csv``. Masks hold the numbers of defect classes, which look black:
    all but 0 is a defect. All defects of a category are one type, ``bad``.
    """

    name = "visa"
    year = "2022"
    known = (
        "candle",
        "capsules",
        "cashew",
        "chewinggum",
        "fryum",
        "macaroni1",
        "macaroni2",
        "pcb1",
        "pcb2",
        "pcb3",
        "pcb4",
        "pipe_fryum",
    )
    published: ClassVar[dict[str, tuple[int, int]]] = {
        "candle": (900, 200),
        "capsules": (542, 160),
        "cashew": (450, 150),
        "chewinggum": (453, 150),
        "fryum": (450, 150),
        "macaroni1": (900, 200),
        "macaroni2": (900, 200),
        "pcb1": (904, 200),
        "pcb2": (901, 200),
        "pcb3": (905, 201),
        "pcb4": (904, 201),
        "pipe_fryum": (450, 150),
    }
    source = Archive(
        title="VisA",
        page="https://github.com/amazon-science/spot-diff",
        url="https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
        sha256="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
        licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
        size=1_930_000_000,
        images=10_821,
        paper="Zou et al., SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation,"
        " ECCV 2022",
    )
    unpacked = ("VisA", "VisA_20220922")

    def has_mark(self, folder: Path) -> bool:
        return (folder / _SPLIT).is_file()

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """The lines of the split, by category."""
        rows: dict[str, list[Row]] = {name: [] for name in self.known}
        for row in read_table(self.root / _SPLIT, ("object", "split", "label", "image", "mask")):
            rows.get(row["object"], []).append(row)
        return rows

    def items(self, category: str) -> Iterator[Item]:
        for row in self._rows[category]:
            if row["split"] not in {TRAIN, TEST} or row["label"] not in {"normal", "anomaly"}:
                raise DataError(f"{self.title}: {_SPLIT} has the odd line {printable(str(row))}; unpack it again")
            part = TRAIN if row["split"] == TRAIN else TEST
            defect = GOOD if row["label"] == "normal" else "bad"
            yield Item(row["image"], part, defect, (row["mask"],) if row["mask"] else ())
