"""The trace of a run: its history in document 003's words, kept as one readable file where somebody wants one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

from tasktrail.dag.records import missing, when
from tasktrail.dag.store import DAGRunStore, ProjectRuns, Runs
from tasktrail.engine.project import open_project
from tasktrail.formats import json_edit
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import check_run_id
from tasktrail.model.scrub import scrub_text
from tasktrail.store.documents import DocumentFile

_EVENTS_READ: Final = 1_000_000
_LOCK_S: Final = 30.0


class TraceEventType(str, Enum):
    """What happened."""

    DAG_START = "dag_start"
    DAG_COMPLETE = "dag_complete"
    DAG_FAIL = "dag_fail"
    STEP_START = "step_start"
    STEP_COMPLETE = "step_complete"
    STEP_FAIL = "step_fail"
    STEP_RETRY = "step_retry"
    STEP_SKIP = "step_skip"
    ERROR = "error"
    INFO = "info"
    DEBUG = "debug"


_STEP_TYPES: Final[Mapping[str, TraceEventType]] = {
    "start": TraceEventType.STEP_START,
    "restart": TraceEventType.STEP_START,
    "complete": TraceEventType.STEP_COMPLETE,
    "fail": TraceEventType.STEP_FAIL,
    "retry": TraceEventType.STEP_RETRY,
    "skip": TraceEventType.STEP_SKIP,
    "late": TraceEventType.ERROR,
    "lapse": TraceEventType.ERROR,
}
_ADOPTED: Final[Mapping[str, TraceEventType]] = {
    "in_progress": TraceEventType.STEP_START,
    "completed": TraceEventType.STEP_COMPLETE,
    "failed": TraceEventType.STEP_FAIL,
    "skipped": TraceEventType.STEP_SKIP,
}
"""What a file or a draft said of a step."""
_RUN_TYPES: Final[Mapping[str, TraceEventType]] = {
    "running": TraceEventType.DAG_START,
    "completed": TraceEventType.DAG_COMPLETE,
    "partial": TraceEventType.DAG_COMPLETE,
    "failed": TraceEventType.DAG_FAIL,
    "cancelled": TraceEventType.DAG_FAIL,
}


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One thing that happened. `timestamp` is ISO 8601 in UTC."""

    event_type: str
    timestamp: str
    step_id: str | None = None
    message: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class DAGTraceCollector:
    """Collects what happened in a run: from its history, and what a program adds.

    Args:
        run_id: Public id of the run.
        storage_path: Folder of the files `trace_<run id>.json`.
        store: Where the run lives; None means the project's store.
    """

    def __init__(
        self, run_id: str, storage_path: str | Path = "data/dag_traces", store: DAGRunStore | None = None
    ) -> None:
        self.run_id = check_run_id(run_id)
        self.events: list[TraceEvent] = []
        self._store = store
        self._path = Path(storage_path) / f"trace_{self.run_id}.json"

    def add_event(
        self, event_type: TraceEventType | str, message: str = "", step_id: str | None = None, **data: Any
    ) -> TraceEvent:
        """Add an event of now; every text in it is scrubbed.

        Raises:
            BadInput: The data are no JSON.
        """
        json_edit.dump(data)
        at = datetime.now(UTC).isoformat()
        cleaned = cast(dict[str, Any], _scrubbed(data))
        event = TraceEvent(TraceEventType(event_type).value, at, step_id, scrub_text(message), cleaned)
        self.events.append(event)
        return event

    def collect(self) -> list[TraceEvent]:
        """Add the run's history to what was added by hand, in the order of time; return all.

        Raises:
            ValueError: There is no such run.
        """
        runs: Runs = self._store if self._store is not None else ProjectRuns(open_project(create=False))
        found = runs.look(self.run_id)
        if found is None:
            raise missing(self.run_id)
        query = {"run_id": found.run.id, "after": 0, "limit": _EVENTS_READ}
        rows = found.ledger.store.read(lambda tx: tx.rows("events_of_run", **query))
        told = [event for row in rows if (event := _told(row))]
        known = {_place(event) for event in told}
        own = [event for event in self.events if _place(event) not in known]
        self.events = sorted([*told, *own], key=lambda event: event.timestamp)
        return self.events

    def get_summary(self) -> dict[str, Any]:
        """Return how many events there are, of which types, and the errors among them."""
        types = Counter(event.event_type for event in self.events)
        bad = (TraceEventType.STEP_FAIL.value, TraceEventType.DAG_FAIL.value, TraceEventType.ERROR.value)
        return {
            "run_id": self.run_id,
            "total_events": len(self.events),
            "by_type": dict(types),
            "errors": [asdict(event) for event in self.events if event.event_type in bad],
            "first": self.events[0].timestamp if self.events else None,
            "last": self.events[-1].timestamp if self.events else None,
        }

    def save(self) -> Path:
        """Write `trace_<run id>.json`, whole or not at all; return its path."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = {"run_id": self.run_id, "events": [asdict(event) for event in self.events]}
        file = DocumentFile(self._path)
        with file.lock(_LOCK_S):
            reading = file.read()
            file.replace(json.dumps(data, indent=2, ensure_ascii=False) + "\n", reading.look if reading else None)
        return self._path

    @classmethod
    def load(
        cls, run_id: str, storage_path: str | Path = "data/dag_traces", store: DAGRunStore | None = None
    ) -> DAGTraceCollector | None:
        """Return the trace that was saved; None when there is none.

        Raises:
            BadInput: The file cannot be read.
        """
        collector = cls(run_id, storage_path, store)
        reading = DocumentFile(collector._path).read()
        if reading is None:
            return None
        data = json_edit.load(reading.text, str(collector._path))
        try:
            collector.events = [TraceEvent(**event) for event in data["events"]]  # type: ignore[index]  # or TypeError
        except (KeyError, TypeError) as error:
            raise BadInput(f"expected {collector._path} to be the trace of a run, got: {error}") from None
        return collector

    def delete(self) -> bool:
        """Remove the saved file; False when there was none."""
        file = DocumentFile(self._path)
        if file.signature() is None:
            return False
        file.path.unlink(missing_ok=True)
        Path(f"{file.path}.lock").unlink(missing_ok=True)
        return True


def _place(event: TraceEvent) -> tuple[object, str]:
    """What tells an event of the history from all others."""
    return event.data.get("seq"), event.timestamp


def _scrubbed(value: object) -> object:
    """A trace is a file that people hand on, so its data are scrubbed like its texts."""
    if isinstance(value, str):
        return scrub_text(value)
    if isinstance(value, dict):
        return {key: _scrubbed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(one) for one in value]
    return value


def _told(row: tuple[Any, ...]) -> TraceEvent | None:
    """Return an event of the history in this document's words; None for what it has none."""
    seq, at, actor, verb, from_status, to_status, attempt, changes, note, key, *_ = row
    kind = _type(verb, from_status, to_status, key)
    if kind is None:
        return None
    moment = when(at)
    assert moment is not None
    data = {"seq": seq, "actor": actor, "attempt": attempt, "from": from_status, "to": to_status}
    known = {name: value for name, value in data.items() if value is not None}
    return TraceEvent(kind.value, moment.isoformat(), key, _message(changes, note), known)


def _type(verb: str, from_status: str | None, to_status: str, key: str | None) -> TraceEventType | None:
    if verb == "note":
        return TraceEventType.INFO
    if key is None:
        return _RUN_TYPES.get(to_status) if verb in ("roll_up", "declare") else None
    if verb in ("adopt", "undo"):
        return _ADOPTED.get(to_status) if from_status != to_status else None
    return _STEP_TYPES.get(verb)


def _message(changes: str | None, note: str | None) -> str:
    """Why it happened: the error or the reason that it left behind, else the note. All were scrubbed when stored."""
    moved = json.loads(changes) if changes else {}
    texts = [moved[name][1] for name in ("error", "reason") if name in moved]
    return next((text for text in [*texts, note] if text), "")
