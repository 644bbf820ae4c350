"""`RunTools`: runs as language models begin, follow, retry and cancel them.

No tool takes a path or a command. What can be begun is a workflow whose file a person has executed before.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from tasktrail.config import load
from tasktrail.engine.detached import execute_detached
from tasktrail.engine.execution import take_up_pooled
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import find_run, list_runs, owners, task_reference
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.project import NO_FLAGS, ledger_of
from tasktrail.engine.retrying import Failures, failures_of_run, record_reason, retry_tasks
from tasktrail.engine.situation import situation
from tasktrail.engine.workflow_files import known_file
from tasktrail.model.errors import BadInput, Conflict, TasktrailError, WrongState
from tasktrail.model.run import OVER, STOPPING_KINDS, Run
from tasktrail.tools import Shape, Tools, Words, answering, check_limit, progress, tool
from tasktrail.workflows.words import MOST_NAMED, run_words, standing_words

TOOLS: Final = ("run_start", "run_status", "run_retry", "run_cancel")
"""What can be offered to a language model, by the names of the methods."""
MOST_LISTED: Final = 100
LONGEST_WAIT_S: Final = 25
"""Clients give a call up after 30 seconds and more."""
_LOOK_EVERY_S: Final = 0.25
_WAITS: Final = "waits for a person; run_status says for what"

Params = Annotated[Mapping[str, Any] | None, Shape({"type": "object"})]


def _called_off(self: RunTools, run: str, reason: str = "") -> str:  # noqa: ARG001 - it takes what the tool takes
    try:
        found = find_run(self._ledger, run)
    except TasktrailError:  # the call itself says so
        return ""
    number = found.n_pending + found.n_in_progress + found.n_blocked
    if found.status in OVER or not number:
        return ""
    now = f", {found.n_in_progress} running now" if found.n_in_progress else ""
    return f"{number} unfinished task{'' if number == 1 else 's'} of run {found.name} would be called off{now}"


class RunTools:
    """The runs of a project. Every function answers with a dictionary, also where something is wrong.

    Args:
        start: Where the search for the store begins; None is the working directory. No store is made.
        settings: By name, as flags of the command line say them: `store.url`, `actor`.
    """

    def __init__(self, start: Path | None = None, settings: Mapping[str, str] = NO_FLAGS) -> None:
        self._config, self._settings = load(start, settings), settings

    @property
    def _ledger(self) -> Ledger:
        """The project's; where there is no store yet, an empty one that nobody keeps."""
        return ledger_of(self._config.store, self._config, create=False)

    @tool(title="Start a run")
    @answering()
    def run_start(self, workflow: str, params: Params = None, run_id: str = "") -> Words:
        """Begin a run of a workflow that was executed here before; it goes on by itself.

        Args:
            workflow: Its name.
            params: By name.
            run_id: Of the new run; empty draws one.
        """
        ledger = self._ledger
        file = known_file(ledger, workflow, self._config.store)
        try:
            run = file.begin(ledger, run_id or None, params or {}, self._config.store)
        except Conflict as error:
            hint = "run_status says how far it is, run_retry does again what failed; or give another run_id"
            raise Conflict(error.message, hint=hint) from None
        return _done(f"Run {run.name} was started", self._execute(ledger, run, "resume"))

    @tool(reads=True, repeats=True, title="Status of runs")
    @answering()
    def run_status(self, run: str = "", wait_s: float = 0, limit: int = 20, cursor: str = "") -> Words:
        """Say where a run stands: what runs, failed, waits for a person, and why nothing runs.

        Args:
            run: Its id; empty lists the newest runs.
            wait_s: Wait so long for its end, at most 25.
            limit: Of the list, 1 to 100.
            cursor: next_cursor of the page before.
        """
        if not 0 <= wait_s <= LONGEST_WAIT_S:
            raise BadInput(f"expected wait_s to be 0 to {LONGEST_WAIT_S}, got: {wait_s!r}")
        check_limit(limit, MOST_LISTED)
        ledger = self._ledger
        ledger.refresh_plans()
        if run:
            return {"status": "success", "run": standing_words(situation(ledger, _awaited(ledger, run, wait_s)))}
        page = list_runs(ledger, limit=limit, cursor=cursor or None)
        runs = [run_words(one, page.shared) for one in page.runs]
        return {"status": "success", "runs": runs, "next_cursor": page.cursor}

    @tool(title="Retry a run")
    @answering()
    def run_retry(self, run: str, steps: Sequence[str] = (), reason: str = "") -> Words:
        """Do again what failed in a run, and what waited for it; go on with one that nobody executes.

        Args:
            steps: Only these, failed or finished.
            reason: Kept in the history.
        """
        ledger = self._ledger
        found = find_run(ledger, run)
        failures = failures_of_run(ledger, found, steps)
        _check_retry(ledger, found, failures)
        if reason.strip():
            record_reason(ledger, found, reason)
        message, after = self._again(ledger, failures, steps)
        names = [task_reference("", task)[1:] for task in failures.tasks[:MOST_NAMED]]
        return {**_done(message, after), "retried": names}

    @tool(destroys=True, repeats=True, title="Cancel a run", losses=_called_off)
    @answering()
    def run_cancel(self, run: str, reason: str = "") -> Words:
        """Call a run off: what is not finished is cancelled, what runs is told to stop.

        Args:
            reason: Kept in the history.
        """
        ledger = self._ledger
        after = ledger.cancel_run(find_run(ledger, run).id, reason or None)
        return _done(f"Run {after.name} is cancelled", after)

    def tools(self, names: Iterable[str] = TOOLS) -> Tools:
        """Return what is offered to a language model: its definitions, and a way to call them.

        Args:
            names: Of those in `TOOLS`.
        """
        return Tools(getattr(self, name) for name in names)

    def _again(self, ledger: Ledger, failures: Failures, steps: Sequence[str]) -> tuple[str, Run]:
        """Let it be done by whoever executes the run: its process, workers, a new process; people and agents."""
        run = failures.run
        if is_pooled(ledger.store, run):
            after = retry_tasks(ledger, failures) if steps else take_up_pooled(ledger, run)
            return f"Workers execute run {run.name}", after
        if owner := owners(ledger, [run]).get(run.id):
            return f"Run {run.name} is executed by {owner}", retry_tasks(ledger, failures)
        if not _has_code(run):
            return f"Nothing executes run {run.name} by itself: its tasks are pending", retry_tasks(ledger, failures)
        only = [f"--only={name}" for name in steps]
        after = self._execute(ledger, run, "retry" if steps else "resume", *only)
        waits = after.n_blocked and not after.n_in_progress and after.status not in OVER
        return f"Run {run.name} {_WAITS if waits else 'goes on'}", after

    def _execute(self, ledger: Ledger, run: Run, verb: str, *options: str) -> Run:
        store = self._config.store
        settings = {**self._settings, "store.url": store.url, "actor": ledger.actor}
        command = [verb, f"{run.kind}/{run.name}", "--no-wait", *options]
        return execute_detached(ledger, run, command, folder=store.root, settings=settings)


