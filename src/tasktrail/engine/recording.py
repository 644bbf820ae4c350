"""Writes what somebody tells of executions: one call is one transaction with one event, and nothing is told twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.values import LARGEST_INLINE, encode_text
from tasktrail.model.errors import Conflict
from tasktrail.model.record import Recording
from tasktrail.store.transaction import Rows, Transaction


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a recording: the id under which it is kept, and whether this call brought it."""

    id: str
    is_new: bool


def record(ledger: Ledger, recordings: Sequence[Recording]) -> list[Told]:
    """Store recordings, all or nothing; of one whose idempotency key is known the first one stays.

    Raises:
        Conflict: An id exists already, under another key or none.
    """

    def work(tx: Transaction) -> list[Told]:
        now = ledger.clock.now()
        added = tx.changed_each("add_recording", (_row(tx, recording, now) for recording in recordings))
        known = [one.idempotency_key for one, is_new in zip(recordings, added, strict=True) if not is_new]
        firsts = iter(tx.execute_each("recording_of_key", ({"key": key} for key in known)))
        told = [
            Told(one.public_id, True) if is_new else Told(_first_of(next(firsts), one), False)
            for one, is_new in zip(recordings, added, strict=True)
        ]
        for one, recording in zip(told, recordings, strict=True):
            _see(tx, recording, one.is_new)
        _note(tx, ledger, [one.id for one in told if one.is_new], now)
        return told

    return ledger.commit(work)


def record_again(ledger: Ledger, recording: Recording) -> str:
    """Store a recording even if its idempotency key is known: it is kept beside the first one, without the key.

    Raises:
        Conflict: Its id exists already.
    """

    def work(tx: Transaction) -> str:
        now = ledger.clock.now()
        is_new = _add(tx, recording, now) or _add(tx, _without_key(recording), now)
        if not is_new:
            raise _known(recording.public_id)
        _see(tx, recording, True)
        _note(tx, ledger, [recording.public_id], now)
        return recording.public_id

    return ledger.commit(work)


def _add(tx: Transaction, one: Recording, now: int) -> bool:
    return any(tx.changed_each("add_recording", [_row(tx, one, now)]))


def _row(tx: Transaction, one: Recording, now: int) -> dict[str, object]:
    """Return a row's columns; values that are large go where each content is stored once."""
    row: dict[str, object] = one._asdict()
    for name, text in (("inputs", one.inputs), ("output", one.output)):
        if text is not None and len(text) > LARGEST_INLINE:
            value = encode_text(text)
            value.keep(tx, now)
            row[name] = value.column
    return row


def _without_key(recording: Recording) -> Recording:
    """The key stays among the rest of what was told."""
    details = {**json.loads(recording.details or "{}"), "idempotency_key": recording.idempotency_key}
    return recording._replace(idempotency_key=None, details=json.dumps(details, ensure_ascii=False))


def _see(tx: Transaction, one: Recording, is_new: bool) -> None:
    """Count a failure to its error; what was there already was counted then."""
    if is_new and one.fingerprint is not None:
        tx.see_error(one.fingerprint, one.error_type, one.error, one.started_at)


def _first_of(rows: Rows, recording: Recording) -> str:
    """Return the id of the record that has a key already; without one it is the id that is there."""
    row = rows.fetchone()
    if row is None:
        raise _known(recording.public_id)
    return str(row[0])


def _known(public_id: str) -> Conflict:
    return Conflict(f"record {public_id} already exists", hint="records are never changed; give this one another id")


def _note(tx: Transaction, ledger: Ledger, ids: Sequence[str], now: int) -> None:
    """One event tells of all that a call brought; of what was there already nothing is to be told."""
    if ids:
        told = {"id": [None, ids[0]]} if len(ids) == 1 else {"records": [0, len(ids)], "id": [ids[0], ids[-1]]}
        tx.record_alone("recorded", now, ledger.actor, changes=json.dumps(told, ensure_ascii=False))
