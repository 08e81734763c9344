"""adbench: a benchmark for industrial visual anomaly detection, made of plugins.

This module is the public door. `Detector` learns from normal images and scores new ones, `evaluate` measures a
detector, and `run` runs methods on datasets; these load torch when they are first asked for. All other names are for
plugins: the contracts that they fulfil, the data that pass between them, and the errors that they raise. What only some
plugins need has modules of its own:

- `adbench.banks`: what a bank checks before it learns.
- `adbench.comparisons`: what the score of a patch is made of.
- `adbench.coresets`: a few vectors that cover many: greedy k-center, merge-reduce.
- `adbench.datasets`: datasets of files, their sources and downloads.
- `adbench.errors`: every error, and `printable` and `one_line` for untrusted names and texts in messages.
- `adbench.executor`: executors, and the jobs that they run.
- `adbench.files`: files that users name, read safely.
- `adbench.maps`: anomaly maps on the prepared image.
- `adbench.metrics`: the exact metrics as functions on arrays.
- `adbench.networks`: networks that compute a backbone's features.
- `adbench.records`: records of runs and boards, as a pandas table; runs with their images, maps and truth.
- `adbench.reports`: what people read: tables of results, surveys of data.
- `adbench.search`: exact nearest-neighbour search.
- `adbench.testing`: what a plugin's tests need.
- `adbench.training`: the training of banks and of networks in a fixed number of steps; the contract `Tuner`.
- `adbench.weights`: weights of pretrained models.

All others are adbench's own and may change at any time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "GOOD",
    "AdbenchError",
    "Aggregator",
    "AlignedBank",
    "Augmenter",
    "Backbone",
    "BadImage",
    "Bank",
    "Batch",
    "Component",
    "Context",
    "ContractError",
    "DataError",
    "Dataset",
    "Detector",
    "EnergyBank",
    "Evidence",
    "FeatureStream",
    "Features",
    "Field",
    "GaussianBank",
    "Geometry",
    "ImageScores",
    "Masker",
    "Measure",
    "Metric",
    "Neck",
    "Preprocessor",
    "PrototypeBank",
    "ReconstructionBank",
    "Sample",
    "Scorer",
    "Scores",
    "Source",
    "Split",
    "StorageError",
    "Tiling",
    "UnknownName",
    "UsageError",
    "VectorBank",
    "Weights",
    "WeightsError",
    "evaluate",
    "hookimpl",
    "run",
]

_PLACES = {
    "AdbenchError": "errors",
    "Aggregator": "api.stages",
    "AlignedBank": "api.bank",
    "Augmenter": "api.stages",
    "Backbone": "api.backbone",
    "BadImage": "errors",
    "Bank": "api.bank",
    "Batch": "api.features",
    "Component": "api.component",
    "Context": "api.context",
    "ContractError": "errors",
    "DataError": "errors",
    "Dataset": "api.dataset",
    "Detector": "detector.detector",
    "EnergyBank": "api.bank",
    "Evidence": "api.metric",
    "FeatureStream": "api.features",
    "Features": "api.features",
    "Field": "api.component",
    "GOOD": "api.dataset",
    "GaussianBank": "api.bank",
    "Geometry": "api.geometry",
    "ImageScores": "api.features",
    "Masker": "api.stages",
    "Measure": "api.metric",
    "Metric": "api.metric",
    "Neck": "api.stages",
    "Preprocessor": "api.stages",
    "PrototypeBank": "api.bank",
    "ReconstructionBank": "api.bank",
    "Sample": "api.dataset",
    "Scorer": "api.scorer",
    "Scores": "api.features",
    "Source": "api.bank",
    "Split": "api.dataset",
    "StorageError": "errors",
    "Tiling": "api.geometry",
    "UnknownName": "errors",
    "UsageError": "errors",
    "VectorBank": "api.bank",
    "Weights": "api.backbone",
    "WeightsError": "errors",
    "evaluate": "detector.evaluation",
    "hookimpl": "registration.hookspecs",
    "run": "detector.runs",
}
"""Each name and its module, which is imported when the name is first asked for: a command that prints a list needs no
pydantic, a plugin no torch."""

_ELSEWHERE = {
    "banks": ("checked_batches", "free_bytes", "require_finite", "require_room"),
    "comparisons": (
        "Aspect",
        "NormalPatch",
        "PatchComparison",
        "PatchPlace",
        "compare_with_nearest",
        "compare_with_vector",
        "shares_of",
    ),
    "coresets": (
        "MergeReduce",
        "Progress",
        "Selection",
        "distinct",
        "farthest_first",
        "greedy_cover",
        "greedy_k_center",
        "plain_k_center",
        "squared_lengths",
    ),
    "datasets": (
        "MASK_SUFFIXES",
        "OTHER_SUFFIXES",
        "SUFFIXES",
        "Archive",
        "FileDataset",
        "IgnoreMask",
        "PublishedDataset",
        "DataSource",
        "ignored_in",
        "is_own_mask",
        "read_ignore_mask",
        "read_image",
        "read_mask",
        "read_size",
    ),
    "errors": ("IncompatibleParts", "PluginError", "UnitTimeout", "one_line", "printable"),
    "executor": ("Ending", "Executor", "Job", "Work", "answer_or_reason", "use_threads"),
    "files": ("LocalFile", "atomic_write", "read_json", "read_plain", "read_yaml", "sha256_of"),
    "maps": ("Border", "Smoothing", "prepared_maps"),
    "metrics": (
        "ClassPredictions",
        "Curve",
        "Region",
        "aupro",
        "auroc",
        "average_precision",
        "curve_of",
        "f1_max",
        "pixel_curve_of",
        "pro_curve",
        "roc_curve",
        "spro",
    ),
    "networks": (
        "CudaGraphed",
        "EmbeddedModel",
        "LateModule",
        "Network",
        "NetworkBackbone",
        "kept_facts",
        "to_device",
        "with_normalising",
    ),
    "records": (
        "FlatRecord",
        "RunImage",
        "ScoredRun",
        "StoredRun",
        "flat_record",
        "read_records",
        "read_runs",
        "scored_runs",
        "to_frame",
    ),
    "reports": ("PassedOver", "Report", "Survey", "Table"),
    "search": ("ExactIndex", "RecordableIndex", "ReweightForm", "exact_search", "nearest_among", "patchcore_weight"),
    "training": ("BatchStream", "Budget", "Optimization", "Trainable", "Training", "Tuned", "Tuner", "loss_facts"),
    "weights": (
        "WeightsOption",
        "WeightsSource",
        "below",
        "best_part",
        "hub_file",
        "is_head",
        "load_strictly",
        "random_weights",
        "read_state_dict",
        "refuse_what_is_no_model",
        "resolve_weights",
        "seeded",
        "weights_of",
    ),
}
"""Names that the other public modules hold: an import of one from here gets an error with the right module."""

if TYPE_CHECKING:
    from adbench.api.backbone import Backbone, Weights
    from adbench.api.bank import (
        AlignedBank,
        Bank,
        EnergyBank,
        GaussianBank,
        PrototypeBank,
        ReconstructionBank,
        Source,
        VectorBank,
    )
    from adbench.api.component import Component, Field
    from adbench.api.context import Context
    from adbench.api.dataset import GOOD, Dataset, Sample, Split
    from adbench.api.features import Batch, Features, FeatureStream, ImageScores, Scores
    from adbench.api.geometry import Geometry, Tiling
    from adbench.api.metric import Evidence, Measure, Metric
    from adbench.api.scorer import Scorer
    from adbench.api.stages import Aggregator, Augmenter, Masker, Neck, Preprocessor
    from adbench.detector.detector import Detector
    from adbench.detector.evaluation import evaluate
    from adbench.detector.runs import run
    from adbench.errors import (
        AdbenchError,
        BadImage,
        ContractError,
        DataError,
        StorageError,
        UnknownName,
        UsageError,
        WeightsError,
    )
    from adbench.registration.hookspecs import hookimpl
else:  # a type checker would take every name for one that is here

    def __getattr__(name: str) -> Any:
        """A name of `_PLACES`, or a public module; no other that is missing is found here.

        Raises:
            ImportError: another public module holds it; an AttributeError would lose its message in an import.
            AttributeError: no public module holds it.
        """
        if name in _PLACES:
            found = globals()[name] = getattr(import_module(f"adbench.{_PLACES[name]}"), name)
            return found
        if name in _ELSEWHERE:
            return import_module(f"adbench.{name}")
        module = next((module for module, names in _ELSEWHERE.items() if name in names), None)
        if module:
            raise ImportError(f"{name} is in adbench.{module}: from adbench.{module} import {name}", name=__name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
