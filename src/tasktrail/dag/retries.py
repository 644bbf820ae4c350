"""Back-off in document 003's words."""

from __future__ import annotations

from enum import Enum

from tasktrail.model.retry import Backoff, RetryPolicy


class RetryBackoffStrategy(str, Enum):
    """How the wait grows: delay·2^(n-1), delay·n, or always delay. Source: document 003, TASK-161FD."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    CONSTANT = "constant"


def policy(max_retries: int, delay_s: float, backoff: RetryBackoffStrategy | str) -> RetryPolicy:
    """Return the policy that a registration describes.

    Raises:
        BadInput: A number is out of range.
    """
    strategy: Backoff = RetryBackoffStrategy(backoff).value
    return RetryPolicy(max_retries=max_retries, delay_s=float(delay_s), backoff=strategy)
