"""Distinct names for methods that share a name: their differences follow it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from adbench.api.component import Component
from adbench.engine.store.record import canonical_json

_DEEPEST = 6
"""Deepest compared level of a spec: slot, number, options, option, and values inside an option."""
_LONGEST = 60
"""Largest number of characters for one option."""
_DIGITS = 8
"""Least number of hexadecimal digits of a file's sha256; more if files would look equal."""

Spot: TypeAlias = tuple[str, ...]


def distinct_names(
    names: Mapping[str, str], specs: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Distinct names by key: the differences of the specs follow a name that several keys share.

    Args:
        names: by key, such as the spec's sha256.
        specs: the recipe's spec of each key, from records. It may come from an untrusted source.
        places: known paths of files, by sha256. Files with one name are distinguished by their folders, or else by the
            first digits of their sha256.
    """
    shared = Counter(names.values())
    distinct = dict(names)
    for name in (name for name, count in shared.items() if count > 1):
        keys = [key for key in names if names[key] == name]
        words = _differences({key: dict(_leaves(specs[key], ())) for key in keys}, places or {})
        distinct |= {key: f"{name} ({words[key]})" if words[key] else name for key in keys}
    return _with_digits(distinct)


def places_of(components: Iterable[Component]) -> dict[str, str]:
    """Paths of the files in components' options, by sha256.

    Raises:
        UsageError: a file is unreadable.
    """
    found = {}
    for component in components:
        for option, value in component.identity().items():
            if _is_file(value):
                found[value["sha256"]] = str(Path(getattr(component.config, option)).absolute())
    return found


def _with_digits(names: dict[str, str]) -> dict[str, str]:
    """Names that are still equal, with digits of the key after them."""
    digests = {key: key if len(key) == 64 else _sha256(key) for key in names}
    digits = _short(list(digests.values()))
    while alike := {name for name, count in Counter(names.values()).items() if count > 1}:
        names = {key: f"{name} [{digits[digests[key]]}]" if name in alike else name for key, name in names.items()}
    return names


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _leaves(value: Any, spot: Spot) -> Iterator[tuple[Spot, Any]]:
    """Every value of a spec that is not a mapping or list, with its place; a file's name and sha256 are one value."""
    if isinstance(value, Mapping) and value and value.keys() != {"file", "sha256"} and len(spot) < _DEEPEST:
        for key, item in value.items():
            yield from _leaves(item, (*spot, str(key)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value) and len(spot) < _DEEPEST:
        for number, item in enumerate(value):
            yield from _leaves(item, (*spot, str(number)))
    else:
        yield spot, value


def _differences(specs: Mapping[str, Mapping[Spot, Any]], places: Mapping[str, str]) -> dict[str, str]:
    """The differences of specs in words, by key."""
    words: dict[str, list[str]] = defaultdict(list)
    for spot in dict.fromkeys(spot for leaves in specs.values() for spot in leaves):
        values = {key: leaves.get(spot) for key, leaves in specs.items()}
        if len({canonical_json(value) for value in values.values()}) > 1:
            for key, text in _texts(values, places).items():
                words[key].append(f"{_label(spot)} {text}")
    return {key: ", ".join(words[key]) for key in specs}


def _label(spot: Spot) -> str:
    """The label of a place: the option's name, or a part's slot if the parts differ."""
    last = spot[-1] if spot else "spec"
    if last == "name":
        return spot[0]
    return f"{spot[0]} version" if last == "version" else last


def _texts(values: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, str]:
    """The value of one place in each spec, in words; files get a short distinct name."""
    files = {key: value for key, value in values.items() if _is_file(value)}
    texts = {key: _plain(value) for key, value in values.items() if key not in files}
    digests = _short([value["sha256"] for value in files.values()])
    names = {key: PurePath(value["file"]).name for key, value in files.items()}
    if all(value["sha256"] in places for value in files.values()):
        tails = _tails({value["sha256"]: places[value["sha256"]] for value in files.values()})
        return texts | {key: tails[value["sha256"]] for key, value in files.items()}
    alone = Counter(names.values())
    for key, value in files.items():
        texts[key] = names[key] if alone[names[key]] == 1 else f"{names[key]} {digests[value['sha256']]}"
    return texts


def _is_file(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(key), str) for key in ("file", "sha256"))


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return "+".join(map(_plain, value))[:_LONGEST]
    return (value if isinstance(value, str) else canonical_json(value))[:_LONGEST]


def _short(digests: list[str]) -> dict[str, str]:
    """The first digits of each digest, enough to differ."""
    different = set(digests)
    for digits in range(_DIGITS, max(map(len, different), default=0)):
        if len({digest[:digits] for digest in different}) == len(different):
            return {digest: digest[:digits] for digest in different}
    return {digest: digest for digest in different}


def _tails(paths: Mapping[str, str]) -> dict[str, str]:
    """The end of each path, long enough to differ; at least the file's own name."""
    parts = {key: PurePath(path).parts for key, path in paths.items()}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        tails = {key: "/".join(part[-length:]) for key, part in parts.items()}
        if len(set(tails.values())) == len(tails):
            return tails
    return dict(paths)
