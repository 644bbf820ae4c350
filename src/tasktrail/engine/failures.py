"""What is kept of an exception: its type, its words, its stack without our own frames."""

from __future__ import annotations

import traceback
from typing import Final

from tasktrail.model.lifecycle import Failure

_LONGEST_MESSAGE: Final = 4_000
_LONGEST_STACK: Final = 16_000


def failure_of(error: BaseException) -> Failure:
    """Return what is stored of an exception; not yet scrubbed. Never raises, whatever the exception does."""
    return Failure(type(error).__name__, _both_ends(_words(error), _LONGEST_MESSAGE), _stack(error))


def _words(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:  # a foreign __str__
        text = f"(its text cannot be read: {type(broken).__name__})"
    return _storable(text)


def _stack(error: BaseException) -> str | None:
    """Skip our own frames above the step's, which tell the user nothing."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__", "").startswith("tasktrail."):
        frames = frames.tb_next
    if frames is None:
        return None
    try:
        lines = traceback.format_exception(type(error), error, frames)
    except Exception:  # as above
        return None
    return _both_ends(_storable("".join(lines)), _LONGEST_STACK)


def _storable(text: str) -> str:
    """No database takes lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")


def _both_ends(text: str, longest: int) -> str:
    """Keep the beginning and the end of a text that is too long, and say how much is missing."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
