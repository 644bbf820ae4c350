"""`MatrixTools`: a tracker's items × task types as language models read and change them, a page at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

from tasktrail.engine.matrix_views import Counts, ReadyCell
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.tools import Shape, Tools, Words, answering, check_limit, tool
from tasktrail.tracker.answers import Statuses, hinting, updated
from tasktrail.tracker.backend import TrackerBackend
from tasktrail.tracker.exceptions import DependencyNotMetError, ItemNotFoundError, WeekNotFoundError
from tasktrail.tracker.factory import get_tracker
from tasktrail.tracker.views import GroupProgress, ReadyTasks, losses_of, progress_of, ready_tasks
from tasktrail.tracker.words import TaskStatus, word_of

TOOLS: Final = ("matrix_progress", "matrix_ready", "matrix_update", "matrix_sync")
"""What can be offered to a language model, by the names of the methods."""
MOST_ON_A_PAGE: Final = 100

_MOST_NAMED: Final = 5
_ITEM: Final = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "content_hash": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": {"description": "attributes"},
}
ItemList = Annotated[Sequence[Any], Shape({"type": "array", "items": {"anyOf": [{"type": "string"}, _ITEM]}})]

_answering = answering(
    hinting(
        {
            WeekNotFoundError: "matrix_progress lists the periods that there are; matrix_sync makes one",
            ItemNotFoundError: "matrix_sync adds items and brings back removed ones; its list is the whole one",
            DependencyNotMetError: "matrix_ready lists what may start",
        }
    )
)


class MatrixTools:
    """A tracker's tools by period, which is a week, a sprint, or how else its groups are called.

    Every function answers with a dictionary, also where something is wrong.

    Args:
        tracker: None is the project's, as `get_tracker` finds it.
    """

    def __init__(self, tracker: TrackerBackend | None = None) -> None:
        self._tracker = get_tracker() if tracker is None else tracker

    @tool(reads=True)
    @_answering
    def matrix_progress(self, period: str = "", limit: int = 20, cursor: str = "") -> Words:
        """Return how many tasks of a period (week, sprint) stand where, and of each type.

        Args:
            period: Empty takes all.
            limit: 1 to 100.
            cursor: `next_cursor` of the page before.

        Returns:
            `periods` each with `percent` completed, `counts` by status and `by_type`; `total` counts all periods.
        """
        check_limit(limit, MOST_ON_A_PAGE)
        names = [self._tracker.groups.check(period)] if period else self._tracker.weeks()
        page, next_cursor = _page(names, limit, cursor)
        found = zip(page, progress_of(self._tracker, page), strict=True)
        periods = [_progress(name, one) for name, one in found]
        return {"status": "success", "periods": periods, "total": len(names), "next_cursor": next_cursor}

    @tool(reads=True)
    @_answering
    def matrix_ready(
        self, period: str = "", task_type: str = "", agent: str = "", limit: int = 20, cursor: str = ""
    ) -> Words:
        """Return tasks that may start now: what they depend on is completed. Empty filters take all.

        Args:
            limit: 1 to 100.

        Returns:
            `tasks` each with `period`, `item` (null for the period's own), `task_type`, `agent` and its reference `id`;
            `total` counts those of all pages.
        """
        check_limit(limit, MOST_ON_A_PAGE)
        if task_type:
            self._tracker.check_type(task_type)
        page = ready_tasks(
            self._tracker, limit,
            group=period or None, agent=agent or None, key=task_type or None, after=cursor or None,
        )  # fmt: skip
        tasks = [_ready(page, cell) for cell in page.cells]
        return {"status": "success", "tasks": tasks, "total": page.total, "next_cursor": page.cursor}

    @tool()
    @_answering
    def matrix_update(
        self,
        period: str,
        task_type: str,
        status: Statuses,
        item: str = "",
        *,
        output_file: str = "",
        error_message: str = "",
        agent: str = "",
    ) -> Words:
        """Record where a task stands: in_progress before it is begun, completed or failed afterwards.

        Args:
            item: Empty for a task of the period itself.
            output_file: Relative path of the result.
            error_message: What went wrong.
            agent: Who did it; empty leaves it.
        """
        if status not in {one.value for one in TaskStatus}:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(one.value for one in TaskStatus)}")
        said = {"output_file": output_file, "error_message": error_message, "agent": agent}
        return updated(self._tracker, period, item, task_type, status, **said)

    def _losses(self, period: str, items: Sequence[Any]) -> str:
        """Say which items would be removed. A call that is refused takes nothing away."""
        from tasktrail.tracker.asking import wanted_of

        try:
            names = {one.name for one in wanted_of(items)}
            lost = losses_of(self._tracker, period, names)
        except (BadInput, NotFound):
            return ""
        group = f"{self._tracker.groups.word} {self._tracker.groups.check(period)}"
        return _lost_words(group, lost, is_all=not names)

    @tool(destroys=True, repeats=True, losses=_losses)
    @_answering
    def matrix_sync(self, period: str, items: ItemList) -> Words:
        """Let a period have exactly these items: new ones get tasks, missing ones are removed and keep their history.

        Args:
            items: All of them; an empty list removes all.

        Returns:
            Names of items that were `added`, `changed`, `removed` and `restored`, which had been removed before.
        """
        done = self._tracker.sync(period, items)
        said = {name: list(items) for name, items in asdict(done).items()}
        return {"status": "success", "period": self._tracker.groups.check(period), **said}

    def tools(self, names: Iterable[str] = TOOLS) -> Tools:
        """Return what is offered to a language model: its definitions, and a way to call them.

        Args:
            names: Of those in `TOOLS`.
        """
        return Tools(getattr(self, name) for name in names)


def _page(names: Sequence[str], limit: int, cursor: str) -> tuple[Sequence[str], str | None]:
    """A cursor is the last name of the page before."""
    if cursor and cursor not in names:
        raise BadInput("expected cursor to be the `next_cursor` of a page", hint="leave it out to begin anew")
    first = names.index(cursor) + 1 if cursor else 0
    page = names[first : first + limit]
    return page, page[-1] if first + limit < len(names) else None


def _progress(period: str, one: GroupProgress) -> Words:
    by_type = {key: _numbers(counts) for key, counts in one.by_type.items()}
    return {"period": period, "percent": one.percent, "counts": _numbers(one.counts), "by_type": by_type}


def _numbers(counts: Counts) -> dict[str, int]:
    """By the words that matrix_update takes, in their order; what is nowhere is left out."""
    found = Counter[str]()
    for status, number in counts.items():
        found[word_of(status).value] += number
    return {word.value: found[word.value] for word in TaskStatus if found[word.value]}


def _ready(page: ReadyTasks, cell: ReadyCell) -> Words:
    place = {"period": page.groups[cell.group], "item": cell.task.item or None, "task_type": cell.task.key}
    return {**place, "agent": cell.agent, "id": cell.reference}


def _lost_words(group: str, lost: Mapping[str, int], *, is_all: bool) -> str:
    if not lost:
        return ""
    named = [_lost_item(name, begun) for name, begun in [*lost.items()][:_MOST_NAMED]]
    if more := [*lost.values()][_MOST_NAMED:]:
        named.append(_lost_item(f"{len(more):,} more", sum(more)))
    what = f"all its items ({len(lost):,})" if is_all else f"{len(lost):,} item{'s' if len(lost) > 1 else ''}"
    return f"{group} loses {what}: {', '.join(named)}; their history is kept"


def _lost_item(name: str, begun: int) -> str:
    return f"{name} ({begun:,} task{'s' if begun > 1 else ''} begun)" if begun else name
