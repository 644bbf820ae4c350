"""The far side of a call: the function is called here, and its value or failure becomes a document for the near side.

Little is imported: a process that is started for one function should be there soon.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tasktrail.config import environment
from tasktrail.engine.calls import PlainContext
from tasktrail.engine.spans import current
from tasktrail.model.attempt import SpanContext

BOOT: Final = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from tasktrail.engine.child import main; main()"
"""What the interpreter executes: before anything of ours is imported the child looks where the parent looks."""


def main() -> None:
    """Perform the call whose files are those of a command."""
    del sys.argv[1:]
    files = environment()
    document = json.loads(Path(files["TASKTRAIL_INPUT"]).read_text(encoding="utf-8"))
    Path(files["TASKTRAIL_RESULT"]).write_text(json.dumps(perform(document)), encoding="utf-8")


def perform(document: Mapping[str, Any]) -> dict[str, object]:
    """Call the function of a call in this very process, and return the answer for `value_of`.

    It never raises: what the function raises is the answer.

    Args:
        document: That of the `Call`. Its folder comes first among the places where modules are looked for.
    """
    folder = document["folder"]
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        value = _called(find(document["target"]), document)
    except BaseException as error:  # noqa: BLE001 - a step's own code; whatever it is, the near side is told
        return {"failure": _failure(error)}
    return _checked(value, document["context"]["step_id"])


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


def _called(function: Callable[..., Any], document: Mapping[str, Any]) -> Any:
    named, told = dict(document["named"]), document["context"]
    if document["wants_context"]:
        named["ctx"] = PlainContext(**told)
    around = current.set(SpanContext(told["trace_id"], told["span_id"]))
    try:
        value = function(*document["first"], **named)
        return asyncio.run(_awaited(value)) if inspect.isawaitable(value) else value
    finally:
        current.reset(around)


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
    told["fingerprint"] = kept.fingerprint
    return {**told, "retry_after": retry_after_of(error, datetime.now(UTC)), "is_final": False}
