"""A record as a run in Weights & Biases: configuration, summary, and the pictures as media."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adbench import StorageError
from adbench.errors import one_line
from adbench.records import FlatRecord, flat_record

if TYPE_CHECKING:
    from wandb import Settings
    from wandb.sdk.wandb_run import Run

PATIENCE = 30.0
"""Seconds within which the server answers."""
ID_LENGTH = 32
"""Characters of a record's id that are its run's: enough to tell records apart, and fewer than the 128 allowed."""
FAILED = 1
"""The exit code that marks a run as failed."""


@dataclass(frozen=True)
class Tracker:
    """Sends records to a project of Weights & Biases, one run for each record.

    Attributes:
        project: its name; it is made if it is not there.
        entity: the user or team; None for the usual one.
        mode: ``"offline"`` writes below ``./wandb`` and uploads nothing; None for what WANDB_MODE says.
    """

    project: str
    entity: str | None = None
    mode: Literal["offline"] | None = None

    def send(self, record: Mapping[str, Any], folder: Path | None) -> str:
        """Send one record; returns the address of its run, or the folder where it lies offline.

        Args:
            record: the JSON of the record.
            folder: of the run, whose pictures are sent too; None for none.

        Raises:
            StorageError: nobody is logged in, or the server does not take it.
        """
        flat = flat_record(record)
        with _told():
            run = self._started(flat)
            try:
                run.summary.update(dict(flat.metrics))
                run.log(_pictures(folder))
                where = str(Path(run.dir).parent) if run.offline else str(run.url)
            finally:
                run.finish(exit_code=0 if flat.well else FAILED)
            return where

    def _started(self, flat: FlatRecord) -> Run:
        import wandb

        self._require_login()
        return wandb.init(
            project=self.project,
            entity=self.entity,
            id=flat.id[:ID_LENGTH],
            name=flat.title,
            group=str(flat.parameters["recipe"]),
            resume="allow",
            reinit="create_new",
            mode=self.mode,
            config={**flat.parameters, **{f"adbench.{name}": text for name, text in flat.labels.items()}},
            settings=_settings(),
        )

    def _require_login(self) -> None:
        """Raise unless a key is known or none is needed: `wandb.init` would ask for one, and a run would wait."""
        import wandb

        mode = self.mode or os.environ.get("WANDB_MODE", "online")
        if mode == "online" and not wandb.setup().settings.api_key and not wandb.api.api_key:
            raise StorageError("nobody is logged in; run 'wandb login', or set WANDB_MODE=offline")


def _settings() -> Settings:
    """Nothing but the record is sent: no code, console, packages or measurements of the machine."""
    import wandb

    return wandb.Settings(
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        init_timeout=PATIENCE,
        save_code=False,
        silent=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )


def _pictures(folder: Path | None) -> dict[str, Any]:
    """The pictures beside the record, by their names without the suffix."""
    import wandb
    from PIL import Image

    files = [] if folder is None else sorted(folder.glob("*.png"))
    return {file.stem: wandb.Image(Image.open(BytesIO(file.read_bytes()))) for file in files}


@contextmanager
def _told() -> Iterator[None]:
    """Turn every error of wandb into one sentence."""
    try:
        yield
    except (Exception, SystemExit) as error:  # its client raises errors of HTTP, processes and files, too
        why = one_line(str(error).strip().partition("\n")[0] or type(error).__name__, 300)
        raise StorageError(
            f"Weights & Biases does not take the record: {why}; mend that, and 'adbench wandb RUNS' sends it again"
        ) from error
