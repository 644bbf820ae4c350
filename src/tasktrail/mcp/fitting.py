"""Answers within a number of tokens: a page is made shorter, so that its cursor is right; what is too long is cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tasktrail.model.budget import tokens_at_most
from tasktrail.tools import Tool, Words

__all__ = ["MOST_TOKENS", "compact", "fitted", "shortened"]

MOST_TOKENS: Final = 6_000
"""No answer has more."""
_AIM: Final = 4_500
"""What the estimate may say: of random Base64 it says too little, by a third at most."""
_ROUNDS: Final = 12
_PAGING: Final = frozenset({"limit", "cursor"})


def compact(words: object) -> str:
    """Return JSON without spaces, the same text for the same value."""
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"), default=str)


def fitted(
    called: Tool,
    arguments: Mapping[str, Any],
    answer: Words,
    again: Callable[[Mapping[str, Any]], Words],
    paged_by: str,
) -> Words:
    """Return an answer that is short enough, and says so where something is left out.

    Args:
        answer: What came of the arguments.
        again: Calls the tool with others; only a tool that reads is called again.
        paged_by: The tool that gives the same in pages; empty where there is none.
    """
    size = _size(answer)
    if size > _AIM and called.effect.reads and called.schema["properties"].keys() >= _PAGING:
        answer, size = _shorter_page(called, arguments, answer, size, again)
    return answer if size <= _AIM else _cut(answer, _hint(called, paged_by))


def shortened(words: Words, most: int = _AIM) -> Words:
    """Return what is told beside a call, cut where it is too long.

    Args:
        most: Tokens, by the estimate.
    """
    return words if _size(words, most) <= most else _cut(words, "ask the tools for parts of it", most)


def _size(words: object, most: int = _AIM) -> int:
    text = compact(words)
    n_bytes = len(text.encode(errors="replace"))  # no token is less than a byte
    return n_bytes if n_bytes <= most else tokens_at_most(text)


def _shorter_page(
    called: Tool, arguments: Mapping[str, Any], answer: Words, size: int, again: Callable[[Mapping[str, Any]], Words]
) -> tuple[Words, int]:
    """Return an answer with fewer rows, and its size without what is said of that."""
    wanted = rows = _rows(answer)
    while rows > 1 and size > _AIM:
        rows = max(1, min(rows - 1, rows * _AIM * 9 // (size * 10)))
        answer = again({**arguments, "limit": rows})
        size = _size(answer)
    if rows < wanted:
        hint = f"{rows} of {wanted} fitted; go on with next_cursor, or {_hint(called, '')}"
        answer = {**answer, "truncated": True, "original_count": wanted, "hint": hint}
    return answer, size


def _rows(answer: Words) -> int:
    return max((len(value) for value in answer.values() if isinstance(value, list)), default=0)


def _hint(called: Tool, paged_by: str) -> str:
    if paged_by:
        return f"{paged_by} gives the same in pages, by limit and cursor"
    narrowing = [name for name in called.schema["properties"] if name not in _PAGING]
    return f"narrow by {', '.join(narrowing)}" if narrowing else "there is more than an answer can hold"


def _cut(answer: Words, hint: str, most: int = _AIM) -> Words:
    """Take rows from the longest list, or the end of the longest text, until it is short enough."""
    lists = {name: value for name, value in answer.items() if isinstance(value, list)}
    told: Words = {**answer, "truncated": True}
    if lists:
        told["original_count"] = len(lists[max(lists, key=lambda name: _size(lists[name]))])
    told["hint"] = hint
    for _ in range(_ROUNDS):
        size = _size(told, most)
        if size <= most:
            break
        told = _smaller(told, most / size)
    return told


def _smaller(value: Any, share: float) -> Any:
    """Return a value of about this share of its size; what is short stays whole."""
    if isinstance(value, str):
        return value if len(value) <= 200 else f"{value[: max(200, int(len(value) * share * 0.9))]}…"
    if isinstance(value, list):
        kept = value if _size(value) < _AIM // 8 else value[: max(1, int(len(value) * share))]
        return [_smaller(one, share) for one in kept]
    if isinstance(value, Mapping):
        return {name: _smaller(one, share) for name, one in value.items()}
    return value
