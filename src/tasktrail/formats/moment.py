"""Moments in documents: ISO 8601 to microseconds UTC, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["format_moment", "iso_utc", "microseconds", "moment", "moment_before", "parse_moment"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)  # naive times are UTC
_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_FIRST: Final = (datetime.min - _NAIVE_EPOCH) // _MICROSECOND
_LAST: Final = (datetime.max - _NAIVE_EPOCH) // _MICROSECOND


def parse_moment(text: str) -> int | None:
    """Return the microseconds UTC of an ISO 8601 time; naive is UTC; None when it is none.

    >>> parse_moment("2025-05-19T10:00:00+02:00") == parse_moment("2025-05-19T08:00:00Z")
    True
    """
    try:
        at = microseconds(datetime.fromisoformat(text))
    except ValueError:
        return None
    return at if _FIRST <= at <= _LAST else None


def microseconds(moment: datetime) -> int:
    """Return the microseconds UTC of a moment; naive is UTC."""
    since = moment - (_EPOCH if moment.tzinfo else _NAIVE_EPOCH)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(at: int) -> datetime:
    """Return microseconds UTC as a moment in UTC."""
    return _EPOCH + at * _MICROSECOND


def format_moment(at: int) -> str:
    """Return microseconds UTC as ISO 8601.

    >>> format_moment(0)
    '1970-01-01T00:00:00.000000+00:00'
    """
    return moment(at).isoformat(timespec="microseconds")


def iso_utc(at: int | None) -> str | None:
    """Return a stored time as ISO 8601 that ends with Z; None for none.

    >>> iso_utc(1_748_428_200_000_000)
    '2025-05-28T10:30:00.000000Z'
    """
    return None if at is None else f"{moment(at).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def moment_before(text: str, now: int) -> int | None:
    """Return the moment that `90s`, `5m`, `2h`, `3d` or `1w` before now means, microseconds UTC; None: it is no span.

    >>> moment_before("2h", 10_000_000_000) == 10_000_000_000 - 2 * 3_600_000_000
    True
    """
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    return now - int(found[1]) * _UNITS_US[found[2]] if found else None
