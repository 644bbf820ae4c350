"""Executors: what executes the functions of steps in another place. One is told a call and gives its value, no more.

It owns no state: which attempts there are, what becomes of a failure, and when to try again, the store and the runner
know. So a run goes on whatever happens to an executor, or to the process that it was in.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from tasktrail.engine import isolation
from tasktrail.engine.calls import Call
from tasktrail.engine.commands import output_of_attempt
from tasktrail.engine.context import StepContext, plain
from tasktrail.engine.failures import StepFailed, failure_of, names_of
from tasktrail.engine.steps import Step
from tasktrail.model.errors import BadInput
from tasktrail.model.suggestion import Suggestions

Executor = Callable[[Call], Coroutine[Any, Any, object]]
"""An `async def execute(call)`. It returns the value of the function, or raises why there is none."""

GROUP: Final = "tasktrail.executors"
"""The group of entry points: the name is that which workflows use, the object an `Executor`."""
INLINE: Final = ("thread", "async")
"""Ways to execute a function in this very process."""

_BUILT_IN: Final = (*INLINE, "process")
_ENDS_WITHIN_S: Final = 10.0
"""How long an executor may take to end once it is cancelled; afterwards it is left alone."""

_log = logging.getLogger("tasktrail.executors")


def check(name: str) -> None:
    """Refuse an executor that is not there, or cannot be one.

    Raises:
        BadInput: It is not installed, cannot be imported, or is something else.
    """
    if name not in _BUILT_IN:
        find(name)


def find(name: str) -> Executor:
    """Return an executor of another place than this process; what is installed is looked at once.

    Raises:
        BadInput: It is not installed, cannot be imported, or is something else.
    """
    if name == "process":
        return isolation.execute
    found = _looked_up(name)
    if isinstance(found, str):
        raise BadInput(found)
    return ending(found)


def takes(name: str) -> Collection[str]:
    """Return by which names a step may ask an executor for resources: those in its attribute `takes`."""
    return () if name in _BUILT_IN else getattr(_looked_up(name), "takes", ())


def placed(
    step: Step,
    executor: Executor,
    target: str,
    folder: Path | None = None,
    resources: Mapping[str, float] = MappingProxyType({}),
) -> Step:
    """Return a step such that an executor executes its function.

    Args:
        step: The step of the function: what it wants is filled as in a thread.
        executor: It surely ends soon once it is cancelled.
        target: The function, `module:function`.
        folder: That of the workflow file.
        resources: What the step asks the executor's place for.
    """
    place = None if folder is None else str(folder)

    async def work(*first: object, ctx: StepContext, **named: object) -> object:
        context = plain(ctx, ctx.results if step.wants_context else {})
        write = output_of_attempt()
        return await executor(Call(target, context, first, named, step.wants_context, place, write, resources))

    return replace(step, function=work, asynchronous=True, wants_context=True, ends_when_told=True)


def ending(executor: Executor) -> Executor:
    """Return an executor that surely ends soon once it is cancelled, whatever this one does then."""
    return partial(_until_told, executor)


# what is installed


@cache
def _looked_up(name: str) -> Executor | str:
    """Return an executor, or why there is none; read once, though thousands of steps may name it."""
    from importlib.metadata import entry_points  # takes time that most runs need not spend

    points = entry_points(group=GROUP)
    known = sorted({point.name for point in points})
    found = {point.value: point for point in points if point.name == name}
    if not found:
        there = f"built in: {', '.join(_BUILT_IN)}; installed: {', '.join(known) or 'none'}"
        return f"there is no executor {name} ({there}){Suggestions()(name, [*_BUILT_IN, *known])}"
    if len(found) > 1:
        return f"executor {name} is installed more than once: {' and '.join(sorted(found))}"
    (point,) = found.values()
    try:
        loaded = point.load()
    except Exception as error:  # noqa: BLE001 - somebody else's package
        return f"executor {name} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
    if _is_coroutine_function(loaded):
        return loaded  # type: ignore[no-any-return]  # that it takes a call shows when it is called
    kind = loaded.__name__ if inspect.isfunction(loaded) else type(loaded).__name__
    return f"expected executor {name} ({point.value}) to be async def execute(call), got: {kind}, which is none"


def _is_coroutine_function(loaded: object) -> bool:
    of_type = type(loaded).__call__ if callable(loaded) else None
    return inspect.iscoroutinefunction(loaded) or inspect.iscoroutinefunction(of_type)


async def _until_told(executor: Executor, call: Call) -> object:
    """Execute a call until it ends, or is cancelled and had its time to end: nobody waits for one that does not."""
    working = asyncio.ensure_future(_alone(executor, call))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        if not working.done():
            working.cancel()
            await asyncio.wait([working], timeout=_ENDS_WITHIN_S)
        if working.done():
            return working.result()
        working.add_done_callback(lambda one: one.cancelled() or one.exception())  # it may fail unheard
        _log.warning("the executor of step %s does not stop; its answer will be void", call.context.step_id)
        raise


async def _alone(executor: Executor, call: Call) -> object:
    """Execute a call; `sys.exit` in an executor ends its step alone, where a task would end the event loop."""
    try:
        return await executor(call)
    except SystemExit as error:
        raise StepFailed(failure_of(error), names_of(error)) from None
