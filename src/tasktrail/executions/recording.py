"""Records what a program does: `with record(…)` around code, `@recorded` on functions. Recording never breaks them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal
from uuid import uuid4

from tasktrail.config import environment, load
from tasktrail.engine.spans import current, enclosing
from tasktrail.executions.exceptions import DuplicateExperience
from tasktrail.executions.factory import LONGEST_ID, create_task_execution_experience, is_id, renamed
from tasktrail.executions.records import Experience
from tasktrail.executions.store import RawStore
from tasktrail.logs import logger
from tasktrail.model.attempt import SpanContext, parse_traceparent, traceparent, w3c_span
from tasktrail.model.errors import BadInput
from tasktrail.model.plain import Plain, plain

__all__ = ["Recorder", "record"]

_DRAWS: Final = 9
_STORES_KEPT: Final = 16
_stores: Final[dict[Path, RawStore]] = {}
"""Of the projects that were recorded in, by working directory. There is no lock: to open a store twice is harmless, and
a fork or a signal while one is held would never end."""


class Recorder:
    """One attempt while it runs; what is said of it here is recorded when it ends.

    Attributes:
        task_id: What is executed.
        attempt: Counts from 1.
        trace_id: Of all attempts together.
        span_id: Of this one.
        retry_of: SpanContext of the attempt before.
        response: Words that it answers with; scrubbed.
        output: What it returns, as data.
        id: Of the record, once it is stored; None before, and where it could not be.
    """

    def __init__(self, task_id: str, options: Mapping[str, Any], store: RawStore | None) -> None:
        self.task_id = task_id
        self.attempt: int = options["attempt"] or 1
        self.retry_of: str | None = options["retry_of"]
        self.parent_span_id: str | None = None
        self.response: str | None = None
        self.output: object = None
        self.id: str | None = None
        self._options = options
        self._store = store
        self._inputs = plain(options["inputs"])
        self._files: list[Plain] = []
        self._calls: list[Plain] = []
        self._usage: dict[str, float] = {}
        self.trace_id, self.span_id = self._placed()

    # what is said of it, as it is when it is said

    def wrote(self, *paths: str | Path) -> None:
        """Say that files were written."""
        self._files += [plain(path) for path in paths]

    def called(self, tool: str, arguments: object = None, result: object = None, **more: object) -> None:
        """Say that a tool was called, with what, and what came of it."""
        told = {"tool": tool, "arguments": arguments, "result": result, **more}
        self._calls.append(plain({name: value for name, value in told.items() if value is not None}))

    def used(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0, **more: float) -> None:
        """Say what a model used; several calls are added up, and what is no number is left out."""
        told: dict[str, object] = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cost_usd": cost_usd}
        for name, value in {**told, **more}.items():
            if isinstance(value, int | float) and value:
                self._usage[name] = self._usage.get(name, 0) + value

    # its trace

    @property
    def traceparent(self) -> str:
        """W3C Trace Context of this attempt, for calls to other systems."""
        return traceparent(*w3c_span(self.trace_id, self.span_id))

    def environ(self) -> dict[str, str]:
        """Return the environment for a command that is part of this attempt: this process's, with `TRACEPARENT`."""
        return {**environment(), "TRACEPARENT": self.traceparent}

    def _placed(self) -> SpanContext:
        """Return trace and span: those that were given, else below the span around it, else new ones."""
        trace_id, span_id = (_given_id(self._options, name) for name in ("trace_id", "span_id"))
        around = _told_span(self._options) or (enclosing() if trace_id is None else None)
        if around is not None:
            self.parent_span_id = around.span_id
        return SpanContext(trace_id or (around.trace_id if around else uuid4().hex), span_id or uuid4().hex[:16])

    # beginning and ending; nothing of it may break what is recorded

    def begin(self) -> None:
        """Begin. Of a trace whose last attempt of this task failed, this is the next one."""
        if self._options["trace_id"] is not None and self._options["attempt"] is None:
            try:
                self._go_on()
            except Exception as error:  # noqa: BLE001 - see above
                _not_recorded(self.task_id, error)
        self._started_at, self._began_ns = datetime.now(UTC), time.perf_counter_ns()

    def _go_on(self) -> None:
        store = _wanted_store(self._store)
        before = store.last_failed_of(self.trace_id, self.task_id) if store else None
        if before is not None:
            self.attempt, self.retry_of = before[0] + 1, before[1]

    @contextmanager
    def around(self) -> Iterator[None]:
        """Let code of this context be part of the attempt meanwhile."""
        before = current.set(SpanContext(self.trace_id, self.span_id))
        try:
            yield
        finally:
            current.reset(before)

    def end(self, error: BaseException | None) -> None:
        """End and record. What goes wrong with that is logged as a warning."""
        lasted = timedelta(microseconds=(time.perf_counter_ns() - self._began_ns) // 1000)
        try:
            store = _wanted_store(self._store)
            if store is not None:
                self.id = _stored(store, self._experience(lasted, error))
        except Exception as broken:  # noqa: BLE001 - see above
            _not_recorded(self.task_id, broken)

    async def end_elsewhere(self, error: BaseException | None) -> None:
        """End on another thread, since the commit waits for the disk; a cancellation meanwhile does not lose it.

        Where no thread can be begun any more, or the event loop is another library's, it is done here.
        """
        try:
            ending = asyncio.get_running_loop().run_in_executor(None, self.end, error)
        except RuntimeError:
            self.end(error)
        else:
            await asyncio.shield(ending)

    def _experience(self, lasted: timedelta, error: BaseException | None) -> Experience:
        options = self._options
        more = {"inputs": self._inputs, "output": self.output, "usage": self._usage,
                "parent_span_id": self.parent_span_id}  # fmt: skip
        return create_task_execution_experience(
            task_id=self.task_id, task_slug=options["slug"] or self.task_id.rpartition(":")[2],
            task_name=options["name"] or self.task_id, task_type=options["task_type"],
            scheduled_vs_manual=options["trigger"], started_at=self._started_at,
            ended_at=self._started_at + lasted, status=_status(error), response_text=self.response,
            error=None if _status(error) == "success" else error, parent_experience_ids=options["parents"],
            files_written=self._files, tool_calls=self._calls, task_config=options["config"], trace_id=self.trace_id,
            span_id=self.span_id, attempt=self.attempt, retry_of=self.retry_of,
            more={name: value for name, value in more.items() if value not in (None, {}, [])},
        )  # fmt: skip


class record:  # noqa: N801 - it reads as a verb where it is used
    """Record the code of a `with` or `async with` block as one attempt of a task.

    An exception is recorded and goes on; one that means to stop (KeyboardInterrupt, a cancellation) is recorded as
    aborted. Whatever goes wrong with recording is logged as a warning, and the code goes on.

    Args:
        task_id: What is executed.
        name: What people call it; None is the id.
        slug: A short name; None is the id, behind its last colon.
        trigger: What began it.
        trace_id: Of all its attempts together. Where the last one of this task failed, this one is counted as its
            retry. None is the trace of the code around it, else a new one.
        traceparent: W3C Trace Context of whoever asked for it; so is the header of that name in `headers`, any case.
        attempt: Counts from 1; None finds it out.
        retry_of: SpanContext of the attempt before.
        inputs: What it works on, as data.
        parents: Ids of records that it stands on.
        config: Its configuration, of which the digest is kept.
        store: Where it is kept; None is the project's store.

    Example::

        with record("daily_report", inputs={"day": "2025-11-05"}) as attempt:
            attempt.response = write_report()
            attempt.wrote("report.md")
    """

    def __init__(
        self,
        task_id: str,
        *,
        name: str | None = None,
        slug: str | None = None,
        task_type: str = "custom",
        trigger: Literal["scheduled", "manual"] = "manual",
        trace_id: str | None = None,
        span_id: str | None = None,
        traceparent: str | None = None,
        headers: Mapping[str, str] | None = None,
        attempt: int | None = None,
        retry_of: str | None = None,
        inputs: object = None,
        parents: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        store: RawStore | None = None,
    ) -> None:
        self._task_id, self._store = task_id, store
        self._options = {
            "name": name, "slug": slug, "task_type": task_type, "trigger": trigger, "trace_id": trace_id,
            "span_id": span_id, "traceparent": traceparent, "headers": headers, "attempt": attempt,
            "retry_of": retry_of, "inputs": inputs, "parents": parents, "config": config,
        }  # fmt: skip

    def begun(self) -> Recorder:
        """Begin an attempt; who calls this says when code is part of it, and when it ends."""
        recorder = Recorder(self._task_id, self._options, self._store)
        recorder.begin()
        return recorder

    def __enter__(self) -> Recorder:
        self._recorder = self.begun()
        self._around = self._recorder.around()
        self._around.__enter__()
        return self._recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        self._recorder.end(error)

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        await self._recorder.end_elsewhere(error)

    def _leave(self) -> None:
        """A generator may be closed in another context than it began in; then there is nothing to set back."""
        with suppress(ValueError):
            self._around.__exit__(None, None, None)


def _stored(store: RawStore, experience: Experience) -> str:
    """Store a record, also where another of this task began in the same moment.

    The end of an id is drawn by chance, and another process may have drawn it for the same second.
    """
    for _ in range(_DRAWS):
        try:
            return store.append_experience(experience)
        except DuplicateExperience:
            experience = renamed(experience)
    return store.append_experience(experience)


def _wanted_store(named: RawStore | None) -> RawStore | None:
    """Return the store that was named, else that of the project around the working directory; None: it is off."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        here = Path(os.sep)
    return (named or _project_store(here)) if _is_on(here) else None


@lru_cache(maxsize=_STORES_KEPT)
def _is_on(here: Path) -> bool:
    return load(here).executions_record == "on"


def _project_store(here: Path) -> RawStore:
    kept = _stores.get(here)
    if kept is not None and kept.is_gone:  # its file was removed meanwhile; what is open still would go nowhere
        kept.close()
        kept = None
    if kept is None:
        if len(_stores) >= _STORES_KEPT:
            _stores.clear()
        kept = _stores[here] = RawStore()
    return kept


def _given_id(options: Mapping[str, Any], name: str) -> str | None:
    """Return an id that was given; one that cannot be is said in the log, and a new one is drawn."""
    given = options[name]
    if given is None or (isinstance(given, str) and is_id(given)):
        return given
    logger(__name__).warning("expected %s to have 1 to %d printable characters; a new one is drawn", name, LONGEST_ID)
    return None


def _told_span(options: Mapping[str, Any]) -> SpanContext | None:
    """Return the span of whoever asked; what cannot be read is said in the log, and a new trace begins."""
    try:
        headers = options["headers"] or {}
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        heads = (text for name, text in pairs if str(name).lower() == "traceparent")
        said = options["traceparent"] or next(heads, None)
        return SpanContext(*parse_traceparent(str(said))) if said is not None else None
    except (BadInput, TypeError, ValueError) as error:
        logger(__name__).warning("%s; a new trace begins", error)
        return None


def _status(error: BaseException | None) -> Literal["success", "failed", "aborted"]:
    if error is None or isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
        return "success"  # who closes a generator has had enough of it
    return "failed" if isinstance(error, Exception | SystemExit) else "aborted"


def _not_recorded(task_id: str, error: Exception) -> None:
    logger(__name__).warning("an attempt of %s was not recorded: %s", task_id, error)
