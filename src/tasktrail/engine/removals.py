"""What tells of removed events: a chain of digests in the history itself, and the proof that it is whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tasktrail.store.transaction import Row, Transaction

PRUNED: Final = "pruned"
ERASED: Final = "erased"
_SAID: Final = ("highest", "removed", "digest")


class Removed:
    """Takes events in, in the order of the log: how many, the highest number, and a digest of all they say."""

    def __init__(self) -> None:
        self.events = 0
        self.highest: object = None
        self._hash = hashlib.sha256()

    def add(self, events: Iterable[Row]) -> None:
        """Take events in; columns as in `pruned_columns`."""
        for event in events:
            self._hash.update(_line(event))
            self.events, self.highest = self.events + 1, event[0]

    def digest(self) -> str | None:
        """Return what they come to, in hexadecimal digits; None for none."""
        return self._hash.hexdigest() if self.events else None


def hold(tx: Transaction) -> None:
    """Let others who remove something wait until this transaction is over; to be called before anything else in it."""
    tx.row("hold_removals")


def record(tx: Transaction, at: int, actor: str, counts: Mapping[str, int], removed: Removed) -> None:
    """Append the event of a removal, before events go: its number is then higher than theirs. `hold` comes first.

    Args:
        counts: Rows that go, by what they are; events among them.
    """
    row = tx.row("last_removal", verb=PRUNED)
    before = json.loads(str(row[0]))["digest"][1] if row else None
    said: dict[str, list[Any]] = {name: [number, 0] for name, number in counts.items() if number}
    if removed.events:
        said.update(highest=[removed.highest, None], removed=[None, removed.digest()])
    said["digest"] = [before, _chained(before, at, said)]
    append(tx, PRUNED, at, actor, said)


def append(tx: Transaction, verb: str, at: int, actor: str, said: Mapping[str, object]) -> None:
    """Append an event that belongs to no run."""
    event = {"at": at, "actor": actor, "run_id": None, "task_id": None, "verb": verb, "from_status": None}
    tx.execute("add_event", {**event, "to_status": None, "attempt": None, "changes": json.dumps(said), "note": None})


def check_removals(tx: Transaction) -> Iterator[str]:
    """Yield where the removals on record contradict each other, or the numbers of what is there.

    Each is in the digest of the next, so that none can be changed or left out between two. A number of an event is
    never given twice below the newest removal, so at least as many must be missing there as were removed: rolled back
    transactions and deleted runs leave gaps of their own.
    """
    before, n_removed, last = None, 0, 0
    for seq, at, _, changes in tx.rows("removals", verb=PRUNED):
        said = json.loads(str(changes))
        if said["digest"][0] != before:
            yield f"event {seq} ({PRUNED}) does not follow the removal before it: one is missing, or was changed"
        if said["digest"][1] != _chained(said["digest"][0], at, said):
            yield f"event {seq} ({PRUNED}) is not what it was when it was written"
        before, last = said["digest"][1], int(str(seq))
        n_removed += said.get("events", [0])[0]
        if said.get("highest", [0])[0] >= last:
            yield f"event {seq} ({PRUNED}) tells of events that came after it"
    row = tx.row("events_before", seq=last)
    missing = last - 1 - int(str(row[0])) if row and last else 0
    if missing < n_removed:
        found = f"but {max(0, missing)} are missing there"
        yield f"{n_removed} events are on record as removed before event {last}, {found}"


def removals(tx: Transaction) -> tuple[dict[str, int], list[Row]]:
    """Return what was ever pruned, by what it was, and the events that tell so: number, time, actor, changes."""
    rows = tx.rows("removals", verb=PRUNED)
    totals: dict[str, int] = {}
    for row in rows:
        for name, (number, _) in json.loads(str(row[3])).items():
            if name not in _SAID:
                totals[name] = totals.get(name, 0) + number
    return totals, rows


def _chained(before: str | None, at: object, said: Mapping[str, list[Any]]) -> str:
    """Who removed it is left out: a person's name may be erased."""
    told = {name: values for name, values in said.items() if name != "digest"}
    return hashlib.sha256(_line([before, at, sorted(told.items())])).hexdigest()


def _line(values: object) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
