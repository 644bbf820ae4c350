"""FILE.yaml as the target of a command: read, checked, and opened as a run."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
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

    def stored(self, root: Path) -> str:
        """Return the text by which the file is found again from the project's folder."""
        path = self.path.resolve()
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def open(
        self,
        ledger: Ledger,
        run_id: str | None,
        texts: Mapping[str, str],
        *,
        root: Path,
        accepts: bool,
    ) -> WorkflowRun:
        """Begin a run of the file, or go on with one.

        Args:
            texts: Params as they were typed.
            accepts: Whether the run goes by the file as it is now from here on.
        """
        from tasktrail.engine.workflow_run import WorkflowRun

        workflow = self.load()
        name = run_id or f"{re.sub(r'[^A-Za-z0-9._-]', '-', workflow.name)}-{uuid.uuid4().hex[:8]}"
        return WorkflowRun.open(
            ledger,
            workflow,
            name,
            {key: _value(text, workflow, key) for key, text in texts.items()},
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


def _value(text: str, workflow: Workflow, name: str) -> object:
    """Read a param as the workflow's type has it: a text stays one, all else is JSON."""
    param = workflow.params.get(name)
    if param is None or param.type == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
