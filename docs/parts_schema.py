"""The generated description of the store: every table and column of its first migration, and how they hang together."""

from __future__ import annotations

import re

from docs.markdown import code, codes, fence, table
from tasktrail.store.described import Column, Table, schema
from tasktrail.store.queries import SQL_FOLDER

_WORDS = re.compile(r"\bIN\s*\(('[^)]*')\)")

_VIEW = re.compile(
    r"(?P<comment>(?:^-- .*\n)+)^CREATE VIEW (?P<name>\w+) AS\n(?P<body>(?:^(?!FROM).*\n)*)^FROM", re.MULTILINE
)

# What is referred to without a FOREIGN KEY: history outlives what it is about.
LOOSE = (
    ("event", "run_id", "run"), ("event", "task_id", "task"), ("attempt", "worker_id", "worker"),
    ("attempt", "retry_of", "attempt"), ("attempt", "fingerprint", "error"), ("delivery", "event_seq", "event"),
)  # fmt: skip


def views() -> str:
    """Return a section for each view."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((SQL_FOLDER / "sqlite").glob("*.sql"))]
    return "\n\n".join(_view(found) for text in texts for found in _VIEW.finditer(text))


def _view(found: re.Match[str]) -> str:
    comment = " ".join(line.removeprefix("-- ") for line in found["comment"].splitlines())
    names = re.findall(r"(?:^  (?!CASE)|\bAS )(\w+),?$", found["body"], re.MULTILINE)
    rows = [[code(name), VIEW_MEANINGS[name]] for name in names]
    return "\n\n".join((f"### {found['name']}", comment, table(["column", "meaning"], rows)))


def tables() -> str:
    """Return a section for each table."""
    used = _filled()
    return "\n\n".join(_section(one, one.name in used) for one in schema())


def _section(one: Table, used: bool) -> str:
    rows = [[code(c.name), _type(c), c.kept, _meaning(one, c)] for c in one.columns]
    parts = [f"## {one.name}", one.comment, "" if used else "This version writes no rows here."]
    parts.append(table(["column", "type", "kept as", "meaning"], rows))
    parts.append("Rules: " + "; ".join(code(rule) for rule in one.rules) + "." if one.rules else "")
    return "\n\n".join(part for part in parts if part)


def _filled() -> frozenset[str]:
    """The tables that a query inserts into; the store itself notes its migrations."""
    queries = (SQL_FOLDER / "queries.sql").read_text(encoding="utf-8")
    return frozenset(re.findall(r"INSERT (?:OR \w+ )?INTO (\w+)", queries)) | {"migration"}


def _type(column: Column) -> str:
    needed = "" if "NOT NULL" in column.rest or "PRIMARY KEY" in column.rest else ", may be NULL"
    return column.type + needed


def _meaning(one: Table, column: Column) -> str:
    said = re.sub(r"^(text|data):\s*", "", column.comment) or MEANINGS.get(f"{one.name}.{column.name}", "")
    said = said or MEANINGS.get(column.name, "")
    since = SINCE.get(f"{one.name}.{column.name}", "")
    words = _WORDS.search(column.rest)
    listed = codes(re.findall(r"'(\w+)'", words[1])) if words else ""
    link = f"row of [{column.target}](#{column.target})" if column.target else ""
    return "; ".join(part for part in (said, since, link, listed) if part)


def diagram() -> str:
    """Return the entity-relationship diagram: solid lines are FOREIGN KEYs, dotted ones are not enforced."""
    lines = ["erDiagram"]
    for one in schema():
        lines += [f'  {c.target} ||--o{{ {one.name} : "{c.name}"' for c in one.columns if c.target]
    lines += [f'  {target} ||..o{{ {name} : "{column}"' for name, column, target in LOOSE]
    return fence("mermaid", "\n".join(lines))


# Of the columns of views.
VIEW_MEANINGS = {
    "id": "public id of a recording; of what Tasktrail executed the task's reference, `@` and the attempt's number",
    "task_id": "the task as its reporter names it, or its reference",
    "task": "what it is counted under: the same, but of what Tasktrail executed its workflow and key, in whatever run",
    "task_slug": "short name of the task, or its key",
    "task_name": "what people call the task",
    "task_type": "what kind of task it is, or of run",
    "scheduled_vs_manual": "`scheduled` or `manual`; NULL: Tasktrail executed it",
    "status": "`success`, `failed`, `aborted`, `running`; of an error `open`, `resolved`, `regressed`, `ignored`",
    "started_at": "ISO 8601, UTC, milliseconds",
    "ended_at": "likewise; NULL while it runs",
    "duration_ms": "milliseconds; NULL while it runs",
    "trace_id": "stable over retries",
    "span_id": "of this attempt alone",
    "attempt": "counts from 1",
    "error_type": "class of the exception; NULL: none",
    "error": "its message, scrubbed",
    "fingerprint": "what errors of this kind have in common",
    "memory_count": "how many records it stands on",
    "backfilled": "1: it was read from a file, long after",
    "recorded": "1: somebody told of it; 0: Tasktrail executed it",
    "actor": "who executed it",
    "example": "message of one of them, scrubbed",
    "occurrences": "how many attempts failed so",
    "first_seen": "ISO 8601, UTC, milliseconds",
    "last_seen": "likewise",
}

# What came true of columns later; the text of a migration never changes, since stores remember its checksum.
SINCE = {
    "attempt.trace_id": "of a recording what its reporter gave",
    "attempt.span_id": "of a recording what its reporter gave",
}

# Of columns that the SQL leaves without a comment; `table.column` before `column`.
MEANINGS = {
    "id": "row id; it never leaves the store",
    "created_at": "when it was created",
    "started_at": "when it began",
    "updated_at": "when it last changed",
    "ended_at": "when it ended; NULL while it runs",
    "version": "1 at first, one more with every change; guards against lost updates",
    "position": "order within the run",
    "worker_id": "the process",
    "run_id": "the run",
    "task_id": "the task",
    "actor": "who did it",
    "trace_id": "32 hexadecimal digits, W3C Trace Context",
    "worker.host": "host name of its machine",
    "worker.pid": "process id",
    "worker.stopped_at": "when it ended, or when somebody noticed that it had died; NULL: not stopped",
    "definition.kind": "what it describes",
    "definition.name": "its name",
    "definition.version": "of the definition, as its author wrote it",
    "definition.spec_hash": "SHA-256 of `spec`",
    "job.name": "its name",
    "job.definition_id": "the workflow",
    "job.queue": "where its tasks go",
    "job.paused": "1: its schedule starts nothing",
    "job.next_at": "when the schedule starts it next",
    "job.last_slot_at": "the moment of the schedule that was served last",
    "document.codec": "format and version: `run-json@1`",
    "document.size": "bytes",
    "document.mtime_ns": "nanoseconds since 1970",
    "document.ctime_ns": "nanoseconds since 1970",
    "document.inode": "number of the file in its file system",
    "document.digest": "SHA-256 of its bytes",
    "document.looked_at": "when we looked",
    "run.kind": "what kind of graph it is",
    "run.status": "rolled up from its tasks, or declared",
    "run.paused": "1: nothing new starts",
    "run.cancelled_at": "when it was called off; NULL: it was not",
    "run.declared_status": "what was said of the run as a whole; holds until one of its tasks moves",
    "run.declared_at": "when that was said",
    "run.n_pending": "tasks in this status", "run.n_in_progress": "tasks in this status",
    "run.n_completed": "tasks in this status", "run.n_failed": "tasks in this status",
    "run.n_blocked": "tasks in this status", "run.n_skipped": "tasks in this status",
    "run.n_cancelled": "tasks in this status",
    "run.resumes": "how often it was taken up again",
    "run.resumed_at": "when it was last taken up again",
    "run.document_id": "the file that says the same",
    "run.finished_at": "when it was over; NULL while it is not",
    "item.name": "its name, unique in the run",
    "item.content_hash": "of what the item is about",
    "item.removed_at": "when it was taken out; NULL: it is there",
    "task.key": "its name within the run, as the user chose it",
    "task.item": "the matrix item; empty elsewhere",
    "task.map_index": "number of a mapped step from 0; -1: not mapped",
    "task.status": "where it stands",
    "task.critical": "1: its final failure stops the run",
    "task.fence": "number of the newest claim; an answer with another one is void",
    "task.worker_id": "the process that executes it",
    "task.lease_token": "secret of the claim that holds it",
    "task.lease_until": "when the claim runs out, on the boot clock",
    "task.max_retries": "further tries after the first one",
    "task.timeout_ms": "milliseconds for one attempt; NULL: no limit",
    "task.progress_done": "how far its attempt is",
    "task.progress_total": "of how much",
    "task.completed_at": "when it reached a final status; exists exactly then",
    "need.task_id": "the task that waits",
    "need.position": "order among the needs of the task, from 0",
    "need.optional": "1: it only waits, and takes null where the needed task fails",
    "attempt.task_id": "the task it executes; NULL: a recording",
    "attempt.fence": "the task's fence when it started",
    "attempt.duration_us": "microseconds, measured on a clock that is never set",
    "attempt.outcome": "how it ended; NULL while it runs",
    "attempt.code_version": "12 hexadecimal digits that change with the code of the step's function",
    "event.seq": "its number; readers go on from the last one they saw",
    "event.at": "when it happened",
    "event.run_id": "the run it is about; NULL: it belongs to none",
    "event.verb": "what happened; see [events](reference/events.md)",
    "event.from_status": "status before",
    "event.to_status": "status after",
    "error.fingerprint": "what such attempts have in common",
    "error.occurrences": "how many failures",
    "error.first_at": "when it was first seen",
    "error.last_at": "when it was last seen",
    "error.resolved_at": "when somebody called it resolved",
    "error.ignored_at": "when somebody asked not to hear of it again",
    "error.error_type": "class of the exception",
    "error.example": "message of one of them",
    "task.error_type": "class of the exception",
    "task.error": "message of the last failure",
    "attempt.error_type": "class of the exception",
    "attempt.error": "its message",
    "attempt.stack": "its stack, without the engine's own frames",
    "run.declared_error": "the error that was declared",
    "task.title": "what people read instead of the key",
    "event.note": "a note, or why",
    "reader.name": "which reader",
    "reader.seq": "the last event it has seen",
    "delivery.event_seq": "the event it is about",
    "delivery.reader": "who delivers it",
    "delivery.target": "where it goes",
    "delivery.tries": "how often it was tried",
    "delivery.next_at": "when it is tried next",
    "delivery.done_at": "when it arrived",
    "delivery.last_error": "why it did not arrive",
    "migration.number": "1, 2, 3 …",
    "migration.name": "of its file",
    "migration.applied_at": "when",
    "migration.oldest": "programs that know this version of the schema may go on writing after it",
    "payload.created_at": "when it was first stored",
}  # fmt: skip
