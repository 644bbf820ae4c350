"""What leaves for a model is scrubbed, except the names by which it asks for more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from math import isfinite
from typing import Any, Final

from tasktrail.engine.scrubbing import Scrubber
from tasktrail.model.plain import storable
from tasktrail.tools import Words

__all__ = ["cleaned"]

_NAMES: Final = frozenset({
    "absolute_path", "actor", "added", "agent", "changed", "code", "dependencies", "example_task_id",
    "example_trace_id", "file_path", "fingerprint", "id", "item", "key", "module", "needed_by", "needs",
    "owner", "parents", "period", "plan", "removed", "retry_of", "run", "run_id", "span_id", "stack_hash",
    "state", "status", "task_id", "task_slug", "task_type", "trace_id", "type", "unknown_dependencies",
    "workflow",
})  # fmt: skip
"""Members by which something is named or said in words of ours."""
_ON_TOP: Final = _NAMES | {"confirm", "next_cursor", "token"}
_OTHERS: Final = frozenset({"attributes", "extra", "inputs", "metadata", "output", "params", "response", "result"})
"""Members that others filled: there a member called `token` or `key` is no name of ours."""


def cleaned(words: Words, scrub: Scrubber) -> Words:
    """Return an answer as it may be shown, and as JSON can say it; equal values in it get equal placeholders."""
    told: Words = _mapped(words, _ON_TOP, scrub.record(tuple(_texts(words, _ON_TOP))))
    return told


def _below(name: str, names: Collection[str]) -> Collection[str]:
    return () if name in _OTHERS or not names else _NAMES


def _texts(value: Any, names: Collection[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in names:
                yield from _texts(one, _below(name, names))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, names)


def _mapped(value: Any, names: Collection[str], scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return storable(scrub(value))
    if isinstance(value, Mapping):
        return {
            storable(str(name)): _mapped(one, _below(name, names), str if name in names else scrub)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [_mapped(one, names, scrub) for one in value]
    return f"[{value}]" if isinstance(value, float) and not isfinite(value) else value
