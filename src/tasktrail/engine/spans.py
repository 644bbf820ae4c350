"""Which span code is executed in: that of a step, of a recording around it, or the one that the environment names."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from tasktrail.config import inherited_trace
from tasktrail.logs import logger
from tasktrail.model.attempt import SpanContext, parse_traceparent
from tasktrail.model.errors import BadInput

current: Final[ContextVar[SpanContext | None]] = ContextVar("tasktrail_span", default=None)
"""Of this context: threads and coroutines that begin in it inherit it; other processes are told by the environment."""


def enclosing() -> SpanContext | None:
    """Return the span that encloses this code, None when nobody knows one.

    A `TRACEPARENT` that cannot be read is left alone, as W3C Trace Context asks for: whoever wrote it is not here.
    """
    return current.get() or _inherited()


def _inherited() -> SpanContext | None:
    said = inherited_trace()
    if said is None:
        return None
    try:
        return SpanContext(*parse_traceparent(said))
    except BadInput as error:
        logger(__name__).debug("TRACEPARENT of the environment is left alone: %s", error)
        return None
