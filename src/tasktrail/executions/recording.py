"""Records what a program does: `with record(…)` around code, `@recorded` on functions. Recording never breaks them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeVar, overload
from uuid import uuid4

from tasktrail.config import environment, load
from tasktrail.engine.spans import current, enclosing
from tasktrail.executions.exceptions import DuplicateExperience
from tasktrail.executions.factory import create_task_execution_experience, renamed
from tasktrail.executions.records import Experience
from tasktrail.executions.store import RawStore
from tasktrail.logs import logger
from tasktrail.model.attempt import Span, parse_traceparent, traceparent, w3c_span
from tasktrail.model.errors import BadInput
from tasktrail.model.plain import plain

F = TypeVar("F", bound=Callable[..., Any])

_SECRET_NAMES: Final = ("password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credential")
"""Arguments whose names hold one of these are not recorded."""

_DRAWS: Final = 3
_stores: Final[dict[Path, RawStore | None]] = {}
"""Of the projects that were recorded in, by working directory; None: recording is off there."""
_opening: Final = threading.Lock()


class Recorder:
    """One attempt while it runs; what is said of it here is recorded when it ends.

    Attributes:
        task_id: What is executed.
        attempt: Counts from 1.
        trace_id: Of all attempts together.
        span_id: Of this one.
        retry_of: Span of the attempt before.
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
        self._files: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._usage: dict[str, float] = {}
        self._token: Token[Span | None] | None = None
        self.trace_id, self.span_id = self._placed()

    # what is said of it

    def wrote(self, *paths: str | Path) -> None:
        """Say that files were written."""
        self._files += [str(path) for path in paths]

    def called(self, tool: str, arguments: object = None, result: object = None, **more: object) -> None:
        """Say that a tool was called, with what, and what came of it."""
        told = {"tool": tool, "arguments": arguments, "result": result, **more}
        self._calls.append({name: value for name, value in told.items() if value is not None})

    def used(self, *, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0, **more: float) -> None:
        """Say what a model used; several calls are added up."""
        told = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cost_usd": cost_usd, **more}
        for name, value in told.items():
            if value:
                self._usage[name] = self._usage.get(name, 0) + value

    # its trace

    @property
    def traceparent(self) -> str:
        """W3C Trace Context of this attempt, for calls to other systems."""
        return traceparent(*w3c_span(self.trace_id, self.span_id))

    def environ(self) -> dict[str, str]:
        """Return the environment for a command that is part of this attempt: this process's, with `TRACEPARENT`."""
        return {**environment(), "TRACEPARENT": self.traceparent}

    def _placed(self) -> Span:
        """Return trace and span: those that were given, else below the span around it, else new ones."""
        options = self._options
        trace_id, span_id = options["trace_id"], options["span_id"] or uuid4().hex[:16]
        around = _told_span(options) or (enclosing() if trace_id is None else None)
        if around is not None:
            self.parent_span_id = around.span_id
            return Span(trace_id or around.trace_id, span_id)
        return Span(trace_id or uuid4().hex, span_id)

    # beginning and ending; nothing of it may break what is recorded

    def begin(self) -> None:
        """Begin: code that runs from here on in this context is part of it."""
        if self._options["trace_id"] is not None and self._options["attempt"] is None:
            self._go_on()
        self._token = current.set(Span(self.trace_id, self.span_id))
        self._started_at, self._began_ns = datetime.now(UTC), time.perf_counter_ns()

    def _go_on(self) -> None:
        """Of a trace whose last attempt of this task failed, this is the next one."""
        try:
            store = self._store or _project_store()
            before = store.last_failed_of(self.trace_id, self.task_id) if store else None
        except Exception as error:  # noqa: BLE001 - see the class
            _not_recorded(self.task_id, error)
            return
        if before is not None:
            self.attempt, self.retry_of = before[0] + 1, before[1]

    def end(self, error: BaseException | None) -> None:
        """End and record. What goes wrong with that is logged as a warning."""
        lasted = timedelta(microseconds=(time.perf_counter_ns() - self._began_ns) // 1000)
        if self._token is not None:
            with contextlib.suppress(ValueError):  # a generator that is closed in another context than it began in
                current.reset(self._token)
            self._token = None
        try:
            store = self._store or _project_store()
            if store is not None:
                self.id = _stored(store, self._experience(lasted, error))
        except Exception as broken:  # noqa: BLE001 - see the class
            _not_recorded(self.task_id, broken)

    def _experience(self, lasted: timedelta, error: BaseException | None) -> Experience:
        options = self._options
        more = {"inputs": options["inputs"], "output": self.output, "usage": self._usage,
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
        retry_of: Span of the attempt before.
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

    def __enter__(self) -> Recorder:
        self._recorder = Recorder(self._task_id, self._options, self._store)
        self._recorder.begin()
        return self._recorder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._recorder.end(error)

    async def __aenter__(self) -> Recorder:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The commit waits for the disk, so it is made on another thread; a cancellation meanwhile does not lose it."""
        await asyncio.shield(asyncio.to_thread(self._recorder.end, error))


@overload
def recorded(function: F, /) -> F: ...
@overload
def recorded(
    task_id: str | None = None, /, *, inputs: bool = True, output: bool = True, **options: Any
) -> Callable[[F], F]: ...


def recorded(target: Any = None, /, *, inputs: bool = True, output: bool = True, **options: Any) -> Any:
    """Record each call of a function as one attempt; `@recorded`, or `@recorded("task", …)` with options of `record`.

    The function may be sync or async, or a generator of either kind; of a generator the attempt is as long as it is
    read.

    Args:
        target: The task's id; without one it is the function's module and name.
        inputs: Whether the arguments are recorded; those named like a secret never are.
        output: Whether what is returned is recorded.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        task_id = target if isinstance(target, str) else f"{function.__module__}.{function.__qualname__}"
        signature = _signature(function) if inputs else None

        def recording(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> record:
            return record(task_id, inputs=_arguments(signature, args, kwargs), **options)

        wrapper = _wrapper(function, recording, output=output)
        return functools.wraps(function)(wrapper)

    return decorate(target) if callable(target) else decorate


def _wrapper(
    function: Callable[..., Any], recording: Callable[[tuple[Any, ...], Mapping[str, Any]], record], *, output: bool
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            async with recording(args, kwargs) as attempt:
                value = await function(*args, **kwargs)
                _returned(attempt, value, output=output)
                return value

        return call_async
    if inspect.isasyncgenfunction(function):

        async def generate_async(*args: Any, **kwargs: Any) -> Any:
            async with recording(args, kwargs):
                async for value in function(*args, **kwargs):
                    yield value

        return generate_async
    if inspect.isgeneratorfunction(function):

        def generate(*args: Any, **kwargs: Any) -> Any:
            with recording(args, kwargs) as attempt:
                value = yield from function(*args, **kwargs)
                _returned(attempt, value, output=output)
                return value

        return generate

    def call(*args: Any, **kwargs: Any) -> Any:
        with recording(args, kwargs) as attempt:
            value = function(*args, **kwargs)
            _returned(attempt, value, output=output)
            return value

    return call


def _stored(store: RawStore, experience: Experience) -> str:
    """The end of an id is drawn by chance, and another process may have drawn it for the same second."""
    for _ in range(_DRAWS):
        try:
            return store.append_experience_idempotent(experience)
        except DuplicateExperience:
            experience = renamed(experience)
    return store.append_experience_idempotent(experience)


def _returned(attempt: Recorder, value: object, *, output: bool) -> None:
    if output and attempt.output is None:
        attempt.output = value


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _arguments(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    """Return arguments by name as they are when the call begins; later they may be others."""
    if signature is None:
        return None
    try:
        named = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call will say so itself
        return None
    told = {
        name: "[secret]" if any(word in name.lower() for word in _SECRET_NAMES) else value
        for name, value in named.items()
        if name not in ("self", "cls")
    }
    return plain(told) or None


def _project_store() -> RawStore | None:
    """Return the store of the project around the working directory; None where recording is off."""
    here = Path.cwd()
    with _opening:
        if here not in _stores:
            _stores[here] = RawStore() if load().executions_record == "on" else None
        return _stores[here]


def _told_span(options: Mapping[str, Any]) -> Span | None:
    """Return the span of whoever asked; what cannot be read is said in the log, and a new trace begins."""
    headers = options["headers"] or {}
    said = options["traceparent"] or next(
        (text for name, text in headers.items() if name.lower() == "traceparent"), None
    )
    if said is None:
        return None
    try:
        return Span(*parse_traceparent(str(said)))
    except BadInput as error:
        logger(__name__).warning("%s; a new trace begins", error)
        return None


def _status(error: BaseException | None) -> Literal["success", "failed", "aborted"]:
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return "success"
    return "failed" if isinstance(error, Exception | SystemExit) else "aborted"


def _not_recorded(task_id: str, error: Exception) -> None:
    logger(__name__).warning("an attempt of %s was not recorded: %s", task_id, error)
