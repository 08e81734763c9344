"""A record as a run in MLflow: parameters, metrics, tags, and the pictures as artifacts."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench import StorageError
from adbench.errors import one_line
from adbench.records import FlatRecord, flat_record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ID = "adbench.id"
"""The tag with the record's id, by which a run is found again."""
MOST_PARAMETERS = 100
"""Parameters that MLflow takes at once."""
MOST_OF_A_VALUE, MOST_OF_A_NAME = 5000, 250
"""Characters of a value and of a name that MLflow's servers keep."""
_QUICK_AND_QUIET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Where the user says nothing else: a server that is away must not hold up each unit for minutes, nor a link be printed
between the lines of a run."""
_FOREIGN = re.compile(r"[^\w\-. /]", re.ASCII)


@dataclass(frozen=True)
class Tracker:
    """Sends records to an experiment of MLflow, one run for each record.

    Attributes:
        experiment: its name; it is made if it is not there.
        uri: of the tracking server; None for the usual one.
    """

    experiment: str
    uri: str | None = None

    @cached_property
    def _client(self) -> MlflowClient:
        for name, value in _QUICK_AND_QUIET.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    @property
    def address(self) -> str:
        """The address of the tracking server."""
        return str(self._client.tracking_uri)

    def send(self, record: Mapping[str, Any], folder: Path | None) -> str:
        """Send one record; returns the id of its run.

        Args:
            record: the JSON of the record.
            folder: of the run, whose pictures are sent too; None for none.

        Raises:
            StorageError: MLflow does not take it.
        """
        flat = flat_record(record)
        with self._told():
            run = self._run(flat, record)
            self._log(run, flat)
            self._log_files(run.info.run_id, record, folder)
            self._client.set_terminated(run.info.run_id, "FINISHED" if flat.well else "FAILED", _end_of(record))
            return str(run.info.run_id)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn every error of MLflow into one sentence."""
        try:
            yield
        except (Exception, SystemExit) as error:  # its client raises errors of HTTP, files and databases, too
            place = self.uri or os.environ.get("MLFLOW_TRACKING_URI") or "its default place"
            why = one_line(str(error).strip().partition("\n")[0] or type(error).__name__, 300)
            raise StorageError(
                f"MLflow ({place}) does not take the record: {why}; mend that, and 'adbench mlflow RUNS' sends it again"
            ) from error

    def _run(self, flat: FlatRecord, record: Mapping[str, Any]) -> Run:
        """The run of a record: the one that has its id, or a new one."""
        experiment = self._experiment_id()
        found = self._client.search_runs([experiment], f"tags.`{ID}` = '{flat.id}'", max_results=1)
        if found:
            return found[0]
        return self._client.create_run(experiment, _start_of(record), tags={ID: flat.id}, run_name=flat.title)

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(self.experiment))
        except MlflowException:
            found = self._client.get_experiment_by_name(self.experiment)  # another process was quicker
            if found is None:
                raise
            return str(found.experiment_id)

    def _log(self, run: Run, flat: FlatRecord) -> None:
        """Write parameters that the run has not yet, as they cannot be changed, and all metrics and tags."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(datetime.now().timestamp() * 1000)  # noqa: DTZ005  a moment, not a text
        metrics = [Metric(_name(name), value, now, 0) for name, value in flat.metrics.items()]
        tags = [RunTag(f"adbench.{name}", _bounded(text)) for name, text in flat.labels.items()]
        named = ((_name(name), _bounded(str(value))) for name, value in flat.parameters.items())
        params = iter([Param(name, text) for name, text in named if name not in run.data.params])
        self._client.log_batch(run.info.run_id, metrics=metrics, tags=tags)
        while some := list(islice(params, MOST_PARAMETERS)):
            self._client.log_batch(run.info.run_id, params=some)

    def _log_files(self, run_id: str, record: Mapping[str, Any], folder: Path | None) -> None:
        """Send the record itself and the pictures, by copies: the folder of runs may be in a store of objects."""
        with tempfile.TemporaryDirectory(prefix="adbench-mlflow-") as copies:
            files = {"record.json": json.dumps(record, indent=1).encode()}
            files |= {} if folder is None else {file.name: file.read_bytes() for file in sorted(folder.glob("*.png"))}
            for name, content in files.items():
                (Path(copies) / name).write_bytes(content)
            self._client.log_artifacts(run_id, copies)


def _name(name: str) -> str:
    """A name with only such characters as MLflow allows."""
    return _FOREIGN.sub("_", name)[:MOST_OF_A_NAME]


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_OF_A_VALUE else f"{text[: MOST_OF_A_VALUE - 30]}... ({len(text):,} characters)"


def _start_of(record: Mapping[str, Any]) -> int:
    """When the unit began, in milliseconds of Unix time."""
    return int(datetime.fromisoformat(record["provenance"]["started"]).timestamp() * 1000)


def _end_of(record: Mapping[str, Any]) -> int | None:
    """When the unit ended; None, for now, if the record has no time."""
    cost = record["cost"]
    return None if cost is None else _start_of(record) + int(1000 * cost["wall_s"])
