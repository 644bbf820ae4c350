"""A task: one unit of work, as it stands now."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, Protocol, get_args

from tasktrail.model.reference import cell_name

Status = Literal["pending", "in_progress", "completed", "failed", "blocked", "skipped", "cancelled"]
Outcome = Literal["ok", "error", "timeout", "lost", "released", "superseded", "cancelled"]
Value = str | int | None

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
FINAL: Final[frozenset[Status]] = frozenset({"completed", "failed", "skipped", "cancelled"})
FAILED: Final[frozenset[Outcome | None]] = frozenset({"error", "timeout", "lost"})
WAITING: Final[frozenset[Status]] = frozenset({"pending", "blocked"})
PRIORITIES: Final[Mapping[str, int]] = MappingProxyType({"CRITICAL": 1, "HIGH": 2, "MEDIUM": 3, "LOW": 4})
DEFINITION: Final = ("critical", "priority", "max_retries", "retry", "timeout_ms", "queue", "labels")
"""The columns that say what a task is, not where it stands: an edit may change them."""
REMOVED: Final = "removed from its document"
"""The reason of a skipped task that its document or list has no more; it is shown no more either."""
ITEM_REMOVED: Final = "its item was removed"
"""The reason of a skipped task whose item the list has no more; it comes back with the item."""


class Spanned(Protocol):
    """What begins and ends; times are microseconds UTC."""

    @property
    def started_at(self) -> int | None:
        """When it first began."""

    @property
    def completed_at(self) -> int | None:
        """When it ended."""


class Task(NamedTuple):
    """One row of `task`. The order of the fields is the order of the columns in the query `task_columns`.

    A named tuple, since every step makes several from rows: 0.2 microseconds each; a frozen dataclass takes 3.3.

    Times (`*_at`, `not_before`) are microseconds UTC; `lease_until` is on the boot clock. `output` is JSON text
    or `@` and the hash of a payload. `open_attempt` is the number of the attempt that is running, None when none is.
    """

    id: int
    run_id: int
    key: str
    item: str
    map_index: int
    position: int
    status: Status
    version: int
    unmet: int
    dead_needs: int
    priority: int
    critical: int
    queue: str | None
    labels: str | None
    not_before: int | None
    attempts: int
    tries: int
    losses: int
    fence: int
    open_attempt: int | None
    last_outcome: str | None
    worker_id: int | None
    lease_token: str | None
    lease_until: int | None
    max_retries: int
    retry: str | None
    timeout_ms: int | None
    output: str | None
    summary: str | None
    error_type: str | None
    error: str | None
    reason: str | None
    created_at: int
    started_at: int | None
    completed_at: int | None

    @property
    def name(self) -> str:
        """What tells it from the other tasks of its run; parts of a step have an index besides."""
        return cell_name(self.item, self.key)

    def moved(self, status: Status, values: Mapping[str, Value]) -> Task:
        """Return the task as it stands after a change of `status` and `values`."""
        fields_now: list[Value] = list(self)
        for name, value in values.items():
            fields_now[_PLACES[name]] = value
        fields_now[_PLACES["status"]] = status
        fields_now[_PLACES["version"]] = self.version + 1
        return Task._make(fields_now)

    @property
    def claim_token(self) -> str | None:
        """What the holder of a claim on it gives; behind it the column has the boot in which its lease counts."""
        return self.lease_token and self.lease_token.rsplit(".", 1)[0]

    @property
    def unreachable(self) -> bool:
        """Whether it waits for something that can no longer happen."""
        return self.dead_needs > 0 and self.status in WAITING

    @property
    def retrying(self) -> bool:
        """Whether it is pending and the last attempt of this budget ended in an error or a time-out."""
        return self.status == "pending" and self.last_outcome in ("error", "timeout")

    @property
    def retries(self) -> int:
        """How many retries of the present budget were used."""
        return min(self.tries, self.max_retries)

    @property
    def skip_shown(self) -> bool:
        """Whether a run that is over shows it as skipped: it never started."""
        return self.status == "pending" and self.attempts == 0


def elapsed_us(task: Spanned) -> int | None:
    """Return how long a task took from its first start to its end; None while it has not both."""
    if task.started_at is None or task.completed_at is None:
        return None
    return max(0, task.completed_at - task.started_at)


FIELDS: Final[tuple[str, ...]] = Task._fields
_PLACES: Final = {name: place for place, name in enumerate(FIELDS)}
