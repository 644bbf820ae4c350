"""Stand-ins for stdout and stderr: what a step prints goes to its own output, the rest is shown on stderr."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TextIO

from tasktrail.engine.printed import STDERR, STDOUT, Clean, LineJoiner, printing
from tasktrail.model.scrub import scrub_text

Say = Callable[[str, str], None]
"""Shows a line: whose it is, empty for what no step printed, and the line."""


class StepStream(io.TextIOBase):
    """Stands in for one of the two streams.

    Args:
        stream: What it stands in for.
        number: Which of the two it is.
        rest: Takes what belongs to no step.
    """

    def __init__(self, stream: TextIO, number: int, rest: _Rest) -> None:
        self._stream = stream
        self._number = number
        self._rest = rest

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a text stream's attribute, read-only here
        return self._stream.encoding

    @property
    def buffer(self) -> Any:
        """The bytes below, for code that writes bytes; those are shown and belong to no step."""
        return self._stream.buffer

    def write(self, text: str) -> int:
        if printed := printing.get():
            printed.write(self._number, text)
        else:
            self._rest.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True


class _Rest:
    """Shows what belongs to no step, line by line; nothing of it is kept."""

    def __init__(self, say: Callable[[str], None], clean: Clean) -> None:
        self._say = say
        self._clean = clean
        self._lock = threading.Lock()
        self._joiner: Final = LineJoiner()

    def write(self, text: str) -> None:
        with self._lock:
            lines = self._joiner.without_keys(self._joiner.feed(text))
        self._show(lines)

    def end(self) -> None:
        with self._lock:
            lines = self._joiner.without_keys(self._joiner.end())
        self._show(lines)

    def _show(self, lines: str) -> None:
        for line in self._clean(lines).removesuffix("\n").split("\n") if lines else ():
            self._say(line)


@contextlib.contextmanager
def captured(say: Say) -> Iterator[None]:
    """Take all that is printed meanwhile. Both streams go to stderr: stdout belongs to the command."""
    out, err = sys.stdout, sys.stderr
    rest = _Rest(lambda line: say("", line), scrub_text)
    sys.stdout, sys.stderr = StepStream(err, STDOUT, rest), StepStream(err, STDERR, rest)
    try:
        yield
    finally:
        rest.end()
        sys.stdout, sys.stderr = out, err
