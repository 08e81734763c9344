"""What people read: `from adbench.reports import Report, Table`.

- `Report`: the contract of a component that renders tables as text; `Table`: what it renders.
- `Survey`: how a dataset has read what lies there; `PassedOver`: a file that it did not read, and why.

Importing this module imports no torch.
"""

from adbench.api.dataset import PassedOver, Survey
from adbench.api.report import Report, Table

__all__ = ["PassedOver", "Report", "Survey", "Table"]
