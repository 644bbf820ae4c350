"""The documented functions over the workspace that was set. Source: document 000, Implementation Components."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tasktrail.model.errors import BadInput
from tasktrail.plan.tools import PlanTools
from tasktrail.tools import Words

_tools: PlanTools | None = None


class WorkspaceManager(Protocol):
    """What knows a workspace's folder."""

    @property
    def workspace_dir(self) -> str | os.PathLike[str]:
        """The folder."""


def set_workspace(workspace: str | os.PathLike[str] | WorkspaceManager | None) -> None:
    """Say whose plan the functions of this module are about, in all threads of the process.

    The plan is the file `architecture/task-breakdown.json` below the folder, which is made with the first list.

    Args:
        workspace: The folder, or an object whose `workspace_dir` is it; None: no workspace any more.

    Raises:
        BadInput: It is neither.
    """
    global _tools
    _tools = None if workspace is None else PlanTools.in_workspace(folder_of(workspace))


def folder_of(workspace: object) -> str:
    """Return the folder of a workspace.

    Raises:
        BadInput: It is neither a folder nor something that has one.
    """
    folder = getattr(workspace, "workspace_dir", workspace)
    if isinstance(folder, str | os.PathLike):
        return os.fspath(folder)
    raise BadInput(f"expected workspace to be a folder or to have a workspace_dir, got: {type(workspace).__name__}")


def workspace_tools() -> PlanTools | None:
    """Return the tools of the workspace that was set; None: none was."""
    return _tools


def write_task_list(tasks: Sequence[Mapping[str, Any]]) -> Words:
    """Write the breakdown: a new one, or the one that exists; see `PlanTools.write_task_list`."""
    return _tools.write_task_list(tasks) if _tools else _unset("No workspace manager configured")


def read_task_breakdown() -> Words:
    """Return all tasks, and how many there are at each status; see `PlanTools.read_task_breakdown`."""
    return _tools.read_task_breakdown() if _tools else _unset()


def get_next_task(skip_dependencies: bool = False) -> Words:
    """Return the most urgent pending task whose dependencies are all done; see `PlanTools.get_next_task`."""
    return _tools.get_next_task(skip_dependencies) if _tools else _unset()


def mark_task_status(task_id: str, status: str, notes: str = "", result: str = "") -> Words:
    """Let a task stand at pending, in_progress, completed or failed; see `PlanTools.mark_task_status`."""
    return _tools.mark_task_status(task_id, status, notes, result) if _tools else _unset()


def update_task(task_id: str, updates: Mapping[str, Any]) -> Words:
    """Change what a task is; see `PlanTools.update_task`."""
    return _tools.update_task(task_id, updates) if _tools else _unset()


def _unset(message: str = "Task management workspace not configured") -> Words:
    return {"status": "error", "message": message, "code": "bad_input", "hint": "call set_workspace(folder) first"}
