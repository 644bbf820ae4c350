"""The code of a workflow's steps: functions that are imported, commands, and what a person does."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tasktrail.engine.commands import Command, call_of, check, execute, output_of_attempt
from tasktrail.engine.context import StepContext
from tasktrail.engine.isolation import process_step, target_of
from tasktrail.engine.steps import Step, step
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import upstream
from tasktrail.model.path import Template
from tasktrail.model.workflow import StepSpec, Workflow

Functions = Mapping[str, Callable[..., Any]]

_LARGEST_SCRIPT_BYTES: Final = 1 << 20
"""Of larger files the size and the time of the last change are enough."""
_OF_PARTS: Final = ("item", "index")


def code_of(workflow: Workflow, folder: Path, functions: Functions | None = None) -> dict[str, Step]:
    """Return the code of every step; everything that cannot be called is named at once.

    Args:
        folder: Where modules beside the workflow's file are looked for, and where commands run.
        functions: Functions by step id that need not be imported.

    Raises:
        BadInput: A function cannot be imported, or asks for something that nobody gives.
    """
    needs = {spec.id: spec.needs for spec in workflow.steps}
    steps: dict[str, Step] = {}
    faults: list[BadInput] = []
    for spec in workflow.steps:
        own = [*workflow.params, "params", "run", *(_OF_PARTS if spec.for_each is not None else ()), *spec.arguments]
        known = _Known(own, lambda key=spec.id: upstream(needs, needs, key))  # type: ignore[misc]  # bound early
        try:
            steps[spec.id] = _step(workflow, spec, folder, known, functions or {})
        except BadInput as error:
            faults.append(error)
    if faults:
        raise BadInput(faults[0].message, hint=faults[0].hint, details=[str(fault) for fault in faults[1:]])
    return steps


def _step(workflow: Workflow, spec: StepSpec, folder: Path, known: Collection[str], functions: Functions) -> Step:
    if spec.run is not None:
        return _command(spec, {**workflow.env, **spec.env}, folder)
    if spec.call is None:
        return _person(spec)
    function = functions.get(spec.id) or imported(spec.call, folder, spec.id)
    lacking = "neither a step that it needs nor a param is called so"
    return _placed(step(spec.id, function, known, lacking), spec, function, folder)


def _placed(one: Step, spec: StepSpec, function: Callable[..., Any], folder: Path) -> Step:
    """Let the executor that a step names execute it: a coroutine runs on the event loop, all else in threads.

    Raises:
        BadInput: There is no such executor, or it cannot execute this function.
    """
    if spec.executor == "process":
        return process_step(one, target_of(function), folder)
    fits = {None: True, "async": one.asynchronous, "thread": not one.asynchronous}
    if spec.executor not in fits:
        known = "thread, process, async"
        raise BadInput(f"step {spec.id}: there is no executor {spec.executor!r}", hint=f"one of: {known}")
    if not fits[spec.executor]:
        kind = "a coroutine function" if one.asynchronous else "no coroutine function"
        raise BadInput(f"step {spec.id}: executor {spec.executor} cannot execute {spec.call}, which is {kind}")
    return one


class _Known(Collection[str]):
    """What a function may ask for by name. Most ask for nothing, so what a step stands on is found out when asked."""

    def __init__(self, own: Collection[str], upstream_of: Callable[[], list[str]]) -> None:
        self._own, self._upstream_of = own, upstream_of

    @cached_property
    def _all(self) -> dict[str, None]:
        return dict.fromkeys([*self._own, *self._upstream_of()])

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _person(spec: StepSpec) -> Step:
    """It is blocked before it could start, so this is never called."""
    return Step(spec.id, lambda: None, False, {}, False, None)


def _command(spec: StepSpec, env: Mapping[str, str], folder: Path) -> Step:
    """A command gets results by the file TASKTRAIL_INPUT, and what its arguments and variables name in their place."""
    assert spec.run is not None
    program = Command(spec.run if isinstance(spec.run, str) else tuple(map(str, spec.run)), folder=folder)
    if not any(Template.parse(part).roots for part in program.argument_list[:1]):
        check(program)
    parts = (*env.values(), *(() if isinstance(spec.run, str) else spec.run))
    wants = dict.fromkeys([*(need.key for need in spec.needs), *(root for part in parts for root in _roots(part))])
    wants |= dict.fromkeys(("params", *(_OF_PARTS if spec.for_each is not None else ())))

    async def work(ctx: StepContext, **values: object) -> object:
        run = spec.run if isinstance(spec.run, str) else tuple(_text(part, values) for part in spec.run or ())
        command = Command(run, {name: _text(text, values) for name, text in env.items()}, folder)
        call = replace(call_of(ctx), results=values)
        return await execute(command, call, output_of_attempt())

    cached = spec.run if spec.cache_s is not None and not isinstance(spec.run, str) else ()
    files = [_digest(folder / part) for part in cached if not _roots(part)]
    version = hashlib.sha256(json.dumps([spec.run, dict(env), files]).encode()).hexdigest()[:12]
    return Step(spec.id, work, True, {name: name for name in wants}, True, version, ends_when_told=True)


def _digest(path: Path) -> str | None:
    """Tell one state of a file that a command names from another: a script is the command's code."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > _LARGEST_SCRIPT_BYTES:
            return f"{found.st_size} {found.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None


def _roots(text: str) -> tuple[str, ...]:
    return Template.parse(text).roots


def _text(text: str, values: Mapping[str, object]) -> str:
    """Return a part of a command: what is no text goes in as JSON."""
    found = Template.parse(text).fill(values)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def imported(call: str, folder: Path, step_id: str) -> Callable[..., Any]:
    """Return the function that `module:function` names; modules beside the workflow's file are found too.

    Raises:
        BadInput: It cannot be imported, or there is no such function.
    """
    place, _, name = call.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(place)
    except Exception as error:  # the module's own code
        raise BadInput(f"step {step_id}: {place} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    found = getattr(found, "function", found)
    if not callable(found):
        raise BadInput(f"step {step_id}: module {place} has no function {name}", hint=f"define it in {found or place}")
    function: Callable[..., Any] = found
    return function
