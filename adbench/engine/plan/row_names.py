"""Names for methods that share one: what sets them apart is said behind it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from adbench.api.component import Component
from adbench.engine.store.record import canonical_json

_DEEPEST = 6
"""Levels of a spec that are looked into: slot, number, options, option, and what a plugin puts into one."""
_LONGEST = 60
"""Characters of what is said of one option."""
_DIGITS = 8
"""Hexadecimal digits of a file's sha256 that are shown; more where they would not tell files apart."""

Spot: TypeAlias = tuple[str, ...]


def told_apart(
    names: Mapping[str, str], specs: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Names by key, no two of them alike: one that several keys share is followed by what sets their specs apart.

    Args:
        names: by key, such as the spec's sha256.
        specs: the recipe's spec of each key, as records have it. It may come from a stranger.
        places: where files are, by sha256, as far as that is known: then files of one name are told apart by their
            folders, and else by the first digits of their sha256.
    """
    shared = Counter(names.values())
    told = dict(names)
    for name in (name for name, count in shared.items() if count > 1):
        keys = [key for key in names if names[key] == name]
        words = _differences({key: dict(_leaves(specs[key], ())) for key in keys}, places or {})
        told |= {key: f"{name} ({words[key]})" if words[key] else name for key in keys}
    return _distinct(told)


def places_of(components: Iterable[Component]) -> dict[str, str]:
    """Where the files are that components' options name, by sha256.

    Raises:
        UsageError: one of them cannot be read.
    """
    found = {}
    for component in components:
        for option, value in component.identity().items():
            if _is_file(value):
                found[value["sha256"]] = str(Path(getattr(component.config, option)).absolute())
    return found


def _distinct(told: dict[str, str]) -> dict[str, str]:
    """Where words did not do, digits of the key behind them do."""
    digests = {key: key if len(key) == 64 else _sha256(key) for key in told}
    digits = _short(list(digests.values()))
    while alike := {name for name, count in Counter(told.values()).items() if count > 1}:
        told = {key: f"{name} [{digits[digests[key]]}]" if name in alike else name for key, name in told.items()}
    return told


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _leaves(value: Any, spot: Spot) -> Iterator[tuple[Spot, Any]]:
    """Every value of a spec that is no mapping or list, a file's name and sha256 together, and where it stands."""
    if isinstance(value, Mapping) and value and value.keys() != {"file", "sha256"} and len(spot) < _DEEPEST:
        for key, item in value.items():
            yield from _leaves(item, (*spot, str(key)))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value) and len(spot) < _DEEPEST:
        for number, item in enumerate(value):
            yield from _leaves(item, (*spot, str(number)))
    else:
        yield spot, value


def _differences(specs: Mapping[str, Mapping[Spot, Any]], places: Mapping[str, str]) -> dict[str, str]:
    """In words, by key: each spot at which not all specs have the same."""
    said: dict[str, list[str]] = defaultdict(list)
    for spot in dict.fromkeys(spot for leaves in specs.values() for spot in leaves):
        values = {key: leaves.get(spot) for key, leaves in specs.items()}
        if len({canonical_json(value) for value in values.values()}) > 1:
            for key, text in _texts(values, places).items():
                said[key].append(f"{_label(spot)} {text}")
    return {key: ", ".join(said[key]) for key in specs}


def _label(spot: Spot) -> str:
    """The option's own name; a part's slot where the part itself is another."""
    last = spot[-1] if spot else "spec"
    if last == "name":
        return spot[0]
    return f"{spot[0]} version" if last == "version" else last


def _texts(values: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, str]:
    """What one spot has in each spec, files as shortly as tells them apart."""
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
    """The first digits of each, as many as tell them apart."""
    different = set(digests)
    for digits in range(_DIGITS, max(map(len, different), default=0)):
        if len({digest[:digits] for digest in different}) == len(different):
            return {digest: digest[:digits] for digest in different}
    return {digest: digest for digest in different}


def _tails(paths: Mapping[str, str]) -> dict[str, str]:
    """The end of each path, from the folder on that tells them apart; at least the file's own name."""
    parts = {key: PurePath(path).parts for key, path in paths.items()}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        tails = {key: "/".join(part[-length:]) for key, part in parts.items()}
        if len(set(tails.values())) == len(tails):
            return tails
    return dict(paths)
