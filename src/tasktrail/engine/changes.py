"""What a run goes by, its workflow and the code of its steps, and what of that is another now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from tasktrail.engine.steps import Step
from tasktrail.model.workflow import Workflow
from tasktrail.model.workflow_changes import workflow_differences
from tasktrail.store.transaction import Transaction

_DONE: Final = frozenset({"completed", "skipped"})


class CodeChange(NamedTuple):
    """A step whose function is another one than when the run was last taken up; `old` is None where none was known."""

    task_id: int
    key: str
    status: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Changes:
    """What a run went by, what is there now, and how they differ.

    Args:
        versions: What tells the code of a step now, by step.
        code: The steps whose code is another one.
        params: In words, which params are given otherwise than the run has them.
    """

    stored: Workflow
    now: Workflow
    versions: Mapping[str, str]
    code: Sequence[CodeChange] = ()
    params: Sequence[str] = ()

    @cached_property
    def words(self) -> list[str]:
        """What somebody must accept, one line each; empty when nothing is."""
        return [*workflow_differences(self.stored, self.now), *self._words_of_code(), *self.params]

    def _words_of_code(self) -> list[str]:
        """A finished step keeps its result, and one that calls another function is told as a change of the workflow."""
        old, new = self.stored.by_id, self.now.by_id
        return [
            f"step {one.key}: its code changed"
            for one in self.code
            if one.old is not None and one.status not in _DONE
            if one.key in old and old[one.key].call == new[one.key].call
        ]


def versions_of(workflow: Workflow, steps: Mapping[str, Step]) -> dict[str, str]:
    """Return by step what tells the code of its function. What a command executes stands in the workflow itself."""
    called = ((spec.id, steps[spec.id].code_version) for spec in workflow.steps if spec.call is not None)
    return {key: version for key, version in called if version is not None}


def code_changes(tx: Transaction, run_id: int, versions: Mapping[str, str]) -> list[CodeChange]:
    """Return what differs from what the run was last taken up with."""
    changes = []
    for task_id, key, status, old in tx.rows("code_of_run", run_id=run_id):
        new = versions.get(str(key), old)
        if new != old:
            known = None if old is None else str(old)
            changes.append(CodeChange(int(str(task_id)), str(key), str(status), known, str(new)))
    return changes


def keep_code(tx: Transaction, changes: Sequence[CodeChange]) -> None:
    """Let these be what the run was last taken up with."""
    tx.execute_many("set_code", ({"id": change.task_id, "code_version": change.new} for change in changes))
