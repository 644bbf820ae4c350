"""Runners of document 003: steps one after another, or in parallel by what they need."""

from __future__ import annotations

import contextlib
import contextvars
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from tasktrail.config import load
from tasktrail.dag.interface import IDAGRunner, IDAGRunnerFactory
from tasktrail.dag.records import Record, RunNotFound, missing
from tasktrail.dag.registration import Steps, registered
from tasktrail.dag.retries import RetryBackoffStrategy
from tasktrail.dag.states import DAGRun, DAGRunStatus, DAGStepState, DAGStepStatus
from tasktrail.dag.store import DAGRunStore, runs_of
from tasktrail.engine.drafts import RunEdit
from tasktrail.engine.failures import failure_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import check_free
from tasktrail.engine.plan import Plan
from tasktrail.engine.project import open_project
from tasktrail.engine.retrying import failures_of_run, keys_from, retry_tasks, take_back
from tasktrail.engine.runner import Runner
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict, TasktrailError, WrongState
from tasktrail.model.graph import Need
from tasktrail.model.reference import check_key, check_run_id
from tasktrail.model.run import Run
from tasktrail.model.task import Status, Task

_PENDING: Final[Status] = "pending"
_TO_DO: Final = ("pending", "in_progress", "blocked", "failed")
_EXPONENTIAL: Final = RetryBackoffStrategy.EXPONENTIAL


@dataclass(frozen=True, slots=True)
class Binding:
    """What a command decides for the runner that it imports.

    Args:
        ledger: Where its run lives, unless it names a store of its own.
        run_id: Public id of its run, unless it names one.
        target: Where its code was found; the run remembers it.
        watch: Told of the run after every commit.
        say: Told of each line that a step prints, as it comes, scrubbed.
        max_parallel: How many steps run at the same time, whatever the code says; None leaves it to the code.
    """

    ledger: Ledger
    run_id: str | None = None
    target: str | None = None
    watch: Callable[[Run], None] | None = None
    say: Callable[[Task, str], None] | None = None
    max_parallel: int | None = None


_binding: Final[contextvars.ContextVar[Binding | None]] = contextvars.ContextVar("tasktrail_dag_binding", default=None)


@contextlib.contextmanager
def bound(binding: Binding) -> Iterator[None]:
    """Let runners that are made meanwhile, and name no run or store of their own, take those of the binding."""
    token = _binding.set(binding)
    try:
        yield
    finally:
        _binding.reset(token)


