"""FILE.yaml or FILE.json as the target of a command: read, checked, and opened as a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasktrail.config import StoreLocation
from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from tasktrail.engine.steps import Step
    from tasktrail.engine.workflow_run import WorkflowRun
    from tasktrail.model.run import Run
    from tasktrail.model.workflow import Workflow

SUFFIXES: Final = (".yaml", ".yml", ".json")


def stored(path: Path, store: StoreLocation) -> str:
    """Return the text by which a file is found again: from the project's folder where file and store both lie in it.

    A store elsewhere is used from many folders, each of them the root then.
    """
    is_projects = store.path is not None and store.path.is_relative_to(store.root) and path.is_relative_to(store.root)
    return (path.relative_to(store.root) if is_projects else path).as_posix()


@dataclass(slots=True)
class WorkflowFile:
    """A workflow file that a command was given. It is read once: what was checked is what is executed.

    Args:
        text: How messages name it.
    """

    path: Path
    text: str
    _content: str = ""
    _workflow: Workflow | None = None
    _params: dict[str, object] = field(default_factory=dict)
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

    def check(self, ledger: Ledger, run_id: str | None, texts: Sequence[str]) -> None:
        """Refuse wrong params, then code that is not there, before anything is made for the run.

        Args:
            texts: Params as they were typed, NAME=VALUE.

        Raises:
            BadInput: The details name everything that is wrong.
        """
        from tasktrail.engine import workflows
        from tasktrail.engine.workflow_code import code_of
        from tasktrail.formats.workflow_yaml import refusal
        from tasktrail.model.workflow_check import BadWorkflow

        workflow = self.load()
        begins = run_id is None or workflows.find(ledger, run_id) is None
        self._params, faults = _typed(workflow, texts)
        workflows.check_given(workflow, self._params, begins=begins, besides=faults)
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


def _typed(workflow: Workflow, texts: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Return params as the workflow's types have them, a text as it is and all else as JSON; and what is wrong."""
    values: dict[str, object] = {}
    faults = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            faults.append(f"expected --param to be NAME=VALUE, got: {text[:60]!r}")
        elif name in values:
            faults.append(f"param {name} is given twice")
        else:
            values[name] = value
            if name in workflow.params and workflow.params[name].type != "string":
                values[name] = _value(name, value, faults)
    return values, faults


def _value(name: str, text: str, faults: list[str]) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] in ("[", "{"):
            why = error if isinstance(error, ValueError) else "it is nested too deep"
            faults.append(f"param {name} is no JSON: {why}")
        return text


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")
