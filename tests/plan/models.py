"""Models that follow rules: an architect who plans three tasks, an orchestrator who goes by the seven steps."""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]
TASKS = [
    {"id": "T1", "description": "Setup DB", "priority": 1, "dependencies": []},
    {"id": "T2", "description": "Create models", "priority": 2, "dependencies": ["T1"]},
    {"id": "T3", "description": "Serve them", "priority": 2, "dependencies": ["T2"]},
]


def call(name: str, **arguments: Any) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "tool_calls": [{"id": name, "type": "function", "function": function}]}


def architect(messages: list[Message], tools: list[Any]) -> Message:
    if messages[-1]["role"] == "tool":
        return {"role": "assistant", "content": "planned"}
    return call("write_task_list", tasks=TASKS)


def orchestrator(messages: list[Message], tools: list[Any]) -> Message:
    if messages[-1]["role"] != "tool":
        planned = any("TASK BREAKDOWN STATUS" in str(one.get("content")) for one in messages)
        return call("get_next_task") if planned else call("consult_architect", request="plan it")
    name, answer = messages[-1]["tool_call_id"], json.loads(messages[-1]["content"])
    if name == "get_next_task":
        task = answer["task"]
        if task is None:
            return {"role": "assistant", "content": answer["message"]}
        return call("mark_task_status", task_id=task["id"], status="in_progress", notes="begins")
    if name == "mark_task_status" and answer["new_status"] == "in_progress":
        return call("delegate_to_executor", task_id=answer["task_id"])
    if name == "delegate_to_executor":
        status = "completed" if answer["status"] == "success" else "failed"
        result = answer.get("result") or answer["message"]
        return call("mark_task_status", task_id=answer["task_id"], status=status, result=result)
    return call("get_next_task")
