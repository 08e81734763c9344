"""The names of anomalib's models: those with an adapter, and why others have none."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from adbench.errors import near_to
from adbench_anomalib.models.adapter import Adapter

ADAPTERS: dict[str, str] = {
    "cflow": "adbench_anomalib.models.cflow:CFlowAdapter",
    "dinomaly": "adbench_anomalib.models.dinomaly:DinomalyAdapter",
    "draem": "adbench_anomalib.models.draem:DraemAdapter",
    "efficient-ad": "adbench_anomalib.models.efficient_ad:EfficientAdAdapter",
    "fastflow": "adbench_anomalib.models.fastflow:FastFlowAdapter",
    "reverse-distillation": "adbench_anomalib.models.reverse_distillation:ReverseDistillationAdapter",
    "stfpm": "adbench_anomalib.models.stfpm:StfpmAdapter",
    "supersimplenet": "adbench_anomalib.models.supersimplenet:SuperSimpleNetAdapter",
}

_HERE = "adbench has the method itself: recipe"
_UNWRITTEN = "it is trained by steps of its own, for which no adapter has been written"

WITHOUT: Mapping[str, str] = {
    "anomaly-dino": f"{_HERE} anomaly-dino",
    "anomalyvfm": "it needs weights that were trained on synthetic defects, which must be downloaded",
    "cfa": _UNWRITTEN,
    "cfm": "it reads point clouds beside images",
    "csflow": _UNWRITTEN,
    "dfkde": "it is not trained in steps; a density of pooled features is prototype-mahalanobis here",
    "dfm": f"it is not trained in steps; {_HERE} subspace-ad is the same residual on patches",
    "dsr": "it needs a quantised autoencoder that was trained on ImageNet, which must be downloaded",
    "foundad": _UNWRITTEN,
    "fre": f"{_HERE} feature-ae is an autoencoder of features, and subspace-ad a linear one",
    "ganomaly": "it has two optimisers that take turns, which the training of banks does not have",
    "general-ad": _UNWRITTEN,
    "glass": _UNWRITTEN,
    "inp-former": _UNWRITTEN,
    "l2bt": _UNWRITTEN,
    "mh-patchcore": f"{_HERE} mh-patchcore",
    "padim": f"{_HERE} padim",
    "patchcore": f"{_HERE} patchcore-anomalib",
    "patchflow": _UNWRITTEN,
    "rad": f"{_HERE} rad",
    "super-add": _UNWRITTEN,
    "uflow": _UNWRITTEN,
    "uninet": _UNWRITTEN,
    "vlm-ad": "it asks a language model over a network",
    "winclip": f"{_HERE} winclip",
}
"""Why a model of anomalib's has no adapter, as the end of a sentence."""


def adapter_of(model: str) -> type[Adapter]:
    """The adapter of a model.

    Raises:
        ValueError: there is none; the message says why.
    """
    if model in ADAPTERS:
        module, _, name = ADAPTERS[model].partition(":")
        found: type[Adapter] = getattr(import_module(module), name)
        return found
    if model in WITHOUT:
        raise ValueError(f"anomalib's {model} cannot run here: {WITHOUT[model]}")
    near = near_to(model, [*ADAPTERS, *WITHOUT])
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(ADAPTERS)}"
    raise ValueError(f"anomalib has no model {model!r}; {hint}")