class StatefulDAGRunner(IDAGRunner):
    """Executes steps one after another, each once the one before is settled; every state is stored before it counts.

    A run that was interrupted, killed or failed goes on when it is executed again: finished steps are not repeated.

    Args:
        dag_id: Name of what is executed.
        store: A `DAGRunStore`; None uses the project's store.
        run_id: Public id of a run that exists.
        dag_run_id: Public id of a run that is created, or gone on with; its dag_id is the same word unless given.
        retry_delay: Seconds before the first retry, for steps that do not say.
        retry_backoff: How that delay grows, for steps that do not say.

    Raises:
        ValueError: `run_id` does not exist or is another DAG's, or both ids are given.
        TypeError: No id is given.
    """

    _sequential = True

    def __init__(
        self,
        dag_id: str | None = None,
        store: DAGRunStore | None = None,
        run_id: str | None = None,
        *,
        dag_run_id: str | None = None,
        retry_delay: float = 1.0,
        retry_backoff: RetryBackoffStrategy = _EXPONENTIAL,
    ) -> None:
        binding = _binding.get()
        if run_id is not None and dag_run_id is not None:
            raise BadInput("run_id names a run that exists, dag_run_id one that may be new: give one of them, not both")
        if binding and binding.run_id and run_id is None and dag_run_id is None:
            dag_run_id = binding.run_id
        if dag_id is None and run_id is None and dag_run_id is None:
            raise TypeError("a runner needs a dag_id, a run_id or a dag_run_id")
        self._store = store
        self._ledger = store.ledger if store else binding.ledger if binding else open_project()
        self._target = binding.target if binding else None
        self._watch = binding.watch if binding else None
        self._say = binding.say if binding else None
        self._retry_delay, self._retry_backoff = retry_delay, retry_backoff
        self._registered = Steps()
        self._max_parallel = 1
        self._retries_failed = True
        self._runner: Runner | None = None
        self._record = self._open(dag_id, run_id, dag_run_id)

    def _open(self, dag_id: str | None, run_id: str | None, dag_run_id: str | None) -> Record:
        if dag_id is not None:
            check_key(dag_id, "dag_id")
        if dag_run_id is not None:
            check_run_id(dag_run_id)
        name = dag_run_id if run_id is None else run_id
        run = runs_of(self._store, self._ledger).find(name) if name is not None else None
        if run is not None:
            if dag_id is not None and run.workflow != dag_id:
                raise BadInput(f"DAGRun {name} is for DAG {run.workflow}, not {dag_id}")
            return Record(self._ledger, run, name)
        if run_id is not None:
            raise missing(run_id)
        name = dag_run_id or str(uuid.uuid4())
        try:
            return Record(self._ledger, self._create(RunDraft("dag", name, dag_id or name, target=self._target)), name)
        except Conflict:  # somebody created it just now
            return self._open(dag_id, name, None)

    def _create(self, draft: RunDraft) -> Run:
        return self._store.create_row(draft) if self._store else self._ledger.create_run(draft)

    @property
    def dag_run(self) -> DAGRun:
        """The run, as an object that people read and assign to. Assignments are saved when it is executed."""
        if self._runner is not None:
            self._record.refresh()
        return self._record.draft

    @property
    def run_id(self) -> str:
        """Public id of the run."""
        return self._record.draft.run_id

    @property
    def dag_id(self) -> str:
        """Name of what is executed."""
        return self._record.draft.dag_id

    @property
    def ledger(self) -> Ledger:
        """Where its run lives: for faces, which show a run that others execute."""
        return self._ledger

    @property
    def max_concurrent_steps(self) -> int:
        """How many steps run at the same time; 1 where they go one after another."""
        return self._max_parallel

    # registering

    def register_step(
        self,
        step_id: str,
        executor: Callable[..., Any],
        max_retries: int = 3,
        retry_delay: float | None = None,
        retry_backoff: RetryBackoffStrategy | None = None,
        critical: bool = True,
        *,
        timeout: float | None = None,
    ) -> None:
        """Say what executes a step. A step that the run has already keeps its stored configuration.

        Args:
            executor: A function, called with results of other steps by parameter name, and with `ctx` if it asks. A
                coroutine function runs on the event loop, any other on a thread.
            max_retries: Further tries after the first one.
            retry_delay: Seconds before the first retry; None is the runner's.
            critical: Whether its final failure stops the run.
            timeout: Seconds for one attempt; None means no limit.

        Raises:
            BadInput: A number is out of range, or the executor is not callable.
        """
        self._register(step_id, executor, max_retries, retry_delay, retry_backoff, critical, timeout, ())

    def _register(
        self,
        step_id: str,
        executor: Callable[..., Any],
        max_retries: int,
        retry_delay: float | None,
        retry_backoff: RetryBackoffStrategy | None,
        critical: bool,
        timeout: float | None,
        needs: tuple[Need, ...],
    ) -> None:
        delay_s = self._retry_delay if retry_delay is None else retry_delay
        backoff = retry_backoff or self._retry_backoff
        one = registered(step_id, executor, max_retries, delay_s, backoff, critical, timeout, needs)
        self._registered.add(step_id, one)
        self._record.draft.steps.expect(step_id, max_retries)

    # executing

    async def execute(self, step_order: Sequence[str] | None = None) -> DAGRun:
        """Execute what is not finished, and return the run. A failed step does not raise; its error is in the run.

        Args:
            step_order: Ids in the order in which they go; steps left out are skipped. None: as registered.

        Raises:
            ValueError: A step is not registered, registered twice, unknown or in a cycle; nothing is stored then.
            Held: Another process executes this run.
        """
        explicit = step_order is not None
        order = list(self._registered) if step_order is None else list(step_order)
        states = self._states()
        self._check(order, states, explicit=explicit)
        plan = self._plan(order, states, explicit=explicit)
        if self._assigned():
            self._save()
            plan = self._plan(order, self._states(), explicit=explicit)
        plan.edit = self._edit()
        run = self._ledger.store.read(lambda tx: tx.run(self._record.row_id))
        if not (run.n_tasks or plan.edit):
            run = self._ledger.declare_run(run.id, "completed")
        if run.status == "completed" and step_order is None and not plan.edit:
            return self._record.refresh(run)
        self._runner = Runner(self._ledger, run.id, plan, retry=self._retries_failed)
        try:
            run = await self._runner.execute()
        except TasktrailError:
            raise
        except Exception as error:
            self._declare_failed(error)
            raise
        finally:
            self._runner = None
            self._registered.settle()
            self._put_in_index()
        return self._record.refresh(run)

    async def retry(self, from_step: str | None = None, *, only: Collection[str] = ()) -> DAGRun:
        """Execute failed and unfinished steps again, as further attempts of the same history.

        Args:
            from_step: Do this step again and everything that comes after it or needs it, finished or not.
            only: These steps alone: of each what failed, else all of it. What else failed stays failed.

        Raises:
            ValueError: The run has no such step.
            WrongState: A step of `only` is not over, or another one that failed stops the run.
            Held: Somebody executes the run.
        """
        if from_step is not None and only:
            raise BadInput("from_step says what to do again, and so does only: give one of them")
        if from_step is not None:
            self._check_code_from(from_step)
            take_back(self._ledger, self._record.row_id, from_step, in_order=self._sequential)
        elif only:
            retry_tasks(self._ledger, failures_of_run(self._ledger, self._free_run(), only))
        self._record.refresh()
        self._retries_failed = not only
        try:
            return await self.execute()
        finally:
            self._retries_failed = True

    def _free_run(self) -> Run:
        run = self._ledger.store.read(lambda tx: tx.run(self._record.row_id))
        check_free(self._ledger.store, run)
        return run

    def steps_from(self, step_id: str) -> list[str]:
        """Return what `retry` from this step would do again, in order."""
        return keys_from(self._ledger, self._record.row_id, step_id, in_order=self._sequential)

    def _check_code_from(self, step_id: str) -> None:
        """Nothing is taken back that could not be done again."""
        states = self._states()
        if step_id not in states:
            raise BadInput(f"DAGRun {self.run_id} has no step {step_id!r}", hint="see its steps in dag_run.steps")
        again = dict.fromkeys(self.steps_from(step_id), _PENDING)
        self._check(list(self._registered), {**states, **again}, explicit=False)

    def _states(self) -> dict[str, Status]:
        """Where the steps stand that the store has already."""
        rows = self._ledger.store.read(lambda tx: tx.rows("states_of_run", run_id=self._record.row_id))
        return {str(row[1]): cast(Status, row[2]) for row in rows}

    def _plan(self, order: Sequence[str], states: Mapping[str, Status], *, explicit: bool) -> Plan:
        """Finished steps need no code: a run with 100,000 of them goes on at once."""
        unfinished = [key for key in order if states.get(key) != "completed"]
        return Plan(
            self._registered.code(order, unfinished, by_needs=not self._sequential),
            order=unfinished if self._sequential or explicit else None,
            only=explicit,
            max_parallel=self._max_parallel,
            watch=self._watch,
            say=self._say,
        )

    def _check(self, order: Sequence[str], states: Mapping[str, Status], *, explicit: bool) -> None:
        others: list[str] = []
        if not explicit:
            others = [key for key, status in states.items() if status in _TO_DO]
            others += self._record.draft.steps.expected()
        faults = self._registered.faults(order, others) + self._graph_faults(order, explicit=explicit)
        if faults:
            raise BadInput(faults[0], details=faults[1:])

    def _graph_faults(self, order: Sequence[str], *, explicit: bool) -> list[str]:  # noqa: ARG002 - the parallel one's
        return []

    def _assigned(self) -> bool:
        """Whether something was assigned to the draft's steps, which may change what is to be executed."""
        steps = self._record.draft.steps
        new = steps.expected()
        return any(key not in new or _is_moved(step) for key, step in steps.made.items())

    def _save(self) -> None:
        self._record.save(self._new_steps(), declare=False)

    def _edit(self) -> RunEdit | None:
        return self._record.edit(self._new_steps(), declare=False)

    def _new_steps(self) -> list[TaskDraft]:
        return [self._draft(key) for key in self._record.draft.steps.expected()]

    def _put_in_index(self) -> None:
        if self._store is not None:
            self._store.note_status(self.run_id)

    def _draft(self, key: str) -> TaskDraft:
        if key in self._registered:
            return self._registered[key].draft(key)
        made = self._record.draft.steps.made.get(key)
        return TaskDraft(key, max_retries=made.max_retries if made else 3)

    def _declare_failed(self, error: Exception) -> None:
        """The engine itself failed: keep why, if the store still takes it."""
        failure = self._ledger.clean_failure(failure_of(error))
        with contextlib.suppress(TasktrailError):
            run = self._ledger.declare_run(self._record.row_id, "failed", f"{failure.type}: {failure.message}")
            self._record.refresh(run)

    async def cancel(self) -> None:
        """Call the run off: what is not finished is cancelled, what runs is told to stop. One that is over stays so."""
        if self._runner is None:
            self._save()
        with contextlib.suppress(WrongState):  # it came to its end just before: nothing is left to call off
            self._ledger.cancel_run(self._record.row_id, "cancelled by its runner")
        if self._runner is not None:
            self._runner.cancel()
        self._record.refresh()

    def get_status(self) -> dict[str, Any]:
        """Return ids, status, summary, and of each step its status, retries, error and seconds."""
        if self._runner is not None:
            self._record.refresh()
        run = self._record.draft
        return {
            "run_id": run.run_id,
            "dag_id": run.dag_id,
            "status": run.status.value,
            "summary": run.get_execution_summary(),
            "steps": {
                key: {
                    "status": one.status.value,
                    "retry_count": one.retry_count,
                    "error": one.error,
                    "duration": one.duration_seconds,
                }
                for key, one in run.steps.items()
            },
        }


