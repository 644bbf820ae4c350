"""Brings the result files of an earlier scheduler into a store: each execution once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from tasktrail.executions.exceptions import DuplicateExperience
from tasktrail.executions.records import Experience, own_session
from tasktrail.executions.results import Unread, names_in, read_result
from tasktrail.executions.store import RawStore
from tasktrail.model.errors import TasktrailError

_BATCH: Final = 500
"""Executions of one transaction."""

_T = TypeVar("_T")
_Take = Callable[[Sequence[Experience]], Iterable[bool]]
"""Takes executions over and says of each whether it is new."""


class NoResults(TasktrailError):
    """There is no folder with results."""

    code = "no_results"


def existing_folder(path: Path | str) -> Path:
    """Return the path of a folder that is there.

    Raises:
        NoResults: It is not.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise NoResults(f"there is no folder {folder} with results", hint="tasktrail backfill DIR")
    return folder


@dataclass(slots=True)
class BackfillCounts:
    """How far a backfill is.

    Args:
        files: How many there are; at the end as many as `total`.
        tasks: Ids of the tasks that were executed.
        unread: What brought no execution, in the order of the files.
    """

    files: int = 0
    created: int = 0
    duplicates: int = 0
    skipped: int = 0
    errors: int = 0
    tasks: set[str] = field(default_factory=set)
    unread: list[Unread] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How many result files were read."""
        return self.created + self.duplicates

    @property
    def total(self) -> int:
        """How many files were looked at."""
        return self.found + self.skipped + self.errors

    def sort_out(self, read: Sequence[_T | Unread]) -> list[_T]:
        """Count what brings no execution, and return the rest."""
        unread = [one for one in read if isinstance(one, Unread)]
        self.unread += unread
        n_errors = sum(one.is_error for one in unread)
        self.errors += n_errors
        self.skipped += len(unread) - n_errors
        return [one for one in read if not isinstance(one, Unread)]

    def take(self, experience: Experience, is_new: bool) -> None:
        """Count an execution."""
        self.tasks.add(experience.content.structured["task_id"])
        self.created += is_new
        self.duplicates += not is_new


def backfill(
    folder: Path | str,
    store: RawStore,
    *,
    dry_run: bool = False,
    watch: Callable[[BackfillCounts], object] | None = None,
) -> BackfillCounts:
    """Store what the result files in a folder, and in the folders below it, tell of executions.

    What the store knows already is a duplicate, also when it was recorded while it ran: the same task, start and
    attempt. Some hundred files share a transaction, so a backfill that is stopped, or killed, has stored whole
    executions, and the next one brings the rest.

    Args:
        dry_run: Only count what would become of each file, and write nothing.
        watch: Is told after each batch how far it is; None: nobody asks.

    Raises:
        NoResults: There is no such folder.
        RawStoreError: The store cannot be written; what was counted before is stored.
    """
    folder = existing_folder(folder)
    counts = BackfillCounts()
    names = counts.sort_out(list(names_in(folder)))
    counts.files = len(names) + counts.total
    take: _Take = _Looking(store) if dry_run else partial(_append, store)
    for start in range(0, len(names), _BATCH):  # no thread reads ahead: each INSERT would wait for it to let Python go
        experiences = counts.sort_out([read_result(folder, name) for name in names[start : start + _BATCH]])
        for experience, is_new in zip(experiences, take(experiences), strict=True):
            counts.take(experience, is_new)
        if watch is not None:
            watch(counts)
    return counts


def _append(store: RawStore, experiences: Sequence[Experience]) -> Iterable[bool]:
    try:
        ids = store.append_many(experiences)
    except DuplicateExperience:  # the four digits at the end of an id are few where many began in one second
        experiences = [_renamed(one) for one in experiences]
        ids = store.append_many(experiences)
    return [one.id == kept for one, kept in zip(experiences, ids, strict=True)]


def _renamed(one: Experience) -> Experience:
    """Return an execution under an id that nothing else has."""
    told = one.content.structured
    public_id = f"{one.id[:-4]}{told['idempotency_key'][:32]}"
    return replace(one, id=public_id, session_id=own_session(told["task_id"], one.created_at, public_id))


class _Looking:
    """Says what would be new; knows what it said, as a folder may tell one execution twice."""

    def __init__(self, store: RawStore) -> None:
        self._store = store
        self._seen: set[bytes] = set()

    def __call__(self, experiences: Sequence[Experience]) -> Iterator[bool]:
        keys = [experience.content.structured["idempotency_key"] for experience in experiences]
        known = self._store.known(keys)
        for key in keys:
            yield key not in known and self._is_first(bytes.fromhex(key))

    def _is_first(self, key: bytes) -> bool:
        before = len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before
