"""Executors, which run the units of a benchmark somewhere: `from adbench.executor import Executor`.

- `Executor`: the contract of ``--executor``.
- `Job`: one unit to run; `Work`: the function that runs it; `Ending`: how it ended.

docs/distributed.md says what an executor has to take care of. Importing this module imports no torch.
"""

from adbench.api.executor import Ending, Executor, Job, Work

__all__ = ["Ending", "Executor", "Job", "Work"]
