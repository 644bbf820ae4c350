"""The code of a step: a function, how it is called, and which version of it this is."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import CodeType
from typing import Any, Final

from tasktrail.model.errors import BadInput

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Step:
    """What executes a task.

    Args:
        asynchronous: Whether it runs inline, on the event loop; otherwise it gets a thread.
        wants: Parameter names that are filled with results of other steps, by name of the step.
        wants_context: Whether it has a parameter `ctx`.
        ends_when_told: Whether it surely ends soon once it is cancelled: then its attempt is over when it has ended,
            and its next try never meets what this one left.
    """

    key: str
    function: Callable[..., Any]
    asynchronous: bool
    wants: Mapping[str, str]
    wants_context: bool
    code_version: str | None
    positional_only: tuple[str, ...] = ()
    ends_when_told: bool = False

    def call(self, results: Mapping[str, object], context: object) -> Any:
        """Call the function with what it asks for."""
        if not self.wants and not self.wants_context:
            return self.function()
        arguments = {name: results.get(key) for name, key in self.wants.items()}
        if self.wants_context:
            arguments["ctx"] = context
        first = [arguments.pop(name) for name in self.positional_only if name in arguments]
        return self.function(*first, **arguments)


def step(
    key: str, function: Callable[..., Any], available: Collection[str] = (), lacking: str = "needs no step of that name"
) -> Step:
    """Return the step of a function.

    Args:
        available: Keys of the steps whose results it may ask for by parameter name; a key that is no identifier is
            asked for with `_` in place of what does not fit.
        lacking: How the error says that nobody gives a result.

    Raises:
        BadInput: It is not callable, or asks for something that nobody gives.
    """
    if not callable(function):
        raise BadInput(f"expected the executor of step {key!r} to be callable, got: {type(function).__name__}")
    signature = _signature(function)
    if not signature.names:
        return Step(key, function, signature.asynchronous, {}, False, signature.code_version)
    wants = _wanted(signature.names, available)
    missing = [name for name in signature.required if name not in wants and name != "ctx"]
    if missing:
        names = " and ".join(repr(name) for name in missing)
        raise BadInput(
            f"step {key!r} has a parameter {names}, but {lacking}",
            hint=f"let it come after a step of that name, or give {names} a default",
        )
    wants_context = "ctx" in signature.names
    version, first = signature.code_version, signature.positional_only
    return Step(key, function, signature.asynchronous, wants, wants_context, version, first)


def _wanted(names: Collection[str], available: Collection[str]) -> dict[str, str]:
    wants = {name: name for name in names if name in available and name != "ctx"}
    if len(wants) + ("ctx" in names) < len(names):
        by_identifier: dict[str, str] = {}
        for key in available:
            name = identifier(key)
            if name in by_identifier and name in names and name not in wants:
                raise BadInput(f"a parameter {name!r} may mean step {by_identifier[name]!r} or step {key!r}")
            by_identifier.setdefault(name, key)
        found = {name: by_identifier[name] for name in names if name in by_identifier and name != "ctx"}
        wants = {**found, **wants}
    return wants


def identifier(key: str) -> str:
    """Return a key as a parameter can be named.

    >>> identifier("research-click")
    'research_click'
    """
    return key if key.isidentifier() else "".join(char if char.isalnum() else "_" for char in key)


@dataclass(frozen=True, slots=True)
class _Signature:
    names: tuple[str, ...]
    required: tuple[str, ...]
    asynchronous: bool
    code_version: str | None
    positional_only: tuple[str, ...] = ()


def _signature(function: Callable[..., Any]) -> _Signature:
    """A plain function is read from its code object, which is cheap; anything else is inspected."""
    code = getattr(function, "__code__", None)
    if type(code) is CodeType and not hasattr(function, "__wrapped__") and not inspect.ismethod(function):
        defaults = len(getattr(function, "__defaults__", None) or ())
        keyword_defaults = frozenset(getattr(function, "__kwdefaults__", None) or ())
        return _read_code(code, defaults, keyword_defaults)
    return _inspect(function)


@lru_cache(maxsize=4096)
def _read_code(code: CodeType, defaults: int, keyword_defaults: frozenset[str]) -> _Signature:
    positional = code.co_varnames[: code.co_argcount]
    keyword_only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    required = positional[: len(positional) - defaults]
    required += tuple(name for name in keyword_only if name not in keyword_defaults)
    asynchronous = bool(code.co_flags & inspect.CO_COROUTINE)
    first = positional[: code.co_posonlyargcount]
    return _Signature(positional + keyword_only, required, asynchronous, _code_version(code), first)


def _inspect(function: Callable[..., Any]) -> _Signature:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    named = [one for one in parameters if one.kind in (*_POSITIONAL, inspect.Parameter.KEYWORD_ONLY)]
    required = tuple(one.name for one in named if one.default is inspect.Parameter.empty)
    first = tuple(one.name for one in named if one.kind is inspect.Parameter.POSITIONAL_ONLY)
    outer = function.func if isinstance(function, partial) else function
    # A plain wrapper around a coroutine function is itself no coroutine function: it may well run its own loop.
    asynchronous = inspect.iscoroutinefunction(outer) or inspect.iscoroutinefunction(type(outer).__call__)
    code = getattr(inspect.unwrap(outer), "__code__", None)
    version = _code_version(code) if type(code) is CodeType else None
    return _Signature(tuple(one.name for one in named), required, asynchronous, version, first)


def _code_version(code: CodeType) -> str:
    """Return 12 hexadecimal digits that change when the function's own code does."""
    digest = hashlib.sha256(code.co_code)
    for constant in code.co_consts:
        digest.update(_constant(constant).encode())
    digest.update(" ".join(code.co_names).encode())
    return digest.hexdigest()[:12]


def _constant(value: object) -> str:
    """Say a constant alike in every process: the order of a set differs from one to the next."""
    if isinstance(value, CodeType):
        return _code_version(value)
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
