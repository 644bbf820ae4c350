"""What executors are written with: what they are told, and what they may say. Each name is resolved at first use.

An executor is an `async def execute(call)`, installed as an entry point of the group `tasktrail.executors`.

`python -m tasktrail.executors` is a far side: it reads the document of a call, performs it, and writes the answer.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tasktrail.engine.calls import Call, PlainContext
    from tasktrail.engine.child import perform
    from tasktrail.engine.executors import Executor
    from tasktrail.engine.failures import StepLost
    from tasktrail.engine.isolation import value_of

__all__ = ["Call", "Executor", "PlainContext", "StepLost", "perform", "value_of"]

_HOMES: Final = {
    "Call": "calls", "Executor": "executors", "PlainContext": "calls", "StepLost": "failures", "perform": "child",
    "value_of": "isolation",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tasktrail.engine.{_HOMES[name]}"), name)


def _main() -> None:
    """Only the answer goes to stdout: what the function and its processes print goes to stderr."""
    from tasktrail.engine.child import perform

    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        json.dump(perform(json.load(sys.stdin)), answers)


if __name__ == "__main__":
    _main()
