"""The executor `process`: a function in a process of its own, by the machinery of commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasktrail.engine.calls import Call
from tasktrail.engine.child import BOOT
from tasktrail.engine.commands import GRACE_S, Command
from tasktrail.engine.commands import execute as execute_command
from tasktrail.engine.failures import StepFailed
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import Failure


async def execute(call: Call, grace_s: float = GRACE_S) -> object:
    """Execute a call in a process of its own, which ends with this, with us, and when this is cancelled.

    Raises:
        StepFailed: The function raised, or its process ended otherwise than by returning.
        StepLost: The process was killed by SIGKILL, which was not us.
    """
    # -u: what it prints is seen while it runs. faulthandler: a segmentation fault says where.
    arguments = (sys.executable, "-u", "-X", "faulthandler", "-c", BOOT, json.dumps(sys.path), call.target)
    command = Command(arguments, title=f"the process of {call.target}")
    context = replace(call.context, results=call.document)
    return value_of(await execute_command(command, context, call.write, grace_s=grace_s))


def value_of(answer: object) -> object:
    """Return the value that `perform` answered with.

    Raises:
        StepFailed: The function raised, gave what is no JSON, or ended its process, so that this is no answer.
    """
    if not isinstance(answer, Mapping) or not answer.keys() & {"value", "failure"}:
        raise StepFailed(Failure("ProcessEnded", "what executed the function ended before its function returned"))
    if "value" in answer:
        return answer["value"]
    kept: Mapping[str, Any] = answer["failure"]
    failure = Failure(str(kept["type"]), str(kept["message"]), kept["stack"], kept.get("fingerprint"))
    raise StepFailed(failure, tuple(kept["names"]), kept["retry_after"], is_final=bool(kept["is_final"]))


def target_of(function: object) -> str:
    """Return a function as `module:function`, as another process can find it.

    Raises:
        BadInput: It has no name there.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not module or module == "__main__" or "<" in name or not name:
        raise BadInput(
            f"{name or type(function).__name__} cannot be found by another process",
            hint="define it with def, at the top of a module that can be imported",
        )
    return f"{module}:{name}"
