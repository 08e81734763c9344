"""The file form of one image's cached features: tensors, geometry, cost and a checksum, in safetensors."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.api.features import Features
from adbench.api.geometry import Geometry
from adbench.engine.store.record import canonical_json
from adbench.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor

_FIELDS = ("patches", "image", "foreground")
_LAYER = "layer."


@dataclass(frozen=True)
class CachedFeatures:
    """One image's features, and what they cost.

    Attributes:
        features: of one image, on the CPU; its id is the caller's.
        ms: how long it took from file to features, in milliseconds.
        runtime: what computed them.
    """

    features: Features
    ms: float
    runtime: str


def packed(entry: CachedFeatures) -> bytes:
    """The bytes of a file: tensors, the image's geometry, the cost, and a checksum over all of it.

    A tensor that is there under two names, such as the only layer that is also the patches, is written once.
    """
    from safetensors.torch import save

    features = entry.features
    named = {name: getattr(features, name) for name in _FIELDS}
    named |= {f"{_LAYER}{name}": tensor for name, tensor in (features.layers or {}).items()}
    once: dict[tuple[object, ...], str] = {}
    twins = {
        name: once.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        for name, tensor in named.items()
        if tensor is not None
    }
    flat = {name: named[name][0].detach().cpu().clone().contiguous() for name in once.values()}
    about = {"ms": entry.ms, "runtime": entry.runtime, "layers": list(features.layers or ()), "twins": twins}
    head = canonical_json({"geometry": asdict(features.geometry[0]), **about})
    return save(flat, metadata={"head": head, "checksum": checksum_of(head, flat)})


def read_features(file: Path) -> CachedFeatures:
    """The features in a file, mapped into memory.

    Raises:
        FileNotFoundError: there is none.
        StorageError: it is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(file.stat().st_mode):  # to open a pipe would take for ever
            raise StorageError(f"the kept features {file} are no file")
        with safe_open(file, framework="pt") as opened:
            about = opened.metadata() or {}
            flat = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  it is no mapping
        if about.get("checksum") != checksum_of(about["head"], flat):
            raise StorageError(f"the kept features {file} are damaged")
        return _entry(json.loads(about["head"]), flat)
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"the kept features {file} cannot be read ({error})") from None


def _entry(head: Mapping[str, Any], flat: Mapping[str, Tensor]) -> CachedFeatures:
    """The features that a file's header and tensors describe."""
    place, twins = head["geometry"], head["twins"]
    layers = {name: flat[twins[f"{_LAYER}{name}"]][None] for name in head["layers"]} or None
    fields = {name: flat[twins[name]][None] for name in _FIELDS if name in twins}
    warp = place.get("warp")  # files of before there were warps have none
    geometry = Geometry(
        tuple(place["original"]), tuple(place["size"]), tuple(place["box"]), None if warp is None else tuple(warp)
    )
    features = Features(ids=("",), geometry=(geometry,), layers=layers).having(**fields)
    return CachedFeatures(features, head["ms"], head["runtime"])


def checksum_of(head: str, tensors: Mapping[str, Tensor]) -> str:
    """The xxh3 checksum of a file's content. It finds damage, not malice: the files hold numbers and no code."""
    import torch
    import xxhash

    digest = xxhash.xxh3_128(head.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
