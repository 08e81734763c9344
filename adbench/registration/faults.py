"""Faults in a plugin's hooks and classes: one sentence with the cause and the fix.

Nothing here makes a component or imports torch: hooks and classes are only inspected.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import lru_cache
from typing import Any

from adbench.api.backbone import Backbone
from adbench.api.bank import Bank, Source
from adbench.api.component import Component, Config
from adbench.api.dataset import Dataset
from adbench.api.executor import Executor
from adbench.api.metric import Metric
from adbench.api.report import Report
from adbench.api.scorer import Scorer
from adbench.api.stages import Aggregator, Augmenter, Masker, Neck, Preprocessor
from adbench.api.training.tuner import Tuner
from adbench.errors import AdbenchError, PluginError, near_to
from adbench.registration import hookspecs
from adbench.safe_text import one_line

CONTRACTS: tuple[type[Component], ...] = (
    Backbone,
    Bank,
    Scorer,
    Augmenter,
    Preprocessor,
    Tuner,
    Neck,
    Masker,
    Aggregator,
    Dataset,
    Metric,
    Report,
    Executor,
)
"""The classes that components derive from; each has a kind of its own."""

_SPECS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(value).parameters)
    for name, value in vars(hookspecs).items()
    if hasattr(value, f"{hookspecs.GROUP}_spec")
}
"""The hooks and the arguments of each."""

MOST = 1000
"""The most characters of an error's text."""


def hook_fault(plugin: Any) -> str:
    """The fault in the hooks of a plugin (a module, or an object of that form); empty if there is none."""
    functions = {name: value for name, value in _members(plugin) if inspect.isroutine(value)}
    marked = {name: value for name, value in functions.items() if _options(value) is not None}
    faults = [*_unknown_hooks(marked), *_unknown_arguments(marked), *_unmarked_hooks(plugin, functions, marked)]
    return "; ".join(faults)


def _members(plugin: Any) -> Iterator[tuple[str, Any]]:
    for name in dir(plugin):
        with suppress(Exception):  # a plugin's attribute may raise anything
            yield name, getattr(plugin, name)


def _options(function: Any) -> Any:
    """The options that `hookimpl` wrote onto a function; None without them."""
    return getattr(function, f"{hookspecs.GROUP}_impl", None)


def _unknown_hooks(marked: dict[str, Any]) -> Iterator[str]:
    for name, function in marked.items():
        hook = _options(function).get("specname") or name
        if hook not in _SPECS:
            near = near_to(hook, _SPECS)
            yield f"there is no hook {hook!r}" + (f"; did you mean {near!r}?" if near else f"; {_known_hooks()}")


def _known_hooks() -> str:
    return f"hooks are {', '.join(_SPECS)}"


def _unknown_arguments(marked: dict[str, Any]) -> Iterator[str]:
    for name, function in marked.items():
        known = _SPECS.get(_options(function).get("specname") or name)
        taken = [argument.name for argument in _required(function) if argument.name != "self"]
        for argument in taken:
            if known is not None and argument not in known:
                yield f"hook {name!r} has no argument {argument!r}; it has {', '.join(known)}"


def _required(function: Any) -> list[inspect.Parameter]:
    """Arguments that a hook's caller has to give by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in parameters if each.kind in named and each.default is inspect.Parameter.empty]


def _unmarked_hooks(plugin: Any, functions: dict[str, Any], marked: dict[str, Any]) -> Iterator[str]:
    """Functions that bear a hook's name without the mark; where nothing is marked, also those of nearly that name."""
    own = getattr(plugin, "__name__", None)
    for name, function in functions.items():
        near = name if name in _SPECS else near_to(name, _SPECS) if not marked else None
        if near is not None and name not in marked and getattr(function, "__module__", own) == own:
            renamed = "" if near == name else f" and call it {near!r}"
            yield f"function {name!r} is no hook; put @hookimpl (from adbench) above it{renamed}"


def has_hook(plugin: Any) -> bool:
    """Whether anything in a plugin is marked as a hook."""
    return any(inspect.isroutine(value) and _options(value) is not None for _, value in _members(plugin))


def answer_fault(hook: str, answer: Any) -> str:
    """The fault in a hook's return value: a hook must call its argument instead of returning."""
    if inspect.isgenerator(answer) or inspect.iscoroutine(answer):
        answer.close()
        return f"{hook} is never run, because it has 'yield' in it or is async; write a plain function"
    return f"{hook} returns {type(answer).__name__}; call {_SPECS[hook][0]}(...) for each instead of returning them"


