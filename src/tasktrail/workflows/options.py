"""What `@step` and `@workflow` take: the keys of workflow files, checked when they are written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from tasktrail.model.duration import parse_duration_ms
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import check_key
from tasktrail.model.retry import Backoff, RetryPolicy
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import PRIORITIES
from tasktrail.model.workflow import EFFECTS, ON_FAILURE

_Read = Callable[[Any, str], object]
Table = Mapping[str, tuple[str, _Read]]
"""By option: the field that it fills, and how its value is read."""


def Retry(  # noqa: N802 - a value, spelt like one
    max: int = 3,
    *,
    delay: float | str = 1.0,
    backoff: Backoff = "exponential",
    max_delay: float | str | None = None,
    jitter: float = 0.0,
    on: Sequence[type[BaseException] | str | int] = (),
) -> RetryPolicy:
    """Return how often a step is tried again, after how long, and after which errors.

    Args:
        max: Further tries after the first one.
        delay: Before the first retry: seconds, or a text such as `500ms`.
        max_delay: No delay is longer; None means no limit.
        jitter: The share of the delay that is random, from 0 to 1.
        on: Classes of errors, their names, or exit codes; empty means every error.
    """
    if isinstance(on, type | str):
        raise BadInput(f"expected on to be a list of errors, got: {on!r}", hint=f"on=[{getattr(on, '__name__', on)}]")
    names = tuple(one.__name__ if isinstance(one, type) else str(one) for one in on)
    longest = None if max_delay is None else parse_duration_ms(max_delay, "max_delay") / 1000
    first = 0 if delay == 0 else parse_duration_ms(delay, "delay") / 1000
    return RetryPolicy(max, first, backoff, longest, jitter, names)


def read_options(options: Mapping[str, object], known: Table, what: str) -> dict[str, object]:
    """Return the fields that options fill.

    Args:
        what: Whose options they are.

    Raises:
        BadInput: An option is unknown, or its value cannot be.
    """
    for name in options:
        if name not in known:
            advice = Suggestions()(name, known)
            raise BadInput(f"a {what} has no option {name!r}{advice}", hint=f"options: {', '.join(sorted(known))}")
    return {known[name][0]: known[name][1](value, name) for name, value in options.items()}


def _fits(kind: str, fits: Callable[[Any], bool]) -> _Read:
    def read(value: Any, name: str) -> object:
        if fits(value):
            return value
        raise BadInput(f"expected {name} to be {kind}, got: {value!r:.80}")

    return read


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _one_of(words: Collection[str]) -> _Read:
    return _fits(" or ".join(words), lambda value: value in words)


def _retries(value: object, name: str) -> RetryPolicy:
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, int) and _is_whole(value, 0):
        return RetryPolicy(value)
    raise BadInput(f"expected {name} to be a whole number from 0 or a Retry, got: {value!r:.80}")


def _priority(value: object, name: str) -> object:
    if isinstance(value, str) and value.upper() in PRIORITIES:
        return PRIORITIES[value.upper()]
    return _PRIORITY(value, name)


def _milliseconds(value: object, name: str) -> int | None:
    return None if value is None else parse_duration_ms(value, name)


def _seconds(value: object, name: str) -> int | None:
    ms = _milliseconds(value, name)
    if ms is not None and ms % 1_000:
        raise BadInput(f"expected {name} to be whole seconds, got: {value!r:.80}")
    return None if ms is None else ms // 1_000


def _labels(value: object, name: str) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(one, str) and one.strip() for one in value):
        return tuple(dict.fromkeys(value))
    raise BadInput(f"expected {name} to be a list of texts, got: {value!r:.80}")


def _limits(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and _is_whole(one, 1) for key, one in value.items())


def _resources(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) and _is_amount(one) for key, one in value.items())


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**31


_PRIORITY: Final = _fits(f"a whole number or one of {', '.join(PRIORITIES)}", lambda value: _is_whole(value, -(2**31)))
_WORDS: Final = _fits("a text", lambda value: isinstance(value, str) and bool(value.strip()))
_NONE_OR_WORDS: Final = _fits("a text", lambda value: value is None or (isinstance(value, str) and bool(value.strip())))

OF_STEP: Final[Table] = {
    "id": ("id", _WORDS), "title": ("title", _NONE_OR_WORDS), "when": ("when", _NONE_OR_WORDS),
    "critical": ("critical", _fits("True or False", lambda value: isinstance(value, bool))),
    "priority": ("priority", _priority),
    "queue": ("queue", _NONE_OR_WORDS),
    "labels": ("labels", _labels),
    "limits": ("limits", _fits("whole numbers from 1 by name", _limits)), "executor": ("executor", _NONE_OR_WORDS),
    "resources": ("resources", _fits("numbers from 0 by name", _resources)),
    "effect": ("effect", _one_of(EFFECTS)), "retries": ("retry", _retries), "timeout": ("timeout_ms", _milliseconds),
    "deadline": ("deadline_ms", _milliseconds), "cache": ("cache_s", _seconds),
}  # fmt: skip
OF_WORKFLOW: Final[Table] = {
    "name": ("name", check_key), "version": ("version", _WORDS), "on_failure": ("on_failure", _one_of(ON_FAILURE)),
    "max_parallel": ("max_parallel", _fits("a whole number from 1", lambda value: _is_whole(value, 1))),
}  # fmt: skip