def _has_code(run: Run) -> bool:
    return run.kind in STOPPING_KINDS and run.target is not None


def _check_retry(ledger: Ledger, run: Run, failures: Failures) -> None:
    """Refuse what a person stopped, and where there is nothing to do.

    Raises:
        WrongState: It is paused; or nothing failed, and nothing waits for a process.
    """
    if run.paused:
        raise WrongState(f"run {run.name} is paused", hint=f"a person lifts that: tasktrail resume {run.name}")
    stands_still = _has_code(run) and run.status not in OVER and not owners(ledger, [run])
    if not (failures.tasks or stands_still or run.declared_status == "failed"):
        raise WrongState(f"nothing of run {run.name} failed: it is {run.status}", hint="run_status says more")


def _awaited(ledger: Ledger, reference: str, wait_s: float) -> Run:
    """Return a run when it is over or the time is up; tell meanwhile how far it is."""
    deadline, token = time.monotonic() + wait_s, ledger.store.changed_token()
    run, told = find_run(ledger, reference), None
    while True:
        if run.counts != told:
            told = run.counts
            _tell(run)
        left_s = deadline - time.monotonic()
        if run.status in OVER or left_s <= 0:
            return run
        time.sleep(min(_LOOK_EVERY_S, left_s))
        if (changed := ledger.store.changed_token()) != token:
            token, run = changed, _now(ledger, run)


def _now(ledger: Ledger, run: Run) -> Run:
    return ledger.store.read(lambda tx: tx.run(run.id))


def _tell(run: Run) -> None:
    done = run.n_tasks - run.n_pending - run.n_in_progress - run.n_blocked
    progress(done, run.n_tasks, f"run {run.name}: {done} of {run.n_tasks} done, {run.n_in_progress} running")


def _done(message: str, run: Run) -> Words:
    return {"status": "success", "message": message, "run": run_words(run)}
