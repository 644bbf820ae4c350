"""When a failed attempt is tried again: the policy, its arithmetic, and what a server asked for with Retry-After."""

from __future__ import annotations

import json
import re
import reprlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Generic, Literal, TypeGuard, TypeVar, get_args

from tasktrail.model.errors import BadInput

Backoff = Literal["exponential", "linear", "constant"]

BACKOFFS: Final[tuple[Backoff, ...]] = get_args(Backoff)
LONGEST_DELAY_S: Final = 365 * 86_400.0
"""No delay is longer: without a ceiling 1 s doubled forty times is no date any more."""
LONGEST_RETRY_AFTER_S: Final = 86_400.0
"""Retry-After is believed up to a day: a wrong header must not park a task for ever."""

_MOST_RETRIES = 2**31 - 1  # what an integer column holds in every store
_MOST_DOUBLINGS = 1_000  # 2.0 ** 1024 raises OverflowError; at 1000 the ceiling was reached long ago
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EXIT_CODE = re.compile(r"0|-?[1-9][0-9]{0,9}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task is tried again, after how long, and after which errors.

    Args:
        max_retries: Further tries after the first one; 0 means never again.
        delay_s: The delay before the first retry.
        backoff: What the n-th retry waits: `exponential` delay·2^(n-1), `linear` delay·n, `constant` delay.
        max_delay_s: No computed delay is longer; None means no limit of its own. It does not shorten a Retry-After.
        jitter: The share of the delay that is random, from 0 to 1: the wait lies in delay·(1-jitter) … delay, so it
            never exceeds the cap; 1 is known as full jitter, 0.5 as equal jitter.
        on: Names of error classes (`ConnectionError`, `requests.exceptions.Timeout`) and exit codes as text (`75`)
            after which it is tried again; empty means after every error.

    Raises:
        BadInput: A value is outside its range; the details name every such value.

    >>> RetryPolicy(delay_s=0.1).next_delay_s(2, random=0.0)
    0.2
    """

    max_retries: int = 3
    delay_s: float = 1.0
    backoff: Backoff = "exponential"
    max_delay_s: float | None = None
    jitter: float = 0.0
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = [
            field.fault(field.name, value) for field in _FIELDS if not field.holds(value := getattr(self, field.name))
        ]
        _refuse("a retry policy", faults)

    def next_delay_s(self, tries: int, *, random: float, retry_after_s: float | None = None) -> float | None:
        """Return how long to wait before the next try; None when the retries are used up.

        Args:
            tries: Errors and time-outs so far in this budget, at least 1.
            random: A number in [0, 1), used for the jitter alone.
            retry_after_s: What the server asked for: the wait is at least that long, even beyond `max_delay_s`, but
                not beyond a day; None when it asked for nothing.

        Source: document 003, retry delays; RFC 9110 §10.2.3.
        """
        if tries < 1:
            raise BadInput(f"expected tries to be at least 1, got: {tries}")
        if tries > self.max_retries:
            return None
        delay_s = self._backoff_s(tries) * (1.0 - self.jitter + self.jitter * random)
        if retry_after_s is None:
            return delay_s
        return max(delay_s, min(retry_after_s, LONGEST_RETRY_AFTER_S))

    def retries_on(self, error_names: Collection[str]) -> bool:
        """Return whether this error is one that is tried again, however many tries are left.

        A bare name in `on` means a class of that name in any module, a dotted one means that class alone.

        Args:
            error_names: What `error_names_of` gives, or one exit code as text.
        """
        if not self.on:
            return True
        bare = {name.rpartition(".")[2] for name in error_names}
        return any(name in bare or name in error_names for name in self.on)

    def to_dict(self) -> dict[str, object]:
        """Return what differs from the defaults, spelt as in workflow files; empty for the default policy."""
        return {
            field.json_key: list(value) if isinstance(value, tuple) else value
            for field in _FIELDS
            if (value := getattr(self, field.name)) != field.default
        }

    @lru_cache(maxsize=64)  # noqa: B019 - a value; the steps of a workflow share a few of them
    def to_json(self) -> str | None:
        """Return `to_dict` as compact JSON text; None for the default policy.

        >>> RetryPolicy(max_retries=5, on=("75",)).to_json()
        '{"max":5,"on":["75"]}'
        """
        values = self.to_dict()
        return json.dumps(values, separators=(",", ":")) if values else None

    @classmethod
    def from_dict(cls, data: object, *, where: str = "retry") -> RetryPolicy:
        """Return the policy that a parsed file describes; None and missing keys mean the defaults.

        Args:
            data: A mapping with any of max, delay, backoff, max_delay, jitter, on.
            where: How error texts name it, `steps.fetch.retries` for example.

        Raises:
            BadInput: The details name every unknown key and every wrong value.
        """
        if data is None:
            return cls()
        if not isinstance(data, Mapping):
            raise BadInput(f"expected {where} to be a mapping, got: {_shown(data)}")
        faults = [*_unknown_keys(data, where)]
        values = (
            _MAX_RETRIES.read(data, where, faults),
            float(_DELAY.read(data, where, faults)),
            _BACKOFF.read(data, where, faults),
            _as_float(_MAX_DELAY.read(data, where, faults)),
            float(_JITTER.read(data, where, faults)),
            _ON.read({**data, "on": _names(data.get("on", ()))}, where, faults),
        )
        _refuse(where, faults)
        return cls(*values)

    @classmethod
    def from_json(cls, text: str | None) -> RetryPolicy:
        """Return the policy that `to_json` wrote.

        Raises:
            BadInput: As `from_dict`, and when the text is no JSON.
        """
        if text is None:
            return cls()
        try:
            data: object = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"expected retry to be JSON text, got: {_shown(text)}") from error
        return cls.from_dict(data)

    def _backoff_s(self, tries: int) -> float:
        factor = 1.0
        if self.backoff == "exponential":
            factor = 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
        elif self.backoff == "linear":
            factor = float(tries)
        cap_s = LONGEST_DELAY_S if self.max_delay_s is None else min(self.max_delay_s, LONGEST_DELAY_S)
        return min(self.delay_s * factor, cap_s)


def error_names_of(error: BaseException) -> tuple[str, ...]:
    """Return the names of the error's class and of its bases, nearest first; with module unless built in.

    >>> error_names_of(ConnectionResetError())
    ('ConnectionResetError', 'ConnectionError', 'OSError', 'Exception', 'BaseException')
    """
    classes = type(error).__mro__[:-1]  # without object, which names no error
    return tuple(
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}" for cls in classes
    )


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, from 0 to a day; None when it makes no sense.

    Args:
        value: Seconds (decimals are accepted, some servers send them) or an HTTP date in any of its three forms.
        now: The present moment, with its time zone.

    Source: RFC 9110 §10.2.3 and §5.6.7.

    >>> parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", datetime(1999, 12, 31, 23, 59, 29, tzinfo=UTC))
    30.0
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return _believable(float(text))
    from email.utils import parsedate_to_datetime  # loads socket and urllib, needed for dates only

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # the asctime form names no zone; HTTP dates are always GMT
        moment = moment.replace(tzinfo=UTC)
    return _believable((moment - now).total_seconds())


def retry_after_of(error: BaseException, now: datetime) -> float | None:
    """Return the seconds that the error's server asked to wait, from 0 to a day; None when it asked for nothing.

    Looked at, in this order: `error.retry_after`, `error.response.headers`, `error.headers` (those of urllib and
    aiohttp). It never raises, whatever these attributes do.

    Args:
        error: Any exception; no client library is imported.
        now: The present moment, with its time zone.
    """
    for find in (_own_wish, _header_of_response, _header_of_error):
        try:
            wish = find(error)
            wait_s = parse_retry_after(wish, now) if isinstance(wish, str) else _as_seconds(wish)
        except Exception:  # noqa: BLE001  foreign attributes may do anything; then they said nothing
            continue
        if wait_s is not None:
            return wait_s
    return None


def _own_wish(error: BaseException) -> object:
    return getattr(error, "retry_after", None)


def _header_of_response(error: BaseException) -> object:
    return _header_of_error(getattr(error, "response", None))


def _header_of_error(holder: object) -> object:
    headers = getattr(holder, "headers", None) or {}
    wish: object = headers.get("Retry-After")
    return headers.get("retry-after") if wish is None else wish  # a plain dict knows one spelling


def _as_seconds(wish: object) -> float | None:
    return _believable(wish) if isinstance(wish, int | float) and not isinstance(wish, bool) else None


def _believable(seconds: float) -> float | None:
    if seconds != seconds:
        return None
    return float(min(max(seconds, 0), LONGEST_RETRY_AFTER_S))


@dataclass(frozen=True, slots=True)
class _Field(Generic[T]):
    """One value of a policy: its two spellings, its default, and what it may be."""

    name: str
    json_key: str
    default: T
    kind: str
    holds: Callable[[object], TypeGuard[T]]

    def read(self, data: Mapping[object, object], where: str, faults: list[str]) -> T:
        value = data.get(self.json_key, self.default)
        if self.holds(value):
            return value
        faults.append(self.fault(f"{where}.{self.json_key}", value))
        return self.default

    def fault(self, name: str, value: object) -> str:
        return f"expected {name} to be {self.kind}, got: {_shown(value)}"


def _is_number(value: object) -> TypeGuard[float]:
    # Comparing, not isfinite: a whole number too large for a float must be refused, not raise.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _is_number_or_none(value: object) -> TypeGuard[float | None]:
    return value is None or _is_number(value)


def _is_share(value: object) -> TypeGuard[float]:
    return _is_number(value) and value <= 1


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_RETRIES


def _is_backoff(value: object) -> TypeGuard[Backoff]:
    return isinstance(value, str) and value in BACKOFFS


def _are_error_names(value: object) -> TypeGuard[tuple[str, ...]]:
    return isinstance(value, tuple) and all(isinstance(name, str) and _is_error_name(name) for name in value)


def _is_error_name(name: str) -> bool:
    return bool(_EXIT_CODE.fullmatch(name)) or all(part.isidentifier() for part in name.split("."))


_MAX_RETRIES: Final[_Field[int]] = _Field(
    "max_retries", "max", 3, f"a whole number from 0 to {_MOST_RETRIES}", _is_count
)
_DELAY: Final[_Field[float]] = _Field("delay_s", "delay", 1.0, "a number >= 0", _is_number)
_BACKOFF: Final[_Field[Backoff]] = _Field(
    "backoff", "backoff", "exponential", "one of " + ", ".join(BACKOFFS), _is_backoff
)
_MAX_DELAY: Final[_Field[float | None]] = _Field(
    "max_delay_s", "max_delay", None, "a number >= 0 or null", _is_number_or_none
)
_JITTER: Final[_Field[float]] = _Field("jitter", "jitter", 0.0, "a number from 0 to 1", _is_share)
_ON: Final[_Field[tuple[str, ...]]] = _Field("on", "on", (), "a list of error names and exit codes", _are_error_names)
_FIELDS: Final = (_MAX_RETRIES, _DELAY, _BACKOFF, _MAX_DELAY, _JITTER, _ON)


def _names(value: object) -> object:
    # Exit codes are numbers in a file and text in a policy; anything else is left for the check to refuse.
    if not isinstance(value, list | tuple):
        return value
    return tuple(str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in value)


def _as_float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _unknown_keys(data: Mapping[object, object], where: str) -> Iterator[str]:
    known = [field.json_key for field in _FIELDS]
    for key in data:
        if key not in known:
            yield f"expected {where} to have only the keys {', '.join(known)}, got: {_shown(key)}"


def _refuse(what: str, faults: list[str]) -> None:
    if faults:
        raise BadInput(f"{what} cannot be used", details=faults)


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"{type(value).__name__} too long to show"
