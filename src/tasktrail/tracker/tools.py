"""`TrackerTools`: a tracker as language models see and change it, in short answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tasktrail.engine.matrix_views import Counts, ReadyCell
from tasktrail.model.plan import percent_done
from tasktrail.tools import Tools, Words, answering, check_limit, tool
from tasktrail.tracker.answers import Statuses, done, updated
from tasktrail.tracker.backend import TrackerBackend
from tasktrail.tracker.factory import get_tracker
from tasktrail.tracker.groups import Letters
from tasktrail.tracker.views import GroupProgress, ReadyTasks, progress_of, ready_tasks

TOOLS: Final = ("update_tracker_status", "check_tracker_progress", "get_all_weeks_status", "get_ready_tasks")
"""What can be offered to a language model, by the names of the methods."""
MOST_READY: Final = 20


class TrackerTools:
    """A tracker's tools. Every function answers with a dictionary, also where something is wrong.

    Args:
        tracker: None is the project's, as `get_tracker` finds it.
    """

    def __init__(self, tracker: TrackerBackend | None = None) -> None:
        self._tracker = get_tracker() if tracker is None else tracker

    @tool()
    @answering()
    def update_tracker_status(
        self,
        week_letter: str,
        task_type: str,
        status: Statuses,
        item_name: str = "",
        *,
        output_file: str = "",
        error_message: str = "",
        agent: str = "",
    ) -> Words:
        """Record where a task of the tracker stands: in_progress before it is begun, completed or failed afterwards.

        Args:
            item_name: Empty for a task of the week itself.
            output_file: Relative path of the result, with completed.
            error_message: What went wrong, with failed.
            agent: Who did it; empty leaves it.
        """
        said = {"output_file": output_file, "error_message": error_message, "agent": agent}
        return updated(self._tracker, week_letter, item_name, task_type, status, **said)

    @tool(reads=True)
    @answering()
    def check_tracker_progress(self, week_letter: str) -> Words:
        """Return how many tasks of each type are completed in a week.

        Args:
            week_letter: A letter from A to Z, or the name of the group.
        """
        week = self._tracker.groups.check(week_letter)
        (found,) = progress_of(self._tracker, [week])
        lines = [f"- {_title(key)}: {_standing(counts)}" for key, counts in found.by_type.items()]
        return done("\n".join([f"{self._word.capitalize()} {week} progress:", *lines]))

    @tool(reads=True)
    @answering()
    def get_all_weeks_status(self, only_incomplete: bool = False) -> Words:
        """Return how far each week is: ✅ completed, 🏗️ begun, 📝 not begun, ❌ without a tracker.

        Args:
            only_incomplete: Only weeks in which something is left to do.
        """
        weeks = self._tracker.weeks()
        found = zip(weeks, progress_of(self._tracker, weeks), strict=True)
        lines = [_overview(week, one) for week, one in found if not (only_incomplete and _sign(one.counts) == "✅")]
        if not only_incomplete:
            lines += self._missing(weeks)
        return done("\n".join(lines) or f"No {self._word} with anything left to do")

    @tool(reads=True)
    @answering()
    def get_ready_tasks(self, agent_type: str = "", limit: int = 5) -> Words:
        """Return tasks that can start now: what they depend on is completed.

        Args:
            agent_type: Of this agent alone, as researcher; empty takes all.
            limit: 1 to 20.

        Returns:
            `tasks` each with `week`, `item` (null for the week's own) and `task_type`; `total_available` counts all.
        """
        check_limit(limit, MOST_READY)
        page = ready_tasks(self._tracker, limit, agent=agent_type or None)
        tasks = [_ready(page, cell, with_agent=not agent_type) for cell in page.cells]
        of_agent = f" for {agent_type}" if agent_type else ""
        message = f"{len(tasks)} of {page.total} ready tasks{of_agent}" if tasks else f"No ready tasks{of_agent}"
        return {**done(message), "tasks": tasks, "total_available": page.total}

    def tools(self, names: Iterable[str] = TOOLS) -> Tools:
        """Return what is offered to a language model: its definitions, and a way to call them.

        Args:
            names: Of those in `TOOLS`.
        """
        return Tools(getattr(self, name) for name in names)

    @property
    def _word(self) -> str:
        return self._tracker.groups.word

    def _missing(self, there: Iterable[str]) -> Iterator[str]:
        """Where groups are letters, those that are not there are known."""
        known = set(there)
        if isinstance(self._tracker.groups, Letters):
            missing = [letter for letter in self._tracker.groups.names if letter not in known]
            if missing:
                yield f"❌ no tracker: {' '.join(missing)}"


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _standing(counts: Counts) -> str:
    total = counts.total()
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    return f"{counts['completed']}/{total} completed ({percent_done(counts['completed'], total):g}%){failed}"


def _overview(week: str, one: GroupProgress) -> str:
    return f"{_sign(one.counts)} {week}: {_standing(one.counts)}"


def _sign(counts: Counts) -> str:
    """Completed is what has nothing left to do, so what was skipped counts."""
    left = counts.total() - counts["completed"] - counts["skipped"] - counts["cancelled"]
    if counts.total() and not left:
        return "✅"
    return "🏗️" if counts.total() > counts["pending"] else "📝"


def _ready(page: ReadyTasks, cell: ReadyCell, *, with_agent: bool) -> Words:
    task: Words = {"week": page.groups[cell.group], "item": cell.task.item or None, "task_type": cell.task.key}
    return {**task, "agent": cell.agent} if with_agent else task
