"""Removes what is over and old: whole runs with all that belongs to them, recordings, and what nothing refers to then.

Each batch is a transaction that appends what it removes to a chain of digests (`engine/removals.py`), and leaves a
store that is sound; so it may end at any moment and be begun again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, cast

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import owner_of, still_free
from tasktrail.engine.removals import Removed, hold, record
from tasktrail.model.errors import Held, NotFound
from tasktrail.model.run import OVER, Run
from tasktrail.store.documents import Document, Documents
from tasktrail.store.transaction import Row, Transaction

Kept = Literal["open", "held", "attached", "failed", "recent"]
Work = Callable[[Transaction], Counter[str]]
Told = Callable[[int], None]
"""Hears how many tasks and recordings went since it was last called."""

MOST_ROWS: Final = 5_000
"""Tasks and events of one transaction: others wait for it some tenths of a second at most."""
_PAGE: Final = 200
_FILES: Final = 20
_HASHES: Final = 50_000
_RECORDINGS: Final = 1_000
_DEFINITIONS: Final = 100
_LONG_AGO: Final = -(1 << 62)
_TYPES: Final = ("task_execution", "observation")
_REFERENCE: Final = re.compile(r"@([0-9a-f]{64})")


@dataclass(slots=True)
class Prospect:
    """What would go, and what stays although it is old.

    Args:
        rows: How many of each kind go.
        kept: How many runs and recordings stay, by why.
        files: The documents that keep their runs, some of them.
    """

    rows: Counter[str] = field(default_factory=Counter)
    kept: Counter[Kept] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is old, and what of it is kept.

    Args:
        until: What was over before this moment is old; microseconds UTC.
        keep_failures: Whether runs in which something stands failed, and recordings that failed, are kept.
        most_rows: See `MOST_ROWS`.
    """

    ledger: Ledger
    until: int
    keep_failures: bool = False
    most_rows: int = MOST_ROWS

    # looking

    def look(self) -> Prospect:
        """Return what would go; nothing is changed."""
        found = Prospect()
        for page in self._pages():
            going = []
            for run in page:
                if why := self.why_kept(run):
                    found.kept[why] += 1
                    if why == "attached" and len(found.files) < _FILES and (document := self._document(run)):
                        found.files.append(document.path)
                else:
                    going.append(run)
            found.rows += self._weigh(going)
        for rows in self._recordings():
            standing = Counter(str(row[2]) for row in rows)
            found.rows["recordings"] += standing.pop("past", 0)
            found.kept.update(cast("Counter[Kept]", standing))
        return found

    def why_kept(self, run: Run) -> Kept | None:
        """Return what keeps a run that was over long ago; None: it goes."""
        if not _is_over(run):
            return "open"
        if owner_of(self.ledger.store, run):
            return "held"
        if self._document(run):
            return "attached"
        return "failed" if self._is_kept_failure(run) else None

    def _is_kept_failure(self, run: Run) -> bool:
        return self.keep_failures and (run.n_failed > 0 or run.status == "failed")

    def _document(self, run: Run) -> Document | None:
        return self.ledger.store.read(partial(self._document_in, run))

    def _document_in(self, run: Run, tx: Transaction) -> Document | None:
        """The file that says the same as a run; None: it has none, or that was gone when it was last looked at."""
        if run.document_id is None:
            return None
        found = Documents(self.ledger.store.path).by_id(tx, run.document_id)
        return found if found and found.detached_at is None else None

    def _pages(self) -> Iterator[list[Run]]:
        after = {"after": _LONG_AGO, "after_id": 0}
        while True:
            params = {**after, "until": self.until, "limit": _PAGE}
            page = self.ledger.store.read(lambda tx: tx.runs("finished_runs", **params))  # noqa: B023 - called at once
            if not page:
                return
            yield page
            after = {"after": page[-1].finished_at or 0, "after_id": page[-1].id}

    def _weigh(self, runs: Sequence[Run]) -> Counter[str]:
        return self.ledger.store.read(partial(_weighed, runs))

    # removing

    def prune(self, told: Told = lambda _: None) -> Counter[str]:
        """Remove what is old; return how many rows of each kind went."""
        gone: Counter[str] = Counter()
        for batch in self._batches():
            done = self.ledger.store.write(batch)
            told(done["tasks"] + done["recordings"])
            gone += done
        return gone + self._sweep()

    def _batches(self) -> Iterator[Work]:
        for page in self._pages():
            waiting: list[Run] = []
            weight = 0
            for run in page:
                if self.why_kept(run):
                    continue
                yield from self._parts(run)
                waiting.append(run)
                weight += min(self._weight(run), self.most_rows)
                if weight >= self.most_rows:
                    yield self._whole(waiting)
                    waiting, weight = [], 0
            if waiting:
                yield self._whole(waiting)
        for rows in self._recordings():
            if past := [cast("int", row[0]) for row in rows if row[2] == "past"]:
                yield partial(self._records, past)

    def _weight(self, run: Run) -> int:
        weighed = self._weigh([run])
        return 1 + weighed["tasks"] + weighed["events"]

    def _whole(self, runs: Sequence[Run]) -> Work:
        """All that belongs to these runs; those that were changed since are left alone."""
        seen = sorted(runs, key=lambda run: run.id)

        def work(tx: Transaction) -> Counter[str]:
            hold(tx)
            going = [run for run in map(partial(self._going, tx), seen) if run]
            if not going:
                return Counter()
            removed = Removed()
            removed.add(tx.stream("events_of_runs", {"ids": _ids(going)}))
            gone = _weighed(going, tx)
            self._record(tx, gone, removed)
            for name in ("drop_events_of_runs", "drop_needs_of_runs", "drop_runs"):
                tx.execute(name, {"ids": _ids(going)})
            tx.execute("drop_documents", {"ids": json.dumps([run.document_id for run in going if run.document_id])})
            return gone

        return work

    def _parts(self, run: Run) -> Iterator[Work]:
        """A run that is too large for one transaction loses tasks first, and stays one that is sound."""
        while (weight := self._weight(run)) > self.most_rows and run.n_tasks > 1:
            yield partial(self._part, run, max(1, run.n_tasks * self.most_rows // weight))
            found = self.ledger.store.read(lambda tx: _found(tx, run.id))  # noqa: B023 - called at once
            if found is None or self.why_kept(found):
                return
            run = found

    def _part(self, seen: Run, most_tasks: int, tx: Transaction) -> Counter[str]:
        """What it waited for goes first and at once: a third of a second for 100,000 needs, which took ten to write."""
        hold(tx)
        run = self._going(tx, seen)
        if run is None:
            return Counter()
        run_id = run.id
        if run.n_needs:
            tx.execute("drop_needs_of_runs", {"ids": _ids([run])})
            tx.execute("free_tasks", {"run_id": run_id})
        rows = tx.rows("part_of_run", run_id=run_id, n_pending=run.n_pending, limit=most_tasks)
        ids = json.dumps([row[0] for row in rows])
        removed = Removed()
        removed.add(tx.stream("events_of_parts", {"run_id": run_id, "ids": ids}))
        attempts = cast("tuple[int]", tx.row("attempts_of_tasks", ids=ids))[0]
        gone = Counter(tasks=len(rows), attempts=attempts, events=removed.events)
        self._record(tx, gone, removed)
        tx.execute("drop_events_of_parts", {"run_id": run_id, "ids": ids})
        tx.execute("drop_tasks", {"ids": ids})
        self._shrink(tx, run, rows)
        return gone

    @staticmethod
    def _shrink(tx: Transaction, run: Run, rows: Sequence[Row]) -> None:
        """Let a run count what is left of it, stay what it was, and start nothing."""
        lost = Counter(f"n_{status}" for _, status, _ in rows)
        lost["n_stopping"] = sum(status == "failed" and bool(critical) for _, status, critical in rows)
        lost += Counter(n_needs=run.n_needs, n_unreachable=run.n_unreachable)
        tx.count(run.id, **{name: -number for name, number in lost.items()})
        declared_at = run.declared_at or run.finished_at
        tx.set_run(run.id, paused=1, declared_status=run.status, declared_at=declared_at)

    def _records(self, ids: Sequence[int], tx: Transaction) -> Counter[str]:
        hold(tx)
        params = {"ids": json.dumps(ids), "until": self.until, "keep_failures": int(self.keep_failures)}
        gone = +Counter(recordings=len(tx.rows("drop_recordings", **params)))
        if gone:
            self._record(tx, gone, Removed())
        return gone

    def _going(self, tx: Transaction, seen: Run) -> Run | None:
        """Return a run as it stands now; None when something keeps it by now, or it was removed already.

        Its number may be that of another by then.
        """
        with suppress(NotFound, Held):
            run = still_free(tx, seen)
            is_past = _is_over(run) and run.finished_at is not None and run.finished_at < self.until
            if is_past and not self._is_kept_failure(run) and self._document_in(run, tx) is None:
                return run
        return None

    def _record(self, tx: Transaction, gone: Counter[str], removed: Removed) -> None:
        record(tx, self.ledger.clock.now(), self.ledger.actor, gone, removed)

    def _recordings(self) -> Iterator[list[Row]]:
        """Old ones, page by page: row id, when it began, and whether it is past, or why it stays."""
        for type_ in _TYPES:
            params: dict[str, object] = {"type": type_, "until": self.until, "after": _LONG_AGO, "after_id": 0}
            params |= {"keep_failures": int(self.keep_failures), "limit": _RECORDINGS}
            while rows := self.ledger.store.read(lambda tx: tx.rows("past_recordings", **params)):  # noqa: B023
                yield rows
                params |= {"after": rows[-1][1], "after_id": rows[-1][0]}

    # what nothing refers to any more

    def _sweep(self) -> Counter[str]:
        gone: Counter[str] = Counter()
        store, after = self.ledger.store, ""
        while page := store.read(lambda tx: tx.rows("payload_page", after=after, limit=_HASHES)):  # noqa: B023
            after = str(page[-1][0])
            end = store.write(_log_end)
            unused = sorted(store.read(partial(_unused, {str(row[0]) for row in page})))
            for first in range(0, len(unused), _RECORDINGS):
                gone += store.write(partial(self._drop_payloads, unused[first : first + _RECORDINGS], end))
        while number := store.write(self._drop_definitions):
            gone["definitions"] += number
        return gone

    def _drop_payloads(self, hashes: Sequence[str], end: Row, tx: Transaction) -> Counter[str]:
        """Unless somebody came to need one since; nobody does meanwhile."""
        hold(tx)
        tx.row("keep_others_out")
        newer = tx.stream("newer_payload_references", {"seq": end[0], "id": end[1]})
        unused = sorted(_without_referred({*hashes}, newer))
        gone = Counter(payloads=len(tx.rows("drop_payloads", names=json.dumps(unused))))
        if unused:
            self._record(tx, gone, Removed())
        return gone

    def _drop_definitions(self, tx: Transaction) -> int:
        hold(tx)
        tx.row("keep_others_out")
        number = len(tx.rows("drop_definitions", limit=_DEFINITIONS))
        if number:
            self._record(tx, Counter(definitions=number), Removed())
        return number


def _is_over(run: Run) -> bool:
    return run.status in OVER and not run.is_open and not run.n_in_progress


def _found(tx: Transaction, run_id: int) -> Run | None:
    with suppress(NotFound):
        return tx.run(run_id)
    return None


def _weighed(runs: Sequence[Run], tx: Transaction) -> Counter[str]:
    attempts, events = cast("tuple[int, int]", tx.row("rows_of_runs", ids=_ids(runs)))
    return Counter(runs=len(runs), tasks=sum(run.n_tasks for run in runs), attempts=attempts, events=events)


def _ids(runs: Sequence[Run]) -> str:
    return json.dumps([run.id for run in runs])


def _log_end(tx: Transaction) -> Row:
    """Where log and attempts end, with nobody on the way there: what comes later has higher numbers."""
    tx.row("keep_others_out")
    return cast("Row", tx.row("log_and_attempts_end"))


def _unused(hashes: set[str], tx: Transaction) -> set[str]:
    return _without_referred(hashes, tx.stream("payload_references", {}))


def _without_referred(hashes: set[str], rows: Iterable[Row]) -> set[str]:
    for row in rows:
        hashes.difference_update(_REFERENCE.findall(str(row[0])))
    return hashes
