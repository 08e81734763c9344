"""The conformance kit: the contracts of `adbench` as checks that anybody can run on a component of their own.

```python
from adbench.testing import parametrize_with_checks

@parametrize_with_checks([Coreset(fraction=0.5), Knn()], expected_failures={})
def test_conforms(check): check()
```
`adbench check DIST` runs the same checks without pytest. `check_recipe` checks a recipe of the package's own. Fixtures
for pytest: ``bench`` runs the whole tool on a tiny dataset (`adbench.testing.bench`), ``patch_stream`` and
``gaussian_noise`` make features that a test writes down, ``held`` counts the bytes of tensors. Nothing here imports
torch before a check needs it.
"""

from __future__ import annotations

from adbench.testing.bench import Bench, Done
from adbench.testing.check import Broken, Check, CheckResult, Status, Subject, Unavailable, Untried, require
from adbench.testing.collect import checks_for, parametrize_with_checks, run_checks
from adbench.testing.recipes import check_recipe, recipe_files

__all__ = [
    "Bench",
    "Broken",
    "Check",
    "CheckResult",
    "Done",
    "Status",
    "Subject",
    "Unavailable",
    "Untried",
    "check_recipe",
    "checks_for",
    "parametrize_with_checks",
    "recipe_files",
    "require",
    "run_checks",
]