def raised(error: BaseException) -> str:
    """The error of a plugin, in one line; for a wrong import with the probable name."""
    text = one_line(f"{type(error).__name__}: {_text_of(error)}".removesuffix(": "), MOST)
    missing = re.search(r"cannot import name '(\w+)' from '(adbench(?:\.\w+)?)'", text)
    near = missing and near_to(missing[1], getattr(sys.modules.get(missing[2]), "__all__", ()))
    return f"{text}; did you mean {near!r}?" if near else text


def _text_of(error: BaseException) -> str:
    """The text of an error, even if it fails to give one."""
    try:
        return str(error).partition("For further information visit")[0].rstrip()
    except Exception:  # noqa: BLE001  a plugin's error may raise anything
        return "(its message cannot be read)"


def class_faults(cls: type[Component]) -> list[str]:
    """Everything wrong with a component's class that can be seen without making one; empty where nothing is."""
    return [*_config_faults(cls), *_missing(cls), *_attribute_faults(cls), *_signature_faults(cls)]


def contract_of(cls: type[Component]) -> type[Component] | None:
    """The contract that a component derives from, such as `Scorer`."""
    return next((contract for contract in CONTRACTS if issubclass(cls, contract)), None)


def _config_faults(cls: type[Component]) -> Iterator[str]:
    config, contract = cls.Config, contract_of(cls) or Component
    if not isinstance(config, type):
        yield f"its Config is an object, not a class; write 'class Config({contract.__name__}.Config):'"
    elif not issubclass(config, Config) or (contract.Config.model_fields and not issubclass(config, contract.Config)):
        wanted = f"{contract.__name__}.Config"
        yield f"its Config does not extend {wanted}; write 'class Config({wanted}):'"
    if isinstance(vars(cls).get("config"), type):
        yield "its options are in a class named 'config'; name it 'Config'"


def _missing(cls: type[Component]) -> Iterator[str]:
    """The members of the contract that a class lacks."""
    for name in sorted(getattr(cls, "__abstractmethods__", ())):
        own = [other for other in vars(cls) if not other.startswith("_")]
        near = near_to(name, [other for other in own if not hasattr(contract_of(cls), other)])
        yield f"it has no {_call_of(cls, name)}; " + (f"did you mean that by {near!r}?" if near else "write one")


def _call_of(cls: type[Component], name: str) -> str:
    """A method as it is called, such as ``score(query, bank)``, or a property by its name."""
    member = inspect.getattr_static(cls, name)
    if isinstance(member, property):
        return f"property {name!r}"
    return f"{name}({', '.join(argument.name for argument in _arguments(member))})"


def _signature(function: Any) -> inspect.Signature:
    """The signature of a callable; those of contracts and of base classes are asked for again and again."""
    return _remembered(function) if isinstance(function, types.FunctionType) else inspect.signature(function)


_remembered = lru_cache(1024)(inspect.signature)


def _arguments(member: Any) -> list[inspect.Parameter]:
    """The arguments of a call of a method."""
    given = list(_signature(getattr(member, "__func__", member)).parameters.values())
    return given if isinstance(member, staticmethod) else given[1:]


Test = Callable[[Any], bool]

_ATTRIBUTES: dict[type[Component], tuple[tuple[str, Test, str], ...]] = {
    Component: (
        ("version", lambda value: type(value) is int and value >= 1, "a whole number from 1, such as version = 1"),
        (
            "needs",
            lambda value: isinstance(value, AbstractSet) and all(isinstance(field, str) for field in value),
            'a set of names, such as needs = frozenset({"patches"})',
        ),
    ),
    Scorer: (
        (
            "bank",
            lambda value: isinstance(value, type) and issubclass(value, Bank),
            "the kind of bank that it reads, a class such as bank = VectorBank",
        ),
    ),
    Bank: (
        ("learns_from", lambda value: isinstance(value, Source), "a Source, such as learns_from = Source.TRAIN"),
        ("passes", lambda value: type(value) is int and value >= 1, "a whole number from 1, such as passes = 1"),
        ("drops", lambda value: isinstance(value, bool), "True or False"),
    ),
    Aggregator: (
        ("reads", lambda value: value in ("patches", "image", "both", "map"), "'patches', 'image', 'both' or 'map'"),
    ),
    Metric: (("level", lambda value: isinstance(value, str), "'image' or 'pixel', such as level = 'image'"),),
    Neck: (("learns", lambda value: isinstance(value, bool), "True or False"),),
    Report: (("suffix", lambda value: isinstance(value, str), "a text such as suffix = '.md'"),),
    Executor: (("here", lambda value: isinstance(value, bool), "True or False"),),
}
"""Attributes that a class has to have, by contract: name, test and what they are."""


def _written(cls: type) -> dict[str, Any]:
    """The members of a class and of its bases by name, as they are written: no descriptor runs."""
    return {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}


