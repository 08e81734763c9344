"""Records of runs and boards, for analysis: `from adbench.records import read_records, to_frame`.

- `read_records`: the records in folders of runs, in boards, or in files of records.
- `to_frame`: records as one tidy pandas `DataFrame`, whose columns docs/records.md describes.

```python
frame = to_frame(read_records("runs"))
frame.pivot_table(index="method", columns="metric", values="value")
```
"""

from adbench.boards.records.read import read_records
from adbench.boards.tables.frame import to_frame

__all__ = ["read_records", "to_frame"]
