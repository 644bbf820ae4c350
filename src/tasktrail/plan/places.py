"""Where a plan is: in a store under its name, or in the file of a workspace, which the project's store mirrors."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tasktrail.config import find_store, load
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_files import create_file, known_file, open_file, parse_file
from tasktrail.engine.plan_lists import ListWritten, replace_list, write_list
from tasktrail.engine.plans import NoPlan, fresh_plan
from tasktrail.engine.project import NO_FLAGS, FolderProject, ledger_of
from tasktrail.model.errors import Conflict
from tasktrail.model.plan import STANDING_PLAN, PlanTask
from tasktrail.model.reference import MAX_RUN_ID_CHARS
from tasktrail.model.run import Run

FILE: Final = "architecture/task-breakdown.json"
"""Where a workspace has its plan. Source: document 000, File Format."""


class Plan(NamedTuple):
    """A plan by its name, and the ledger that answers for it."""

    ledger: Ledger
    name: str


class Place(Protocol):
    """What the tools need of the place where a plan is."""

    @property
    def file(self) -> Path | None:
        """The file that has the plan, None where the store alone has it."""

    def open(self) -> Plan:
        """Return the plan to change it: who does adopts first what its file says.

        Raises:
            NoPlan: There is no file. A store says so itself.
            BadInput: The file is new to the store and cannot be read.
        """

    def look(self) -> Plan:
        """Return it for reading alone, up to date with its file: no store is made for that.

        Raises:
            NoPlan, BadInput: As for `open`; the file cannot be read.
        """

    def write(self, tasks: Sequence[PlanTask], standing: Collection[str]) -> ListWritten:
        """Create it, or bring it to a list."""

    def replace(self, tasks: Sequence[PlanTask]) -> ListWritten:
        """Let it be a list and nothing else."""


class StorePlan:
    """A plan in a store.

    Args:
        url: Of the store.
        name: Of the plan.
    """

    file = None

    def __init__(self, url: str, name: str) -> None:
        self._ledger = ledger_of(find_store(flag=url), load())
        self._name = name

    def open(self) -> Plan:
        """Return the plan to change it."""
        return Plan(self._ledger, self._name)

    def look(self) -> Plan:
        """Return it for reading alone; another door may have a file for it."""
        fresh_plan(self._ledger, self._name)
        return self.open()

    def write(self, tasks: Sequence[PlanTask], standing: Collection[str]) -> ListWritten:
        """Create it, or bring it to a list."""
        return write_list(*self.open(), tasks, standing)

    def replace(self, tasks: Sequence[PlanTask]) -> ListWritten:
        """Let it be a list and nothing else."""
        return replace_list(*self.open(), tasks)


class FolderPlan:
    """The plan of a folder: in its file where it has one, else in the project's store.

    Args:
        folder: Its name is the plan's.
        name: Another name; then the store alone has the plan.
        makes_file: Whether a plan that is new gets the file.
        settings: Of the project, by name, as flags of the command line say them.
    """

    def __init__(
        self,
        folder: Path,
        name: str | None = None,
        *,
        makes_file: bool = False,
        settings: Mapping[str, str] = NO_FLAGS,
    ) -> None:
        self._folder = folder.absolute()
        self._project = FolderProject(self._folder, settings)
        self._name = name or name_of(self._folder) or STANDING_PLAN
        self._path = self._folder / FILE if name is None else None
        self._makes_file = makes_file

    @property
    def file(self) -> Path | None:
        """The file that has the plan, or will have it."""
        return self._path if self._path and (self._makes_file or os.path.lexists(self._path)) else None

    def open(self) -> Plan:
        """Return the plan to change it."""
        path = self.file
        if path is None:
            return Plan(self._project.ledger, self._name)
        if not path.exists():
            raise _no_file(path)
        run = known_file(self._project.ledger, path) or self._opened(path)
        return Plan(self._project.ledger, run.name)

    def look(self) -> Plan:
        """Return it for reading alone."""
        if self.file is None and self._project.has_store():  # no file could answer in the place of the store
            return self._fresh()
        return self._project.reading(self._fresh, self._parsed)

    def _fresh(self) -> Plan:
        path = self.file
        if path is not None:
            return Plan(self._project.ledger, self._opened(path).name)
        fresh_plan(self._project.ledger, self._name)
        return self.open()

    def _opened(self, path: Path) -> Run:
        run = open_file(self._project.ledger, path, self._name)
        if run is None:
            raise _no_file(path)
        return run

    def _parsed(self) -> Plan:
        unsaved, path = self._project.unsaved(), self.file
        run = parse_file(unsaved, path, self._name) if path else None
        if path and run is None:
            raise _no_file(path)
        return Plan(unsaved, run.name if run else self._name)

    def write(self, tasks: Sequence[PlanTask], standing: Collection[str]) -> ListWritten:
        """Create it, or bring it to a list; a file that is not there is made."""
        created = self._create(tasks, standing)
        return created or write_list(*self.open(), tasks, standing)

    def replace(self, tasks: Sequence[PlanTask]) -> ListWritten:
        """Let it be a list and nothing else."""
        created = self._create(tasks, {task.key for task in tasks})
        return created or replace_list(*self.open(), tasks)

    def _create(self, tasks: Sequence[PlanTask], standing: Collection[str]) -> ListWritten | None:
        """Create a plan that is to have a file; None: it has one."""
        path = self.file
        if path is None or path.exists():
            return None
        try:
            return create_file(self._project.ledger, path, self._name, tasks, standing)
        except Conflict:  # somebody else made it just now
            return None


def name_of(folder: Path) -> str | None:
    """Return the name of a folder's plan, None where no run can have it."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", folder.resolve().name)[:MAX_RUN_ID_CHARS].strip("-._")
    return name or None


def _no_file(path: Path) -> NoPlan:
    return NoPlan(f"there is no file {path}", hint="write a task list first")
