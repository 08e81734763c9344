"""The runtime of a backbone's network: torch, or on a CPU a faster one with equal results.

`Context.runtime` says what is wanted:

- ``torch``: always possible.
- ``onnxruntime``, ``openvino``: on a CPU in float32; an error where that is not possible, never another in its place.
- ``auto``: torch on a GPU, in half precision, and where `Context.cache` is None, since exporting anew each time would
  cost more than it saves. Otherwise the first of `PREFERENCE` that is installed and gives what torch gives, else torch.
  No clock has a say: two machines with the same packages compute by the same. What fails is left out, with a note.

Whatever is not torch is compared with torch on the first images of each size, once on a machine: the proof is kept
beside the export, and a network that another runtime computes need not be built in torch (`kept`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adbench.api.backbone import Backbone, Weights
from adbench.api.networks.cuda import CudaGraphed, to_device
from adbench.api.networks.exports import (
    NEEDED,
    OPSET,
    digest_of,
    exported,
    installed,
    opened,
    read_checked,
    write_checked,
)
from adbench.api.networks.kept import FOLDER, LateModule, Proofs
from adbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adbench.api.context import Context
    from adbench.api.networks.exports import Compute
    from adbench.api.networks.normalising import Normalising

PREFERENCE = ("openvino", "onnxruntime")
"""What ``auto`` takes before torch, in this order: the faster first, as measured in ``benchmarks/README.md``."""

TOLERANCE = 1e-4
"""The `relative_error` up to which a runtime's answers count as torch's."""

MOST_SIZES = 4
"""Image sizes for which ``auto`` tries to export a network; a dataset of many would spend its time exporting."""

CPU_SLICE = 4
"""Images that go through torch on a CPU together: maps of more are too large for the allocator to reuse."""


@dataclass(frozen=True)
class _Candidate:
    """A runtime that is ready to compute."""

    runtime: str
    compute: Compute


class Network:
    """A torch network that may be computed by something else; called with images [B, 3, H, W] of 0 to 1.

    Normalising is part of what is exported or recorded: done by torch beside another runtime it would cost twice its
    time, since the threads of one would wait for those of the other.

    Args:
        module: on the context's device, in its final precision. It takes normalised images [B, 3, H, W] and gives a
            list of tensors whose first dimension is B. Where its kernels are channels-last, so are its images. A
            `LateModule` is built when torch has to compute it, which may be never.
        ctx: device, wish and cache.
        mean: subtracted from images of 0 to 1, a number for each colour.
        std: divides them then, a number for each colour.
        weights: sha256 of the weights.
        identity: JSON-compatible facts that, with the weights, decide what it computes: model, layers, versions.
        who: for messages, such as ``"backbone 'resnet18'"``.

    Raises:
        UnknownName: there is no such runtime.
        UsageError: a runtime that is named cannot be had; when called, that it does not compute this network.
    """

    def __init__(
        self,
        module: nn.Module | LateModule,
        ctx: Context,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        weights: str,
        identity: Mapping[str, Any],
        who: str,
    ) -> None:
        self._given = module
        facts = {"mean": mean, "std": std, "weights": weights, "torch": version("torch"), "opset": OPSET}
        self._facts = {**identity, **facts}
        self._device, self._who = ctx.device, who
        self._folder = ctx.cache and ctx.cache / FOLDER
        self._proofs = Proofs(self._folder)
        self._named = ctx.runtime != "auto"
        self._runtimes = _considered(ctx, _precision(module) == "float32", who)
        self._graphed = CudaGraphed(self._module) if ctx.device.startswith("cuda") else None
        self._chosen: dict[tuple[int, int], _Candidate] = {}
        self._notes: list[str] = []

    @cached_property
    def _module(self) -> Normalising:
        """The network in torch, with the normalisation of its images."""
        from adbench.api.networks.normalising import Normalising

        module = self._given.build() if isinstance(self._given, LateModule) else self._given
        whole = Normalising(module, self._facts["mean"], self._facts["std"])
        return whole.eval().requires_grad_(requires_grad=False)

    @property
    def runtime(self) -> str:
        """The runtime, joined by ``+`` if it depends on the size; ``auto`` before the choice."""
        used = sorted({candidate.runtime for candidate in self._chosen.values()})
        if used:
            return "+".join(used)
        return "torch" if not self._runtimes else self._runtimes[0] if self._named else "auto"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about runtimes that were left out; complete after images of every size."""
        graphs = self._graphed.notes if self._graphed else ()
        return tuple(dict.fromkeys(f"{self._who}: {note}" for note in (*self._notes, *graphs)))

    def __call__(self, images: Tensor) -> list[Tensor]:
        import torch

        size = (images.shape[2], images.shape[3])
        with torch.no_grad():  # not inference_mode: banks may train on the features
            images = to_device(images, self._device)
            if size not in self._chosen:
                self._chosen[size] = self._choice(images, size)
            return self._chosen[size].compute(images)

    def recordable(self) -> Network:
        """The same network as torch computes it on the CPU, whatever the runtime: its operations can be recorded.

        Raises:
            UsageError: the network is on a GPU.
        """
        if self._device != "cpu":
            raise UsageError(f"{self._who} is on {self._device}; load the detector with device='cpu' to export it")
        return _Recordable(self)

    def _by_torch(self, images: Tensor) -> list[Tensor]:
        import torch

        if self._graphed:
            return self._graphed(images)
        if images.device.type != "cpu" or len(images) <= CPU_SLICE:
            found: list[Tensor] = self._module(images)
            return found
        parts = map(self._module, torch.split(images, CPU_SLICE))
        return [torch.cat(pieces) for pieces in zip(*parts, strict=True)]

    def _choice(self, images: Tensor, size: tuple[int, int]) -> _Candidate:
        """The runtime for images of this size."""
        by_torch = _Candidate("torch", self._by_torch)
        if self._runtimes and not self._named and len(self._chosen) >= MOST_SIZES:
            self._notes.append(f"torch computes all sizes of images but the first {MOST_SIZES}; resize to one size")
        elif self._runtimes:
            key = digest_of({**self._facts, "size": size})
            sample = images[[0, -1]]  # two: an export that is bound to its own batch of one must not pass
            return self._proven(key, images[:2]) or self._tried(by_torch, sample, key)
        return by_torch

    def _proven(self, key: str, sample: Tensor) -> _Candidate | None:
        """The runtime that is to be taken, if it was found to give what torch gives; None where that is not known."""
        import torch

        runtime, threads = self._runtimes[0], torch.get_num_threads()
        path = self._path(key)
        content = path and self._proofs.has(runtime, key, threads, TOLERANCE) and read_checked(path)
        if not content:
            return None
        try:
            compute = opened(runtime, content, threads)
            compute(sample)
        except Exception:  # noqa: BLE001 - the runtimes' errors have no common base; the comparison tells the reason
            return None
        return _Candidate(runtime, compute)

    def _tried(self, by_torch: _Candidate, sample: Tensor, key: str) -> _Candidate:
        """The first of the runtimes that gives what torch gives, else torch."""
        wanted = self._by_torch(sample)
        try:
            content = self._exported(sample[:1], key)
        except Exception as error:  # noqa: BLE001 - an exporter runs a model's own code on symbols
            self._give_up(f"the network cannot be exported to ONNX ({_first_line(error)})")
            return by_torch
        found = (self._candidate(runtime, content, sample, wanted, key) for runtime in self._runtimes)
        return next(filter(None, found), by_torch)

    def _candidate(
        self, runtime: str, content: bytes, sample: Tensor, wanted: list[Tensor], key: str
    ) -> _Candidate | None:
        import torch

        threads = torch.get_num_threads()
        try:
            compute = opened(runtime, content, threads)
            firsts = [tensor[:1] for tensor in wanted]
            error = max(relative_error(compute(sample[:1]), firsts), relative_error(compute(sample), wanted))
        except Exception as failure:  # noqa: BLE001 - the runtimes' errors have no common base
            self._give_up(f"{runtime} cannot compute the network ({_first_line(failure)})")
            return None
        if error <= TOLERANCE:
            self._proofs.keep(runtime, key, threads, error)
            return _Candidate(runtime, compute)
        self._give_up(f"{runtime} does not give what torch gives: relative error {error:.0e}")
        return None

    def _give_up(self, reason: str) -> None:
        """Continue without a runtime; one that the options name is never replaced by another."""
        if self._named:
            raise UsageError(f"{self._who}: {reason}; use --runtime torch")
        self._notes.append(f"{reason}; it is left out")

    def _exported(self, image: Tensor, key: str) -> bytes:
        """The network in ONNX, from the cache if it is there."""
        path = self._path(key)
        content = read_checked(path) if path else None
        if content is None:
            if path and path.exists():
                self._notes.append("the kept export was damaged and has been made again")
            content = exported(self._module, image)
            self._keep(path, content)
        return content

    def _path(self, key: str) -> Path | None:
        return self._folder and self._folder / f"{key}.onnx"

    def _keep(self, path: Path | None, content: bytes) -> None:
        if path:
            try:
                write_checked(path, content)
            except OSError as error:
                self._notes.append(f"the export is not kept for the next time ({error.strerror or error})")