def _attribute_faults(cls: type[Component]) -> Iterator[str]:
    own = _written(cls)
    for contract, wanted in _ATTRIBUTES.items():
        for name, test, description in wanted if contract in cls.__mro__ else ():  # issubclass asks each subclass
            value = own.get(name)
            if value is None and not hasattr(cls, name):
                yield f"it has no attribute {name!r}; write {description}"
            elif not isinstance(value, property) and not test(value):
                yield f"its attribute {name!r} is {value!r}; it is {description}"


def _signature_faults(cls: type[Component]) -> Iterator[str]:
    """Methods that cannot be called as the contract calls them."""
    contracts = [base for base in cls.__mro__ if base.__module__.startswith("adbench.api.")]
    own = _written(cls)
    for base in contracts:
        for name, promised in vars(base).items():
            if not name.startswith("_") and own[name] is not promised and not _is_overridden(contracts, base, name):
                yield from _call_fault(name, promised, own[name])


def _is_overridden(contracts: Sequence[type], base: type, name: str) -> bool:
    """Whether a nearer contract defines the method itself."""
    return any(name in vars(nearer) for nearer in contracts if nearer is not base and issubclass(nearer, base))


_METHODS = (types.FunctionType, classmethod, staticmethod)


def _call_fault(name: str, promised: Any, mine: Any) -> Iterator[str]:
    if isinstance(promised, property):
        if isinstance(mine, _METHODS):
            yield f"its {name!r} is a method; it is a property: write @property above it"
        return
    if not isinstance(promised, _METHODS):
        return
    if not isinstance(mine, _METHODS):
        yield f"its {name!r} is {'a property' if isinstance(mine, property) else 'no method'}; it is called"
    elif inspect.iscoroutinefunction(mine):
        yield f"its {name!r} is async; write a plain function"
    elif not _binds(promised, mine):
        own = ", ".join(str(argument).partition(":")[0] for argument in _arguments(mine))
        contract = ", ".join(argument.name for argument in _arguments(promised))
        yield f"its {name}({own}) cannot be called as {name}({contract}); give it these arguments"


def _binds(promised: Any, mine: Any) -> bool:
    """Whether a method takes what the contract's takes."""
    function = getattr(mine, "__func__", mine)
    names = inspect.Parameter.KEYWORD_ONLY
    positional = [None for argument in _arguments(promised) if argument.kind is not names]
    keywords = {argument.name: None for argument in _arguments(promised) if argument.kind is names}
    own = [] if isinstance(mine, staticmethod) else [None]
    try:
        _signature(function).bind(*own, *positional, **keywords)
    except TypeError:
        return False
    return True


def made(cls: type[Component], options: dict[str, Any] | None = None) -> Component:
    """A component made from its options.

    Raises:
        UnknownName, UsageError: an option does not exist, or has a value that is not allowed.
        PluginError: the class cannot be made, and why.
    """
    title = f"{cls.kind} {cls.name!r}"
    faults = class_faults(cls)
    if faults:
        raise PluginError(f"{title} cannot be used: {'; '.join(faults)}")
    try:
        component = cls(**(options or {}))
    except AdbenchError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:
        raise PluginError(f"{title} cannot be made: {_init_fault(error)}") from error
    fault = object_fault(component)
    if fault:
        raise PluginError(f"{title} cannot be used: {fault}")
    return component


def object_fault(component: Component) -> str:
    """The fault in a component object; empty if there is none."""
    if not isinstance(getattr(component, "config", None), Config):
        return NO_SUPER
    promise = {"backbone": "provides", "neck": "provides", "scorer": "gives"}.get(component.kind)
    return "" if promise is None else _promise_fault(component, promise)


def _promise_fault(component: Component, name: str) -> str:
    try:
        promised = getattr(component, name)(component.config)
    except AdbenchError:
        raise
    except Exception as error:  # noqa: BLE001  a plugin's method may raise anything
        return f"its {name}(config) raised {raised(error)}"
    if isinstance(promised, AbstractSet) and all(isinstance(field, str) for field in promised):
        return ""
    return f"its {name}(config) returned {promised!r}; return a set of names, such as frozenset({{'patches'}})"


NO_SUPER = "it has no config: its __init__ does not call super().__init__(**options); make that its first line"


def _init_fault(error: BaseException) -> str:
    """The reason why a component could not be made."""
    if isinstance(error, AttributeError) and error.name == "config":
        return NO_SUPER
    first = one_line(_text_of(error).strip().partition("\n")[0], MOST)
    if type(error).__module__.startswith("pydantic"):
        return f"its Config cannot be built: {first}"
    if isinstance(error, TypeError) and "__init__() " in first:
        return f"{first}; write 'def __init__(self, **options)' and hand the options to super().__init__(**options)"
    return f"it raised {raised(error)}"
