"""Every error that adbench raises on purpose.

```
AdbenchError                 printed without a traceback; everything else is a bug
├── UsageError               a command, recipe or option that cannot be meant as written
│   ├── UnknownName          a component, recipe or option that does not exist (with "did you mean")
│   └── IncompatibleParts    parts that cannot work together, one sentence for each reason
├── DataError                a dataset, an image or a mask that cannot be used
│   └── BadImage             one named file that cannot be read as an image
├── WeightsError             weights that are missing, unreadable or not the ones asked for
├── PluginError              a plugin that cannot be loaded or clashes with another
├── ContractError            a component broke a rule of its contract
├── StorageError             a file or folder of results that cannot be written or read
└── UnitTimeout              a unit of work that took longer than it was allowed
```

A message says who failed, what happened and how to fix it, in one or two sentences.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from adbench.safe_text import one_line, printable

__all__ = [
    "AdbenchError",
    "BadImage",
    "ContractError",
    "DataError",
    "IncompatibleParts",
    "PluginError",
    "StorageError",
    "UnitTimeout",
    "UnknownName",
    "UsageError",
    "WeightsError",
    "one_line",
    "printable",
]


_SHORT = 3
"""The most characters of a short name, of which one may be wrong; as many begin a longer name."""
_CLOSE, _CLOSE_IF_SHORT = 0.75, 0.66
"""The least similarity of two names of which one may be the other, misspelt."""


def near_to(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant: one that is spelt nearly so, or the shortest that begins so; or None."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=_CLOSE if len(name) > _SHORT else _CLOSE_IF_SHORT)
    begun = [other for other in names if len(name) >= _SHORT and other.startswith(name)]
    return next(iter(near or sorted(begun, key=len)), None)


class AdbenchError(Exception):
    """Base of all errors that are meant for the user."""


class UsageError(AdbenchError):
    """A command, recipe or option that cannot be meant as it is written."""


class UnknownName(UsageError):
    """A name that nothing answers to.

    Args:
        what: what was looked for, such as ``"scorer"``.
        name: the name that is unknown.
        known: the names that exist; the nearest is suggested if it is near.
        where: said after the name, such as ``"of bank 'coreset'"``.
        see: the command that lists the names, for the message if they are too many for it.
    """

    MANY: ClassVar[int] = 20
    """The most names that a message lists."""

    def __init__(self, what: str, name: str, known: Iterable[str], where: str = "", *, see: str = "") -> None:
        self.what, self.name, self.known, self.see = what, name, sorted(known), see
        super().__init__(f"unknown {what} {name!r}{where and ' ' + where}{self._hint()}")

    def _hint(self) -> str:
        near = near_to(self.name, self.known)
        if near is not None:
            return f"; did you mean {near!r}?"
        if len(self.known) > self.MANY:
            return f"; {len(self.known)} are known" + (self.see and f": see '{self.see}'")
        return f"; known: {', '.join(self.known)}" if self.known else "; there is none"


class IncompatibleParts(UsageError):
    """Parts of a recipe that cannot work together.

    Args:
        recipe: the recipe's name.
        reasons: one sentence for each reason.
    """

    def __init__(self, recipe: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"recipe {recipe!r} cannot run: " + "; ".join(reasons))


class DataError(AdbenchError):
    """A dataset, an image or a mask that cannot be used."""


class BadImage(DataError):
    """One file that cannot be read as an image.

    Args:
        path: the file.
        problem: what is wrong with it.
        advice: what to do about it; it never advises to delete an annotation.
    """

    def __init__(self, path: object, problem: str, advice: str = "repair or remove it") -> None:
        self.path, self.problem = str(path), problem
        super().__init__(f"{printable(path)}: {problem}; {advice}")

    @classmethod
    def missing(cls, path: object) -> BadImage:
        """The error of a file that is not there."""
        return cls(path, "there is no such file", "give the path of one that is there")


class WeightsError(AdbenchError):
    """Weights that are missing, unreadable or not the ones asked for."""


class PluginError(AdbenchError):
    """A plugin that cannot be loaded or clashes with another."""


class ContractError(AdbenchError):
    """A component broke a rule of its contract.

    Args:
        component: who, such as ``"scorer 'knn'"``.
        rule: the rule that was broken and what was seen instead.
    """

    def __init__(self, component: str, rule: str) -> None:
        self.component, self.rule = component, rule
        super().__init__(f"{component} broke its contract: {rule}")


class StorageError(AdbenchError):
    """A file or folder of results that cannot be written or read."""


class UnitTimeout(AdbenchError):
    """A unit of work that took longer than it was allowed."""
