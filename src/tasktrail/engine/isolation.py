"""Functions as steps in a process of their own: the machinery of commands, and failures like those of a thread."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tasktrail.engine.child import BOOT
from tasktrail.engine.commands import GRACE_S, Call, Command, call_of, execute, output_of_attempt
from tasktrail.engine.context import StepContext
from tasktrail.engine.failures import StepFailed
from tasktrail.engine.steps import Step
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import Failure


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


def process_step(step: Step, target: str, folder: Path | None = None, grace_s: float = GRACE_S) -> Step:
    """Return a step such that its function is executed in a process of its own.

    Args:
        step: The step of the function: what it wants is filled as in a thread.
        target: `module:function`.
        folder: Where modules are looked for before anywhere else: that of the workflow file.
    """
    path = json.dumps([*([str(folder)] if folder else []), *sys.path])
    # -u: what it prints is seen while it runs. faulthandler: a segmentation fault says where.
    arguments = (sys.executable, "-u", "-X", "faulthandler", "-c", BOOT, path, target)
    command = Command(arguments, title=f"the process of {target}")

    async def work(*first: object, ctx: StepContext, **named: object) -> object:
        call = call_of(ctx)
        context = {
            "run_id": ctx.run_id, "step_id": ctx.step_id, "attempt": ctx.attempt, "trace_id": ctx.trace_id,
            "span_id": ctx.span_id, "token": ctx.token, "traceparent": ctx.traceparent,
            "results": ctx.results if step.wants_context else {},
        }  # fmt: skip
        given = {"first": first, "named": named, "wants_context": step.wants_context, "context": context}
        return _value(target, await execute(command, _with_input(call, given), output_of_attempt(), grace_s=grace_s))

    return replace(step, function=work, asynchronous=True, wants_context=True, ends_when_told=True)


def _with_input(call: Call, given: Mapping[str, object]) -> Call:
    return replace(call, results=given)


def _value(target: str, answer: object) -> object:
    told = cast("dict[str, Any]", answer)
    if "value" in told:
        return told["value"]
    if "failure" not in told:  # it ended itself with os._exit(0), so the result is that of any command
        raise StepFailed(Failure("ProcessEnded", f"the process of {target} ended before its function returned"))
    kept = told["failure"]
    failure = Failure(str(kept["type"]), str(kept["message"]), kept["stack"])
    raise StepFailed(failure, tuple(kept["names"]), kept["retry_after"], is_final=bool(kept["is_final"]))
