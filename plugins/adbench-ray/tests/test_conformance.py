"""The executor keeps its contract, on a cluster that is started once for all checks."""

from __future__ import annotations

import pytest
from adbench_ray.connection import connected
from adbench_ray.executor import Ray

from adbench.testing import parametrize_with_checks


@pytest.fixture(scope="module")
def _cluster():
    with connected("local"):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
@parametrize_with_checks([Ray])
def test_conforms(check):
    check()
