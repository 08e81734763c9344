"""The base of every component: a name, a version, options and three steps from its making to its use."""

from __future__ import annotations

import hashlib
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from adbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from typing_extensions import Self

    from adbench.api.context import Context


class _LocalFile:
    """Marks a field that names a file; the content of the file counts, and not its path."""


LocalFile = Annotated[Path, _LocalFile()]
"""A field type for a file of the user's. A record's identity holds the file's name and sha256, not its folder."""


class Config(BaseModel):
    """Options of a component: frozen, unknown names refused. Every field's description is its command line help."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built when first used: plugins load fast


class Component(ABC):
    """A replaceable part of a method.

    The life of a component: it is made from options (cheap: loads nothing), `prepare` is called once before it is used
    (weights go to the device here), then the methods of its kind are called. Nothing heavy may be imported at module
    level: a plugin is loaded by every ``adbench --help``.

    Attributes:
        kind: the contract's slug, set by the contract's own class ("backbone", "bank", ...).
        name: a slug, unique within the kind.
        version: raise it whenever scores may change; it is part of every record's identity.
        needs: the optional fields of `Features` that the component reads, such as ``{"layers"}``.
        config: the validated options.

    Raises:
        UnknownName: an option that does not exist.
        UsageError: an option with a value that is not allowed, or one that no longer exists.
    """

    kind: ClassVar[str] = "component"
    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()
    retired: ClassVar[Mapping[str, tuple[Any, str]]] = {}
    """Options that no longer exist: the default that each had, and what a user can do without it.

    The default stays part of the identity, so that ids of records do not change; it may still be given, as records of
    earlier versions do. Any other value is refused.
    """

    came_later: ClassVar[frozenset[str]] = frozenset()
    """Options that came after the first records: the identity lacks them at their defaults, so that ids stay."""

    plain: ClassVar[bool] = False
    """Whether what it computes consists of tensor operations alone, so that an export can record it as it is."""

    not_exported: ClassVar[str] = "it has no form that consists of tensor operations alone"
    """The reason why there is no form for exports, as the end of a sentence, for a component without one."""

    class Config(Config):
        """No options."""

    config: Config

    def __init__(self, /, **options: Any) -> None:
        given = without_retired(type(self), options)
        try:
            self.config = self.Config(**given)
        except ValidationError as error:
            raise option_error(type(self), error) from None

    def prepare(self, ctx: Context) -> None:
        """Load what is heavy, once, before anything else is called. The default does nothing.

        Raises:
            WeightsError: weights cannot be had.
        """

    def for_export(self) -> Self:
        """The component in a form that an export can record: the same answers by tensor operations alone. Optional.

        The form is asked for images of one size. Its steps may not depend on what the images show, and what it learned
        becomes constants of the exported file. The default is the component itself where it is `plain`.

        Raises:
            UsageError: there is no such form; the message says why in one sentence.
        """
        if self.plain:
            return self
        raise UsageError(f"{self.title} cannot be exported: {self.not_exported}")

    @classmethod
    def defaults(cls, config: Any) -> Mapping[str, Any]:
        """The defaults for empty slots of a recipe: a mapping from slot to parts.

        Slots are ``preprocess``, ``neck``, ``bank``, ``aggregate`` and ``map``. A backbone usually names ``preprocess``
        and ``neck``; a scorer names ``bank``, ``aggregate`` and ``map``.

        Args:
            config: the validated options (an instance of `Config`).
        """
        return {}

    @property
    def title(self) -> str:
        """Kind and name, as messages write it: ``scorer 'knn'``."""
        return f"{self.kind} {self.name!r}"

    def identity(self) -> dict[str, Any]:
        """Options as they decide the score: defaults filled in, also of retired options, files by content, as JSON."""
        options = {name: default for name, (default, _) in self.retired.items()} | self.config.model_dump(mode="json")
        for field, info in type(self.config).model_fields.items():
            value = getattr(self.config, field)
            if isinstance(value, Path) and _is_local_file(info):
                options[field] = {"file": value.name, "sha256": sha256_of(value)}
            if field in self.came_later and value == info.default:
                del options[field]
        return options

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.config.model_dump(exclude_defaults=True).items())
        return f"{type(self).__name__}({options})"


def _is_local_file(info: FieldInfo) -> bool:
    """Whether a field is a `LocalFile`, or a choice of which that is one."""
    marks = [*info.metadata, *(mark for choice in get_args(info.annotation) for mark in get_args(choice))]
    return any(isinstance(mark, _LocalFile) for mark in marks)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex.

    Raises:
        UsageError: the file cannot be read, or is a pipe or a device, which might never end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path}: a pipe or a device, no file; give the path of a file that can be read")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; give the path of a file that can be read") from None


def _digest(file: Any) -> str:
    """`hashlib.file_digest` for Python 3.10."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def without_retired(cls: type[Component], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that still exist.

    Raises:
        UsageError: a retired option has another value than its default was.
    """
    for name, value in options.items():
        if name in cls.retired and value != cls.retired[name][0]:
            raise UsageError(f"{cls.kind} {cls.name!r} no longer has the option {name!r}; {cls.retired[name][1]}")
    return {name: value for name, value in options.items() if name not in cls.retired}


def option_error(cls: type[Component], error: ValidationError) -> UsageError:
    """A pydantic error as one sentence that names the component, the option and the fix."""
    first = error.errors()[0]
    option = ".".join(str(part) for part in first["loc"])
    where = f"of {cls.kind} {cls.name!r}"
    if first["type"] == "extra_forbidden":
        return UnknownName("option", option, cls.Config.model_fields, where)
    fault = first["msg"].removeprefix("Value error, ")  # pydantic's, before what a component's own check says
    fault = f"{where}: {fault[:1].lower()}{fault[1:]}"
    if not option:  # a check of several options together
        given = ", ".join(f"{name}={value}" for name, value in dict(first["input"]).items())
        return UsageError(f"options {fault}{given and f' (given: {given})'}")
    given = "" if first["type"] == "missing" else f" (given: {first['input']!r})"
    return UsageError(f"option {option!r} {fault}{given}")


__all__ = ["Component", "Config", "Field", "LocalFile", "option_error", "sha256_of"]
