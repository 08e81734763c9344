"""Folding of batch norms into the convolutions before them: the same function, a third fewer passes over memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> int:
    """Fold every batch norm that alone reads one convolution into that convolution, in place.

    Args:
        network: in eval mode. A network whose data flow cannot be traced stays as it is.

    Returns:
        The number of batch norms that are gone.
    """
    pairs = list(_pairs(network))
    for conv, norm in pairs:
        folded: Any = network.get_submodule(norm)
        network.set_submodule(conv, fuse_conv_bn_eval(cast("nn.Conv2d", network.get_submodule(conv)), folded))
        network.set_submodule(norm, getattr(folded, "act", nn.Identity()))
    return len(pairs)


def _pairs(network: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the batch norms that are the only readers of their output."""
    modules = dict(network.named_modules())
    for node in _nodes(network, modules):
        if node.op != "call_module" or not _foldable_norm(modules[node.target]):
            continue
        source = node.args[0]
        if _is_conv(source, modules) and len(source.users) == 1:
            yield source.target, node.target


def _is_conv(node: Any, modules: dict[str, nn.Module]) -> bool:
    """Whether a module is a plain convolution; subclasses may change their weights in the forward pass."""
    return node.op == "call_module" and type(modules[node.target]) in {nn.Conv2d, Conv2dSame}


def _foldable_norm(module: nn.Module) -> bool:
    """Whether a module is a plain batch norm, or timm's with an activation."""
    return type(module) is nn.BatchNorm2d or (type(module) is BatchNormAct2d and type(module.drop) is nn.Identity)


def _nodes(network: nn.Module, modules: dict[str, nn.Module]) -> list[Any]:
    """The network's graph; empty if there is no batch norm to fold, or if the graph depends on the data."""
    if not any(map(_foldable_norm, modules.values())):
        return []
    try:
        return list(_Tracer().trace(network).nodes)
    except Exception:  # noqa: BLE001 - tracing runs a model's own code on symbols, which may raise anything
        return []


class _Tracer(fx.Tracer):
    """A tracer that does not look into convolutions and batch norms."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (nn.Conv2d, nn.BatchNorm2d)) or super().is_leaf_module(m, module_qualified_name)
