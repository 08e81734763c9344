import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from adbench import StorageError, WeightsError
from adbench.builtin.executors import Inline
from adbench.builtin.toy import ToyPixels, ToyVectors
from adbench.engine.plan.plan import Branch
from adbench.engine.plan.settings import Settings
from adbench.engine.process.lock import unit_lock
from adbench.engine.process.worker_status import WorkerStatus
from adbench.engine.run import dispatch, orders
from adbench.engine.run.dispatch import Dispatcher
from adbench.engine.run.orders import Callbacks
from adbench.engine.store.new_run import new_run
from adbench.engine.store.record import Cost, Quantiles, find_runs, read_record, write_record
from adbench.executor import Ending, Executor

COST = Cost(
    extract_s=0, fit_s=0, test_s=0, ms_per_image=Quantiles(p50=0, p95=0), peak_memory_mb=0, peak_gpu_mb=None, bank_mb=0
)


class Elsewhere(Executor):
    """Runs jobs here as if it were elsewhere: only strings go to and fro. Some jobs lose their worker."""

    name = "elsewhere"
    losses = ()

    def run(self, work, jobs):
        for job in jobs:
            json.loads(job.order)
            loss = next(self.losses, None) if self.losses else None
            if loss is None:
                yield Ending(job, work(job.order))
                continue
            after, timeout = loss
            order = json.loads(job.order)
            work(json.dumps({**order, "units": order["units"][:after]}))
            if after < len(order["units"]):
                WorkerStatus(Path(order["status_file"]), after).at_unit()
            yield Ending(job, None, "its process was killed (signal 9)", timeout)


@pytest.fixture
def calls():
    return []


@pytest.fixture
def dispatcher(registry, tmp_path, calls, monkeypatch):
    monkeypatch.setattr("adbench.registration.registry.installed", lambda: registry)
    orders._runner.cache_clear()
    callbacks = Callbacks(
        begin=lambda title: calls.append(("begin", title)),
        end=lambda outcome: calls.append(("end", outcome.title, outcome.record.status, outcome.fresh)),
        note=lambda note: calls.append(("note", note)),
        refused=lambda refusal: calls.append(("refused", refusal.unit)),
    )

    def make(executor=None, *classes, **settings):
        for cls in classes:
            registry.add_component(cls, "made", "1")
        options = {"device": "cpu", "figures": False, **settings}
        return Dispatcher(registry, Settings(tmp_path / "runs", **options), executor or Inline(), callbacks)

    yield make
    orders._runner.cache_clear()


@pytest.fixture
def branch(make_unit):
    return lambda *seeds, **options: Branch(tuple(make_unit(seed=seed, **options) for seed in seeds))


@pytest.mark.slow
@pytest.mark.parametrize("executor", [Inline, Elsewhere])
def test_units_end_as_records_wherever_they_run(dispatcher, branch, calls, executor):
    made = dispatcher(executor())
    made.run([branch(0, 1), branch(0, category="nut")])
    assert [outcome.record.status for outcome in made.outcomes] == ["ok"] * 3
    assert [read_record(outcome.folder) for outcome in made.outcomes] == [outcome.record for outcome in made.outcomes]
    titles = [unit.title for unit in (*branch(0, 1).units, *branch(0, category="nut").units)]
    assert calls == [event for title in titles for event in (("begin", title), ("end", title, "ok", True))]


