"""An attempt: one execution of a task, which is a span of a trace."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tasktrail.model.errors import BadInput
from tasktrail.model.task import Outcome

_TRACEPARENT = r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}"


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


def parse_traceparent(value: str) -> tuple[str, str]:
    """Return trace id and parent span id of a `traceparent` value.

    Raises:
        BadInput: It is no version 00 value, or an id is all zeros.
    """
    match = re.fullmatch(_TRACEPARENT, value.strip())
    if not match or not int(match[1], 16) or not int(match[2], 16):
        raise BadInput(f"expected traceparent to be 00-<32 hex>-<16 hex>-<2 hex>, got: {value[:80]!r}")
    return match[1], match[2]
