"""What changed between two states of a workflow, for whoever decides whether a run goes on with the new one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Final

from tasktrail.model.duration import duration_text
from tasktrail.model.graph import Need
from tasktrail.model.path import shown
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.workflow import Param, StepSpec, Workflow

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=list).encode
_canonical: Final = json.JSONEncoder(sort_keys=True, default=repr).encode  # for Python 1 is True; in a file it is not


def workflow_differences(old: Workflow, new: Workflow) -> list[str]:
    """Return what differs, one line each: the workflow's own keys, then params, then steps; empty when nothing does.

    Values of environment variables are not shown, since they may be secrets.

    >>> old, new = (Workflow("w", (StepSpec("parse", run=("x",), timeout_ms=ms),)) for ms in (90_000, 300_000))
    >>> workflow_differences(old, new)
    ['step parse: timeout 90s -> 5m']
    """
    return [*_own(old, new), *_params(old.params, new.params), *_steps(old, new)]


def _own(old: Workflow, new: Workflow) -> Iterator[str]:
    for name in ("name", "version", "description", "on_failure", "max_parallel"):
        yield from _change(name, getattr(old, name), getattr(new, name))
    yield from _keys("env", old.env, new.env, _hidden)


def _params(old: Mapping[str, Param], new: Mapping[str, Param]) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new or name not in old:
            yield f"param {name} {'removed' if name in old else 'added'}"
            continue
        for field in fields(Param):
            before, after = getattr(old[name], field.name), getattr(new[name], field.name)
            yield from (f"param {name}: {line}" for line in _change(field.name, before, after))


def _steps(old: Workflow, new: Workflow) -> Iterator[str]:
    before, after = old.by_id, new.by_id
    yield from (f"step {name} removed" for name in before if name not in after)
    yield from (f"step {name} added" for name in after if name not in before)
    for name, step in after.items():
        if name in before:
            yield from (f"step {name}: {line}" for line in _step(before[name], step))
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield "the steps stand in another order"


def _step(old: StepSpec, new: StepSpec) -> Iterator[str]:
    for field in fields(StepSpec):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if field.name == "env":
            yield from _keys("env", before, after, _hidden)
        elif field.name in ("limits", "resources"):
            yield from _keys(field.name, before, after, _plain)
        else:
            key, text = _SHOWN.get(field.name, (field.name, _plain))
            yield from _change(key, before, after, text)


def _change(key: str, old: object, new: object, text: Callable[[object], str] | None = None) -> Iterator[str]:
    if _canonical(old) == _canonical(new):
        return
    write = text or _plain
    before, after = write(old), write(new)
    yield f"{key} {before} -> {after}" if before != after else f"{key} changed, beyond what is shown of {before}"


def _keys(
    what: str, old: Mapping[str, object], new: Mapping[str, object], text: Callable[[object], str]
) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new or name not in old:
            yield f"{what} {shown(name)} {'removed' if name in old else 'added'}"
        elif old[name] != new[name] and text is _hidden:
            yield f"{what} {shown(name)} changed"
        elif old[name] != new[name]:
            yield f"{what} {shown(name)} {text(old[name])} -> {text(new[name])}"


def _plain(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return shown(value) if isinstance(value, str) else shown(_encode(value))


def _hidden(value: object) -> str:  # noqa: ARG001 - whatever it is
    return "…"


def _duration(value: object) -> str:
    return duration_text(value) if isinstance(value, int) else "none"


def _seconds(value: object) -> str:
    return duration_text(value * 1_000) if isinstance(value, int) else "none"


def _needs(value: object) -> str:
    needs = [need for need in value if isinstance(need, Need)] if isinstance(value, tuple) else []
    return ", ".join(f"{need.key} (optional)" if need.optional else need.key for need in needs) or "none"


def _retry(value: object) -> str:
    if not isinstance(value, RetryPolicy):
        return "none"
    words = value.to_dict()
    policy = {"max": value.max_retries, **words}
    return str(value.max_retries) if len(policy) == 1 else _plain(policy)


_SHOWN: Final[Mapping[str, tuple[str, Callable[[object], str]]]] = MappingProxyType({
    "needs": ("depends_on", _needs), "retry": ("retries", _retry), "timeout_ms": ("timeout", _duration),
    "deadline_ms": ("deadline", _duration), "cache_s": ("cache", _seconds),
})  # fmt: skip
"""By field: what a file calls it, and how its value is shown; other fields are called and shown as they are."""