def test_what_has_ended_is_not_run_again(dispatcher, branch, calls):
    dispatcher().run([branch(0, 1)])
    del calls[:]
    again = dispatcher()
    again.executor.run = lambda *_: pytest.fail("there is nothing to run") or iter(())
    again.run([Branch(())])
    assert calls == []
    later = dispatcher()
    later.run([branch(0, 1, 2)])
    assert [event[-1] for event in calls if event[0] == "end"] == [False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("redo", [False, True])
@pytest.mark.parametrize("timeout", [False, True])
def test_a_death_costs_one_unit(dispatcher, branch, calls, timeout, redo):
    if redo:
        dispatcher().run([branch(0, 1, 2, 3)])
        del calls[:]
    executor = Elsewhere()
    executor.losses = iter([(1, timeout)])
    made = dispatcher(executor, redo=redo)
    made.run([branch(0, 1, 2, 3)])
    statuses = {outcome.record.task.seed: outcome.record.status for outcome in made.outcomes}
    lost = "timeout" if timeout else "failed"
    assert statuses == {0: "ok", 1: lost, 2: "ok", 3: "ok"}
    assert len(made.outcomes) == 4
    (reason,) = [outcome.record.reason for outcome in made.outcomes if outcome.record.status == lost]
    assert reason == "never answered: its process was killed (signal 9)"
    kept = {read_record(folder).task.seed: read_record(folder).status for folder in find_runs(made.settings.out)}
    assert kept == (dict.fromkeys(range(4), "ok") if redo else statuses), "a failure never takes a result's place"


def test_a_worker_that_dies_with_its_work_done_costs_nothing(dispatcher, branch):
    executor = Elsewhere()
    executor.losses = iter([(2, False)])
    made = dispatcher(executor)
    made.run([branch(0, 1)])
    assert [outcome.record.status for outcome in made.outcomes] == ["ok", "ok"]


class NoWeights(ToyPixels):
    """Has none."""

    name = "no-weights"
    asked = 0

    def prepare(self, ctx):
        type(self).asked += 1
        raise WeightsError("net.pth is not here")


@pytest.mark.slow
@pytest.mark.parametrize("executor", [Inline, Elsewhere])
def test_missing_weights_refuse_their_own_units_alone(dispatcher, branch, executor, tmp_path):
    NoWeights.asked = 0
    made = dispatcher(executor(), NoWeights)
    made.run([branch(0, 1, backbone="no-weights"), branch(0)])
    assert [refusal.reason for refusal in made.refusals] == ["net.pth is not here"] * 2
    assert isinstance(made.refusals[0].error(), WeightsError)
    assert [outcome.record.status for outcome in made.outcomes] == ["ok"]
    assert NoWeights.asked == 1, "asked for once"
    assert len(find_runs(tmp_path / "runs")) == 1, "nothing is recorded of what could not begin"


class Failing(ToyVectors):
    """Fails for seed 0."""

    name = "failing"

    def fit(self, features, ctx):
        if ctx.seed == 0:
            raise ValueError("seed 0")
        super().fit(features, ctx)


def test_one_bad_component_stops_nothing(dispatcher, branch):
    made = dispatcher(None, Failing)
    made.run([branch(0, 1, bank="failing"), branch(0)])
    assert [outcome.record.status for outcome in made.outcomes] == ["failed", "ok", "ok"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", [Inline, Elsewhere])
def test_where_results_cannot_be_written_the_rest_is_not_tried(dispatcher, branch, monkeypatch, executor):
    def full(*_):
        raise StorageError("disk full")

    monkeypatch.setattr("adbench.engine.run.result_writer.write_record", full)
    made = dispatcher(executor())
    made.run([branch(0, 1), branch(0, category="nut")])
    (outcome,) = made.outcomes
    assert str(outcome.unsaved) == "disk full"
    assert outcome.record.status == "ok"
    assert not outcome.well


def test_jobs_have_a_limit_only_where_units_have_one(dispatcher, branch):
    units = branch(0, 1).units
    assert dispatcher()._job(units).limit is None
    assert dispatcher(timeout=10.0)._job(units).limit == dispatch.PATIENCE + 20 + 2 * dispatch.GRACE


class Dying(Executor):
    """Its workers die at what the test says."""

    name = "dying"
    deaths = ()

    def run(self, work, jobs):
        for job in jobs:
            order, death = json.loads(job.order), next(self.deaths, None)
            if death is None:
                yield Ending(job, work(job.order))
                continue
            death(WorkerStatus(Path(order["status_file"])))
            yield Ending(job, None, "its process was killed (signal 9)")


def at(place):
    def say(status):
        status.place = place
        status.at_unit()

    return say


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deaths", "failed"),
    [
        ([at(2)], {2}),
        ([at(0), at(0)], {0, 1}),
        ([lambda status: status.waiting()] * 5, set()),
        ([lambda status: status.between_units()], set()),
        ([lambda status: None], set()),
        ([lambda status: None] * 2, {0}),
        ([lambda status: None] * 4, {0, 1, 2}),
        ([lambda status: status.between_units()] * 3, {0, 1}),
        ([lambda status: status.file.write_text("{")] * 2, {0}),
    ],
)
def test_the_unit_that_a_worker_was_at_has_failed_and_no_other(dispatcher, branch, deaths, failed):
    executor = Dying()
    executor.deaths = iter(deaths)
    made = dispatcher(executor)
    made.run([branch(0, 1, 2, 3)])
    statuses = {outcome.record.task.seed: outcome.record.status for outcome in made.outcomes}
    assert statuses == {seed: "failed" if seed in failed else "ok" for seed in range(4)}
    assert len(made.outcomes) == 4
    assert [path for path in made.settings.out.iterdir() if path.name.startswith(".")] == []


def test_a_unit_that_another_process_holds_is_not_blamed(dispatcher, branch, registry):
    made = dispatcher(Dying())
    units = branch(0, 1).units
    held = made._builder(units[0])
    other = ExitStack()
    assert other.enter_context(unit_lock(made.settings.out, held.id, wait=False))
    made.executor.deaths = iter([at(1)])
    real = made.executor.run

    def run(work, jobs):
        if made.outcomes:  # the other process ends well in the meantime
            with new_run(made.settings.out, held.folder.name) as folder:
                write_record(folder, held.done(COST, {}))
            other.close()
        return real(work, jobs)

    made.executor.run = run
    made.run([Branch(units)])
    statuses = {outcome.record.task.seed: outcome.record.status for outcome in made.outcomes}
    assert statuses == {0: "ok", 1: "failed"}


def test_a_part_that_raises_before_there_is_a_record_refuses_its_unit(dispatcher, branch, monkeypatch):
    made = dispatcher()
    made.run([])
    monkeypatch.setattr("adbench.engine.run.runner.RecordBuilder", lambda *_: {}["no"])
    made.run([branch(0)])
    (refusal,) = made.refusals
    assert "a part of its recipe raised KeyError" in refusal.reason
