"""Agents around a plan: an architect writes it, an orchestrator works through it and delegates each task.

Their model is any callable, so that any provider's client fits behind it. What they have reached is in the plan's file
after every call; a process that is killed leaves a plan with which the next one goes on.

Source: document 000, Orchestrator Integration.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tasktrail.model.errors import BadInput, WrongState
from tasktrail.model.scrub import scrub_text
from tasktrail.plan.enhancement import Message, TaskManagementEnhancement
from tasktrail.plan.tools import PlanTools
from tasktrail.plan.workspace import WorkspaceManager, folder_of, workspace_tools
from tasktrail.tools import Schema, Tools, Words, tool

Model = Callable[[list[Message], list[Schema]], Message]
"""Gets the conversation and the definitions of the tools, both as OpenAI's chat completions take them, and returns the
next message of the assistant, which may have `tool_calls`."""
Executor = Callable[[Words], str]
"""Gets a task of the plan, does it, and returns a sentence on what came of it."""

MAX_TURNS: Final = 1_000
_ARCHITECT: Final = "You are the architect. Break what is asked down into tasks, and write them with write_task_list."
_ORCHESTRATOR: Final = (
    "You are the orchestrator. Consult the architect for a plan, then work through it: each task is delegated, and "
    "marked when it begins and when it ends."
)
_RESET: Final = "Reset after interruption"


class Agent:
    """One who talks to a model, in a workspace whose plan it gets to know as soon as there is one.

    Args:
        model: See `Model`.
        workspace: The folder, or an object whose `workspace_dir` is it.
        system_prompt: The first message of its conversation.
    """

    def __init__(
        self, model: Model, workspace: str | os.PathLike[str] | WorkspaceManager, *, system_prompt: str
    ) -> None:
        self.folder = Path(folder_of(workspace)).absolute()
        self.enhancements: list[TaskManagementEnhancement] = []
        self.messages: list[Message] = [{"role": "system", "content": system_prompt}]
        self._model = model

    def own_tools(self) -> Tools:
        """Return the tools that it has whatever the workspace has."""
        return Tools([])

    def add_task_management(self, workspace: str | os.PathLike[str] | WorkspaceManager) -> TaskManagementEnhancement:
        """Give it the plan of a workspace, with its tools and its context; once is enough."""
        added = TaskManagementEnhancement(workspace)
        known = next((one for one in self.enhancements if one.folder == added.folder), None)
        if known is None:
            self.enhancements.append(added)
        return known or added

    def build_context(self) -> list[Message]:
        """Return the conversation as the model gets it: behind the first message, where the plan stands now."""
        if TaskManagementEnhancement.is_for(self.folder):
            self.add_task_management(self.folder)
        told = [message for one in self.enhancements if (message := one.get_context())]
        return [*self.messages[:1], *told, *self.messages[1:]]

    def get_tools(self) -> list[Schema]:
        """Return the definitions of all its tools."""
        return [*self.own_tools().openai(), *(schema for one in self.enhancements for schema in one.get_tools())]

    def execute_tool(self, name: str, arguments: Mapping[str, Any] | str) -> Words:
        """Call a tool as the model asks for it; what is wrong is an answer, too."""
        own = self.own_tools()
        for enhancement in self.enhancements:
            if name in enhancement.tools.names:
                return enhancement.execute(name, arguments)
        return own.call(name, arguments)

    def run(self, request: str, max_turns: int = MAX_TURNS) -> str:
        """Let the model answer a request, calling tools for as long as it asks for them.

        Raises:
            WrongState: It did not come to an end.
        """
        self.messages.append({"role": "user", "content": request})
        for _ in range(max_turns):
            context = self.build_context()
            reply = self._model(context, self.get_tools())
            self.messages.append(reply)
            calls = reply.get("tool_calls") or []
            if not calls:
                return str(reply.get("content") or "")
            self.messages += [self._answer(call) for call in calls]
        raise WrongState(f"the model came to no end in {max_turns} turns", hint="look at what it called: .messages")

    def _answer(self, call: Mapping[str, Any]) -> Message:
        asked = call["function"]
        words = self.execute_tool(asked["name"], asked.get("arguments") or {})
        content = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
        return {"role": "tool", "tool_call_id": call.get("id"), "content": content}


class Architect(Agent):
    """Writes the plan of a workspace.

    Args:
        model, workspace: As for `Agent`.
    """

    def __init__(
        self,
        model: Model,
        workspace: str | os.PathLike[str] | WorkspaceManager,
        *,
        system_prompt: str = _ARCHITECT,
    ) -> None:
        super().__init__(model, workspace, system_prompt=system_prompt)
        self._plan = PlanTools.in_workspace(self.folder)

    def own_tools(self) -> Tools:
        """Return `write_task_list`."""
        return self._plan.tools(["write_task_list"])


class Orchestrator(Agent):
    """Works through the plan of a workspace.

    Args:
        model, workspace: As for `Agent`.
        architect: Who is consulted.
        executor: Who does the tasks.
    """

    def __init__(
        self,
        model: Model,
        workspace: str | os.PathLike[str] | WorkspaceManager,
        *,
        architect: Architect,
        executor: Executor,
        system_prompt: str = _ORCHESTRATOR,
    ) -> None:
        super().__init__(model, workspace, system_prompt=system_prompt)
        self.architect = architect
        self._executor = executor
        self._tracebacks: dict[str, str] = {}

    def own_tools(self) -> Tools:
        """Return `consult_architect` and `delegate_to_executor`."""
        return Tools([self.consult_architect, self.delegate_to_executor])

    def execute_tool(self, name: str, arguments: Mapping[str, Any] | str) -> Words:
        """Call a tool as the model asks for it; a task that it marks as failed keeps how the executor failed."""
        return super().execute_tool(name, self._with_traceback(arguments) if name == "mark_task_status" else arguments)

    def _with_traceback(self, arguments: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
        try:
            asked = json.loads(arguments) if isinstance(arguments, str) else arguments
        except ValueError:  # the tool says what is wrong
            return arguments
        if not isinstance(asked, Mapping) or asked.get("status") != "failed" or asked.get("error"):
            return arguments
        error = self._tracebacks.get(str(asked.get("task_id")))
        return {**asked, "error": error} if error else arguments

    def execute_orchestrator_tool(self, tool_name: str, args: Mapping[str, Any] | str) -> Words:
        """Call one of its tools by name; what is wrong is an answer, too."""
        return self.execute_tool(tool_name, args)

    @tool(destroys=True)
    def consult_architect(self, request: str) -> Words:
        """Let the architect break a project down into tasks; they are in the workspace's plan then.

        Args:
            request: What is to be planned.
        """
        said = self.architect.run(request)
        if not TaskManagementEnhancement.is_for(self.folder):
            return {"status": "error", "message": f"the architect wrote no task list: {said}", "code": "no_plan"}
        read = self.add_task_management(self.folder).plan.read_task_breakdown()
        return {**read, "message": said} if read["status"] == "success" else read

    @tool()
    def delegate_to_executor(self, task_id: str) -> Words:
        """Let the executor do one task of the plan, and return what came of it; mark the task before and after.

        Args:
            task_id: Which.
        """
        read = self.add_task_management(self.folder).plan.read_task_breakdown()
        if read["status"] != "success":
            return read
        task = next((one for one in read["tasks"] if one["id"] == task_id), None)
        if task is None:
            return {"status": "error", "message": f"Task {task_id} not found in breakdown", "code": "not_found"}
        self._tracebacks.pop(task_id, None)
        try:
            return {"status": "success", "task_id": task_id, "result": self._executor(task)}
        except Exception as error:  # noqa: BLE001 - foreign code: its failure is for the model to act on
            self._tracebacks[task_id] = scrub_text(traceback.format_exc())
            words = {"message": scrub_text(f"{type(error).__name__}: {error}"), "error": self._tracebacks[task_id]}
            return {"status": "error", "task_id": task_id, "code": "executor_failed", **words}

    def resume(self) -> list[str]:
        """Reset the tasks that an interrupted process left in progress, and return their ids.

        What somebody holds by a claim is left alone. Source: document 000, Resume Workflow.

        Raises:
            BadInput: The plan cannot be read.
        """
        if not TaskManagementEnhancement.is_for(self.folder):
            return []
        plan = self.add_task_management(self.folder).plan
        read = plan.read_task_breakdown()
        if read["status"] != "success":
            raise BadInput(read["message"])
        left = [one["id"] for one in read["tasks"] if one["status"] == "in_progress" and "claimed_by" not in one]
        return [key for key in left if plan.mark_task_status(key, "pending", notes=_RESET)["status"] == "success"]


def execute_orchestrator_tool(tool_name: str, args: Mapping[str, Any] | str) -> Words:
    """Call one of the plan's tools by name over the workspace that was set; what is wrong is an answer, too."""
    tools = workspace_tools()
    if tools is None:
        return {"status": "error", "message": "Task management workspace not configured", "code": "bad_input"}
    return tools.tools().call(tool_name, args)
