from __future__ import annotations

import pytest

from adbench.boards.records.keys import method_key
from adbench.boards.tables.methods import method_rows


@pytest.mark.parametrize(
    "evil", ["knn ({})", "knn, unverified", "knn, full-shot", "knn [{}]", "KNN", " knn", "knn\u200b"]
)
def test_labels_are_unique_whatever_strangers_call_themselves(make_record, evil):
    records = [make_record(k=1), make_record(k=2)]
    key = method_key(records[0])[:8]
    rivals = [make_record(evil.format(key), k=k) for k in (3, 4)]
    labels = [row.label for row in method_rows([*records, *rivals], frozenset([rivals[0].id]))]
    assert len(set(labels)) == 4
    assert [label for label in labels if label == f"knn ({key})"] == [f"knn ({key})"]
