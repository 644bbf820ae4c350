"""A run: a graph of tasks in motion, and its status rolled up from theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, get_args

from tasktrail.model.errors import WrongState
from tasktrail.model.graph import MET_BY, MET_BY_COMPLETED
from tasktrail.model.task import Status

Kind = Literal["plan", "dag", "matrix", "job", "cards"]
RunStatus = Literal["created", "running", "completed", "failed", "cancelled", "partial"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
RUN_STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)
OVER: Final[frozenset[RunStatus]] = frozenset({"completed", "failed", "cancelled", "partial"})
STOPPING_KINDS: Final[frozenset[Kind]] = frozenset({"dag", "job"})
"""In runs of these kinds a critical task that stands failed stops the run."""


class Run(NamedTuple):
    """One row of `run`. The order of the fields is the order of the columns in the query `run_columns`.

    `n_*` count its tasks per status; `n_unreachable` are pending tasks that wait for something that cannot happen;
    `n_stopping` are critical tasks that stand failed. `worker_id` is the process that executes the run now.
    `skipped_meets` says of a matrix whether what is skipped meets needs, as it does in other runs.
    """

    id: int
    kind: Kind
    name: str
    workflow: str
    status: RunStatus
    version: int
    paused: int
    cancelled_at: int | None
    declared_status: RunStatus | None
    declared_at: int | None
    declared_error: str | None
    n_pending: int
    n_in_progress: int
    n_completed: int
    n_failed: int
    n_blocked: int
    n_skipped: int
    n_cancelled: int
    n_unreachable: int
    n_stopping: int
    n_needs: int
    worker_id: int | None
    owner_token: str | None
    target: str | None
    definition_id: int | None
    trace_id: str
    resumes: int
    resumed_at: int | None
    document_id: int | None
    metadata: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    updated_at: int
    skipped_meets: int

    @property
    def n_tasks(self) -> int:
        """How many tasks it has."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[Status, int]:
        """Number of its tasks per status."""
        return {
            "pending": self.n_pending, "in_progress": self.n_in_progress, "completed": self.n_completed,
            "failed": self.n_failed, "blocked": self.n_blocked, "skipped": self.n_skipped,
            "cancelled": self.n_cancelled,
        }  # fmt: skip

    @property
    def documents(self) -> tuple[int, ...]:
        """Row ids of the documents that say where it stands: of one, or none."""
        return () if self.document_id is None else (self.document_id,)

    @property
    def met_by(self) -> frozenset[Status]:
        """The statuses that meet a need of its tasks."""
        return MET_BY_COMPLETED if self.kind == "matrix" and not self.skipped_meets else MET_BY

    @property
    def stopped(self) -> bool:
        """Whether a critical failure stops it: what runs is finished, nothing new starts."""
        return self.kind in STOPPING_KINDS and self.n_stopping > 0

    @property
    def accepts_starts(self) -> bool:
        """Whether a new attempt may begin now."""
        return not (self.paused or self.stopped or self.cancelled_at is not None)

    @property
    def is_open(self) -> bool:
        """Whether something of it is still to be done; where no code executes it, what failed is."""
        if self.kind in STOPPING_KINDS:
            return self.status not in OVER
        return self.n_pending + self.n_in_progress + self.n_failed + self.n_blocked > 0

    def having(self, values: Mapping[str, object]) -> Run:
        """Return the run with other values."""
        fields_now = list[object](self)
        for name, value in values.items():
            fields_now[_PLACES[name]] = value
        return Run._make(fields_now)


RUN_FIELDS: Final[tuple[str, ...]] = Run._fields
_PLACES: Final = {name: place for place, name in enumerate(RUN_FIELDS)}


def check_cancel(run: Run) -> None:
    """Refuse to cancel a run that came to its end by itself; one that is cancelled may be cancelled again.

    Raises:
        WrongState: It is over.
    """
    if run.status in OVER and run.cancelled_at is None:
        raise WrongState(
            f"run {run.name} is {run.status}; cancel needs a run that is not over",
            hint=f"tasktrail run dag --status {run.name}",
        )


def check_pause(run: Run) -> None:
    """Refuse to pause a run in which nothing could start anyway.

    Raises:
        WrongState: It is over.
    """
    if run.status in OVER:
        raise WrongState(
            f"run {run.name} is {run.status}; pause needs a run that is not over",
            hint=f"tasktrail run dag --status {run.name}",
        )


def roll_up(
    counts: Mapping[Status, int], *, moved: bool, stopped: bool, cancelled: bool, unreachable: int = 0
) -> RunStatus:
    """Return the status of a run from those of its tasks; the first rule that holds.

    Args:
        moved: Whether any of its tasks was ever changed.
        unreachable: How many of the pending tasks can never start.

    >>> roll_up({"completed": 2, "failed": 1}, moved=True, stopped=False, cancelled=False)
    'partial'
    """
    n = counts.get
    if not moved and not cancelled:
        return "created"
    may_start = n("blocked", 0) > 0 or n("pending", 0) > unreachable
    if n("in_progress", 0) or (may_start and not stopped and not cancelled):
        return "running"
    if not any(n(status, 0) for status in ("pending", "failed", "blocked", "cancelled")):
        return "cancelled" if cancelled and not any(counts.values()) else "completed"
    if cancelled and not n("failed", 0):
        return "cancelled"
    if stopped or (n("failed", 0) and not n("completed", 0)):
        return "failed"
    return "partial"
