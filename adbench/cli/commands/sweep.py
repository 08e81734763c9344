"""``adbench sweep``: aggregators and maps on finished runs; some test images choose, the others report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

import click
from pydantic import ValidationError

from adbench.cli.forms import form_options
from adbench.cli.messages import ProblemTally
from adbench.cli.options import FiniteRange, parse_part
from adbench.cli.screen import echo_json
from adbench.engine.plan.data_origin import Datasets
from adbench.engine.plan.map_spec import MapSpec
from adbench.engine.plan.recipe import split_unquoted
from adbench.errors import AdbenchError, StorageError, UnknownName, UsageError

if TYPE_CHECKING:
    from adbench.api.metric import Metric
    from adbench.api.scorer import Scorer
    from adbench.engine.evaluate.sweep import Run, Setting, SettingRanking, Sweep, SweepReport
    from adbench.engine.plan.recipe import Part
    from adbench.engine.store.record import ResultRecord
    from adbench.registration.registry import Registry

USUAL = {"image": "image-auroc", "pixel": "pixel-aupro-30"}
"""The default metrics that rank aggregators and maps."""

_LEVELS: dict[str, Literal["aggregate", "map"]] = {"image": "aggregate", "pixel": "map"}


def _map_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each option of the map."""
    for name, info in reversed(MapSpec.model_fields.items()):
        add = click.option(f"--{name}", multiple=True, metavar="VALUE,...", help=f"Map: {info.description}.")
        command = add(command)
    return command


@click.command("sweep")
@click.argument("folders", metavar="RUNS...", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True)
@click.option("--aggregate", multiple=True, metavar="PART,...", help="Aggregators, such as max,quantile:q=0.99.")
@_map_options
@click.option(
    "--by",
    multiple=True,
    metavar="METRIC",
    help="The image metric that ranks aggregators, and the pixel metric that ranks maps; at most one of each."
    f"  [default: {', '.join(USUAL.values())}]",
)
@click.option(
    "--share",
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    default=0.5,
    show_default=True,
    help="The share of test images that choose; the others report.",
)
@click.option("--oracle", is_flag=True, help="Choose and report on all test images: an upper bound, not a result.")
@click.option("--data", metavar="NAME|PATH", help="The dataset, if it is no longer in the place that the runs stored.")
@form_options(json="Print only JSON on stdout, one line for each method.")
def command(folders: tuple[Path, ...], data: str | None, form: str | None, **options: Any) -> int:
    """Try aggregators and maps on the finished runs in RUNS, from their stored scores.

    Image scores come from patch scores and never from the map. So an aggregator and a map are two choices, each made
    once for all categories. The labels of one part of the test images choose; the other part reports the figures of the
    choice and of the recipe's own setting. The command writes nothing. It prints lines for the recipe, with a mark that
    makes boards list its rows separately. Each run stores the place of its data; --data gives another one.

    \b
    Exit codes:
      0  every method with predictions was tried
      1  at least one method could not be tried; the others were
      2  the command is invalid
    """  # noqa: D301  \b tells click not to wrap the paragraph
    from adbench.cli.plugins import installed
    from adbench.cli.sweep_report import show, to_json

    registry = installed()
    tally = ProblemTally("run")
    wanted, methods = _Candidates(registry, options), _methods(folders, tally)
    tally.show()
    datasets, failing = Datasets(registry, data), ProblemTally("method")
    for records in methods:
        try:
            report = _sweep(wanted, records, datasets)
        except AdbenchError as error:
            if len(methods) == 1:
                raise
            failing.error(str(error), next(iter(records.values())).recipe.name)
            continue
        if form == "json":
            echo_json(to_json(report))
        else:
            show(report, options["share"], form)
    failing.show()
    return 1 if tally.failed or failing.failed else 0