class _Recordable(Network):
    """A network that always computes by torch, without a choice of runtimes."""

    def __init__(self, network: Network) -> None:
        network._module  # noqa: B018, SLF001  built once for both
        self.__dict__.update(network.__dict__)

    def __call__(self, images: Tensor) -> list[Tensor]:
        found: list[Tensor] = self._module(images)
        return found


def _precision(module: nn.Module | LateModule) -> str:
    """Torch's name of a network's precision."""
    if isinstance(module, LateModule):
        return module.precision
    return str(next(module.parameters()).dtype).removeprefix("torch.")


def _considered(ctx: Context, single: bool, who: str) -> tuple[str, ...]:
    """The runtimes that may take torch's place.

    Raises:
        UnknownName, UsageError: the one that is named cannot.
    """
    wish, on_cpu = ctx.runtime, ctx.device == "cpu"
    if wish == "torch":
        return ()
    if wish == "auto":
        return tuple(filter(installed, PREFERENCE)) if on_cpu and single and ctx.cache else ()
    if wish not in NEEDED:
        raise UnknownName("runtime", wish, ["auto", "torch", *NEEDED])
    if not on_cpu:
        raise UsageError(f"{who}: {wish} computes on the CPU, not on {ctx.device}; use --runtime torch or --device cpu")
    if not single:
        raise UsageError(f"{who}: {wish} computes in float32; use --runtime torch, or precision=float32")
    if not installed(wish):
        raise UsageError(f"{who}: --runtime {wish} is not installed; pip install 'adbench-core[{wish}]'")
    return (wish,)


