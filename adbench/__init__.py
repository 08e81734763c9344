"""adbench: a benchmark for industrial visual anomaly detection, made of plugins.

This module is the public API: plugins import from here. Two documented modules stand beside it: `adbench.metrics`, the
exact metrics as functions on arrays, and `adbench.testing`, what a plugin's tests need.
"""

from typing import TYPE_CHECKING, Any

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
from adbench.api.component import Component, Config, Field, LocalFile, sha256_of
from adbench.api.context import Context
from adbench.api.dataset import GOOD, Dataset, PassedOver, Sample, Split, Survey
from adbench.api.executor import Ending, Executor, Job, Work
from adbench.api.features import Batch, Features, FeatureStream, ImageScores, Scores
from adbench.api.geometry import Geometry
from adbench.api.memo import Memo
from adbench.api.metric import Evidence, Measure, Metric
from adbench.api.networks.checkpoints import below, best_part, is_head
from adbench.api.networks.cuda import CudaGraphed, to_device
from adbench.api.networks.runtime import Network, NetworkBackbone
from adbench.api.networks.weights import (
    WeightsOption,
    hub_file,
    load_strictly,
    random_weights,
    read_state_dict,
    refuse_what_is_no_model,
    seeded,
    weights_of,
)
from adbench.api.report import Report, Table
from adbench.api.scorer import Scorer
from adbench.api.search.exact import ExactIndex, exact_search, nearest_among
from adbench.api.stages import Aggregator, Augmenter, Masker, Neck, Preprocessor
from adbench.api.untrusted import read_json, read_yaml
from adbench.errors import (
    AdbenchError,
    BadImage,
    ContractError,
    DataError,
    IncompatibleParts,
    PluginError,
    StorageError,
    UnitTimeout,
    UnknownName,
    UsageError,
    WeightsError,
    printable,
)
from adbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from adbench.api.curves.curve import Curve

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
    "Config",
    "Context",
    "ContractError",
    "CudaGraphed",
    "Curve",
    "DataError",
    "Dataset",
    "Ending",
    "EnergyBank",
    "Evidence",
    "ExactIndex",
    "Executor",
    "FeatureStream",
    "Features",
    "Field",
    "GaussianBank",
    "Geometry",
    "ImageScores",
    "IncompatibleParts",
    "Job",
    "LocalFile",
    "Masker",
    "Measure",
    "Memo",
    "Metric",
    "Neck",
    "Network",
    "NetworkBackbone",
    "PassedOver",
    "PluginError",
    "Preprocessor",
    "PrototypeBank",
    "ReconstructionBank",
    "Report",
    "Sample",
    "Scorer",
    "Scores",
    "Source",
    "Split",
    "StorageError",
    "Survey",
    "Table",
    "UnitTimeout",
    "UnknownName",
    "UsageError",
    "VectorBank",
    "Weights",
    "WeightsError",
    "WeightsOption",
    "Work",
    "below",
    "best_part",
    "exact_search",
    "hookimpl",
    "hub_file",
    "is_head",
    "load_strictly",
    "nearest_among",
    "printable",
    "random_weights",
    "read_json",
    "read_state_dict",
    "read_yaml",
    "refuse_what_is_no_model",
    "seeded",
    "sha256_of",
    "to_device",
    "weights_of",
]


def __getattr__(name: str) -> Any:
    """`Curve` brings NumPy with it, and is imported when it is asked for."""
    if name == "Curve":
        from adbench.api.curves.curve import Curve

        return Curve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
