"""Records to build boards from, shared by the tests of boards and of the command line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from adbench.engine.store.record import RECORD_FILE, ResultRecord, canonical_json, identity

PROTOCOL = {
    "shots": None,
    "limit_train": None,
    "limit_test": None,
    "evaluation": "original",
    "allow": ["nothing", "train"],
    "class_names": False,
}


RAW_FILE = "raw-scores"


def _raw_scores(ids: list[str], scores: list[float]) -> bytes:
    """A file of raw scores of a method without maps."""
    about = {"ids": ids, "geometry": [[[8, 8], [8, 8], [0, 0, 8, 8]]] * len(ids), "grids": None}
    file: bytes = save({"scores": np.array(scores, np.float32)}, {"adbench": json.dumps(about)})
    return file


RAW = _raw_scores([f"image/{number}" for number in range(10)], [float(number) for number in range(10)])
RAW_SHA = hashlib.sha256(RAW).hexdigest()


def sha(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def record_json(
    recipe: str = "knn",
    category: str = "bottle",
    seed: int = 0,
    *,
    auroc: float | None = 0.9,
    k: int = 1,
    dataset: str = "demo",
    status: str = "ok",
    started: str = "2026-01-01T00:00:00+00:00",
    device: str = "cpu",
    protocol: dict[str, Any] | None = None,
    images: str = "a",
    backbone: str | None = None,
    **regime: Any,
) -> dict[str, Any]:
    """A record as JSON; whatever decides the score is in its id. The backbone is of the recipe's name unless given."""
    rules = {**PROTOCOL, **(protocol or {})}
    spec = {"backbone": [{"name": backbone or recipe}], "scorer": [{"name": "knn", "options": {"k": k}}]}
    shown = sha([dataset, category, images])
    done = status == "ok"
    figure = {"value": auroc, "version": 1, "reason": "" if auroc is not None else "no positive pixel"}
    given = {"train_images": 5, "test_set": False, "class_names": False, "anomalies": False}
    given |= {"tuned_per_category": False, "random_weights": False, **regime}
    cost = {
        "extract_s": 1.0,
        "fit_s": 2.0,
        "test_s": 3.0,
        "ms_per_image": {"p50": 10.0, "p95": 12.0},
        "peak_memory_mb": 800.0,
        "peak_gpu_mb": None,
        "bank_mb": 4.0,
    }
    return {
        "schema": 3,
        "id": identity(canonical_json(spec), category, shown, rules, seed),
        "status": status,
        "reason": "" if done else "scorer 'knn' broke its contract",
        "recipe": {"name": recipe, "spec": spec, "parts": []},
        "task": {
            "dataset": dataset,
            "revision": "1",
            "category": category,
            "seed": seed,
            "protocol": rules,
            "train": 5,
            "test": 10,
            "samples_sha": shown,
            "skipped": [],
        },
        "regime": given,
        "metrics": {"image-auroc": figure, "pixel-auroc": figure} if done else {},
        "cost": cost if done else None,
        "predictions": {"file": RAW_FILE, "sha256": RAW_SHA} if done else None,
        "provenance": {
            "adbench": "0.1.0",
            "git": None,
            "dirty": None,
            "python": "3.11",
            "torch": "2.14.1",
            "device": device,
            "started": started,
            "weights": [],
            "packages": {},
        },
    }


@pytest.fixture
def raw_scores() -> Callable[[list[str], list[float]], bytes]:
    """Makes a file of raw scores."""
    return _raw_scores


@pytest.fixture
def make_record() -> Callable[..., ResultRecord]:
    """Makes a record; every argument of `record_json` can be given."""
    return lambda *args, **options: ResultRecord.model_validate(record_json(*args, **options))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes a record and raw scores into `tmp_path/runs/<number>`, and returns the folder.

    `edit` changes the JSON before; with `raw=False` there are no raw scores, as beside a stranger's record.
    """

    def make(
        *args: Any, edit: Callable[[dict[str, Any]], Any] = lambda data: None, raw: bool = True, **options: Any
    ) -> Path:
        data = record_json(*args, **options)
        edit(data)
        runs = tmp_path / "runs"
        folder = runs / f"{len(list(runs.glob('*'))):03d}"
        folder.mkdir(parents=True)
        (folder / RECORD_FILE).write_text(json.dumps(data), encoding="utf-8")
        if raw and data["status"] == "ok":
            (folder / RAW_FILE).write_bytes(RAW)
        return folder

    return make
