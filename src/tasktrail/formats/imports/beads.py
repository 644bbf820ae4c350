"""The JSON lines of beads, `.beads/issues.jsonl`: one issue a line, its dependencies with it."""

from __future__ import annotations

from typing import Final

from tasktrail.formats.imports.records import each_record
from tasktrail.formats.imports.source import Imported, Record, Source, Words
from tasktrail.formats.json_object import encode
from tasktrail.model.plan import Note, PlanTask

__all__ = ["WORDS", "read"]

WORDS: Final[Words] = {
    "open": "pending", "in_progress": "in_progress", "hooked": "in_progress", "closed": "completed",
    "blocked": "blocked", "deferred": "blocked", "pinned": "blocked",
}  # fmt: skip
_LOWEST: Final = 4
_HOLDS_BACK: Final = frozenset({"conditional-blocks", "waits-for"})
"""Kinds that keep an issue from being ready, and are no need: it waits for a failure, or for children."""


def read(text: str, where: str, words: Words | None = None) -> Imported:
    """Return the issues of a file. What `blocks` an issue is its need; all its relations are kept in `extra`.

    Args:
        where: How messages name the file.
        words: What custom statuses mean.

    Raises:
        BadInput: The details name all that is wrong, as `where:line:column`.
    """
    source = Source("beads", where, WORDS, words)
    each_record(source, text, lambda record: _add(source, record))
    return source.imported()


def _add(source: Source, record: Record) -> None:
    kind = record.text("_type") or "issue"
    if kind != "issue":
        source.notes.append(f"left out: a record of type {kind}: {encode(record.members.members)[:500]}")
        return
    key = record.key("id")
    status, reason = record.status("status", source.words)
    priority = record.whole("priority", 0, _LOWEST)
    task = PlanTask(
        key=key,
        title=record.named("title"),
        status=status,
        priority=3 if priority is None else priority + 1,
        needs=_needs(source, record, key),
        result=record.text("close_reason"),
        reason=reason,
        created_at=record.moment("created_at"),
        updated_at=record.moment("updated_at"),
        started_at=record.moment("started_at"),
        completed_at=record.moment("closed_at"),
        notes=tuple(_note(source, key, comment) for comment in record.records("comments")),
        extra=record.extra(),
    )
    source.add(task, record, "id")


def _needs(source: Source, record: Record, key: str) -> tuple[str, ...]:
    """What blocks it. All relations go into `extra` as they are."""
    record.keep_as_is("dependencies")
    needs = []
    for edge in record.records("dependencies"):
        kind, other = edge.text("type") or "blocks", edge.named("depends_on_id")
        if kind == "blocks":
            needs.append(other)
        elif kind == "parent-child":
            record.keep("parent", other)
        elif kind in _HOLDS_BACK:
            source.notes.append(
                f"changed: {key} is no longer held back by {other} ({kind}), for which there is no word"
            )
    return tuple(needs)


def _note(source: Source, key: str, comment: Record) -> Note:
    return source.note(key, comment, text="text", at="created_at", actor="author")
