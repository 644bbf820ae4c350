"""Undoing changes of a task: what they found there, and what stands on them. Read from events alone."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from tasktrail.model.task import Status

UNDOES: Final = "undoes"
"""In the changes of an event: the numbers of the events that it takes back."""
UNSAID: Final = "unsaid"
"""In the changes of an event: the numbers of the events whose notes somebody took out of a document."""
_KEPT: Final = frozenset({"attempts", "fence", "fingerprint", "stack", UNDOES, UNSAID})
"""What is never taken back: starts stay counted, no answer becomes valid again, and how something failed is history."""
_SAYING: Final = frozenset({"note", "late"})
"""What says something and changes nothing."""


class Told(NamedTuple):
    """One event. The order of the fields is the order of the columns in the query `told_columns`."""

    seq: int
    run_id: int
    task_id: int | None
    verb: str
    from_status: str | None
    to_status: str | None
    attempt: int | None
    changes_text: str | None
    at: int
    actor: str

    @property
    def changes(self) -> Mapping[str, Sequence[Any]]:
        """Old and new by name."""
        return json.loads(self.changes_text) if self.changes_text else {}

    @property
    def is_move(self) -> bool:
        """Whether it says where its task stands."""
        return self.from_status is not None and self.verb != "edit"

    @property
    def words(self) -> str:
        """How it is named to people."""
        return f"event {self.seq} ({self.verb} by {self.actor})"


class Found(NamedTuple):
    """What some changes found at their task, as far as they changed it; status None: they moved it nowhere."""

    status: Status | None
    values: Mapping[str, Any]


def found_by(events: Sequence[Told]) -> Found:
    """Return what changes of one task, the oldest first, found.

    >>> start = Told(7, 1, 1, "start", "pending", "in_progress", 1, '{"attempts":[0,1],"started_at":[null,5]}', 5, "a")
    >>> found_by([start])
    Found(status='pending', values={'started_at': None})
    """
    moves = [event for event in events if event.is_move]
    values: dict[str, Any] = {}
    for event in events:
        for name, (old, _) in event.changes.items():
            if name not in _KEPT:
                values.setdefault(name, old)
    return Found(cast(Status, moves[0].from_status) if moves else None, values)


def standing_on(undone: Sequence[Told], others: Iterable[Told]) -> list[tuple[Told, Told]]:
    """Return the pairs of a change to be undone and a later event of the same task that stands on it.

    An event stands on an earlier one if it changed the same; a start also on what its task needed then.
    """
    return [
        (change, other)
        for other in others
        if other.verb not in _SAYING
        for change in undone
        if change.seq < other.seq and _touched(change) & _stood_on(other)
    ]


def _touched(event: Told) -> set[str]:
    return {name for name in event.changes if name not in _KEPT} | ({"status"} if event.is_move else set())


def _stood_on(event: Told) -> set[str]:
    return _touched(event) | ({"needs"} if event.verb in ("start", "restart") else set())


def taken_back(events: Iterable[tuple[Any, Any]]) -> set[int]:
    """Return the numbers of events that are taken back, and not brought back since.

    Args:
        events: Number and changes, as JSON text, of those that may take others back; the oldest first.

    >>> sorted(taken_back([(3, '{"undoes":[null,[1,2]]}'), (4, '{"undoes":[null,[3]]}'), (5, '{"undoes":[null,[2]]}')]))
    [2, 3]
    """
    effects: dict[int, dict[int, bool]] = {}
    state: dict[int, bool] = {}
    for seq, text in events:
        undone = json.loads(str(text)).get(UNDOES, [None, []])[1]
        effect = effects[int(seq)] = {}
        for one in sorted(undone, reverse=True):
            effect.update({number: not is_back for number, is_back in effects.get(one, {}).items()})
            effect[one] = True
        state.update(effect)
    return {number for number, is_back in state.items() if is_back}


def unsaid(events: Iterable[tuple[Any, Any]], undone: Collection[int]) -> set[int]:
    """Return the numbers of events whose notes were taken out of a document.

    Args:
        events: As for `taken_back`.
        undone: What that gives: who takes a note out and is taken back has taken nothing out.
    """
    found = (json.loads(str(text)).get(UNSAID, [None, []])[1] for seq, text in events if int(seq) not in undone)
    return {number for numbers in found for number in numbers}
