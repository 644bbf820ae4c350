"""What clients can read: tasks, plans, runs, executions, and how to work with all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, unquote

import mcp_types as types

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import (
    find_run,
    find_task,
    list_runs,
    names_like,
    outcomes,
    overview,
    run_reference,
    tasks_like,
)
from tasktrail.engine.plans import NoPlan, fresh_plan, read_plan
from tasktrail.engine.project import FolderProject
from tasktrail.engine.records import record_by_id
from tasktrail.engine.scrubbing import Scrubber
from tasktrail.engine.task_views import details
from tasktrail.executions.answers import execution_words
from tasktrail.formats import plan_markdown
from tasktrail.json_records import details_record, overview_record
from tasktrail.mcp.cleaning import cleaned
from tasktrail.mcp.fitting import compact, shortened
from tasktrail.mcp.guide import GUIDE
from tasktrail.mcp.telling import fenced
from tasktrail.model.errors import NotFound
from tasktrail.model.plain import storable
from tasktrail.tools import Words

__all__ = ["MOST_TOKENS", "TEMPLATES", "Resources", "uri_of", "usual"]

GUIDE_URI: Final = "guide://workflow"
_JSON: Final = "application/json"
_MARKDOWN: Final = "text/markdown"
MOST_TOKENS: Final = 32_000
"""Of a record that is read whole."""
_ON_A_PAGE: Final = 50
_SUGGESTED: Final = 100

TEMPLATES: Final[Sequence[types.ResourceTemplate]] = tuple(
    types.ResourceTemplate(
        name=name, title=title, uri_template=f"{name}://{{{argument}}}", mime_type=mime_type, description=about
    )
    for name, title, argument, mime_type, about in (
        ("task", "Task", "ref", _JSON, "All about a task, by its reference RUN:KEY: needs, notes, attempts, history."),
        ("plan", "Plan", "name", _MARKDOWN, "A plan as a check list."),
        ("run", "Run", "ref", _JSON, "A run with its tasks, their results and attempts."),
        ("execution", "Execution", "id", _JSON, "One execution, with its stack, inputs and output."),
    )
)  # fmt: skip


def uri_of(kind: str, name: str) -> str:
    """Return the URI of what has a name.

    >>> uri_of("task", "A:Prometheus/research")
    'task://A%3APrometheus/research'
    """
    return f"{kind}://{quote(name, safe='/')}"


def usual(uri: str) -> str:
    """Return a URI as `uri_of` spells it; clients may quote more, or less.

    >>> usual("task://A:Prometheus%2Fresearch")
    'task://A%3APrometheus/research'
    """
    kind, separator, name = uri.partition("://")
    return uri_of(kind, unquote(name)) if separator else uri


@dataclass(frozen=True, slots=True)
class Resources:
    """What can be read of a project.

    Args:
        project: Where its store is.
        scrub: What all texts pass on the way out.
    """

    project: FolderProject
    scrub: Scrubber

    def page(self, cursor: str | None) -> tuple[list[types.Resource], str | None]:
        """Return the guide, then the runs, the newest first; and the cursor of the next page.

        Raises:
            BadInput: The cursor is none of ours.
        """
        found = list_runs(self.project.looking(), limit=_ON_A_PAGE, cursor=cursor)
        guide = types.Resource(
            uri=GUIDE_URI,
            name="workflow",
            title="How to work with Tasktrail",
            mime_type=_MARKDOWN,
            size=len(GUIDE.encode()),
        )
        listed = [] if cursor else [guide]
        for run in found.runs:
            reference = run_reference(run, found.shared)
            kind = "plan" if run.kind == "plan" else "run"
            listed.append(
                types.Resource(
                    uri=uri_of(kind, run.name if kind == "plan" else reference),
                    name=reference,
                    title=f"{run.kind} {run.name}",
                    description=f"{run.status}, {run.n_completed} of {run.n_tasks} completed",
                    mime_type=_MARKDOWN if kind == "plan" else _JSON,
                )
            )
        return listed, found.cursor

    def read(self, uri: str) -> types.TextResourceContents:
        """Return what a URI stands for.

        Raises:
            TasktrailError: There is no such thing.
        """
        kind, separator, name = uri.partition("://")
        if uri == GUIDE_URI:
            return types.TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=GUIDE)
        if not separator or kind not in _KINDS or not name:
            known = ", ".join([GUIDE_URI, *(template.uri_template for template in TEMPLATES)])
            raise NotFound(f"there is no resource {uri[:200]}", hint=f"there are {known}")
        ledger, reference = self.project.looking(), unquote(name)
        if kind == "plan":
            return types.TextResourceContents(uri=uri, mime_type=_MARKDOWN, text=self._plan(ledger, reference))
        words = cleaned(shortened(_READERS[kind](ledger, reference), MOST_TOKENS), self.scrub)
        return types.TextResourceContents(uri=uri, mime_type=_JSON, text=compact(words))

    def suggest(self, template: str, prefix: str) -> list[str]:
        """Return what the argument of a template may be, of what begins so."""
        kind = template.partition("://")[0]
        if kind == "task" and ":" in prefix:
            return tasks_like(self.project.looking(), prefix, _SUGGESTED)
        return names_like(self.project.looking(), prefix, _SUGGESTED) if kind in ("task", "run", "plan") else []

    def _plan(self, ledger: Ledger, name: str) -> str:
        fresh_plan(ledger, name)
        now = read_plan(ledger, name)
        if now is None:
            raise NoPlan(f"there is no plan {name}", hint="resources/list has those that there are")
        return fenced(storable(self.scrub(plan_markdown.dump(now.tasks))), "markdown")


def _task(ledger: Ledger, reference: str) -> Words:
    return details_record(details(ledger, find_task(ledger, reference)))


def _run(ledger: Ledger, reference: str) -> Words:
    seen = overview(ledger, find_run(ledger, reference))
    return overview_record(seen, outcomes(ledger, seen))


def _execution(ledger: Ledger, public_id: str) -> Words:
    found = ledger.store.read(lambda tx: record_by_id(tx, public_id))
    if found is None:
        raise NotFound(f"there is no execution {public_id[:200]}", hint="tasks_list has the ids")
    more = {"response": found.response, "stack": found.stack, "inputs": found.inputs, "output": found.output}
    return {**execution_words(found), **more, "parents": list(found.parents), "actor": found.actor}


_READERS: Final[Mapping[str, Callable[[Ledger, str], Any]]] = MappingProxyType({
    "task": _task, "run": _run, "execution": _execution,
})  # fmt: skip
_KINDS: Final = frozenset({"plan", *_READERS})
