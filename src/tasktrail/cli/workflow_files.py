"""FILE.yaml as the target of a command: read, checked, and opened as a run."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasktrail.engine.ledger import Ledger
from tasktrail.model.errors import BadInput, NotFound

if TYPE_CHECKING:
    from tasktrail.engine.workflow_run import WorkflowRun
    from tasktrail.model.run import Run
    from tasktrail.model.workflow import Workflow

SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A workflow file that a command was given.

    Args:
        text: How messages name it.
    """

    path: Path
    text: str

    def locate(self) -> None:
        """Refuse a file that is not there, or is no workflow, before anything is made for it.

        Raises:
            NotFound: It is not there.
            BadInput: It cannot be; the details name everything that is wrong.
        """
        if not self.path.is_file():
            raise NotFound(f"there is no file {self.text}", hint="tasktrail run dag FILE.yaml")
        self.load()

    def load(self) -> Workflow:
        """Return what the file says."""
        from tasktrail.formats.workflow_yaml import load_workflow

        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{self.text} cannot be read: {error}") from None
        return load_workflow(text, self.text)

    def check(self, ledger: Ledger, run_id: str | None, texts: Sequence[str]) -> None:
        """Refuse wrong params, before anything is made for the run.

        Raises:
            BadInput: The details name everything that is wrong.
        """
        from tasktrail.engine.workflows import check_given

        workflow = self.load()
        known = run_id is not None and ledger.store.read(lambda tx: tx.runs("runs_by_name", name=run_id, kind="dag"))
        values, faults = _read(workflow, texts)
        check_given(workflow, values, begins=not known, besides=faults)

    def stored(self, root: Path) -> str:
        """Return the text by which the file is found again from the project's folder."""
        path = self.path.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def open(
        self,
        ledger: Ledger,
        run_id: str | None,
        texts: Sequence[str],
        *,
        root: Path,
        accepts: bool,
    ) -> WorkflowRun:
        """Begin a run of the file, or go on with one.

        Args:
            texts: Params as they were typed, NAME=VALUE.
            accepts: Whether the run goes by the file as it is now from here on.
        """
        from tasktrail.engine.workflow_run import WorkflowRun

        workflow = self.load()
        name = run_id or f"{re.sub(r'[^A-Za-z0-9._-]', '-', workflow.name)}-{uuid.uuid4().hex[:8]}"
        return WorkflowRun.open(
            ledger,
            workflow,
            name,
            _read(workflow, texts)[0],
            folder=self.path.resolve().parent,
            target=self.stored(root),
            accepts=accepts,
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


def _read(workflow: Workflow, texts: Sequence[str]) -> tuple[dict[str, object], list[str]]:
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
