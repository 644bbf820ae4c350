"""The run and step objects of document 003: drafts that people read and assign to."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Protocol

from tasktrail.model.errors import BadInput, WrongState


class DAGStepStatus(str, Enum):
    """Where a step stands. Source: document 003, TASK-161FB."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    RETRY = "retry"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class DAGRunStatus(str, Enum):
    """Where a run stands. Source: document 003, TASK-161FB."""

    CREATED = "created"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    RETRY = "retry"
    CANCELLED = "cancelled"
    PARTIAL_SUCCESS = "partial_success"


_S = DAGStepStatus
_MOVES: Mapping[str, tuple[DAGStepStatus, ...]] = {
    "start": (_S.PENDING, _S.RETRY),
    "complete": (_S.PENDING, _S.RETRY, _S.RUNNING, _S.FAILED),
    "fail": (_S.PENDING, _S.RETRY, _S.RUNNING),
    "retry": (_S.RUNNING, _S.FAILED),
    "skip": (_S.PENDING, _S.RETRY, _S.RUNNING, _S.FAILED),
    "cancel": (_S.PENDING, _S.RETRY, _S.RUNNING, _S.FAILED),
}
"""The state machine's table in this document's words; RETRY is a pending step."""


class DAGStepState:
    """One step of a run.

    Attributes:
        retry_count: Retries used, at most `max_retries`.
        metadata: What else is known: `critical`, `skip_reason`, `error_history` (one entry per failed try).
    """

    def __init__(self, step_id: str, max_retries: int = 3) -> None:
        self.step_id = step_id
        self._status = DAGStepStatus.PENDING
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self.retry_count = 0
        self.max_retries = max_retries
        self.error: str | None = None
        self.result: Any = None
        self.metadata: dict[str, Any] = {}
        self.worked_s: float | None = None

    def __repr__(self) -> str:
        return f"DAGStepState({self.step_id!r}, status={self.status.value})"

    @property
    def status(self) -> DAGStepStatus:
        """Where it stands; a word may be assigned too."""
        return self._status

    @status.setter
    def status(self, value: DAGStepStatus | str) -> None:
        self._status = DAGStepStatus(value)

    @property
    def duration_seconds(self) -> float | None:
        """Seconds its attempts took, waiting between them left out; of a draft, from start to end. None: not ended."""
        if self.worked_s is not None:
            return self.worked_s
        return _seconds(self.start_time, self.end_time)

    def start(self) -> None:
        """Begin: RUNNING, and `start_time` unless it has one."""
        self._move("start", DAGStepStatus.RUNNING)
        self.start_time = self.start_time or datetime.now(UTC)

    def complete(self, result: Any = None) -> None:
        """End well: SUCCESS with its result."""
        self._move("complete", DAGStepStatus.SUCCESS)
        self.result, self.error, self.end_time = result, None, datetime.now(UTC)

    def fail(self, error: str) -> None:
        """End badly: FAILED with its error."""
        self._move("fail", DAGStepStatus.FAILED)
        self.error, self.end_time = str(error), datetime.now(UTC)

    def retry(self) -> bool:
        """Use up one retry: RETRY and True; False when none is left, and nothing changes."""
        if self.retry_count >= self.max_retries:
            return False
        self._move("retry", DAGStepStatus.RETRY)
        self.retry_count += 1
        self.error = self.end_time = None
        return True

    def skip(self, reason: str = "") -> None:
        """Leave it out: SKIPPED, the reason in `metadata["skip_reason"]`."""
        self._move("skip", DAGStepStatus.SKIPPED)
        self.end_time = datetime.now(UTC)
        self.metadata["skip_reason"] = reason

    def cancel(self) -> None:
        """Call it off: CANCELLED."""
        self._move("cancel", DAGStepStatus.CANCELLED)
        self.end_time = datetime.now(UTC)

    def _move(self, verb: str, status: DAGStepStatus) -> None:
        if self.status not in _MOVES[verb]:
            needed = ", ".join(one.value for one in _MOVES[verb])
            raise WrongState(f"step {self.step_id} is {self.status.value}; {verb} needs one of {needed}")
        self.status = status

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: lower-case words, ISO 8601 times."""
        return {
            "step_id": self.step_id,
            "status": self.status.value,
            "start_time": iso(self.start_time),
            "end_time": iso(self.end_time),
            "duration_seconds": self.duration_seconds,
            "retry_count": self.retry_count,
            "max_retries": self.max_retries,
            "error": self.error,
            "result": copy.deepcopy(self.result),
            "metadata": copy.deepcopy(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DAGStepState:
        """Return the step that `to_dict` described.

        Raises:
            BadInput: See `validate_dag_step_state`.
        """
        validate_dag_step_state(data)
        step = cls(data["step_id"], data.get("max_retries", 3))
        step.status = DAGStepStatus(data.get("status", "pending"))
        step.start_time, step.end_time = moment(data.get("start_time")), moment(data.get("end_time"))
        step.retry_count = data.get("retry_count", 0)
        step.worked_s = data.get("duration_seconds")
        step.error, step.result = data.get("error"), data.get("result")
        step.metadata = dict(data.get("metadata") or {})
        if data.get("critical") is False:  # as run files say it
            step.metadata["critical"] = False
        return step


class StepSource(Protocol):
    """Where the steps of a stored run come from."""

    def keys(self) -> list[str]: ...
    def load(self, keys: list[str] | None) -> dict[str, DAGStepState]: ...


class Steps(MutableMapping[str, DAGStepState]):
    """The steps of a run by id, in order. Those of a stored run are made when somebody looks at them."""

    def __init__(self, source: StepSource | None = None) -> None:
        self._source = source
        self._keys: dict[str, None] | None = None if source else {}
        self._expected: dict[str, int] = {}
        self.made: dict[str, DAGStepState] = {}

    def expect(self, step_id: str, max_retries: int) -> None:
        """Let a step exist, without making it yet."""
        if step_id not in self._names():
            self._names()[step_id] = None
            self._expected[step_id] = max_retries

    def expected(self) -> list[str]:
        """Ids of steps that no store knows yet."""
        return [key for key in self._names() if key in self._expected]

    def reload(self) -> None:
        """Look again at what the store says; objects that were handed out are brought up to date."""
        if self._source is None:
            return
        self._keys, self._expected = None, {}
        if self.made:
            fresh = self._source.load([key for key in self.made if key in self])
            for key, step in fresh.items():
                self.made[key].__dict__.update(step.__dict__)

    def attach(self, source: StepSource) -> None:
        """From now on the steps are those of a store."""
        self._source = source
        self.reload()

    def load_all(self) -> None:
        """Make all steps with one look at the store."""
        if self._source is not None and len(self.made) < len(self._names()):
            for key, step in self._source.load(None).items():
                self.made.setdefault(key, step)

    def _names(self) -> dict[str, None]:
        if self._keys is None:
            assert self._source is not None
            self._keys = dict.fromkeys(self._source.keys())
        return self._keys

    def __getitem__(self, step_id: str) -> DAGStepState:
        if step_id in self.made:
            return self.made[step_id]
        if step_id not in self._names():
            raise KeyError(step_id)
        if step_id in self._expected:
            step = DAGStepState(step_id, self._expected[step_id])
        else:
            assert self._source is not None
            step = self._source.load([step_id])[step_id]
        self.made[step_id] = step
        return step

    def __setitem__(self, step_id: str, step: DAGStepState) -> None:
        if step_id not in self._names():
            self._names()[step_id] = None
            self._expected[step_id] = step.max_retries
        self.made[step_id] = step

    def __delitem__(self, step_id: str) -> None:
        if step_id not in self._expected:
            raise BadInput(f"step {step_id} is stored and cannot be taken out of its run", hint="skip it instead")
        del self._names()[step_id], self._expected[step_id]
        self.made.pop(step_id, None)

    def __iter__(self) -> Iterator[str]:
        self.load_all()
        return iter(list(self._names()))

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, step_id: object) -> bool:
        return step_id in self._names()

    def __repr__(self) -> str:
        return repr(dict(self))


class DAGRun:
    """One run of a DAG.

    Attributes:
        metadata: What else is known: `step_failures`, `failure_reason`, `errors`, `resumed_at`, `resume_count`.
    """

    def __init__(self, dag_id: str, run_id: str | None = None) -> None:
        self.dag_id = dag_id
        self.run_id = run_id or str(uuid.uuid4())
        self._status = DAGRunStatus.CREATED
        self.created_at = datetime.now(UTC)
        self.updated_at = self.created_at
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self.error: str | None = None
        self.metadata: dict[str, Any] = {}
        self.steps = Steps()
        self.record: object | None = None

    def __repr__(self) -> str:
        return f"DAGRun({self.dag_id!r}, run_id={self.run_id!r}, status={self.status.value})"

    @property
    def status(self) -> DAGRunStatus:
        """Where it stands; a word may be assigned too."""
        return self._status

    @status.setter
    def status(self, value: DAGRunStatus | str) -> None:
        self._status = DAGRunStatus(value)

    def add_step(self, step_id: str, max_retries: int = 3) -> DAGStepState:
        """Add a step and return it."""
        if step_id in self.steps:
            raise BadInput(f"run {self.run_id} has a step {step_id!r} already")
        step = self.steps[step_id] = DAGStepState(step_id, max_retries)
        return step

    def start(self) -> None:
        """Begin: RUNNING."""
        self.status = DAGRunStatus.RUNNING
        self.start_time = self.start_time or datetime.now(UTC)

    def complete(self) -> None:
        """End it with what its steps came to: SUCCESS, FAILED, or PARTIAL_SUCCESS when some failed and some did not."""
        failed, succeeded = self._count(DAGStepStatus.FAILED), self._count(DAGStepStatus.SUCCESS)
        if not failed:
            self.status = DAGRunStatus.SUCCESS
        else:
            self.status = DAGRunStatus.PARTIAL_SUCCESS if succeeded else DAGRunStatus.FAILED
            self.error = f"{failed} step(s) failed"
        self.end_time = datetime.now(UTC)

    def fail(self, error: str) -> None:
        """End it badly: FAILED with an error."""
        self.status, self.error, self.end_time = DAGRunStatus.FAILED, str(error), datetime.now(UTC)

    def cancel(self) -> None:
        """Call it off: steps that are not finished are cancelled, finished ones stay."""
        for step in self.steps.values():
            if step.status in (DAGStepStatus.PENDING, DAGStepStatus.RUNNING, DAGStepStatus.RETRY):
                step.cancel()
        self.status, self.end_time = DAGRunStatus.CANCELLED, datetime.now(UTC)

    def is_running(self) -> bool:
        """Whether it is under way: RUNNING or RETRY."""
        return self.status in (DAGRunStatus.RUNNING, DAGRunStatus.RETRY)

    def is_complete(self) -> bool:
        """Whether it is over, well or badly."""
        return self.status not in (DAGRunStatus.CREATED, DAGRunStatus.RUNNING, DAGRunStatus.RETRY)

    def update_retry_count(self) -> int:
        """Return the retries used by all steps together, and keep them in `metadata["total_retries"]`."""
        total = sum(step.retry_count for step in self.steps.values())
        self.metadata["total_retries"] = total
        return total

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from start to end; None while it is not over."""
        return _seconds(self.start_time, self.end_time)

    def get_execution_summary(self) -> dict[str, Any]:
        """Return ids, status, how many steps ended how, retries, seconds, and `success_rate` in percent."""
        total, completed = len(self.steps), self._count(DAGStepStatus.SUCCESS)
        return {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "status": self.status.value,
            "total_steps": total,
            "completed_steps": completed,
            "failed_steps": self._count(DAGStepStatus.FAILED),
            "skipped_steps": self._count(DAGStepStatus.SKIPPED),
            "total_retries": sum(step.retry_count for step in self.steps.values()),
            "duration_seconds": self.duration_seconds,
            "success_rate": round(100 * completed / total, 2) if total else 0.0,
        }

    def _count(self, status: DAGStepStatus) -> int:
        return sum(step.status is status for step in self.steps.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: lower-case words, ISO 8601 times."""
        return {
            "run_id": self.run_id,
            "dag_id": self.dag_id,
            "status": self.status.value,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "start_time": iso(self.start_time),
            "end_time": iso(self.end_time),
            "duration_seconds": self.duration_seconds,
            "error": self.error,
            "metadata": copy.deepcopy(self.metadata),
            "steps": {key: step.to_dict() for key, step in self.steps.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DAGRun:
        """Return the run that `to_dict` described.

        Raises:
            BadInput: See `validate_dag_run`.
        """
        validate_dag_run(data)
        run = cls(data["dag_id"], data["run_id"])
        run.status = DAGRunStatus(data.get("status", "created"))
        run.created_at = moment(data.get("created_at")) or run.created_at
        run.updated_at = moment(data.get("updated_at")) or run.created_at
        run.start_time, run.end_time = moment(data.get("start_time")), moment(data.get("end_time"))
        run.error, run.metadata = data.get("error"), dict(data.get("metadata") or {})
        for key, step in (data.get("steps") or {}).items():
            run.steps[key] = DAGStepState.from_dict({"step_id": key, **step})
        return run


def validate_dag_step_state(data: Mapping[str, Any]) -> bool:
    """Return True for a dictionary that describes a step.

    Raises:
        BadInput: It does not; the details name every field that is wrong.
    """
    return _refuse("a step", _faults("a step", data, _STEP_FIELDS, ("step_id",), DAGStepStatus))


def validate_dag_run(data: Any) -> bool:
    """Return True for a dictionary that describes a run, its steps included.

    Raises:
        BadInput: It does not; the details name every field that is wrong.
    """
    faults = _faults("a run", data, _RUN_FIELDS, ("run_id", "dag_id"), DAGRunStatus)
    steps = data.get("steps") if isinstance(data, Mapping) else None
    for key, step in steps.items() if isinstance(steps, Mapping) else ():
        full = {"step_id": key, **step} if isinstance(step, Mapping) else step
        found = _faults("it", full, _STEP_FIELDS, ("step_id",), DAGStepStatus)
        if isinstance(step, Mapping) and full["step_id"] != key:
            found.append(f"expected step_id to be {key!r}, got: {full['step_id']!r}")
        faults += [f"step {key!r}: {fault}" for fault in found]
    return _refuse("a run", faults)


def _refuse(what: str, faults: list[str]) -> bool:
    if faults:
        raise BadInput(f"{what} cannot be read", details=faults)
    return True


_TEXT, _COUNT, _MAPPING = (str, type(None)), (int,), (dict, type(None))
_STEP_FIELDS: Mapping[str, tuple[type, ...]] = {
    "step_id": (str,), "start_time": _TEXT, "end_time": _TEXT, "error": _TEXT, "retry_count": _COUNT,
    "max_retries": _COUNT, "metadata": _MAPPING,
}  # fmt: skip
_RUN_FIELDS: Mapping[str, tuple[type, ...]] = {
    "run_id": (str,), "dag_id": (str,), "created_at": _TEXT, "updated_at": _TEXT, "start_time": _TEXT,
    "end_time": _TEXT, "error": _TEXT, "metadata": _MAPPING, "steps": _MAPPING,
}  # fmt: skip


def _faults(
    what: str, data: Any, fields: Mapping[str, tuple[type, ...]], required: tuple[str, ...], words: type[Enum]
) -> list[str]:
    if not isinstance(data, Mapping):
        return [f"expected {what} to be a dictionary, got: {type(data).__name__}"]
    faults = [f"{name} is missing" for name in required if not data.get(name)]
    faults += [fault for name in fields if name in data and (fault := _field_fault(name, data[name], fields[name]))]
    known = [word.value for word in words]
    if "status" in data and data["status"] not in known:
        faults.append(f"expected status to be one of {', '.join(known)}, got: {data['status']!r}")
    return faults


def _field_fault(name: str, value: Any, kinds: tuple[type, ...]) -> str | None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        return f"expected {name} to be {kinds[0].__name__}, got: {type(value).__name__}"
    if isinstance(value, int) and value < 0:
        return f"expected {name} to be at least 0, got: {value}"
    if name.endswith(("_time", "_at")) and isinstance(value, str) and value and not _is_moment(value):
        return f"expected {name} to be an ISO 8601 time, got: {value!r}"
    return None


def iso(value: datetime | None) -> str | None:
    """Return a time as ISO 8601 text, None for none."""
    return value.isoformat() if value else None


def moment(text: str | None) -> datetime | None:
    """Return the time of ISO 8601 text; one without a zone is UTC."""
    if not text:
        return None
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
