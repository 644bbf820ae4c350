"""How the end of an attempt becomes its answer: completed, tried again, failed for good, or lost."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

from tasktrail.engine.execution import MAYBE_DONE, Answer, Claim
from tasktrail.engine.failures import StepFailed, StepLost, failure_of, names_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.steps import Step
from tasktrail.engine.values import encode
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import MOST_LOSSES, Ask, Failure
from tasktrail.model.retry import RetryPolicy, retry_after_of


def succeeded(claim: Claim, value: object, duration_us: int) -> Answer:
    """Return the answer of a step that returned; what is no JSON is a failure that no retry would mend."""
    try:
        payload = encode(value, f"the result of step {claim.task.name!r}")
    except BadInput as error:
        failure = Failure(type(value).__name__, f"{error}; {error.hint}")
        return Answer(claim, Ask("fail", failure=failure, outcome="error"), duration_us=duration_us)
    return Answer(claim, Ask("complete", output=payload.column), payload, duration_us)


def failed(ledger: Ledger, claim: Claim, error: BaseException, duration_us: int, *, once: bool = False) -> Answer:
    """Return the answer of a step that raised.

    Args:
        once: Whether it must not run twice: where nobody knows whether it was done, a person is asked.
    """
    if isinstance(error, StepLost):
        return _lost(claim, failure_of(error), once=once)
    if isinstance(error, StepFailed) and error.is_final:
        return Answer(claim, Ask("fail", failure=failure_of(error), outcome="error"), duration_us=duration_us)
    wish_s = retry_after_of(error, datetime.now(UTC))
    return Answer(
        claim, _again_or_fail(ledger, claim, failure_of(error), names_of(error), wish_s), duration_us=duration_us
    )


def timed_out(ledger: Ledger, claim: Claim, step: Step, duration_us: int) -> Answer:
    """Return the answer of a step whose time is up."""
    words = f"step {claim.task.name!r} did not end within {(claim.task.timeout_ms or 0) / 1000:g} s"
    if not step.asynchronous:
        words += "; its thread cannot be ended and was abandoned"
    failure = Failure("TimeoutError", words)
    ask = _again_or_fail(ledger, claim, failure, ("TimeoutError",), outcome="timeout")
    return Answer(claim, ask, duration_us=duration_us)


def _lost(claim: Claim, failure: Failure, *, once: bool) -> Answer:
    """It was killed from outside. It can start again; the third loss is the last."""
    if once:
        return Answer(claim, Ask("block", failure=failure, outcome="lost", reason=MAYBE_DONE))
    over = claim.task.losses + 1 >= MOST_LOSSES
    return Answer(claim, Ask("fail" if over else "lapse", failure=failure, outcome="lost"))


def _again_or_fail(
    ledger: Ledger,
    claim: Claim,
    failure: Failure,
    names: Collection[str],
    wish_s: float | None = None,
    outcome: Literal["error", "timeout"] = "error",
) -> Ask:
    """Try again while the policy says so; the time of the next try is stored before anybody sleeps."""
    task = claim.task
    policy = RetryPolicy.from_json(task.retry)
    if task.tries < task.max_retries and policy.retries_on(names):
        delay_s = policy.next_delay_s(task.tries + 1, random=ledger.ids.chance(), retry_after_s=wish_s)
        if delay_s is not None:
            not_before = ledger.clock.now() + int(delay_s * 1_000_000)
            return Ask("retry", failure=failure, outcome=outcome, not_before=not_before)
    return Ask("fail", failure=failure, outcome=outcome)
