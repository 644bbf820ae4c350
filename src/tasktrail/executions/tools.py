"""`ExecutionTools`: what was executed and what went wrong, as language models ask. Source: document 001, Phase 2A."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

from tasktrail.engine.errors import top_errors
from tasktrail.engine.insight import LastFailed, last_failed
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find_task, task_reference
from tasktrail.engine.project import NO_FLAGS, FolderProject
from tasktrail.engine.records import Wanted, cursor_of, list_executions, moment_of, trace
from tasktrail.executions.answers import error_words, execution_words, last_failed_words
from tasktrail.formats.moment import moment_before
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.model.record import Record
from tasktrail.store.transaction import Transaction
from tasktrail.tools import Schema, Shape, Tools, Words, answering, check_limit, tool

TOOLS: Final = ("tasks_last_failed", "tasks_list", "tasks_by_trace", "errors_top")
"""What can be offered to a language model, by the names of the methods."""
MOST_LISTED: Final = 100
MOST_FAILURES: Final = 50
_STATUSES: Final = ("success", "failed")

_NULLABLE: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}

Statuses = Annotated[str, Shape({"type": "string", "enum": list(_STATUSES)})]


def _answer(**members: str) -> Schema:
    """Return what programs may rely on: the members of an answer, by their types."""
    known: dict[str, Any] = {name: {"type": kind} for name, kind in members.items() if kind != "nullable"}
    known |= {name: _NULLABLE for name, kind in members.items() if kind == "nullable"}
    return {"type": "object", "properties": known, "required": list(members)}


class ExecutionTools:
    """The executions of a project. Every function answers with a dictionary, also where something is wrong.

    Args:
        start: Where the search for the store begins; None is the working directory.
        settings: By name, as flags of the command line say them.
    """

    def __init__(self, start: Path | None = None, settings: Mapping[str, str] = NO_FLAGS) -> None:
        self._project = FolderProject((start or Path()).absolute(), settings)

    @tool(
        reads=True,
        title="Last failed executions",
        answer=_answer(failures="array", error_patterns="array"),
    )
    @answering()
    def tasks_last_failed(
        self, limit: int = 10, task_id: str = "", unique_errors: bool = False, since: str = ""
    ) -> Words:
        """Start here to debug: the last failures, and the patterns of the last 1,000 by stack_hash with their counts.

        Args:
            limit: 1 to 50.
            unique_errors: The newest failure of each pattern alone.
            since: ISO 8601, or 2h, 3d.
        """
        check_limit(limit, MOST_FAILURES)
        ledger = self._project.looking()
        at = _moment(since, ledger)

        def work(tx: Transaction, task: str) -> LastFailed:
            return last_failed(tx, task_id=task or None, since=at, limit=limit, unique=unique_errors)

        found = ledger.store.read(lambda tx: work(tx, task_id))
        if not found.failures and (reference := _reference(ledger, task_id)):
            found = ledger.store.read(lambda tx: work(tx, reference))
        return _done(last_failed_words(found))

    @tool(
        reads=True,
        title="Executions",
        answer=_answer(executions="array", total="integer", has_more="boolean", next_cursor="nullable"),
    )
    @answering()
    def tasks_list(
        self,
        task_id: str = "",
        status: Statuses = "",
        limit: int = 20,
        since: str = "",
        backfilled: bool | None = None,
        cursor: str = "",
    ) -> Words:
        """List executions, the newest first: attempts of tasks, and what was recorded.

        Args:
            task_id: As recorded, RUN:KEY, or KEY.
            limit: 1 to 100.
            since: ISO 8601, or 2h, 3d.
            backfilled: true: only those read from files.
            cursor: next_cursor of the page before.

        Returns:
            `total` is how many are in `executions`; `has_more` whether there are others behind them.
        """
        check_limit(limit, MOST_LISTED)
        if status and status not in _STATUSES:
            raise BadInput("status must be 'success' or 'failed'")
        ledger = self._project.looking()
        at = _moment(since, ledger)
        wanted = Wanted(task_id or None, status or None, at, backfilled, cursor or None, limit + 1)
        found = ledger.store.read(lambda tx: list_executions(tx, wanted))
        if not found and (reference := _reference(ledger, task_id)):
            found = ledger.store.read(lambda tx: list_executions(tx, replace(wanted, task_id=reference)))
        page, more = found[:limit], len(found) > limit
        words = {"executions": [execution_words(one) for one in page], "total": len(page), "has_more": more}
        return _done({**words, "next_cursor": cursor_of(page[-1]) if more else None})

    @tool(
        reads=True,
        title="Executions of a trace",
        answer=_answer(executions="array", retry_count="integer", final_status="nullable", next_cursor="nullable"),
    )
    @answering()
    def tasks_by_trace(self, trace_id: str, task_id: str = "", limit: int = 50, cursor: str = "") -> Words:
        """Return all attempts of a trace, by number.

        Args:
            task_id: Of this task alone: all tasks of a run have its trace.
            limit: 1 to 100.
            cursor: next_cursor of the page before.

        Returns:
            `retry_count` is the highest number less one, `final_status` that of the last attempt; 0 and null where
            nobody knows the trace.
        """
        check_limit(limit, MOST_LISTED)
        if not trace_id.strip():
            raise BadInput("trace_id is required")
        ledger, after = self._project.looking(), _after(cursor)
        found = ledger.store.read(lambda tx: trace(tx, trace_id))
        found = [one for one in found if task_id in ("", one.task_id, one.task_slug)]
        page = list(islice((one for one in found if _place(one) > after), limit + 1))
        words: Words = {
            "executions": [execution_words(one) for one in page[:limit]],
            "retry_count": max((one.attempt for one in found), default=1) - 1,
            "final_status": found[-1].status if found else None,
            "next_cursor": ".".join(map(str, _place(page[limit - 1]))) if len(page) > limit else None,
        }
        return _done(words)

    @tool(reads=True, title="Most frequent errors", answer=_answer(errors="array", next_cursor="nullable"))
    @answering()
    def errors_top(self, since: str = "", limit: int = 10, cursor: str = "") -> Words:
        """List errors by fingerprint, the most frequent first: status, count, what people noted.

        Args:
            since: Seen since then; counted since ever.
            limit: 1 to 100.
        """
        check_limit(limit, MOST_LISTED)
        ledger = self._project.looking()
        at = _moment(since, ledger)
        page = ledger.store.read(lambda tx: top_errors(tx, since=at, limit=limit, cursor=cursor or None))
        return _done({"errors": [error_words(one) for one in page.errors], "next_cursor": page.cursor})

    def tools(self, names: Iterable[str] = TOOLS) -> Tools:
        """Return what is offered to a language model: its definitions, and a way to call them.

        Args:
            names: Of those in `TOOLS`.
        """
        return Tools(getattr(self, name) for name in names)


def _done(words: Mapping[str, Any]) -> Words:
    return {"status": "success", **words}


def _moment(text: str, ledger: Ledger) -> int | None:
    """A time without a zone is UTC, as everywhere in document 001."""
    if not text.strip():
        return None
    before = moment_before(text.strip(), ledger.clock.now())
    try:
        return moment_of(text.strip(), "since") if before is None else before
    except BadInput as error:
        raise BadInput(error.message, hint=f"{error.hint}, or a span such as 90s, 5m, 2h, 3d, 1w") from None


def _reference(ledger: Ledger, task_id: str) -> str:
    """Return the reference of a task that was named by its id alone, as the tools of plans name it; empty: of none.

    Raises:
        Ambiguous: Several runs have such a task.
    """
    if not task_id or ":" in task_id:
        return ""
    try:
        found = find_task(ledger, task_id)
    except NotFound:
        return ""
    return task_reference(f"{found.run.kind}/{found.run.name}", found.task) if found.task else ""


def _place(one: Record) -> tuple[int, int, int]:
    return one.attempt, one.started_at, one.row_id


def _after(cursor: str) -> tuple[int, ...]:
    parts = cursor.split(".") if cursor else []
    if not all(part.removeprefix("-").isascii() and part.removeprefix("-").isdecimal() for part in parts):
        raise BadInput(f"expected a cursor that a page named, got: {cursor[:80]!r}")
    return tuple(map(int, parts)) if len(cursor) <= 80 else ()


__all__ = ["TOOLS", "ExecutionTools"]
