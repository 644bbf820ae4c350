"""Known errors: failures that are one and the same, and what people say of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, cast, get_args

from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import Ambiguous, BadInput, NotFound
from tasktrail.model.fingerprint import FINGERPRINT
from tasktrail.store.transaction import Row, Transaction

ErrorStatus = Literal["open", "resolved", "ignored", "regressed"]
ERROR_STATUSES: Final[tuple[ErrorStatus, ...]] = get_args(ErrorStatus)
_CANDIDATES_SHOWN: Final = 10
_PLACE: Final = re.compile(rf"(\d{{1,18}})-({FINGERPRINT})", re.ASCII)


class KnownError(NamedTuple):
    """One row of `error`. The order of the fields is the order of the columns in the query `error_columns`.

    `example` is the message of the last failure, scrubbed. Times are microseconds UTC. It has *regressed* where it was
    seen again after it was resolved.
    """

    fingerprint: str
    type: str | None
    example: str | None
    occurrences: int
    first_at: int
    last_at: int
    resolved_at: int | None
    ignored_at: int | None
    note: str | None
    status: ErrorStatus


@dataclass(frozen=True, slots=True)
class ErrorPage:
    """A page of errors, what was seen last first. `cursor` gets the next page; None when this is the last."""

    errors: Sequence[KnownError]
    cursor: str | None


def list_errors(
    tx: Transaction,
    *,
    status: ErrorStatus | None = None,
    since: int | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> ErrorPage:
    """Return errors, what was seen last first.

    Args:
        status: Only those that stand so; None is all but those that are ignored.
        since: Only those that were seen then or later.
        cursor: What the page before said; None begins.

    Raises:
        BadInput: The cursor is none of ours.
    """
    before, fingerprint = _place(cursor) if cursor is not None else (None, None)
    params = {"status": status, "since": since or 0, "before": before, "prefix": fingerprint}
    found = [_known(row) for row in tx.rows("errors_page", limit=limit + 1, **params)]
    page = found[:limit]
    return ErrorPage(page, f"{page[-1].last_at}-{page[-1].fingerprint}" if len(found) > limit else None)


def top_errors(tx: Transaction, *, since: int | None = None, limit: int = 20, cursor: str | None = None) -> ErrorPage:
    """Return errors that nobody ignores, the most frequent first.

    Args:
        since: Only those that were seen then or later; they are counted since ever.
        cursor: What the page before said; None begins.

    Raises:
        BadInput: The cursor is none of ours.
    """
    fewer, fingerprint = _place(cursor) if cursor is not None else (None, None)
    rows = tx.rows("errors_top", since=since or 0, fewer=fewer, prefix=fingerprint, limit=limit + 1)
    found = [_known(row) for row in rows]
    page = found[:limit]
    return ErrorPage(page, f"{page[-1].occurrences}-{page[-1].fingerprint}" if len(found) > limit else None)


def _place(cursor: str) -> tuple[int, str]:
    found = _PLACE.fullmatch(cursor)
    if found is None:
        raise BadInput("expected the cursor to be one that a page named", hint="tasktrail list-errors")
    return int(found[1]), found[2]


def error_of(tx: Transaction, text: str) -> KnownError:
    """Return the error of a fingerprint, or of how one begins; the version in front may be left out.

    Raises:
        NotFound: There is none.
        Ambiguous: Several fingerprints begin so; the details list them.
    """
    prefix = text if ":" in text else f"fp1:{text}"
    found = [_known(row) for row in tx.rows("errors_like", prefix=prefix, limit=_CANDIDATES_SHOWN)]
    if not found or not text:
        raise NotFound(f"no error has a fingerprint {text!r}", hint="tasktrail list-errors")
    if len(found) > 1:
        words = [f"{one.fingerprint} {one.type or ''}".rstrip() for one in found]
        raise Ambiguous(f"several errors begin with {text}", details=words, hint="write more of the fingerprint")
    return found[0]


def known_error(tx: Transaction, fingerprint: str) -> KnownError | None:
    """Return the error of a whole fingerprint; None when it was never seen."""
    row = next(iter(tx.rows("errors_like", prefix=fingerprint, limit=1)), None)
    return _known(row) if row and row[0] == fingerprint else None


def _known(row: Row) -> KnownError:
    return KnownError._make(cast(Any, row))


def resolve(ledger: Ledger, text: str, note: str | None = None) -> KnownError:
    """Say that an error is resolved: when it is seen again, it has regressed.

    Args:
        text: See `error_of`.
        note: Why; it is shown with the error.
    """
    note = ledger.clean_text(note)

    def judged(error: KnownError, now: int) -> KnownError:
        return error._replace(resolved_at=now, ignored_at=None, note=note)

    return _judge(ledger, text, "error_resolved", judged, note)


def ignore(ledger: Ledger, text: str, *, off: bool = False, note: str | None = None) -> KnownError:
    """Say that nobody wants to hear of an error; it is counted all the same.

    Args:
        off: Whether it is to be heard of again.
    """
    note = ledger.clean_text(note)

    def judged(error: KnownError, now: int) -> KnownError:
        return error._replace(ignored_at=None if off else error.ignored_at or now, note=note or error.note)

    return _judge(ledger, text, "error_ignored", judged, note)


def _judge(
    ledger: Ledger, text: str, verb: str, judged: Callable[[KnownError, int], KnownError], note: str | None
) -> KnownError:
    """Write what is said of an error, and an event of no run; saying the same again changes nothing."""

    def work(tx: Transaction) -> KnownError:
        now = ledger.clock.now()
        old = error_of(tx, text)
        new = judged(old, now)
        if new == old or (verb == "error_resolved" and old.status == "resolved" and not note):
            return old
        changed = {name: [getattr(old, name), getattr(new, name)] for name in ("resolved_at", "ignored_at")}
        changes = {name: both for name, both in changed.items() if both[0] != both[1]}
        told = json.dumps({"fingerprint": [None, old.fingerprint], **changes})
        tx.execute("judge_error", new._asdict())
        tx.record_alone(verb, now, ledger.actor, changes=told, note=note)
        return error_of(tx, old.fingerprint)

    return ledger.commit(work)
