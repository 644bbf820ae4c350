"""Takes a text, a person's name say, out of all that is stored: rows and history alike, so that they still agree.

What others refer to by name is not changed but refused, and so are files: they would bring it back.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.removals import ERASED, PRUNED, append, hold
from tasktrail.model.erasure import ERASED as PLACEHOLDER
from tasktrail.model.erasure import Eraser, How
from tasktrail.model.errors import Conflict, TasktrailError
from tasktrail.store.copying import Rows, Table
from tasktrail.store.documents import Documents
from tasktrail.store.transaction import Transaction

_TEXT, _INSIDE, _VALUE, _NAME, _CHANGES, _DETAILS = "text", "inside", "value", "name", "changes", "details"
COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "worker": {"name": _TEXT, "host": _TEXT, "queues": _INSIDE, "labels": _INSIDE},
    "definition": {"name": _NAME, "spec": _INSIDE},
    "job": {"name": _NAME, "queue": _NAME, "schedule": _INSIDE},
    "document": {"path": _NAME, "written": _INSIDE},
    "run": {"name": _NAME, "workflow": _NAME, "declared_error": _TEXT, "target": _TEXT, "metadata": _INSIDE},
    "item": {"name": _NAME, "attributes": _VALUE},
    "task": {
        "key": _NAME, "item": _NAME, "queue": _NAME, "labels": _INSIDE, "retry": _INSIDE, "output": _VALUE,
        "summary": _TEXT, "error_type": _TEXT, "error": _TEXT, "reason": _TEXT, "title": _TEXT, "metadata": _INSIDE,
    },
    "need": {"needed_key": _NAME},
    "slot": {"name": _NAME},
    "attempt": {
        "actor": _TEXT, "error_type": _TEXT, "error": _TEXT, "stack": _TEXT, "output": _VALUE, "inputs": _VALUE,
        "public_id": _NAME, "task_ref": _TEXT, "task_slug": _TEXT, "response": _TEXT, "parents": _NAME,
        "session_id": _NAME, "trace_id": _NAME, "span_id": _NAME, "idempotency_key": _NAME, "details": _DETAILS,
    },
    "output": {"lines": _TEXT},
    "event": {"actor": _TEXT, "changes": _CHANGES, "note": _TEXT},
    "error": {"error_type": _TEXT, "example": _TEXT, "note": _TEXT},
    "payload": {"data": _VALUE},
    "delivery": {"target": _TEXT, "last_error": _TEXT},
}  # fmt: skip
"""How each column is treated; those that are a name are only looked at. Payloads come first, others refer to them."""
_STAY: Final = ("status", "last_outcome", "code_version", "content_hash", "fingerprint")
"""What else a change may tell of: words and hashes of our own."""
_RANDOM: Final = re.compile(r"[_:][0-9a-f]{4}(?=\"|$)")
"""How the ids of recordings end, which may spell anything."""
_ENDS_SO: Final = ("public_id", "parents", "session_id")
_GENERATED: Final = re.compile(r"(?:[0-9a-f]{16})+")
"""Ids of traces and spans, and keys, that nobody chose: they may spell anything, too."""
_LINK: Final = re.compile(rf'("(?:retry_of|parent_span_id)"\s*:\s*"{_GENERATED.pattern}")')
"""What points to such a span; what points to one that somebody chose is erased only when that span is not here."""
_MOST: Final = 20
_ROUNDS: Final = 600_000


@dataclass(slots=True)
class Sighting:
    """Where a text stands.

    Args:
        places: How many rows have it, by `table.column`.
        names: What is called so, some of it.
        files: Attached files that have it.
        left: How many rows have it in names of members of JSON objects, which stay, by `table.column`.
    """

    places: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


class Erasing:
    """One text to be erased.

    Raises:
        BadInput: It is too short, or part of what would take its place.
    """

    def __init__(self, ledger: Ledger, text: str) -> None:
        self._ledger = ledger
        self._text = text

    def look(self) -> Sighting:
        """Return where it stands; nothing is changed but what people wrote in files, which is taken over as ever."""
        files = self._files()
        seen = self._ledger.store.read(lambda tx: _Pass(tx, self._text).go())
        seen.files = files
        return seen

    def erase(self) -> Sighting:
        """Erase it in one transaction; return where it stood.

        Raises:
            Conflict: Something is called so, or a file has it; nothing is changed then.
        """
        seen = self.look()
        self.refuse(seen)
        if not seen.places:
            return seen
        told = _slow_hash(self._text)

        def work(tx: Transaction) -> Sighting:
            hold(tx)
            tx.row("keep_others_out")
            guard = str((tx.row("event_guard") or ("",))[0])
            tx.execute("let_events_change", {})
            seen = _Pass(tx, self._text, changing=True).go()
            self.refuse(seen)
            tx.with_queries({"guard": guard}).execute("guard", {})
            self._record(tx, seen, told)
            return seen

        return self._ledger.store.write(work)

    def _record(self, tx: Transaction, seen: Sighting, told: str) -> None:
        said: dict[str, object] = {place: [number, 0] for place, number in seen.places.items()}
        actor = Eraser(self._text).text(self._ledger.actor)
        append(tx, ERASED, self._ledger.clock.now(), actor, {**said, "text": [None, told]})

    def refuse(self, seen: Sighting) -> None:
        """Refuse what would break, or come back.

        Raises:
            Conflict: The details name the places.
        """
        if seen.files:
            hint = "edit these files first, then erase again"
            raise Conflict("files have the text, and would bring it back", hint=hint, details=seen.files)
        if seen.names:
            words = "the text is part of names by which others refer to something; they cannot be renamed"
            raise Conflict(words, hint="remove what is called so: tasktrail prune", details=seen.names)

    def copies(self) -> list[Path]:
        """Return the copies beside the store that are known of: nobody erases anything in them."""
        path = self._ledger.store.path
        return sorted(path.parent.glob(f"{path.name}.before-*")) if path else []

    def _files(self) -> list[str]:
        """Attached files that have it, each first taken over as it stands."""
        eraser, documents = Eraser(self._text), Documents(self._ledger.store.path)
        found = []
        for run in self._ledger.store.read(lambda tx: tx.runs("runs_with_documents")):
            with suppress(TasktrailError):  # one that cannot be read by its format is looked at as a text
                self._ledger.attachments.sync(run)
            document = self._ledger.store.read(lambda tx, run=run: documents.by_id(tx, run.document_id))  # type: ignore[misc]
            if document is None or document.detached_at is not None:
                continue
            reading = document.file.read()
            # What was read of it too: YAML may fold a text over two lines, or escape a part of it.
            if any(map(eraser.is_in, (document.path, document.written or "", reading.text if reading else ""))):
                found.append(document.path)
        return found


class _Treatment:
    """What an eraser does to the text of a column."""

    def __init__(self, eraser: Eraser) -> None:
        self._changes, self._inside = eraser.changes, eraser.inside
        self._how: Mapping[str, How] = {
            _TEXT: eraser.text, _INSIDE: eraser.inside, _VALUE: eraser.value, _DETAILS: self._details,
        }  # fmt: skip
        self._of_changes: dict[str, How | None] = {
            name: self._how.get(how) for table in ("run", "item", "task") for name, how in COLUMNS[table].items()
        }
        self._of_changes.update(dict.fromkeys(_STAY))

    def __call__(self, how: str, text: str) -> str:
        return self._changes(text, self._of_changes) if how == _CHANGES else self._how[how](text)

    def _details(self, text: str) -> str:
        if not _LINK.search(text):
            return self._inside(text)
        parts = [(part, self._inside(part)) for part in _LINK.split(text)]
        is_whole = f'"{PLACEHOLDER}"'
        return "".join(
            old if place % 2 and not new.endswith(is_whole) else new for place, (old, new) in enumerate(parts)
        )


class _Pass:
    """One walk over all rows.

    Args:
        changing: Whether rows are changed; else they are only looked at.
    """

    def __init__(self, tx: Transaction, text: str, *, changing: bool = False) -> None:
        self._tx = tx
        self._eraser = eraser = Eraser(text)
        self._changing = changing
        self._rows = Rows(tx)
        self._treated, self._without = _Treatment(eraser), _Treatment(Eraser(text))
        self._seen = Sighting()

    def go(self) -> Sighting:
        """Walk, and return what was seen."""
        tables = {table.name: table for table in self._rows.tables}
        self._payloads()
        for table in (tables[name] for name in COLUMNS if name != "payload"):
            treated = [table.columns.index(column) for column in COLUMNS[table.name]]
            for row in self._rows.of(table):
                if self._eraser.concerns(text for place in treated if isinstance(text := row[place], str)):
                    self._one(table, dict(zip(table.columns, row, strict=True)))
        self._seen.places = +self._seen.places
        return self._seen

    def _payloads(self) -> None:
        """Their names are hashes of what they hold, so all that refers to them follows."""
        table = next(one for one in self._rows.tables if one.name == "payload")
        found: list[tuple[str, str, object]] = []
        for row in self._rows.of(table):
            said = dict(zip(table.columns, row, strict=True))
            data = self._eraser.value(str(said["data"]))
            if data != said["data"]:
                found.append((str(said["hash"]), data if self._changing else "", said["created_at"]))
        self._seen.places["payload.data"] += len(found)
        for old, data, at in found if self._changing else ():
            new = hashlib.sha256(data.encode()).hexdigest()
            self._tx.execute("add_payload", {"hash": new, "data": data, "at": at})
            self._tx.rows("drop_payloads", names=json.dumps([old]))
            self._eraser.payloads[f"@{old}"] = f"@{new}"

    def _one(self, table: Table, row: dict[str, object]) -> None:
        new = dict(row)
        for column, how in COLUMNS[table.name].items():
            text = row[column]
            if not isinstance(text, str) or (table.name, row.get("verb"), column) in _VOUCHED:
                continue
            if how == _NAME:
                self._check_name(table, column, text, row)
                continue
            new[column] = changed = self._treated(how, text)
            place = f"{table.name}.{column}"
            # What only follows a payload to its other hash does not have the text itself.
            self._seen.places[place] += changed != text and self._without(how, text) != text
            if how in (_INSIDE, _CHANGES, _DETAILS) and self._eraser.is_in(_LINK.sub("", changed)):
                self._seen.left[place] += 1
        if new != row and self._changing:
            self._rows.change(table, new if table.name != "definition" else _named_anew(new))

    def _check_name(self, table: Table, column: str, name: str, row: Mapping[str, object]) -> None:
        if not self._eraser.is_in(_RANDOM.sub("", name) if column in _ENDS_SO else name):
            return
        if table.name == "attempt" and _GENERATED.fullmatch(name) and self._eraser.text(name) != PLACEHOLDER:
            return
        if table.name == "document" and row["detached_at"] is None:
            return  # the file itself is named
        if len(self._seen.names) < _MOST and (said := f"{table.name} {column} {name}") not in self._seen.names:
            self._seen.names.append(said)


_VOUCHED: Final = frozenset({("event", PRUNED, "changes"), ("event", ERASED, "changes")})
"""Counts and hashes, which may spell anything."""


def _named_anew(row: dict[str, object]) -> dict[str, object]:
    """A definition is found by the hash of what it says; two that come to say the same stay two."""
    spec_hash = hashlib.sha256(str(row["spec"]).encode()).hexdigest()
    return {**row, "spec_hash": spec_hash, "version": f"{spec_hash}-{row['id']}"}


def _slow_hash(text: str) -> str:
    """Return what tells whether it was this text, to who knows it; so slow that to try all names takes long."""
    salt = secrets.token_hex(16)
    slow = hashlib.pbkdf2_hmac("sha256", text.casefold().encode(), salt.encode(), _ROUNDS)
    return f"pbkdf2_sha256${_ROUNDS}${salt}${slow.hex()}"
