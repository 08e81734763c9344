"""Results that are remembered for other units do not hold files open."""

import subprocess
import sys
import textwrap

import pytest


@pytest.mark.slow
def test_more_results_are_remembered_than_files_may_be_open(tmp_path):
    script = """
        import os
        import resource
        from pathlib import Path

        from adbench.engine.run.record_builder import Unit
        from adbench.engine.run.runner import Runner
        from adbench.engine.plan.protocol import Protocol
        from adbench.engine.plan.settings import Settings
        from adbench.engine.plan.recipe import Recipe, complete
        from adbench.builtin.demo import Demo
        from adbench.registration.registry import load_registry

        registry = load_registry()
        runner = Runner(registry, Settings(out=Path("runs"), device="cpu", figures=False))
        parts = {"backbone": "toy-pixels", "scorer": "toy-nearest"}
        units = 30
        with runner.together(units):
            for number in range(units):
                recipe = {"recipe": f"q{number}", **parts, "aggregate": {"quantile": {"q": number / units}}}
                whole = complete(Recipe.model_validate(recipe), registry)
                unit = Unit(whole, Demo(), "brick", 0, Protocol(limit_train=2, limit_test=1))
                outcome = runner.run(unit)
                assert outcome.record.status == "ok", outcome.record.reason
                assert outcome.unsaved is None, outcome.unsaved
                if number == 0:  # a unit has what it needs; of files that the others keep, half find room
                    free = os.dup(0)
                    resource.setrlimit(resource.RLIMIT_NOFILE, (free + units // 2, free + units // 2))
                    os.close(free)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list((tmp_path / "runs").glob("brick-*"))) == 30