class _Candidates:
    """The aggregators and maps of the options.

    Raises:
        UsageError: the options are invalid, or give nothing to try.
    """

    def __init__(self, registry: Registry, options: dict[str, Any]) -> None:
        self.registry, self.oracle, self.share = registry, options["oracle"], options["share"]
        self.parts = [parse_part(registry, "aggregate", word) for word in _items("aggregate", options["aggregate"])]
        self.axes = {name: _values(name, options[name]) for name in MapSpec.model_fields if options[name]}
        if not self.parts and not self.axes:
            raise UsageError("nothing to try; add --aggregate max,mean or an option of the map such as --sigma 2,4,8")
        self.metrics = self._metrics(options["by"])

    def _metrics(self, names: Sequence[str]) -> dict[str, Metric]:
        """The metric that ranks each level: image for aggregators, pixel for maps."""
        tried = [level for level, there in (("image", self.parts), ("pixel", self.axes)) if there]
        chosen: dict[str, Metric] = {}
        for name in names:
            metric = self._metric(name)
            if metric.level not in tried:
                what = {
                    "image": "aggregators; add --aggregate",
                    "pixel": "maps; add an option of the map, such as --sigma 2,4",
                }
                raise UsageError(f"--by {name} ranks {what[metric.level]}, or leave it out")
            if metric.level in chosen:
                raise UsageError(
                    f"--by {chosen[metric.level].name} and --by {name} are both {metric.level} metrics; give one"
                )
            chosen[metric.level] = metric
        return {level: chosen.get(level) or self._metric(USUAL[level]) for level in tried}

    def _metric(self, name: str) -> Metric:
        return cast("Metric", self.registry.get("metric", name).cls())

    def reported(self) -> list[Metric]:
        """All metrics of the levels that are ranked."""
        return [metric for metric in self.registry.metrics() if metric.level in self.metrics]

    def aggregates(self, own: Part, scorer: Scorer) -> list[Part]:
        """The aggregators to try after a scorer."""
        from adbench.engine.evaluate.sweep import require_aggregable, whole_part

        parts = [whole_part(part, self.registry) for part in self.parts]
        for part in parts:
            if part != own:
                require_aggregable(part, own, scorer, self.registry)
        return parts

    def maps(self, own: MapSpec) -> Iterator[MapSpec]:
        """Every combination of the values; other options stay as in the recipe."""
        for values in product(*self.axes.values()):
            fields = {**own.identity(), **dict(zip(self.axes, values, strict=True))}
            if fields["sigma"] == 0:
                fields.pop("kernel", None)  # a map without a Gaussian has no kernel
            try:
                yield MapSpec.model_validate(fields)
            except ValidationError as error:
                raise UsageError(f"a map of {fields}: {_sentence(error)}") from None


def _items(name: str, texts: Sequence[str]) -> list[str]:
    """The items of comma-separated lists; OPTION=VALUE after a comma belongs to the part before it.

    Raises:
        UsageError: an item is empty.
    """
    items: list[str] = []
    for text in texts:
        for number, piece in enumerate(split_unquoted(text, ",")):
            if number and "=" in piece.partition(":")[0]:
                items[-1] += f",{piece}"
            elif piece.strip():
                items.append(piece.strip())
            else:
                raise UsageError(f"--{name} {text!r}: an item is empty; write --{name} A,B")
    return items


def _values(name: str, texts: Sequence[str]) -> list[Any]:
    """The values of an option of the map.

    Raises:
        UsageError: one is not allowed.
    """
    values = []
    for text in _items(name, texts):
        annotation = MapSpec.model_fields[name].annotation
        if get_origin(annotation) is Literal and text not in get_args(annotation):
            raise UnknownName(f"value of --{name}", text, get_args(annotation))
        try:
            values.append(getattr(MapSpec.model_validate({name: None if text == "none" else text}), name))
        except ValidationError as error:
            raise UsageError(f"--{name} {text}: {_sentence(error)}") from None
    return values


