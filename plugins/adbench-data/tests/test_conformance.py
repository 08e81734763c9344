"""The public rules, for every set, on a small tree of exactly its form."""

from __future__ import annotations

import pytest
from adbench_data import every_dataset

from adbench.testing import checks_for

NAMES = [cls.name for cls in every_dataset()]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "manifest"])
def test_a_published_set_conforms(drawn, name):
    (cls,) = [cls for cls in every_dataset() if cls.name == name]
    for check in checks_for(cls(root=drawn(name), partial=True)):
        check()


@pytest.mark.slow
def test_a_manifest_conforms(table):
    (cls,) = [cls for cls in every_dataset() if cls.name == "manifest"]
    for check in checks_for(cls(file=table)):
        check()
