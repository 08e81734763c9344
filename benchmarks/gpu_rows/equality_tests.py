"""The tests of equality between CPU and GPU, run before anything is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


@dataclass
class Tests:
    """How they ended.

    Attributes:
        passed, failed, skipped: how many.
        failures: the first words of each that failed, by its name.
        seconds: that they took.
        note: why they say nothing, if they do not.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it is."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """For people."""
        told = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped in {self.seconds:.0f} s"
        return f"{told}; {self.note}" if self.note else told


SELECTED = {
    "whole": ["-m", "{}gpu"],
    "quick": ["-m", "{}gpu and not slow"],
    "tiny": ["-m", "{}gpu", "-k", "curve", "--ignore=tests/gpu/test_components.py"],
}
"""What pytest is told, by the sizes of the run; for a CPU the same tests without the mark."""


def checked(device: str, budget: float, sizes_of: str) -> Tests:
    """Run the tests for the device in a process of its own."""
    wanted = [part.format("" if device.startswith("cuda") else "not ") for part in SELECTED[sizes_of]]
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="adbench-gpu-") as folder:
        report = Path(folder, "tests.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        try:
            subprocess.run(
                [*command, *wanted, "tests/gpu"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                timeout=budget,
                capture_output=True,
                check=False,
            )
            tests = read(report)
        except subprocess.TimeoutExpired:
            tests = Tests(note=f"stopped after {budget:.0f} s")
    tests.seconds = time.perf_counter() - begin
    return tests


def read(report: Path) -> Tests:
    """What pytest wrote down."""
    if not report.exists():
        return Tests(note="pytest did not run; install what benchmarks/gpu-requirements.txt pins")
    tests = Tests()
    for case in ET.parse(report).iter("testcase"):
        trouble = [part for kind in ("failure", "error") for part in case.findall(kind)]
        if trouble:
            tests.failed += 1
            tests.failures[f"{case.get('classname')}::{case.get('name')}"] = str(trouble[0].get("message"))[:300]
        elif case.find("skipped") is not None:
            tests.skipped += 1
        else:
            tests.passed += 1
    return tests
