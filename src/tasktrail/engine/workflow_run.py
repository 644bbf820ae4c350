"""One run of a workflow, opened to be executed: its row, the plan it goes by, and the code of its steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasktrail.engine import retrying, workflows
from tasktrail.engine.accepting import accept
from tasktrail.engine.changes import Changes, code_changes, keep_code, versions_of
from tasktrail.engine.gates import Gates, given
from tasktrail.engine.ids import new_run_id
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import check_free
from tasktrail.engine.plan import Plan
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import Step
from tasktrail.engine.values import decode
from tasktrail.engine.workflow_code import Functions, code_of
from tasktrail.model.errors import Conflict
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import Workflow
from tasktrail.store.transaction import Transaction

_MOST_AT_ONCE = 8
_ANY_NUMBER = 1_000_000


@dataclass(slots=True)
class WorkflowRun:
    """A run that this process is about to execute.

    Args:
        params: Of the run, as they were given when it began.
        folder: Where its file lies: commands work there.
        max_parallel: How many steps run at the same time, whatever the workflow says.
        waits: Whether to wait for what only a person can move.
        retries_failed: Whether what stands failed is tried again.
    """

    ledger: Ledger
    run: Run
    workflow: Workflow
    params: Mapping[str, object]
    steps: Mapping[str, Step]
    folder: Path
    max_parallel: int | None = None
    waits: bool = True
    retries_failed: bool = True
    watch: Callable[[Run], None] | None = None
    say: Callable[[Task, str], None] | None = None
    _runner: Runner | None = None
    _gates: Gates = field(init=False)

    def __post_init__(self) -> None:
        self._gates = Gates(self.ledger, self.workflow, self.params, self.steps, self.folder)

    @classmethod
    def open(
        cls,
        ledger: Ledger,
        workflow: Workflow,
        name: str | None,
        params: Mapping[str, object],
        *,
        folder: Path | None = None,
        target: str | None = None,
        functions: Functions | None = None,
        steps: Mapping[str, Step] | None = None,
        accepts: bool = False,
        pooled: bool = False,
    ) -> WorkflowRun:
        """Begin a run, or go on with the one of this name.

        Args:
            name: Public id of the run; None begins a new one, called like the workflow.
            folder: Where its file lies: commands run there, and modules beside it are found.
            target: Where its file or code is found again.
            functions: Functions by step id that need not be imported.
            steps: The code by step id where it was found already.
            accepts: Whether a run that exists goes by `workflow` and the code of its steps from here on, where they
                differ from what it went by.
            pooled: Whether workers execute a run that begins.

        Raises:
            BadInput: The code of a step or a param cannot be; nothing is stored then.
            Conflict: The run exists and goes by another state of the workflow or its code, or has other params.
        """
        name = name or new_run_id(workflow.name)
        run = workflows.find(ledger, name)
        workflows.check_given(workflow, params, begins=run is None)
        folder = folder or Path.cwd()
        steps = code_of(workflow, folder, functions) if steps is None else steps
        versions = versions_of(workflow, steps)
        if run is None:
            try:
                run = workflows.begin(ledger, workflow, name, params, versions=versions, target=target, pooled=pooled)
                return cls(ledger, run, workflow, workflows.given(workflow, params), steps, folder)
            except Conflict:  # somebody else began it just now
                run = workflows.find(ledger, name)
                if run is None:
                    raise
        return cls(ledger, *_gone_on_with(ledger, run, workflow, params, versions, target, accepts), steps, folder)

    @classmethod
    def pooled(cls, ledger: Ledger, run: Run, folder: Path) -> WorkflowRun:
        """Open a run for a worker: it goes by what is stored, with the code that is here.

        Raises:
            BadInput: The code of a step is not here, or cannot be.
        """
        workflow, params = workflows.stored(ledger, run)
        most = workflow.max_parallel or _ANY_NUMBER  # else the workers' own limits hold
        return cls(ledger, run, workflow, params, code_of(workflow, folder, None), folder, most)

    async def execute(self) -> Run:
        """Execute the run as far as it goes.

        Raises:
            Held: Another process executes it.
        """
        self._runner = Runner(self.ledger, self.run.id, self.plan(), retry=self.retries_failed)
        try:
            self.run = await self._runner.execute()
        finally:
            self._runner = None
        return self.run

    def plan(self) -> Plan:
        """Return what a runner goes by."""
        return Plan(
            self.steps,
            max_parallel=self.max_parallel or self.workflow.max_parallel or _MOST_AT_ONCE,
            gate=self._gates,
            values=self._values,
            definition_id=self.run.definition_id,
            once=[spec.id for spec in self.workflow.steps if spec.effect == "at_most_once"],
            waits=self.waits,
            watch=self.watch,
            say=self.say,
        )

    def take_back(self, step_id: str) -> int:
        """Let a step be done again with everything that needs it; return how many tasks that are.

        Raises:
            Held: Somebody executes the run.
        """
        number = len(retrying.tasks_from(self.ledger, self.run.id, step_id, in_order=False))
        asked = [spec.id for spec in self.workflow.steps if spec.manual is not None]
        self.run = retrying.take_back(self.ledger, self.run.id, step_id, in_order=False, asked=asked)
        return number

    def retry_only(self, keys: Collection[str]) -> None:
        """Let these steps alone be done again: of each what failed, else all of it; what else failed stays failed.

        Raises:
            WrongState: One is not over, or another one that failed stops the run.
            Held: Somebody executes the run.
        """
        check_free(self.ledger.store, self.run)
        retrying.retry_tasks(self.ledger, retrying.failures_of_run(self.ledger, self.run, keys))
        self.retries_failed = False

    def results(self) -> tuple[dict[str, object], dict[str, str]]:
        """Return results and errors of the steps by id; None where a step gave nothing."""

        def work(tx: Transaction) -> tuple[dict[str, object], dict[str, str]]:
            tasks = tx.tasks("tasks_of_run", run_id=self.run.id)
            results = {task.key: decode(task.output, tx) for task in tasks if task.map_index < 0}
            errors = {task.key: f"{task.error_type}: {task.error}" for task in tasks if task.status == "failed"}
            return results, errors

        return self.ledger.store.read(work)

    def _values(self, tx: Transaction, task: Task, names: Collection[str]) -> dict[str, Any]:
        return given(self._gates.specs[task.key], self._gates.values(tx, task), names)


def _gone_on_with(
    ledger: Ledger,
    run: Run,
    workflow: Workflow,
    params: Mapping[str, object],
    versions: Mapping[str, str],
    target: str | None,
    accepts: bool,
) -> tuple[Run, Workflow, Mapping[str, object]]:
    """Return the run as it goes on: with what differs accepted, or nothing differing.

    Raises:
        Conflict: Something differs, and nobody accepts it.
    """
    run_id, (stored, said) = run.id, workflows.stored(ledger, run)
    code = ledger.store.read(lambda tx: code_changes(tx, run_id, versions))
    changes = Changes(stored, workflow, versions, code, workflows.other_params(said, params))
    if not accepts:
        workflows.check_accepted(run, changes)
    if changes.words:
        kept = {name: value for name, value in said.items() if name in workflow.params}
        said = workflows.given(workflow, {**kept, **params})
        return accept(ledger, run, changes, said, target), workflow, said
    if code:
        ledger.commit(lambda tx: keep_code(tx, code))
    if target not in (None, run.target):
        run = workflows.move(ledger, run, target)
    return run, workflow, said
