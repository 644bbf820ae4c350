"""An attempt: one execution of a task, which is a span of a trace."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from tasktrail.model.errors import BadInput
from tasktrail.model.task import Outcome

_TRACEPARENT = r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
_LENGTH = 55
"""Of a value of version 00."""
_TRACE_ID = r"(?!0{32})[0-9a-f]{32}"
_SPAN_ID = r"(?!0{16})[0-9a-f]{16}"


class SpanContext(NamedTuple):
    """One span of a trace, as others are told of it."""

    trace_id: str
    span_id: str


class Attempt(NamedTuple):
    """One row of `attempt`. The order of the fields is the order of the columns in the query `attempt_columns`.

    `n` counts from 1 within the task; `retry_of` is the id of the attempt before it. Error, message and stack are
    scrubbed text; `output` is JSON text or `@` and the hash of a payload. Times are microseconds UTC.
    """

    id: int
    task_id: int
    n: int
    fence: int
    worker_id: int | None
    actor: str | None
    trace_id: str
    span_id: str
    retry_of: int | None
    started_at: int
    ended_at: int | None
    duration_us: int | None
    outcome: Outcome | None
    error_type: str | None
    error: str | None
    stack: str | None
    output: str | None
    code_version: str | None
    fingerprint: str | None


ATTEMPT_FIELDS: Final[tuple[str, ...]] = Attempt._fields


def traceparent(trace_id: str, span_id: str) -> str:
    """Return the W3C Trace Context header value of a span. Source: Trace Context level 1, section 3.2.

    >>> traceparent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    """
    return f"00-{trace_id}-{span_id}-01"


def w3c_span(trace_id: str, span_id: str) -> SpanContext:
    """Return ids as W3C Trace Context has them; of others, which somebody else has chosen, the same for the same ones.

    >>> w3c_span("0af76519-16cd-43dd-8448-eb211c80319c", "b7ad6b7169203331")
    SpanContext(trace_id='0af7651916cd43dd8448eb211c80319c', span_id='b7ad6b7169203331')
    """
    return SpanContext(_w3c(_TRACE_ID, trace_id, 32), _w3c(_SPAN_ID, span_id, 16))


def _w3c(pattern: str, text: str, length: int) -> str:
    bare = text.lower().replace("-", "")
    return bare if re.fullmatch(pattern, bare) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:length]


def parse_traceparent(value: str) -> tuple[str, str]:
    """Return trace id and parent span id of a `traceparent` value, also of versions to come.

    Raises:
        BadInput: It is none, or an id is all zeros.
    """
    match = re.fullmatch(_TRACEPARENT, value.strip())
    is_known = match is not None and (match[1] != "00" or len(value.strip()) == _LENGTH)
    if match is None or not is_known or not int(match[2], 16) or not int(match[3], 16):
        raise BadInput(f"expected traceparent to be 00-<32 hex>-<16 hex>-<2 hex>, got: {value[:80]!r}")
    return match[2], match[3]
