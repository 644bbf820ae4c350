"""What runs in a process of its own to execute one function: arguments from a file, result or failure to another."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tasktrail.config import environment

BOOT: Final = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from tasktrail.engine.child import main; main()"
"""What the interpreter executes: before anything of ours is imported the child looks where the parent looks."""


@dataclass(frozen=True, slots=True)
class ChildContext:
    """What a function in a process of its own gets as `ctx`: what there is to know of its execution, and no store."""

    run_id: str
    step_id: str
    attempt: int
    trace_id: str
    span_id: str
    token: str
    traceparent: str
    results: Mapping[str, object]


def main() -> None:
    """Execute the function that the command line names; its files are those of a command."""
    target = sys.argv[2]
    del sys.argv[1:]
    files = environment()
    given = json.loads(Path(files["TASKTRAIL_INPUT"]).read_text(encoding="utf-8"))
    answer = json.dumps(_answer(target, given))
    Path(files["TASKTRAIL_RESULT"]).write_text(answer, encoding="utf-8")


def find(target: str) -> Callable[..., Any]:
    """Return the function that `module:function` names.

    Raises:
        ImportError, AttributeError: There is none.
    """
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]  # who names it says that it is one


def _answer(target: str, given: Mapping[str, Any]) -> dict[str, object]:
    try:
        value = _called(find(target), given)
    except BaseException as error:  # noqa: BLE001 - a step's own code; whatever it is, the parent is told
        return {"failure": _failure(error)}
    return _checked(value, given["context"]["step_id"])


def _called(function: Callable[..., Any], given: Mapping[str, Any]) -> Any:
    named = dict(given["named"])
    if given["wants_context"]:
        named["ctx"] = ChildContext(**given["context"])
    value = function(*given["first"], **named)
    return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value


async def _awaited(value: Any) -> Any:
    return await value


def _checked(value: object, step: str) -> dict[str, object]:
    from tasktrail.engine.values import encode
    from tasktrail.model.errors import BadInput

    try:
        encode(value, f"the result of step {step!r}")
    except BadInput as error:
        told = {"type": type(value).__name__, "message": f"{error}; {error.hint}", "stack": None, "names": ()}
        return {"failure": {**told, "retry_after": None, "is_final": True}}
    return {"value": value}


def _failure(error: BaseException) -> dict[str, object]:
    from tasktrail.engine.failures import failure_of
    from tasktrail.model.retry import error_names_of, retry_after_of

    kept = failure_of(error)
    told = {"type": kept.type, "message": kept.message, "stack": kept.stack, "names": error_names_of(error)}
    return {**told, "retry_after": retry_after_of(error, datetime.now(UTC)), "is_final": False}
