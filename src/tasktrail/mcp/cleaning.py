"""What leaves for a model is scrubbed, except the names by which it asks for more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tasktrail.engine.scrubbing import Scrubber
from tasktrail.tools import Words

__all__ = ["cleaned"]

_NAMES: Final = frozenset({
    "absolute_path", "actor", "added", "agent", "changed", "code", "confirm", "dependencies", "example_task_id",
    "example_trace_id", "file_path", "fingerprint", "id", "item", "key", "module", "needed_by", "needs", "next_cursor",
    "owner", "parents", "period", "plan", "removed", "retry_of", "run", "run_id", "span_id", "stack_hash",
    "state", "status", "task_id", "task_slug", "task_type", "token", "trace_id", "type", "unknown_dependencies",
    "workflow",
})  # fmt: skip
"""Members by which something is named or said in words of ours."""


def cleaned(words: Words, scrub: Scrubber) -> Words:
    """Return an answer as it may be shown; equal values in it get equal placeholders."""
    texts = tuple(_texts(words))
    told: Words = _mapped(words, scrub.record(texts)) if texts else words
    return told


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in _NAMES:
                yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _mapped(value: Any, scrub: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mapping):
        return {name: one if name in _NAMES else _mapped(one, scrub) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(one, scrub) for one in value]
    return value
