"""Logging: silent in the library, lines on stderr for commands, scrubbed, with run, task, attempt and trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:  # `logging` costs milliseconds: it is imported with the first logger, not with the package
    import logging

Scrub = Callable[[str], str]
Fields = dict[str, "str | int | None"]

_CONTEXT: ContextVar[context | None] = ContextVar("tasktrail_log_context", default=None)
_NAMES = ("run", "task", "attempt", "trace")
# Hostile text must not steer a terminal: controls but tab and line feed, and what turns the direction of writing.
_CODES = (*range(9), *range(11, 32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CODES}


class context:  # noqa: N801  # reads as a verb: with context(run=…)
    """Add fields to every line logged inside the `with` block, in this thread or asyncio task; blocks nest.

    A field that is None stays as it is outside. A thread pool does not hand contexts on: pass functions to it by
    `contextvars.copy_context().run`.
    """

    __slots__ = ("_outer", "_token", "_values")

    def __init__(
        self, *, run: str | None = None, task: str | None = None, attempt: int | None = None, trace: str | None = None
    ) -> None:
        self._values = (run, task, attempt, trace)

    def __enter__(self) -> Self:
        # Linked, not merged: most blocks log nothing, and each step enters one (0.7 µs; merging took twice that).
        self._outer = _CONTEXT.get()
        self._token: Token[context | None] = _CONTEXT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        _CONTEXT.reset(self._token)


def logger(name: str) -> logging.Logger:
    """The logger of a module, below `tasktrail`: `logger(__name__)`, where the first line may be logged.

    Nothing is shown until a command calls `setup`, or a program that uses the library sets up its own logging.
    """
    import logging

    root = logging.getLogger("tasktrail")
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # else Python prints warnings to stderr on its own
    return root if name == "tasktrail" else logging.getLogger(f"tasktrail.{name.removeprefix('tasktrail.')}")


def setup(level: str, format: str, scrub: Scrub, stream: TextIO | None = None) -> None:
    """Log to stderr from now on; what an earlier call set up is replaced. For commands and servers only.

    Args:
        level: debug, info, warning or error.
        format: text (for people, local time) or json (one object per line, UTC).
        scrub: Takes secrets out of a text; a line it fails on is withheld.
        stream: None is `sys.stderr`, looked up for each line.
    """
    silence()
    root = logger("tasktrail")
    root.addHandler(_handler(_json_line if format == "json" else _text_line, scrub, stream))
    root.setLevel(level.upper())
    root.propagate = False  # a root handler of the user's modules would show the lines again, unscrubbed


def adopt(name: str) -> None:
    """Show what another library logs as our own lines: scrubbed, or nowhere."""
    import logging

    logging.getLogger(name).parent = logger("tasktrail")


def silence() -> None:
    """Take back what `setup` did."""
    root = logger("tasktrail")
    for handler in [handler for handler in root.handlers if handler.name == "tasktrail"]:
        root.removeHandler(handler)
    root.setLevel(0)
    root.propagate = True


def _handler(line: Callable[[logging.LogRecord, Scrub], str], scrub: Scrub, stream: TextIO | None) -> logging.Handler:
    import logging

    class LineHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            out = stream or sys.stderr
            try:
                out.write(line(record, scrub) + "\n")
                out.flush()
            except Exception:  # noqa: BLE001  # a full disk or closed pipe must not end the work
                pass  # nor may logging's own report be shown: it holds the arguments unscrubbed

    handler = LineHandler()
    handler.name = "tasktrail"
    return handler


def _text_line(record: logging.LogRecord, scrub: Scrub) -> str:
    """2025-11-21 09:30:00 WARNING tasktrail.engine: the message [run=A task=T1]; further lines are indented."""
    from datetime import datetime

    moment = datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    fields = " ".join(f"{name}={value}" for name, value in _fields(scrub).items() if value is not None)
    said = _scrubbed(_message(record), scrub) + (f" [{fields}]" if fields else "")
    trouble = _scrubbed(_exception(record), scrub)
    text = f"{moment} {record.levelname} {record.name}: {said}" + (f"\n{trouble}" if trouble else "")
    # Indented, so that no message can pass for a line of its own.
    return text.translate(_CONTROLS).replace("\n", "\n    ")


def _json_line(record: logging.LogRecord, scrub: Scrub) -> str:
    """Scrubbed before it is JSON, whose escapes would hide a secret from the scrubber.

    `fields` of a record, words and numbers of ours, become members of their own.
    """
    import json
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"ts": moment, "level": record.levelname.lower(), "logger": record.name}
    line["msg"] = _scrubbed(_message(record), scrub)
    trouble = _scrubbed(_exception(record), scrub)
    more = getattr(record, "fields", {})
    return json.dumps({**line, **_fields(scrub), **more, **({"exception": trouble} if trouble else {})})


def _fields(scrub: Scrub) -> Fields:
    """All four, None where not known. Run and task may be named by users; attempt and trace are ours, never touched."""
    found: Fields = dict.fromkeys(_NAMES)
    block = _CONTEXT.get()
    while block:
        for name, value in zip(_NAMES, block._values, strict=True):
            found[name] = value if found[name] is None else found[name]
        block = block._outer
    for name in ("run", "task"):
        if isinstance(value := found[name], str):
            found[name] = _scrubbed(value, scrub)
    return found


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001  # somebody's __str__, or arguments that do not fit
        return f"{record.msg!r} (its arguments cannot be shown: {type(error).__name__})"


def _exception(record: logging.LogRecord) -> str:
    """The stack of the exception or of the call; not kept on the record, where other handlers would find it."""
    import logging

    parts = [logging.Formatter().formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
    return "\n".join([*parts, record.stack_info] if record.stack_info else parts)


def _scrubbed(text: str, scrub: Scrub) -> str:
    try:
        return scrub(text) if text else text
    except Exception as error:  # noqa: BLE001  # foreign code; showing the text all the same would leak it
        return f"(withheld: the scrubber failed with {type(error).__name__})"
