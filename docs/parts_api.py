"""The generated reference of a module: its public names, their signatures and docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from pydantic import BaseModel

import tasktrail.dag
import tasktrail.executions
import tasktrail.plan
import tasktrail.testing
import tasktrail.tracker
from docs.markdown import code, codes, docstring, fence, table
from tasktrail.engine.context import StepContext
from tasktrail.executors import Call, PlainContext

_WIDEST = 100


def dag() -> str:
    """Return the reference of `tasktrail.dag`."""
    return module(tasktrail.dag)


def plan() -> str:
    """Return the reference of `tasktrail.plan`."""
    return module(tasktrail.plan)


def executions() -> str:
    """Return the reference of `tasktrail.executions`."""
    return module(tasktrail.executions)


def tracker() -> str:
    """Return the reference of `tasktrail.tracker`."""
    return module(tasktrail.tracker)


def testing() -> str:
    """Return the reference of `tasktrail.testing`."""
    # These are subclassed or started as a whole; their parts are tests.
    heavy = ("LedgerMachine", "StoreContract", "TrackerContract")
    names = [name for name in tasktrail.testing.__all__ if name not in heavy]
    brief = [f"## {name}\n\n{docstring(getattr(tasktrail.testing, name).__doc__)}" for name in heavy]
    return "\n\n".join([*(_entry(name, getattr(tasktrail.testing, name)) for name in names), *brief])


def call() -> str:
    """Return what an executor is told."""
    told = docstring(Call.__doc__).partition("**Args**")[2].strip()
    context = docstring(PlainContext.__doc__).partition("**Args**")[2].strip()
    return f"`Call`:\n\n{told}\n\n`call.context`, a `PlainContext`:\n\n{context}"


def context() -> str:
    """Return what a step may do with its `ctx`."""
    attributes = docstring(StepContext.__doc__).partition("**Attributes**")[2].strip()
    members = [(name, what) for name, what in vars(StepContext).items() if not name.startswith("_")]
    return "\n".join([attributes, *(f"- {_in_line(name, what)}" for name, what in members)])


def _in_line(name: str, what: Any) -> str:
    inner = what.fget if isinstance(what, property) else what
    call = "" if isinstance(what, property) else _signature(inner)
    return f"{code(name + call)}: {(inspect.getdoc(inner) or '').splitlines()[0]}"


def module(room: ModuleType) -> str:
    """Return the reference of everything that a module calls public, in its order."""
    return "\n\n".join(_entry(name, getattr(room, name)) for name in room.__all__)


def _entry(name: str, value: Any) -> str:
    if isinstance(value, tuple | list | dict):
        return f"## {name}\n\n{codes(value)}"
    parts = [f"## {name}", *(_class(name, value) if inspect.isclass(value) else _function(name, value))]
    return "\n\n".join(part for part in parts if part)


def _class(name: str, value: type[Any]) -> Iterator[str]:
    if issubclass(value, Enum):
        yield docstring(value.__doc__)
        yield table(["member", "value"], [[code(member.name), code(str(member.value))] for member in value])
        return
    if issubclass(value, BaseModel):
        fields = "".join(f"    {line}\n" for line in _fields(value))
        yield fence("py", f"class {name}:\n{fields}".rstrip())
        yield docstring(value.__doc__)
        yield from (_member(member, what) for member, what in vars(value).items() if not member.startswith("_"))
        return
    own = getattr(value.__init__, "__module__", "").startswith("tasktrail.") or is_dataclass(value)
    yield fence("py", f"class {name}{_signature(value.__init__) if own else '()'}")
    yield docstring(value.__doc__)
    bases = [base.__name__ for base in value.__mro__[1:] if base.__module__.startswith("tasktrail.")]
    yield f"It also has what {codes(bases)} {'has' if len(bases) == 1 else 'have'}." if bases else ""
    for member, what in vars(value).items():
        if not member.startswith("_"):
            yield _member(member, what)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """The fields of a pydantic model as its source has them; a default that is made anew is shown empty."""
    for name, one in model.model_fields.items():
        default = "" if one.is_required() else f" = {_default(one.get_default(call_default_factory=True))}"
        yield f"{name}: {_annotation(one.annotation)}{default}"


def _function(name: str, value: Any) -> Iterator[str]:
    yield fence("py", f"{name}{_signature(value)}")
    yield docstring(value.__doc__)


def _member(name: str, what: Any) -> str:
    """A method or property of a class; plain values and slots are described by the class itself."""
    inner = what.fget if isinstance(what, property) else getattr(what, "__func__", what)
    if not inspect.isfunction(inner) or not inner.__doc__:
        return ""
    if isinstance(what, property):
        head = f"{name}: {inspect.signature(inner).return_annotation}"
    else:
        head = f"{'async ' * inspect.iscoroutinefunction(inner)}{name}{_signature(inner)}"
    return f"### {name}\n\n{fence('py', head)}\n\n{docstring(inner.__doc__)}"


def _signature(function: Any) -> str:
    """Return parameters and result as the source has them, one per line where they are many."""
    signature = inspect.signature(function)
    named = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    words = list(_parameters(named))
    result = signature.return_annotation
    arrow = "" if result in (inspect.Signature.empty, "None", None) else f" -> {_annotation(result)}"
    line = f"({', '.join(words)}){arrow}"
    return line if len(line) <= _WIDEST else "(\n" + "".join(f"    {word},\n" for word in words) + f"){arrow}"


def _parameters(parameters: list[inspect.Parameter]) -> Iterator[str]:
    starred = False
    for one in parameters:
        if one.kind is one.KEYWORD_ONLY and not starred:
            yield "*"
        starred |= one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        stars = "*" * (one.kind is one.VAR_POSITIONAL) + "**" * (one.kind is one.VAR_KEYWORD)
        kind = "" if one.annotation is one.empty else f": {_annotation(one.annotation)}"
        default = "" if one.default is one.empty else f"{' = ' if kind else '='}{_default(one.default)}"
        yield f"{stars}{one.name}{kind}{default}"


def _annotation(value: Any) -> str:
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    return re.sub(r"tasktrail(?:\.\w+)*\.(?=\w)", "", text)


def _default(value: object) -> str:
    """A default as one would write it: enums by name, factories of dataclasses as an empty value."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    text = json.dumps(value, ensure_ascii=False) if type(value) is str else repr(value)
    return "{}" if text in ("<factory>", "mappingproxy({})") else text
