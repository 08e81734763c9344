"""Checkpoints with the additions of training and downloads: wrappers, prefixes, heads, and files without weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    State = dict[str, Tensor]

WRAPPERS = ("state_dict", "model_state_dict", "model", "teacher", "network", "module", "backbone")
"""Keys under which a state dict may lie, the likeliest first."""

PREFIXES = ("module", "model", "backbone", "network", "net", "encoder", "teacher", "student")
"""With what names of one network may begin; of a teacher and its student the teacher counts."""

_COMPILED = re.compile(r"(?<![^.])(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+")
"""What torch adds wherever it wraps a module; it is no part of a name."""

_HEAD = re.compile(
    r"^(heads?|head_dist|fc|fc_norm|classifier|last_linear|linear|(?:\w+_)?(?:head|projector|predictor|prototypes)"
    r"|aux\w*|AuxLogits)(\.|$)"
)

_STARTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file; fetch that with 'git lfs pull'"),
    (b"/extras/objects/", "a git-extras pointer, not the file; fetch that with 'git extras get'"),
    (b"../.git/extras/", "a git-extras pointer, not the file; fetch that with 'git extras get'"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\xfd7zXZ", "an xz archive; unpack it"),
    (b"\x89HDF", "an HDF5 file, as Keras writes; convert it"),
    (b"\x93NUMPY", "a NumPy array; convert it"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"%PDF", "a PDF document"),
)


def mistaken_for(path: Path) -> str | None:
    """The kind of a file that holds no model or weights, in words after ``"this is"``; None if unknown.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if not start:
        return "an empty file; fetch it again"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if re.match(rb"(?i)<(!doctype|html|head|body|\?xml|!--)", text):
        return "a web page, such as a login or an error in place of a download; fetch the file itself"
    known = next((what for begin, what in _STARTS if start.startswith(begin)), None)
    if known is None and text[:1] in b"{[" and _is_text(start):
        return "a JSON text, not the weights that it may tell of"
    return known or ("a text" if _is_text(start) else None)


def _is_text(start: bytes) -> bool:
    return not re.search(rb"[^\t\n\r\x20-\x7e]", start)


def unwrapped(found: Any) -> Any:
    """The innermost mapping below `WRAPPERS`.

    Raises:
        ValueError: it holds itself.
    """
    seen: list[Any] = []
    while isinstance(found, Mapping):
        if any(found is one for one in seen):
            raise ValueError("it holds itself")
        seen.append(found)
        inner = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    return found


def plain_names(state: Mapping[str, Tensor]) -> State:
    """Names without the additions of torch's wrappers, and without prefixes that all names have.

    Raises:
        ValueError: two names become one.
    """
    named = {_COMPILED.sub("", name): tensor for name, tensor in state.items()}
    if len(named) != len(state):
        raise ValueError("two of its names are one without '_orig_mod.'")
    while named:
        words = {name.partition(".")[0] if "." in name else "" for name in named}
        if len(words) != 1 or not words <= set(PREFIXES):
            break
        (word,) = words
        named = below(named, word)
    return named


def below(state: Mapping[str, Tensor], prefix: str) -> State:
    """The entries below a prefix, without the prefix and its dot."""
    begin = f"{prefix}."
    return {name.removeprefix(begin): tensor for name, tensor in state.items() if name.startswith(begin)}


def best_part(state: Mapping[str, Tensor], fits: Callable[[State], int]) -> State:
    """The best-fitting part among the whole and the parts below some `PREFIXES`; the first among equals.

    Args:
        state: by plain names.
        fits: how many names of the network a part has.
    """
    parts = [dict(state), *_parts(state)]
    return max(parts, key=fits) if len(parts) > 1 else parts[0]


def _parts(state: Mapping[str, Tensor]) -> Iterator[State]:
    for word in PREFIXES:
        part = below(state, word)
        if part:
            yield part
            yield from _parts(part)


def is_head(name: str) -> bool:
    """Whether a tensor belongs to what comes after a backbone, by its name: classifiers, projectors."""
    return _HEAD.match(name) is not None
