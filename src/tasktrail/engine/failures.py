"""What is kept of an exception: its type, its words, its stack without our own frames, and the names it goes by."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tasktrail.model.errors import BadInput
from tasktrail.model.fingerprint import fingerprint_of_exception, fingerprint_of_text
from tasktrail.model.lifecycle import Failure
from tasktrail.model.plain import held, storable, trimmed
from tasktrail.model.retry import error_names_of

LONGEST: Final = (500, 4_000, 16_000)
"""Characters of the type, the message and the stack that are stored."""
_TRACEBACK: Final = "Traceback (most recent call last):"
_GROUP: Final = f"Exception Group {_TRACEBACK}"
_UNINDENTED: Final = re.compile(r"^(?: *\| )?([^\s|+].*)", re.MULTILINE)
_OURS: Final = f"{Path(__file__).parents[1]}{os.sep}"


class StepFailed(Exception):  # raised for the runner alone; no user catches it
    """A step that was executed in another process failed; it brings home what is to be kept of that.

    Args:
        names: By what names a retry policy may know it: classes, exit codes.
        retry_after: Seconds that it asks to wait before the next try.
        is_final: Whether no further try would mend it.
    """

    def __init__(
        self,
        failure: Failure,
        names: tuple[str, ...] = (),
        retry_after: float | None = None,
        *,
        is_final: bool = False,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.names = names or (failure.type,)
        self.retry_after = retry_after
        self.is_final = is_final


class StepLost(StepFailed):
    """What executed a step was killed from outside: nobody knows whether the step itself would have failed.

    It costs no retry; the third loss of a step is its last.

    Args:
        message: What is gone, and how that is known.
    """

    def __init__(self, message: str) -> None:
        super().__init__(Failure("StepLost", message))


def failure_of(error: BaseException) -> Failure:
    """Return what is stored of an exception; not yet scrubbed. Never raises, whatever the exception does."""
    if isinstance(error, StepFailed):
        kept = error.failure
        return held_failure(kept.type, kept.message, kept.stack, kept.fingerprint)
    words = _words(error)
    return held_failure(type(error).__name__, words, _stack(error), fingerprint_of_exception(error, words))


def told_failure(text: str, status: str) -> Failure | None:
    """Return what is stored of a failure that somebody tells, not yet scrubbed; None where nothing is told.

    Args:
        text: Its message is the error with which a Python traceback ends, else its first line. Of several lines all
            are the stack.
        status: Where the task is to stand.

    Raises:
        BadInput: It is not to fail.
    """
    said = storable(text).strip()
    if not said:
        return None
    if status != "failed":
        raise BadInput(f"expected error with status failed alone, got: {status}", hint="say it in notes")
    first, *more = said.splitlines()
    message = _raised(said) or first
    fingerprint = fingerprint_of_text(said, "TaskFailed", message)
    return held_failure("TaskFailed", message, said if more else None, fingerprint)


def held_failure(kind: str, message: str, stack: str | None, fingerprint: str | None) -> Failure:
    """Return a failure that is still to be scrubbed; then `trimmed_words` cuts what is too long."""
    kind, message, stack = (held(storable(text), longest) for text, longest in _limited((kind, message, stack or "")))
    return Failure(kind, message, stack or None, fingerprint)


def trimmed_words(words: Iterable[str]) -> list[str]:
    """Return type, message and stack of a failure, scrubbed, as they are stored."""
    return [trimmed(text, longest) for text, longest in _limited(words)]


def _limited(words: Iterable[str]) -> Iterable[tuple[str, int]]:
    return zip(words, LONGEST, strict=True)


def _raised(text: str) -> str | None:
    """Return the line of a traceback that says what was raised: of several tracebacks the last, of a group its own."""
    _, is_group, behind = text.partition(_GROUP)
    if not is_group:
        _, is_traceback, behind = text.rpartition(_TRACEBACK)
        if not is_traceback:
            return None
    line = _UNINDENTED.search(behind)
    return line[1].strip() if line else None


def names_of(error: BaseException) -> tuple[str, ...]:
    """Return the names by which a retry policy may know an exception."""
    return error.names if isinstance(error, StepFailed) else error_names_of(error)


def _words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # noqa: BLE001 - a foreign __str__
        text = f"(its text cannot be read: {type(broken).__name__})"
    return storable(text)


def _stack(error: BaseException) -> str | None:
    """Leave our own frames out, which tell the user nothing."""
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__)
    except Exception:  # noqa: BLE001 - the exception's own methods
        return None
    theirs = [frame for frame in told.stack if not frame.filename.startswith(_OURS)]
    if not theirs:
        return None
    told.stack = traceback.StackSummary.from_list(theirs)
    return "".join(told.format())