class ParallelStatefulDAGRunner(StatefulDAGRunner):
    """Executes steps as soon as what they need is done, several at the same time.

    Args:
        max_concurrent_steps: How many steps run at the same time; None is the setting `run.max_parallel`. The flag
            `--max-parallel` of a command that executes the runner goes above both.
    """

    _sequential = False

    def __init__(
        self,
        dag_id: str | None = None,
        store: DAGRunStore | None = None,
        run_id: str | None = None,
        max_concurrent_steps: int | None = None,
        **options: Any,
    ) -> None:
        if max_concurrent_steps is not None and max_concurrent_steps < 1:
            raise BadInput(f"expected max_concurrent_steps to be at least 1, got: {max_concurrent_steps}")
        super().__init__(dag_id, store, run_id, **options)
        binding = _binding.get()
        wish = binding.max_parallel if binding else None
        self._max_parallel = wish or max_concurrent_steps or _setting(store)

    def register_step(
        self,
        step_id: str,
        executor: Callable[..., Any],
        max_retries: int = 3,
        retry_delay: float | None = None,
        retry_backoff: RetryBackoffStrategy | None = None,
        critical: bool = True,
        *,
        timeout: float | None = None,
        dependencies: Sequence[str] = (),
        optional_dependencies: Sequence[str] = (),
    ) -> None:
        """Say what executes a step and which steps it needs.

        Args:
            dependencies: Ids of steps that must have succeeded.
            optional_dependencies: Ids of steps that it waits for; where one fails, its result is None.
        """
        needs = tuple(Need(key) for key in dependencies) + tuple(
            Need(key, optional=True) for key in optional_dependencies
        )
        self._register(step_id, executor, max_retries, retry_delay, retry_backoff, critical, timeout, needs)

    def validate_dependencies(self) -> bool:
        """Return True when the steps are a graph that can be executed.

        Raises:
            ValueError: A step is non-existent, registered twice, or part of a circular dependency; all are named.
        """
        self._check(list(self._registered), self._states(), explicit=False)
        return True

    def get_dependency_graph(self) -> dict[str, list[str]]:
        """Return for each step the ids of the steps it needs."""
        return {key: [need.key for need in one.needs] for key, one in self._registered.items()}

    def _graph_faults(self, order: Sequence[str], *, explicit: bool) -> list[str]:
        return self._registered.needs_faults() + (self._registered.order_faults(order) if explicit else [])


class DAGRunnerFactory(IDAGRunnerFactory):
    """Makes runners."""

    def create_runner(
        self, dag_id: str, store: DAGRunStore | None = None, run_id: str | None = None
    ) -> StatefulDAGRunner:
        """Make a runner for a new run, or for an existing one of this DAG."""
        return StatefulDAGRunner(dag_id, store, run_id)

    def resume_runner(self, run_id: str, store: DAGRunStore | None = None) -> StatefulDAGRunner:
        """Make a runner for a run that exists.

        Raises:
            ValueError: There is no such run.
        """
        return StatefulDAGRunner(store=store, run_id=run_id)


def _setting(store: DAGRunStore | None) -> int:
    return load(store.storage_path if store else None).run_max_parallel


def _is_moved(step: DAGStepState) -> bool:
    return step.status is not DAGStepStatus.PENDING


__all__ = [
    "Binding", "DAGRunStatus", "DAGRunnerFactory", "ParallelStatefulDAGRunner", "RunNotFound", "StatefulDAGRunner",
    "bound",
]  # fmt: skip
