"""The names of anomalib's models: those with an adapter, and why others have none."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from adbench.errors import near_to
from adbench_anomalib.models.adapter import Adapter

ADAPTERS: dict[str, str] = {
    "cfa": "adbench_anomalib.models.cfa:CfaAdapter",
    "cflow": "adbench_anomalib.models.cflow:CFlowAdapter",
    "csflow": "adbench_anomalib.models.csflow:CsFlowAdapter",
    "dinomaly": "adbench_anomalib.models.dinomaly:DinomalyAdapter",
    "draem": "adbench_anomalib.models.draem:DraemAdapter",
    "efficient-ad": "adbench_anomalib.models.efficient_ad:EfficientAdAdapter",
    "fastflow": "adbench_anomalib.models.fastflow:FastFlowAdapter",
    "foundad": "adbench_anomalib.models.foundad:FoundAdAdapter",
    "general-ad": "adbench_anomalib.models.general_ad:GeneralAdAdapter",
    "glass": "adbench_anomalib.models.glass:GlassAdapter",
    "inp-former": "adbench_anomalib.models.inp_former:InpFormerAdapter",
    "l2bt": "adbench_anomalib.models.l2bt:L2btAdapter",
    "patchflow": "adbench_anomalib.models.patchflow:PatchFlowAdapter",
    "reverse-distillation": "adbench_anomalib.models.reverse_distillation:ReverseDistillationAdapter",
    "stfpm": "adbench_anomalib.models.stfpm:StfpmAdapter",
    "supersimplenet": "adbench_anomalib.models.supersimplenet:SuperSimpleNetAdapter",
    "uflow": "adbench_anomalib.models.uflow:UFlowAdapter",
    "uninet": "adbench_anomalib.models.uninet:UniNetAdapter",
}

_HERE = "adbench has the method itself: recipe"

WITHOUT: Mapping[str, str] = {
    "anomaly-dino": f"{_HERE} anomaly-dino",
    "anomalyvfm": "it needs weights that were trained on synthetic defects, which must be downloaded",
    "cfm": "it reads point clouds beside images",
    "dfkde": "it is not trained in steps; a density of pooled features is prototype-mahalanobis here",
    "dfm": f"it is not trained in steps; {_HERE} subspace-ad is the same residual on patches",
    "dsr": "it needs a quantised autoencoder that was trained on ImageNet, which must be downloaded",
    "fre": f"{_HERE} feature-ae is an autoencoder of features, and subspace-ad a linear one",
    "ganomaly": "it has two optimisers that take turns, which the training of banks does not have",
    "mh-patchcore": f"{_HERE} mh-patchcore",
    "padim": f"{_HERE} padim",
    "patchcore": f"{_HERE} patchcore-anomalib",
    "rad": f"{_HERE} rad",
    "super-add": f"{_HERE} super-add",
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
