"""The code of a workflow's steps: functions that are imported, commands, and what a person does."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, reduce
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

from tasktrail.engine.commands import Command, check, execute, output_of_attempt
from tasktrail.engine.context import StepContext, plain
from tasktrail.engine.executors import INLINE, find, placed, takes
from tasktrail.engine.isolation import target_of
from tasktrail.engine.steps import Step, step
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import upstream
from tasktrail.model.path import Template, shown
from tasktrail.model.scrub import scrub_text
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.workflow import StepSpec, Workflow
from tasktrail.model.workflow_check import BadWorkflow, Fault, Place

Functions = Mapping[str, Callable[..., Any]]

_LARGEST_SCRIPT_BYTES: Final = 1 << 20
"""Of larger files the size and the time of the last change are enough."""
_OF_PARTS: Final = ("item", "index")


def code_of(
    workflow: Workflow,
    folder: Path,
    functions: Functions | None = None,
    besides: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> dict[str, Step]:
    """Return the code of every step; everything that cannot be called is named at once.

    Args:
        folder: Where modules beside the workflow's file are looked for, and where commands run.
        functions: Functions by step id that need not be imported.
        besides: What else a step may ask for, by step id.

    Raises:
        BadWorkflow: A function cannot be imported, or asks for something that nobody gives; a program is not there.
    """
    code = _Code(workflow, folder, functions or {}, besides)
    steps: dict[str, Step] = {}
    faults: list[Fault] = []
    cause: BaseException | None = None
    for place, spec in enumerate(workflow.steps):
        try:
            steps[spec.id] = code.step(spec)
        except _Unfit as error:
            faults.append(Fault(("steps", place, *error.at), error.message))
            cause = cause or error.__cause__
    if faults:
        raise BadWorkflow(workflow, faults) from cause
    return steps


class _Unfit(BadInput):
    """The code of a step cannot be executed.

    Args:
        at: Where the step says so: a key, and what it leads to.
    """

    def __init__(self, at: Place, what: str) -> None:
        super().__init__(what)
        self.at = at


@contextmanager
def _at(*at: str | int) -> Iterator[None]:
    """Give the place in the step to what is refused meanwhile."""
    try:
        yield
    except _Unfit:
        raise
    except BadInput as error:
        what = error.message if error.hint is None else f"{error.message}; {error.hint}"
        raise _Unfit(at, what) from error.__cause__


class _Code:
    """Finds the code of one workflow's steps; a module that cannot be imported is tried once."""

    def __init__(
        self, workflow: Workflow, folder: Path, functions: Functions, besides: Mapping[str, Collection[str]]
    ) -> None:
        self._workflow, self._folder, self._functions, self._besides = workflow, folder, functions, besides
        self._needs = {spec.id: spec.needs for spec in workflow.steps}
        self._modules: dict[str, ModuleType | BadInput] = {}
        self._suggest = Suggestions()

    def step(self, spec: StepSpec) -> Step:
        if spec.run is not None:
            return _command(spec, {**self._workflow.env, **spec.env}, self._folder, self._words(spec))
        if spec.call is None:
            return _person(spec)
        function = self._functions.get(spec.id)
        if function is None:
            with _at("call"):
                function = self._function(spec.call)
        return self._called(spec, function)

    def _words(self, spec: StepSpec) -> Collection[str]:
        return (*(_OF_PARTS if spec.for_each is not None else ()), *self._besides.get(spec.id, ()))

    def _called(self, spec: StepSpec, function: Callable[..., Any]) -> Step:
        own = [*self._workflow.params, "params", "run", *self._words(spec), *spec.arguments]
        known = _Known(own, lambda: upstream(self._needs, self._needs, spec.id))
        with _at("call"):
            one = step(spec.id, function, known, "neither a step that it needs nor a param is called so")
        for name in spec.arguments:
            if name not in one.wants:
                what = f"{spec.call} has no parameter {name} to be given{self._suggest(name, one.wants)}"
                raise _Unfit(("with", name), what)
        with _at("executor"):
            one = _placed(one, spec, function, self._folder)
        self._check_resources(spec)
        return one

    def _check_resources(self, spec: StepSpec) -> None:
        known = () if spec.executor is None else takes(spec.executor)
        for name in spec.resources:
            if name not in known:
                what = f"executor {spec.executor} takes no {shown(name)} ({', '.join(sorted(known)) or 'nothing'})"
                raise _Unfit(("resources", name), f"{what}{self._suggest(name, known)}")

    def _function(self, call: str) -> Callable[..., Any]:
        """Return the function that `module:function` names."""
        place, _, name = call.partition(":")
        module = self._module(place)
        try:
            found: Any = reduce(getattr, name.split("."), module)
        except AttributeError:
            file = getattr(module, "__file__", None)
            elsewhere = f" ({file})" if file and not Path(file).is_relative_to(self._folder) else ""
            advice = self._suggest(name, vars(module))
            raise BadInput(f"module {place}{elsewhere} has no function {name}{advice}") from None
        found = getattr(found, "function", found)
        if not callable(found):
            raise BadInput(f"expected {call} to be a function, got: {type(found).__name__}")
        function: Callable[..., Any] = found
        return function

    def _module(self, place: str) -> ModuleType:
        """Import a module; one beside the workflow's file is found too."""
        if str(self._folder) not in sys.path:
            sys.path.insert(0, str(self._folder))
        if place not in self._modules:
            self._modules[place] = _imported(place)
        found = self._modules[place]
        if isinstance(found, BadInput):
            raise found
        return found