def _sentence(error: ValidationError) -> str:
    message = error.errors()[0]["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _methods(folders: Sequence[Path], tally: ProblemTally) -> list[dict[Path, ResultRecord]]:
    """The runs with stored scores, grouped into methods: one recipe, dataset and protocol.

    Args:
        folders: folders of runs.
        tally: collects the other runs.

    Raises:
        StorageError: no run has scores.
    """
    from adbench.engine.store.record import canonical_json, find_runs, read_record

    methods: dict[tuple[str, str, str], dict[str, tuple[Path, ResultRecord]]] = {}
    for folder in (run for root in folders for run in find_runs(root)):
        try:
            record = read_record(folder)
        except StorageError as error:
            tally.error(str(error), folder)
            continue
        if record.predictions is None:
            tally.left_out(f"it ended as {record.status!r}, without predictions", folder)
            continue
        key = record.recipe.spec_sha, record.task.dataset, canonical_json(record.task.protocol)
        methods.setdefault(key, {})[record.id] = folder, record
    if not methods:
        tally.show()
        raise StorageError(
            f"no run with predictions below {', '.join(map(str, folders))}; give a folder that 'adbench run' wrote"
        )
    return [dict(runs.values()) for runs in methods.values()]


def _sweep(wanted: _Candidates, records: dict[Path, ResultRecord], datasets: Datasets) -> SweepReport:
    """Sweep over the candidates of one method.

    Raises:
        AdbenchError: the sweep fails; the message names the run or the option.
    """
    from adbench.engine.evaluate.sweep import Sweep, decide

    own = _own(next(iter(records.values())))
    sweep = Sweep(wanted.registry, tuple(_runs(wanted, records, datasets)), own)
    rankings = list(_rankings(wanted, sweep))
    return decide(sweep, rankings, wanted.reported(), oracle=wanted.oracle)


def _rankings(wanted: _Candidates, sweep: Sweep) -> Iterator[SettingRanking]:
    from adbench.engine.evaluate.reproduce import part_of

    own = sweep.own
    settings: dict[str, list[Setting]] = {}
    if wanted.parts:
        spec = sweep.runs[0].record.recipe.spec
        scorer = cast("Scorer", part_of("scorer", spec["scorer"][0], wanted.registry).make("scorer", wanted.registry))
        settings["image"] = [own._replace(aggregate=part) for part in wanted.aggregates(own.aggregate, scorer)]
    if wanted.axes:
        settings["pixel"] = [own._replace(map=spec) for spec in wanted.maps(own.map)]
    for level, tried in settings.items():
        yield sweep.rank(_LEVELS[level], tried, wanted.metrics[level])


def _own(record: ResultRecord) -> Setting:
    """The recipe's own setting.

    Raises:
        StorageError: the record's spec is not a recipe.
    """
    from adbench.engine.evaluate.sweep import Setting
    from adbench.engine.plan.recipe import Part

    try:
        part = record.recipe.spec["aggregate"][0]
        return Setting(
            Part(name=part["name"], options=part["options"]), MapSpec.model_validate(record.recipe.spec["map"])
        )
    except (ValidationError, KeyError, TypeError, IndexError) as error:
        raise StorageError(f"the spec of {record.recipe.name!r} is not a recipe ({error!r}); run it again") from None


def _runs(wanted: _Candidates, records: dict[Path, ResultRecord], datasets: Datasets) -> Iterator[Run]:
    """The runs with their scores, and the split of their test images; no image both chooses and reports."""
    from adbench.engine.evaluate.holdout import everything, held_out, require_apart
    from adbench.engine.evaluate.reproduce import evaluator_of, protocol_of, task_of
    from adbench.engine.evaluate.sweep import Run

    roles: dict[str, dict[str, str]] = {"choosing": {}, "reporting": {}}
    for folder, record in sorted(records.items(), key=lambda item: (item[1].task.category, item[1].task.seed)):
        dataset = datasets.of(folder, record)
        try:
            evaluator, task = evaluator_of(folder, record, dataset), task_of(record, dataset, protocol_of(record))
        except AdbenchError as error:
            raise StorageError(f"{folder}: {error}") from None
        if evaluator.predictions.patches is None:
            raise UsageError(f"{record.recipe.name!r} gives no patch scores, so there is nothing to post-process")
        if wanted.oracle:
            yield Run(record, evaluator, everything(task.test))
            continue
        split = held_out(record.task.category, task.test, task.digests, wanted.share)
        for role, contents in roles.items():
            contents |= {task.digests[(one := task.test[place].id)]: one for place in getattr(split, role)}
        require_apart(roles["choosing"], roles["reporting"])
        yield Run(record, evaluator, split)
