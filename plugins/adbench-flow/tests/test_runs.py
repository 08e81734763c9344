"""The banks through the command line: scores, facts, pictures, and a training that fails."""

from __future__ import annotations

import pytest

BRIEF = "reads=patches,batch=8,steps={}"
BANKS = {
    "fastflow": "blocks=2,energy=squares",
    "cflow": "blocks=2,condition=8,vectors=256,rate=0.002",
    "flow-matching": "width=64,condition=8,vectors=256,rate=0.003",
}


def run(bench, bank, steps, *more):
    options = f"{bank}:{BANKS[bank]},{BRIEF.format(steps)}"
    return bench.run("--bank", options, "--scorer", "energy", "--category", "dots", *more)


@pytest.mark.slow
@pytest.mark.parametrize("bank", BANKS)
def test_a_run_finds_defects(bank, bench):
    done = run(bench, bank, 60)
    assert done.code == 0, done.err
    (record,) = done.records
    assert record.metrics["image-auroc"].value > 0.8
    assert record.facts["loss_last"] < record.facts["loss_first"]
    assert record.drew


@pytest.mark.slow
def test_the_losses_are_among_the_pictures(bench):
    given = ("--bank", f"cflow:{BANKS['cflow']},{BRIEF.format(5)}", "--scorer", "energy", "--category", "dots")
    done = bench.adbench("run", *given, "--backbone", "toy-pixels", "--data", bench.data, "--device", "cpu")
    assert done.code == 0, done.err
    assert len(list(done.folder.rglob("losses.png"))) == 1


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_the_unit_with_the_step(bench):
    done = run(bench, "fastflow", "60,rate=1e30")
    assert done.code == 1
    (record,) = done.records
    assert record.status == "failed"
    assert "bank 'fastflow': its loss became" in record.reason
    assert "of 60; use a smaller rate" in record.reason


@pytest.mark.slow
@pytest.mark.parametrize("bank", BANKS)
def test_a_budget_of_no_steps_is_refused(bank, bench):
    done = run(bench, bank, 0)
    assert done.code == 2
    assert "option 'steps' of bank" in done.err
