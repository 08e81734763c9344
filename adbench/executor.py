"""Executors, which run the units of a benchmark somewhere: `from adbench.executor import Executor`.

- `Executor`: the contract of ``--executor``.
- `Job`: one unit to run; `Work`: the function that runs it; `Ending`: how it ended.
- `answer_or_reason`: an order done in a worker, whatever the work raises; `use_threads`: how many threads that takes.

docs/distributed.md says what an executor has to take care of. Importing this module imports no torch.
"""

from adbench.api.executor import Ending, Executor, Job, Work, answer_or_reason, use_threads

__all__ = ["Ending", "Executor", "Job", "Work", "answer_or_reason", "use_threads"]
