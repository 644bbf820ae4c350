"""A call: one attempt of a step as whoever executes it is told of it. Plain data, and no way to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

Write = Callable[[int, str], object]
"""Takes what was printed, from any thread: 1 for stdout or 2 for stderr, and text."""


@dataclass(frozen=True, slots=True)
class PlainContext:
    """What there is to know of an attempt outside of this process; a function that runs there gets it as `ctx`.

    Args:
        reference: How the task is written, `RUN:STEP`, with its index where it has one.
        attempt: Number of this start, from 1, over all executions.
        token: The same for every attempt of the step: for services that take an idempotency key.
        traceparent: W3C Trace Context of the attempt.
        timeout_s: How long the attempt may take; None means no limit.
        results: Of the steps that it needs, by step.
    """

    run_id: str
    step_id: str
    reference: str
    attempt: int
    trace_id: str
    span_id: str
    token: str
    traceparent: str
    timeout_s: float | None = None
    results: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """What an executor is told: which function is called, with what, for which attempt.

    Args:
        target: The function, `module:function`.
        first: Arguments by place.
        named: Arguments by name.
        wants_context: Whether the function has a parameter `ctx`; else the context has no results.
        folder: Of the workflow file: modules beside it are looked for there, on the machine that runs the workflow.
        write: Takes what the function prints, while it runs.
        resources: What the step asks the executor's place for, by name; no other names than those in its `takes`.
    """

    target: str
    context: PlainContext
    first: tuple[object, ...]
    named: Mapping[str, object]
    wants_context: bool
    folder: str | None
    write: Write
    resources: Mapping[str, float] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, object]:
        """The call as JSON values, for `perform` in another place."""
        near = ("context", "write", "resources")
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in near}
        return {**told, "context": {one.name: getattr(self.context, one.name) for one in fields(self.context)}}
