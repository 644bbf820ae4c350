"""The failures that one transaction saw, by fingerprint, until they are counted in the table of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tasktrail.model.lifecycle import Change

_LONGEST_EXAMPLE: Final = 500


class _Seen(NamedTuple):
    error_type: str | None
    example: str | None
    times: int
    first_at: int
    last_at: int


class Sightings:
    """Collects failures. Texts are clean."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def see_change(self, change: Change, workflow: str) -> str:
        """Take the failure in that a change is, in a run of this workflow, and return its fingerprint."""
        fingerprint = change.fingerprint(workflow)
        failure = change.ask.failure if change.ask else None
        self.see(fingerprint, failure.type if failure else None, failure.message if failure else None, change.at)
        return fingerprint

    def see(self, fingerprint: str, error_type: str | None, message: str | None, at: int) -> None:
        """Take a failure in; it may be older than what is known."""
        _, _, times, first_at, last_at = self._seen.get(fingerprint, _Seen(None, None, 0, at, at))
        example = message[:_LONGEST_EXAMPLE] if message else None
        self._seen[fingerprint] = _Seen(error_type or None, example, times + 1, min(first_at, at), max(last_at, at))

    def take(self) -> list[Mapping[str, object]]:
        """Return what is to be written, in one order for all who write, and forget it."""
        seen, self._seen = self._seen, {}
        return [{"fingerprint": fingerprint, **one._asdict()} for fingerprint, one in sorted(seen.items())]
