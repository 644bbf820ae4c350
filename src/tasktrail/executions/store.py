"""`RawStore`: experiences in a Tasktrail store, appended and read, never changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from tasktrail.config import find_store, load
from tasktrail.engine import records
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import ledger_of
from tasktrail.engine.recording import record, record_again
from tasktrail.executions.exceptions import DuplicateExperience, ImmutabilityViolation, RawStoreError
from tasktrail.executions.factory import new_observation_id, strict
from tasktrail.executions.records import Content, Experience, Provenance, experience_of, list_of_ids, recording_of
from tasktrail.executions.words import Actor, ExperienceType
from tasktrail.model.errors import BadInput, Conflict, StoreError
from tasktrail.model.plain import storable
from tasktrail.model.record import Record, Recording

__all__ = ["RawStore"]


class RawStore:
    """A Tasktrail store at exactly this path; made by the first write. Use it from any number of threads.

    Args:
        db_path: A SQLite file, or the URL of a store; None is the project's store.
        enable_wal: A Tasktrail store always has its write-ahead log; False is refused.

    Raises:
        BadInput: The path cannot be one.
        RawStoreError: The file is no store, or cannot be opened.
    """

    def __init__(self, db_path: str | Path | None = None, enable_wal: bool = True) -> None:
        if not enable_wal:
            raise BadInput(
                "expected enable_wal to be True: a store that many write to needs its write-ahead log",
                hint="keep the file on a local disk, or use postgresql://…",
            )
        with _told():
            config = load()
            location = config.store if db_path is None else find_store(flag=_url(db_path))
            if location.path is not None:
                location.path.parent.mkdir(parents=True, exist_ok=True)
            self._ledger: Ledger = ledger_of(location, config)

    @classmethod
    def of(cls, ledger: Ledger) -> RawStore:
        """Return the store of a ledger that is open already."""
        made = cls.__new__(cls)
        made._ledger = ledger
        return made

    # appending

    def append_experience(self, experience: Experience) -> str:
        """Store an experience and return its id; durable when this returns.

        Raises:
            RawStoreError: Its id already exists.
            BadInput: A member of it cannot be used.
        """
        with _told():
            return record_again(self._ledger, self._row(experience))

    def append_experience_idempotent(self, experience: Experience, idempotency_key: str | None = None) -> str:
        """Store an experience unless its key is known; return the id under which it is kept, old or new.

        Any number of threads and processes that bring one key at once leave one row, and get the same id.

        Args:
            idempotency_key: None is the one that the experience carries.

        Raises:
            RawStoreError: Its id already exists under another key.
            BadInput: It has no key, or a member of it cannot be used.
        """
        return self.append_many([experience], [idempotency_key])[0]

    def append_many(self, experiences: Sequence[Experience], keys: Sequence[str | None] | None = None) -> list[str]:
        """Store experiences in one transaction with one event, as `append_experience_idempotent` does each of them.

        Returns:
            The ids under which they are kept, in their order.
        """
        with _told():
            keys = [None] * len(experiences) if keys is None else keys
            rows = [_keyed(self._row(one), key) for one, key in zip(experiences, keys, strict=True)]
            return [told.id for told in record(self._ledger, rows)]

    def append_observation(
        self,
        content_text: str,
        parent_ids: Sequence[str] = (),
        experience_id: str | None = None,
        structured: dict[str, Any] | None = None,
    ) -> str:
        """Store what somebody observed about other experiences; return its id.

        Args:
            parent_ids: Ids of the experiences it is about.
            experience_id: None draws one.
            structured: The same for machines.

        Raises:
            RawStoreError: The id already exists.
            BadInput: The text is none, or the parents are no list.
        """
        now = datetime.now(UTC)
        return self.append_experience(
            Experience(
                id=experience_id or new_observation_id(now),
                type=ExperienceType.OBSERVATION,
                created_at=now,
                content=Content(content_text, structured or {}),
                parents=list_of_ids(parent_ids),
                provenance=Provenance(Actor.AGENT),
            )
        )

    # reading

    def get_experience(self, experience_id: str) -> Experience | None:
        """Return the experience of an id, None when there is none."""
        with _told():
            found = self._ledger.store.read(lambda tx: records.record_by_id(tx, storable(experience_id)))
        return experience_of(found) if found else None

    def list_recent(
        self, limit: int = 10, experience_type: ExperienceType | str | None = None, since: datetime | str | None = None
    ) -> list[Experience]:
        """Return the newest experiences, what Tasktrail executed among them.

        Args:
            limit: Between 1 and 101; what is outside is moved there.
            experience_type: None is every type.
            since: The earliest start; it is included. Naive is UTC.
        """
        kinds = [ExperienceType(experience_type)] if experience_type is not None else list(ExperienceType)
        at = None if since is None else records.moment_of(since, "since")
        most = _clamped(limit)
        found: list[Record] = []
        with _told():
            for kind in kinds:
                if kind is ExperienceType.TASK_EXECUTION:
                    wanted = records.Wanted(since=at, limit=most)
                    found += self._ledger.store.read(partial(records.list_executions, wanted=wanted))
                else:
                    found += self._ledger.store.read(lambda tx: records.observations(tx, at, most))
        newest = sorted(found, key=lambda one: one.started_at, reverse=True)
        return [experience_of(one) for one in newest[:most]]

    def list_task_executions(
        self,
        task_id: str | None = None,
        status: str | None = None,
        since: datetime | str | None = None,
        backfilled: bool | None = None,
        limit: int = 20,
    ) -> list[Experience]:
        """Return executions, the newest start first; what Tasktrail executed among them, by its reference `RUN:KEY`.

        Args:
            status: `success`, `failed`, `aborted`, or `running`, which is never told and only true of what Tasktrail
                executes.
            since: The earliest start; it is included. Naive is UTC.
            backfilled: True: only what was read from files; False: all else.
            limit: Between 1 and 101; what is outside is moved there.

        Raises:
            BadInput: The status or the time cannot be.
        """
        at = None if since is None else records.moment_of(since, "since")
        wanted = records.Wanted(task_id, status, at, backfilled, limit=_clamped(limit))
        with _told():
            found = self._ledger.store.read(lambda tx: records.list_executions(tx, wanted))
        return [experience_of(one) for one in found]

    def get_by_trace_id(self, trace_id: str) -> list[Experience]:
        """Return all attempts of a trace, by number; empty when nobody knows it."""
        with _told():
            found = self._ledger.store.read(lambda tx: records.trace(tx, storable(trace_id)))
        return [experience_of(one) for one in found]

    def list_by_session(self, session_id: str) -> list[Experience]:
        """Return the experiences of a session, the oldest first."""
        with _told():
            found = self._ledger.store.read(lambda tx: records.session(tx, storable(session_id)))
        return [experience_of(one) for one in found]

    def count_experiences(self, experience_type: ExperienceType | str | None = None) -> int:
        """Return how many experiences there are, of a type or of all; what Tasktrail executed is counted, too."""
        kinds = [ExperienceType(experience_type)] if experience_type is not None else list(ExperienceType)
        with _told():
            return sum(self._ledger.store.read(partial(records.count, kind=kind.value)) for kind in kinds)

    def last_failed_of(self, trace_id: str, task_id: str) -> tuple[int, str] | None:
        """Return number and span of the last attempt of a task in a trace, if that failed; None else."""
        with _told():
            return self._ledger.store.read(lambda tx: records.last_failed_of(tx, trace_id, task_id))

    def known(self, idempotency_keys: Sequence[str]) -> set[str]:
        """Return those of the keys under which there is a record."""
        with _told():
            return self._ledger.store.read(lambda tx: records.known(tx, idempotency_keys))

    # what is refused

    def update_experience(self, experience_id: str, *args: object, **values: object) -> NoReturn:  # noqa: ARG002
        """Refuse: what was recorded stays.

        Raises:
            ImmutabilityViolation: Always.
        """
        raise ImmutabilityViolation(
            f"Cannot update experience {experience_id}: records are append-only",
            hint="append an observation about it: append_observation(text, [id])",
        )

    def delete_experience(self, experience_id: str) -> NoReturn:
        """Refuse: what was recorded stays.

        Raises:
            ImmutabilityViolation: Always.
        """
        raise ImmutabilityViolation(
            f"Cannot delete experience {experience_id}: records are append-only",
            hint="a person's data: tasktrail erase; what is old: tasktrail prune",
        )

    def tombstone_experience(self, experience_id: str, reason: str = "") -> bool:  # noqa: ARG002 - documented
        """Return False: nothing is marked as removed; the name is kept for callers of document 001."""
        return False

    @property
    def is_gone(self) -> bool:
        """Whether it was a file that is not there any more."""
        path = self._ledger.store.path
        return path is not None and not path.exists()

    def close(self) -> None:
        """Close the connections of this process to the store; the next use opens them anew."""
        self._ledger.store.close()

    def __enter__(self) -> RawStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _row(self, experience: Experience) -> Recording:
        return recording_of(experience, strict, self._ledger.actor)


def _url(db_path: str | Path) -> str:
    text = str(db_path)
    return "memory:" if text == ":memory:" else text


def _keyed(row: Recording, key: str | None) -> Recording:
    if key is not None:
        row = row._replace(idempotency_key=storable(key))
    if row.idempotency_key is None:
        raise BadInput(f"expected experience {row.public_id} to have an idempotency key, got none", hint="name one")
    return row


def _clamped(limit: int) -> int:
    return max(1, min(int(limit), records.MOST))


@contextmanager
def _told() -> Iterator[None]:
    """Say in this door's errors what a store says."""
    try:
        yield
    except Conflict as error:
        raise DuplicateExperience(error.message, hint=error.hint, details=error.details) from error
    except StoreError as error:
        raise RawStoreError(error.message, hint=error.hint, details=error.details) from error
