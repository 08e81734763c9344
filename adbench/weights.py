"""Weights of pretrained models: where they come from, how they are read safely, what a record says of them.

- `WeightsOption`: the type of the option ``weights``, which is ``pretrained``, ``random`` or the path of a file.
- `resolve_weights`: from that option to a `WeightsSource`: builds, fills and records in one way for every component.
- `hub_file`: a file of the Hugging Face hub, from its cache or downloaded.
- `read_state_dict`, `refuse_what_is_no_model`: read a file, or say what it is instead of a model.
- `best_part`, `below`, `is_head`: find a network's own tensors among those that a file holds.
- `load_strictly`, `seeded`: give a model exactly these weights, or random ones that a seed decides.
- `weights_of`, `random_weights`: what a record says of them.

Every function raises `adbench.WeightsError` for weights that cannot be had. Importing this module imports no torch.
"""

from adbench.api.networks.checkpoints import below, best_part, is_head
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
from adbench.api.networks.weights_source import WeightsSource, resolve_weights

__all__ = [
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
]
