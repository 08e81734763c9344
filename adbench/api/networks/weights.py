"""Weights: where they come from, how they are read safely, and what a record says of them.

A backbone offers the option `WeightsOption`: ``pretrained`` (from the Hugging Face hub's cache, or downloaded),
``random`` (never a fallback: it must be asked for) or the path of a file.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from adbench.api.backbone import Weights
from adbench.api.component import _LocalFile, sha256_of
from adbench.api.networks.checkpoints import mistaken_for, plain_names, unwrapped
from adbench.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

    State = dict[str, Tensor]

WeightsOption = Annotated[Literal["pretrained", "random"] | Path, _LocalFile()]
"""A field type: ``"pretrained"``, ``"random"`` or a file, which enters the identity by name and sha256."""

HUB_PATIENCE = 3.0
"""Seconds within which the hub must have answered; an error then arrives within five, imports included."""


def read_state_dict(path: Path) -> State:
    """The named tensors of a weights file: safetensors, or torch's format read without executing anything.

    A state dict that lies under ``state_dict``, ``model``, ``teacher`` or the like is unwrapped; what compiling and
    distributed training add to names (``_orig_mod.``), and prefixes that all names have (``module.``, ``model.``,
    ``backbone.`` ...), are removed. No more memory is filled than the file has bytes.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else than named tensors.
    """
    refuse_missing(path)
    refuse_what_is_no_model(path)
    found = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    try:
        return plain_names(_only_tensors(path, unwrapped(found)))
    except ValueError as error:
        raise WeightsError(f"{path}: this is not a state dict: {error}; save model.state_dict() alone") from None


def refuse_missing(path: Path) -> None:
    """Refuse a path at which there is no file.

    Raises:
        WeightsError: there is none.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file; give weights=PATH of a .safetensors or .pth file")


def refuse_what_is_no_model(path: Path) -> None:
    """Refuse a file that holds no model and no weights, with its kind in the message.

    Raises:
        WeightsError: it is a pointer, a web page, an archive, a text, or cannot be read.
    """
    try:
        what = mistaken_for(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; give the path of a file that can be read") from None
    if what:
        raise WeightsError(f"{path}: this is {what}")


def _is_safetensors(path: Path) -> bool:
    """A safetensors file starts with the length of its header (8 bytes) and a brace."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _read_torch(path: Path) -> Any:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():  # of torch, about its own older formats
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path}: this is no weights file, is damaged, or holds more than tensors, which is refused because "
            "reading it could run code; convert it to safetensors"
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> WeightsError:
    reason = str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
    return WeightsError(f"{path}: the weights cannot be read ({reason}); fetch the file again")


def _only_tensors(path: Path, found: Any) -> State:
    import torch

    if isinstance(found, Mapping) and found:
        strange = [
            key for key, value in found.items() if not isinstance(key, str) or not isinstance(value, torch.Tensor)
        ]
        if not strange:
            return dict(found)
        what = f"the entry {strange[0]!r} is no named tensor"
    else:
        what = "it is empty" if isinstance(found, Mapping) else f"it holds a {type(found).__name__}"
    raise WeightsError(f"{path}: this is not a state dict: {what}; save model.state_dict() alone")


def hub_file(repo: str, filename: str, revision: str | None = None) -> Path:
    """A file of the Hugging Face hub: the cached copy, else downloaded.

    Args:
        repo: such as ``"owner/model"``.
        filename: within the repository.
        revision: a commit, branch or tag; None for the main branch.

    Raises:
        WeightsError: it is not cached and the hub does not answer within `HUB_PATIENCE` seconds, or refuses.
    """
    try:
        import huggingface_hub as hub
    except ImportError:
        raise WeightsError(f"{repo}/{filename} is on the Hugging Face hub; pip install 'adbench-core[hub]'") from None
    cached = hub.try_to_load_from_cache(repo, filename, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    try:
        within(HUB_PATIENCE, lambda: hub.get_hf_file_metadata(hub.hf_hub_url(repo, filename, revision=revision)))
        return Path(hub.hf_hub_download(repo, filename, revision=revision))
    except Exception as error:  # noqa: BLE001 - the hub's client lets through the errors of its HTTP library
        raise WeightsError(_hub_trouble(f"{repo}/{filename}", error)) from None


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """The result of `work`, which may hang (a name server, a proxy, a silent host): then a TimeoutError.

    The thread that hangs is left behind: it is a daemon and ends with the process.
    """
    box: dict[str, Any] = {}

    def run() -> None:
        try:
            box["result"] = work()
        except Exception as error:  # noqa: BLE001 - it is raised again in the caller's thread
            box["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if "error" in box:
        raise box["error"]
    if "result" not in box:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return box["result"]


def _hub_trouble(wanted: str, error: Exception) -> str:
    """The fault and its remedies, in two sentences."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_CACHE

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in {401, 403}:
        return (
            f"the hub refuses {wanted} ({status}): it may be gated; accept its licence at {ENDPOINT}, set HF_TOKEN to "
            "a token of that account and run again, or give weights=PATH of a local copy"
        )
    if status == 404:
        return f"the hub has no {wanted} (404): name another model, or give weights=PATH of a local file"
    reason = str(error).strip().split("\n", maxsplit=1)[0] or type(error).__name__
    return (
        f"the weights {wanted} are not cached in {HF_HUB_CACHE}, and {ENDPOINT} cannot be reached ({reason}). "
        "Run once with a network (or copy the cache from a machine that has one and set HF_HOME), or give weights=PATH "
        "of a local .safetensors or .pth file"
    )


def weights_of(path: Path, name: str) -> Weights:
    """The weights of a file for a record: a name, and the sha256 of its bytes."""
    return Weights(name, sha256_of(path))


def random_weights(state: Mapping[str, Tensor], seed: int) -> Weights:
    """Untrained weights for a record: the seed, and the sha256 over names and bytes of all tensors."""
    return Weights(f"random:{seed}", state_digest(state))


def state_digest(state: Mapping[str, Tensor]) -> str:
    """The sha256 over names and bytes of all tensors, in hex."""
    import hashlib

    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(state.items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build a model in this block: its random initial weights depend on the seed alone, and no global state changes."""
    import torch

    before = torch.random.get_rng_state()
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reset the GPU's generators as well
    try:
        yield
    finally:
        torch.random.set_rng_state(before)


def load_strictly(
    model: nn.Module, state: Mapping[str, Tensor], who: str, unused: Callable[[str], bool] = lambda _: False
) -> None:
    """Give a model exactly these weights.

    Args:
        model: has what is used and nothing else; where the state lacks a tensor it keeps its own, which is an error.
        state: named tensors.
        who: whose weights they are, for the message.
        unused: whether a tensor of this name, which the model does not have, may be left out, as a head may.

    Raises:
        WeightsError: a tensor is missing, too many, or of another shape.
    """
    own = model.state_dict()
    faults = {
        "missing": [key for key in own if key not in state and not key.endswith("num_batches_tracked")],
        "unexpected": [key for key in state if key not in own and not unused(key)],
        "of another shape": [key for key in own if key in state and own[key].shape != state[key].shape],
    }
    if any(faults.values()):
        problems = "; ".join(f"{len(keys)} {what} ({_few(keys)})" for what, keys in faults.items() if keys)
        raise WeightsError(f"{who}: the weights are those of another model: {problems}; name the model they belong to")
    taken = {key: state[key].to(tensor.dtype) for key, tensor in own.items() if key in state}
    model.load_state_dict(taken, strict=False, assign=True)


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")
