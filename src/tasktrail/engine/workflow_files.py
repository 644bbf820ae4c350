"""Workflow files: read, checked, and opened as runs; and which of them somebody has executed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasktrail.config import StoreLocation
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput, Conflict, NotFound
from tasktrail.model.suggestion import Suggestions

if TYPE_CHECKING:
    from tasktrail.engine.steps import Step
    from tasktrail.engine.workflow_run import WorkflowRun
    from tasktrail.model.run import Run
    from tasktrail.model.workflow import Workflow
    from tasktrail.store.transaction import Transaction

SUFFIXES: Final = (".yaml", ".yml", ".json")
_BY_HAND: Final = "a person executes a new file first: tasktrail run dag FILE.yaml"
_NAMED: Final = 20


def stored(path: Path, store: StoreLocation) -> str:
    """Return the text by which a file is found again: from the project's folder where file and store both lie in it.

    A store elsewhere is used from many folders, each of them the root then.
    """
    is_projects = store.path is not None and store.path.is_relative_to(store.root) and path.is_relative_to(store.root)
    return (path.relative_to(store.root) if is_projects else path).as_posix()


@dataclass(slots=True)
class WorkflowFile:
    """A workflow file that is to be executed. It is read once: what was checked is what is executed.

    Args:
        text: How messages name it.
    """

    path: Path
    text: str
    _content: str = ""
    _workflow: Workflow | None = None
    _params: Mapping[str, object] = field(default_factory=dict)
    _steps: Mapping[str, Step] | None = None

    def locate(self) -> None:
        """Refuse a file that is not there, or is no workflow, before anything is made for it.

        Raises:
            NotFound: It is not there.
            BadInput: It cannot be; the details name everything that is wrong.
        """
        if not self.path.is_file():
            what = f"{self.text} is no file" if self.path.exists() else f"there is no file {self.text}"
            raise NotFound(what, hint="tasktrail run dag FILE.yaml")
        self.load()

    def load(self) -> Workflow:
        """Return what the file says."""
        from tasktrail.engine.executors import check
        from tasktrail.formats.workflow_yaml import load_workflow

        if self._workflow is None:
            self._content = self._read()
            self._workflow = load_workflow(self._content, self.text, check)
        return self._workflow

    def begin(self, ledger: Ledger, name: str | None, params: Mapping[str, object], store: StoreLocation) -> Run:
        """Store a run that another process is to execute. That finds its code; here none is imported.

        Args:
            name: Public id of the run; None draws one.

        Raises:
            BadInput: A param is missing, unknown or of another type; the details name all of them.
            Conflict: The run exists.
        """
        from tasktrail.engine import workflows
        from tasktrail.engine.ids import new_run_id

        workflow, target = self.load(), stored(self.path.resolve(), store)
        name = name or new_run_id(workflow.name)
        return workflows.begin(ledger, workflow, name, params, versions={}, target=target)

    def check(
        self, ledger: Ledger, run_id: str | None, params: Mapping[str, object], besides: Sequence[str] = ()
    ) -> None:
        """Refuse wrong params, then code that is not there, before anything is made for the run.

        Args:
            besides: What else is wrong with the params.

        Raises:
            BadInput: The details name everything that is wrong.
        """
        from tasktrail.engine import workflows
        from tasktrail.engine.workflow_code import code_of
        from tasktrail.formats.workflow_yaml import refusal
        from tasktrail.model.workflow_check import BadWorkflow

        workflow = self.load()
        begins = run_id is None or workflows.find(ledger, run_id) is None
        workflows.check_given(workflow, params, begins=begins, besides=besides)
        self._params = params
        try:
            self._steps = code_of(workflow, self._folder)
        except BadWorkflow as error:
            raise refusal(self._content, self.text, error.faults) from error.__cause__

    @property
    def _folder(self) -> Path:
        return self.path.resolve().parent

    def _read(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8")
        except OSError as error:
            raise BadInput(f"{self.text} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8")
            place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
            what = f"expected UTF-8, got: byte 0x{error.object[error.start]:02X}"
            raise BadInput(f"{self.text}:{place}: {what}", hint="save it as UTF-8") from None

    def open(
        self, ledger: Ledger, run_id: str | None, *, store: StoreLocation, accepts: bool, pooled: bool = False
    ) -> WorkflowRun:
        """Begin a run of the file as it was checked, or go on with one.

        Args:
            accepts: Whether the run goes by the file as it is now from here on.
            pooled: Whether workers execute a run that begins.
        """
        from tasktrail.engine.workflow_run import WorkflowRun

        return WorkflowRun.open(
            ledger,
            self.load(),
            run_id,
            self._params,
            folder=self._folder,
            target=stored(self.path.resolve(), store),
            steps=self._steps,
            accepts=accepts,
            pooled=pooled,
        )


def known_file(ledger: Ledger, name: str, store: StoreLocation) -> WorkflowFile:
    """Return the file of a workflow that somebody has executed before: that of its newest run, as it is now.

    Raises:
        NotFound: There was none, or it is gone; the message names what was probably meant.
        BadInput: It lies outside the project, or is no workflow any more.
        Conflict: It is of another workflow now.
    """
    target = ledger.store.read(lambda tx: _target(tx, name))
    if target is None:
        raise _unknown(ledger, name)
    file = WorkflowFile(store.root / target, target)
    if store.path is not None and not file.path.resolve().is_relative_to(store.root.resolve()):
        raise BadInput(f"the file of workflow {name} lies outside the project: {target}", hint=_BY_HAND)
    file.locate()
    if file.load().name != name:
        raise Conflict(f"{target} was of workflow {name}, and is of {file.load().name} now", hint=_BY_HAND)
    return file


def _target(tx: Transaction, name: str) -> str | None:
    row = tx.row("workflow_target", workflow=name)
    return str(row[0]) if row is not None and str(row[0]).endswith(SUFFIXES) else None


def _unknown(ledger: Ledger, name: str) -> NotFound:
    def work(tx: Transaction) -> list[str]:
        return [one for (row,) in tx.rows("workflow_names") if _target(tx, one := str(row)) is not None]

    known = ledger.store.read(work)
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    there = f"known are {', '.join(known[:_NAMED])}{more}" if known else f"none is known; {_BY_HAND}"
    return NotFound(f"no workflow {name!r:.80} was executed from a file here{Suggestions()(name, known)}", hint=there)


def check_same(ledger: Ledger, run: Run, target: WorkflowFile) -> None:
    """Refuse where the file of a run differs from what the run went by; a file that is gone differs in nothing.

    Raises:
        Conflict: It does; the details say how.
        BadInput: It is no workflow any more.
    """
    from tasktrail.engine import workflows
    from tasktrail.engine.changes import Changes

    if target.path.is_file():
        stored, _ = workflows.stored(ledger, run)
        workflows.check_accepted(run, Changes(stored, target.load(), {}))