def with_normalising(module: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """A network that takes images [B, 3, H, W] of 0 to 1, for `Backbone.trainable`.

    Args:
        module: on its device, in float32; it takes normalised images.
        mean: by which images are normalised, a number for each colour.
        std: the same.
    """
    from adbench.api.networks.normalising import Normalising

    return Normalising(module, mean, std)


def relative_error(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The largest ``|found - wanted| / |wanted|`` (Euclidean norms) over outputs and images; inf for other shapes."""
    import torch

    if [tensor.shape for tensor in found] != [tensor.shape for tensor in wanted]:
        return float("inf")
    off = [torch.linalg.vector_norm((f - w).flatten(1), dim=1) for f, w in zip(found, wanted, strict=True)]
    size = [torch.linalg.vector_norm(w.flatten(1), dim=1).clamp_min(1e-12) for w in wanted]
    return float((torch.stack(off) / torch.stack(size)).max())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:200]


class NetworkBackbone(Backbone):
    """A backbone that is one network with one set of weights: `prepare` sets `_network` and `_weights`."""

    _network: Network
    _weights: Weights

    def weights(self) -> tuple[Weights, ...]:
        return (self._weights,)

    @property
    def runtime(self) -> str:
        return self._network.runtime

    @property
    def notes(self) -> tuple[str, ...]:
        return self._network.notes

    def for_export(self) -> NetworkBackbone:
        """The backbone on torch.

        Raises:
            UsageError: it computes on a GPU, whose features differ by more than an export may.
        """
        twin = copy(self)
        twin._network = self._network.recordable()  # noqa: SLF001  its own
        return twin
