"""Records of runs and boards, for analysis: `from adbench.records import read_records, to_frame`.

- `read_records`: the records in folders of runs, in boards, or in files of records.
- `to_frame`: records as one tidy pandas `DataFrame`, whose columns docs/records.md describes.
- `flat_record`: a record's JSON as a `FlatRecord`, without nesting, for experiment trackers.
- `read_runs`: the runs in folders, each a `StoredRun`: its record and where it lies.
- `scored_runs`: runs with their images, each a `ScoredRun`; a `RunImage` has scores, map and truth of one image.

```python
frame = to_frame(read_records("runs"))
frame.pivot_table(index="method", columns="metric", values="value")

for run in scored_runs(read_runs("runs")):
    worst = max((image for image in run.images() if image.defect == "good"), key=lambda image: image.score)
```

Importing this module imports no torch; scored runs need it.
"""

from adbench.boards.records.flat import FlatRecord, flat_record
from adbench.boards.records.read import read_records
from adbench.boards.tables.frame import to_frame
from adbench.engine.pictures.scored_images import RunImage, ScoredRun, StoredRun, read_runs, scored_runs

__all__ = [
    "FlatRecord",
    "RunImage",
    "ScoredRun",
    "StoredRun",
    "flat_record",
    "read_records",
    "read_runs",
    "scored_runs",
    "to_frame",
]
