"""Prompts that a person picks in a client: how to go about something, with what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import mcp_types as types

from tasktrail.engine.lookup import find_run
from tasktrail.engine.records import trace
from tasktrail.engine.scrubbing import Scrubber
from tasktrail.executions.answers import execution_words
from tasktrail.executions.tools import ExecutionTools
from tasktrail.mcp.cleaning import cleaned
from tasktrail.mcp.fitting import shortened
from tasktrail.mcp.resources import Resources, uri_of
from tasktrail.mcp.telling import data_block
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.plan.tools import PlanTools

__all__ = ["PROMPTS", "Prompts"]

_MOST_ATTEMPTS: Final = 20


def _prompt(name: str, title: str, about: str, **arguments: tuple[str, bool]) -> types.Prompt:
    asked = [types.PromptArgument(name=key, description=text, required=need) for key, (text, need) in arguments.items()]
    return types.Prompt(name=name, title=title, description=about, arguments=asked)


PROMPTS: Final = (
    _prompt(
        "plan-from-prd", "Plan from a document", "Break a requirements document down into a plan.",
        document=("The text of the document.", True),
    ),
    _prompt("work-next", "Work on the next task", "Take the next task of the plan, do it, and report."),
    _prompt(
        "triage-failures", "Triage failures", "Look at what failed last, and say what to do about it.",
        since=("ISO 8601, or 2h, 3d.", False),
    ),
    _prompt(
        "post-mortem", "Post-mortem", "Write up what went wrong in a run or a trace.",
        run=("A run, by its id.", False), trace_id=("A trace.", False),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts of a project.

    Args:
        scrub: What all texts pass on the way out.
    """

    resources: Resources
    plan: PlanTools
    executions: ExecutionTools
    scrub: Scrubber

    def get(self, name: str, arguments: Mapping[str, str]) -> types.GetPromptResult:
        """Return a prompt.

        Raises:
            NotFound: There is none of this name.
            BadInput: An argument is missing or unknown.
        """
        found = next((one for one in PROMPTS if one.name == name), None)
        if found is None:
            raise NotFound(f"there is no prompt {name[:80]}", hint=", ".join(one.name for one in PROMPTS))
        _check(found, arguments)
        text = _TEXTS[name](self, arguments)
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=found.description, messages=[message])

    def plan_from_prd(self, arguments: Mapping[str, str]) -> str:
        """Ask for a plan of what a document wants; the host's model writes it."""
        return (
            "Break the document below down into tasks, and write them with write_task_list, all at once. A task is "
            "what one agent can do and check in one go: id (T1, T2, …), description that says when it is done, "
            "priority (1 is most urgent, 3 is usual), dependencies by id. No cycles; nothing that the document does "
            "not ask for. Look at read_task_breakdown first: where there is a plan, keep the ids of what is in it. "
            "Then say in a few sentences what the plan is, and what the document leaves open.\n\n"
            + data_block(arguments["document"])
        )

    def work_next(self, _: Mapping[str, str]) -> str:
        """Ask to do the next task; what it is now is told, and not claimed."""
        now = cleaned(shortened(self.plan.get_next_task()), self.scrub)
        return (
            "Do the next task of the plan. Claim it with get_next_task(claim=true), and keep its token. Do what its "
            "description says and no more; calls with the token renew the claim if it takes long. Check your work. "
            "Then finish_task with the token: a result in one sentence, or status failed with the error. If nothing "
            f"can start, explain_task says why: report that.\n\nAs it stands now:\n{data_block(now)}"
        )

    def triage_failures(self, arguments: Mapping[str, str]) -> str:
        """Ask what to do about the last failures, each kind once."""
        asked = {"unique_errors": True, "since": arguments.get("since", "")}
        found = self.executions.tasks_last_failed(**asked)  # type: ignore[arg-type]  # two kinds in one mapping
        if found["status"] == "error":
            raise BadInput(found["message"], hint=found.get("hint"))
        return (
            "Triage what failed. For each pattern say: what it is, how often and since when, the likely cause (look "
            "with tasks_by_trace and at execution://ID), whether trying again can help, and who or what has to act. "
            f"Begin with what blocks most. Change nothing yet.\n\n{data_block(cleaned(shortened(found), self.scrub))}"
        )

    def post_mortem(self, arguments: Mapping[str, str]) -> str:
        """Ask for a write-up of a run or a trace."""
        name, trace_id = arguments.get("run", ""), arguments.get("trace_id", "")
        if bool(name) == bool(trace_id):
            raise BadInput("expected one of run and trace_id")
        ledger = self.resources.project.looking()
        if name:
            run = find_run(ledger, name)
            trace_id = run.trace_id or ""
        attempts = ledger.store.read(lambda tx: trace(tx, trace_id))
        if not attempts and not name:
            raise NotFound(f"nobody knows the trace {trace_id[:80]}", hint="tasks_list has the ids of traces")
        failed = [one for one in attempts if one.status == "failed"]
        seen = {
            "trace_id": trace_id,
            "attempts": len(attempts),
            "failed": len(failed),
            "last_failures": [execution_words(one) for one in failed[-_MOST_ATTEMPTS:]],
        }
        where = f" Read {uri_of('run', name)} for all of it." if name else ""
        return (
            "Write a post-mortem: what was to be done, what happened and when (UTC), the cause and how you know, what "
            f"was lost or repeated, what helped, and what to change so that it does not come back.{where} Only facts "
            f"from the record; say what is not known.\n\n{data_block(cleaned(shortened(seen), self.scrub))}"
        )


def _check(found: types.Prompt, arguments: Mapping[str, str]) -> None:
    known = {one.name: one for one in found.arguments or ()}
    faults = [f"{found.name} has no argument {name[:80]}" for name in arguments if name not in known]
    faults += [f"{found.name} needs {name}" for name, one in known.items() if one.required and not arguments.get(name)]
    if faults:
        raise BadInput(f"the prompt {found.name} cannot be had like this", details=faults)


_TEXTS: Final[Mapping[str, Callable[[Prompts, Mapping[str, str]], str]]] = MappingProxyType({
    "plan-from-prd": Prompts.plan_from_prd,
    "work-next": Prompts.work_next,
    "triage-failures": Prompts.triage_failures,
    "post-mortem": Prompts.post_mortem,
})  # fmt: skip