def _imported(place: str) -> ModuleType | BadInput:
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the module's own code
        refused = BadInput(f"{place} cannot be imported: {scrub_text(f'{type(error).__name__}: {error}')}")
        refused.__cause__ = error
        return refused


def _placed(one: Step, spec: StepSpec, function: Callable[..., Any], folder: Path) -> Step:
    """Let the executor that a step names execute it. In this process coroutines run on the event loop, else threads.

    Raises:
        BadInput: There is no such executor, or it cannot execute this function.
    """
    if spec.executor is not None and spec.executor not in INLINE:
        return placed(one, find(spec.executor), target_of(function), folder, spec.resources)
    if spec.executor == ("thread" if one.asynchronous else "async"):
        kind = "a coroutine function" if one.asynchronous else "no coroutine function"
        raise BadInput(f"executor {spec.executor} cannot execute {spec.call}, which is {kind}")
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


def _command(spec: StepSpec, env: Mapping[str, str], folder: Path, words: Collection[str]) -> Step:
    """A command gets results by the file TASKTRAIL_INPUT, and what its arguments and variables name in their place."""
    assert spec.run is not None
    _check_program(spec, env, folder)
    parts = (*env.values(), *(() if isinstance(spec.run, str) else spec.run))
    wants = dict.fromkeys([*(need.key for need in spec.needs), *(root for part in parts for root in _roots(part))])
    wants |= dict.fromkeys(("params", *words))

    async def work(ctx: StepContext, **values: object) -> object:
        run = spec.run if isinstance(spec.run, str) else tuple(_text(part, values) for part in spec.run or ())
        command = Command(run, {name: _text(text, values) for name, text in env.items()}, folder)
        return await execute(command, plain(ctx, values), output_of_attempt())

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


def _check_program(spec: StepSpec, env: Mapping[str, str], folder: Path) -> None:
    """Refuse a program that is not there, unless a step before may make it."""
    assert spec.run is not None
    program, path = spec.run if isinstance(spec.run, str) else spec.run[0], env.get("PATH", "")
    if isinstance(spec.run, str):
        with _at("run"):
            check(Command(program, folder=folder))
    elif not (_roots(program) or _roots(path) or ("/" in program and spec.needs)):
        with _at("run", 0):
            check(Command((_text(program, {}),), {"PATH": _text(path, {})} if path else {}, folder))


def _roots(text: str) -> tuple[str, ...]:
    return Template.parse(text).roots


def _text(text: str, values: Mapping[str, object]) -> str:
    """Return a part of a command: what is no text goes in as JSON."""
    found = Template.parse(text).fill(values)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
