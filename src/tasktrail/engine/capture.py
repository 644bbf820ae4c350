"""What steps print: kept apart per step, shown on stderr, scrubbed; stdout stays free for the command's own data."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TextIO

from tasktrail.model.scrub import scrub_text

Say = Callable[[str, str], None]
"""Shows a line: whose it is, and the line."""

_KEPT_AT_EACH_END: Final = 512 * 1024
_LONGEST_LINE: Final = 64 * 1024
_current: Final[ContextVar[Sink | None]] = ContextVar("tasktrail_step_output", default=None)


class Sink:
    """Takes what one attempt prints: lines are shown as they come, both ends are kept for the file.

    Args:
        name: The step; empty for what no step printed.
        keep: Gets the whole text, scrubbed, at the end; None keeps nothing.
    """

    def __init__(self, name: str, say: Say, keep: Callable[[str, str], None] | None = None) -> None:
        self._name = name
        self._say = say
        self._keep = keep
        self._lock = threading.Lock()
        self._line = ""
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_chars = self._tail_chars = self._lost_chars = 0

    def write(self, text: str) -> None:
        """Take what was printed."""
        with self._lock:
            if self._keep is not None:
                self._store(text)
            *lines, self._line = (self._line + text).split("\n")
            if len(self._line) > _LONGEST_LINE:
                lines, self._line = [*lines, self._line], ""
        for line in lines:
            self._say(self._name, scrub_text(line))

    def end(self) -> None:
        """Show what has no line end yet, and hand over what was kept; harmless when repeated."""
        with self._lock:
            rest, self._line = self._line, ""
            text, self._head, self._tail = self._text(), [], deque()
            self._head_chars = self._tail_chars = self._lost_chars = 0
        if rest:
            self._say(self._name, scrub_text(rest))
        if self._keep is not None and text:
            self._keep(self._name, scrub_text(text))

    def _store(self, text: str) -> None:
        if self._head_chars < _KEPT_AT_EACH_END:
            self._head.append(text)
            self._head_chars += len(text)
            return
        self._tail.append(text)
        self._tail_chars += len(text)
        while self._tail_chars - len(self._tail[0]) > _KEPT_AT_EACH_END:
            gone = len(self._tail.popleft())
            self._tail_chars -= gone
            self._lost_chars += gone

    def _text(self) -> str:
        gap = f"\n… {self._lost_chars} characters left out …\n" if self._lost_chars else ""
        return "".join([*self._head, gap, *self._tail])


class StepStream(io.TextIOBase):
    """Stands in for stdout and stderr: what a step prints goes to its sink, the rest to a common one."""

    def __init__(self, stream: TextIO, rest: Sink) -> None:
        self._stream = stream
        self._rest = rest

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a text stream's attribute, read-only here
        return self._stream.encoding

    @property
    def buffer(self) -> Any:
        """The bytes below, for code that writes bytes; those are shown and belong to no step."""
        return self._stream.buffer

    def write(self, text: str) -> int:
        (_current.get() or self._rest).write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True


class Capture:
    """Gives each attempt its sink.

    Args:
        keep: See `Sink`.
    """

    def __init__(self, say: Say, keep: Callable[[str, str], None] | None = None) -> None:
        self.say = say
        self.keep = keep
        self._rest = Sink("", lambda name, line: self.say(name, line))
        self._open: set[Sink] = set()

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Take all that is printed meanwhile. Both streams go to stderr: stdout belongs to the command."""
        out, err = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = StepStream(err, self._rest)
        try:
            yield
        finally:
            self.finish()
            sys.stdout, sys.stderr = out, err

    def finish(self) -> None:
        """Hand over what attempts printed that never ended."""
        for sink in list(self._open):
            sink.end()
        self._rest.end()

    def around(self, key: str, executor: Callable[..., Any]) -> Callable[..., Any]:
        """Return the executor of a step such that what it prints is the step's; it is called as before."""
        inner = inspect.unwrap(executor.func if isinstance(executor, functools.partial) else executor)
        call_method = getattr(type(inner), "__call__", None)  # noqa: B004 - asked whether it is a coroutine function
        if inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(call_method):

            async def call(*args: Any, **kwargs: Any) -> Any:
                return await self._awaited(self._begin(key), executor(*args, **kwargs))
        else:

            def call(*args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]  # the other branch's, for plain functions
                return self._called(self._begin(key), functools.partial(executor, *args, **kwargs))

        return _disguised(call, inner, executor)

    def _begin(self, key: str) -> Sink:
        sink = Sink(key, lambda name, line: self.say(name, line), self.keep)
        self._open.add(sink)
        return sink

    def _end(self, sink: Sink) -> None:
        self._open.discard(sink)
        sink.end()

    async def _awaited(self, sink: Sink, work: Awaitable[Any]) -> Any:
        token = _current.set(sink)
        try:
            return await work
        finally:
            _current.reset(token)
            self._end(sink)

    def _called(self, sink: Sink, work: Callable[[], Any]) -> Any:
        """A plain function may still return something to wait for."""
        token = _current.set(sink)
        value = None
        try:
            value = work()
        finally:
            _current.reset(token)
            if not inspect.isawaitable(value):
                self._end(sink)
        return self._awaited(sink, value) if inspect.isawaitable(value) else value


def _disguised(call: Callable[..., Any], inner: Callable[..., Any], executor: Callable[..., Any]) -> Callable[..., Any]:
    """Let the engine see the step's own parameters and code: it fills the first and versions the second."""
    functools.update_wrapper(call, inner, updated=())
    with contextlib.suppress(TypeError, ValueError):
        call.__signature__ = inspect.signature(executor)  # type: ignore[attr-defined]  # what inspect looks for
    return call
