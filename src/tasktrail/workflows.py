"""Workflows in Python: functions marked with `@step`, and a function marked with `@workflow` that says how they go.

A step is called with values and gives a value, so it is tested like any function, without a store. Inside a workflow
the same call gives a `Node`: what the step will give. The workflow's function runs once, to draw the graph; what is
executed, stored and gone on with is that graph, the same value that a workflow file ends in.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property, update_wrapper
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.engine.workflow_run import WorkflowRun
from tasktrail.model.duration import parse_duration_ms
from tasktrail.model.errors import BadInput, RunFailed
from tasktrail.model.graph import Need
from tasktrail.model.retry import Backoff, RetryPolicy
from tasktrail.model.workflow import STEP_ID, Param, ParamType, StepSpec, Workflow
from tasktrail.model.workflow_check import check_workflow

__all__ = ["Node", "Result", "Retry", "StepFunction", "WorkflowFunction", "step", "workflow"]

P = ParamSpec("P")
R = TypeVar("R")

_TYPES: Final[Mapping[object, ParamType]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "list", dict: "object",
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "list", "dict": "object",
}  # fmt: skip
_drawing: Final[ContextVar[_Drawing | None]] = ContextVar("tasktrail_drawing", default=None)


def Retry(  # noqa: N802 - a value, spelt like one
    max: int = 3,
    *,
    delay: float | str = 1.0,
    backoff: Backoff = "exponential",
    max_delay: float | str | None = None,
    jitter: float = 0.0,
    on: Sequence[type[BaseException] | str | int] = (),
) -> RetryPolicy:
    """Return how often a step is tried again, after how long, and after which errors.

    Args:
        max: Further tries after the first one.
        delay: Before the first retry: seconds, or a text such as `500ms`.
        max_delay: No delay is longer; None means no limit.
        jitter: The share of the delay that is random, from 0 to 1.
        on: Classes of errors, their names, or exit codes; empty means every error.
    """
    names = tuple(one.__name__ if isinstance(one, type) else str(one) for one in on)
    longest = None if max_delay is None else parse_duration_ms(max_delay) / 1000
    return RetryPolicy(max, parse_duration_ms(delay) / 1000, backoff, longest, jitter, names)


@dataclass(frozen=True, slots=True)
class Node:
    """What a step of a workflow will give, or a part of it: `node["items"]`."""

    path: str

    def __getitem__(self, key: str | int) -> Node:
        return Node(f"{self.path}.{key}")

    def __iter__(self) -> Iterator[Node]:
        raise BadInput(
            f"{self.path} is known only when the workflow runs, so nothing can go over it here",
            hint="STEP.map(that_list) does a step once for each item",
        )

    def __bool__(self) -> bool:
        raise BadInput(
            f"{self.path} is known only when the workflow runs, so nothing can be decided by it here",
            hint='STEP.options(when="...") skips a step',
        )

    @property
    def step_id(self) -> str:
        """The step that it comes from."""
        return self.path.partition(".")[0]


class _Drawing:
    """The steps of a workflow whose function is running.

    Args:
        critical: What a step is that does not say.
    """

    def __init__(self, critical: bool) -> None:
        self.critical = critical
        self.specs: dict[str, StepSpec] = {}
        self.functions: dict[str, Callable[..., Any]] = {}

    def add(self, spec: StepSpec, function: Callable[..., Any]) -> Node:
        name, number = spec.id, 1
        while spec.id in self.specs:
            number += 1
            spec = replace(spec, id=f"{name}_{number}")
        self.specs[spec.id], self.functions[spec.id] = spec, function
        return Node(spec.id)


class StepFunction(Generic[P, R]):
    """A function that is a step of workflows. Called outside of one it is the function that it was."""

    def __init__(
        self, function: Callable[P, R], spec: StepSpec, options: Mapping[str, Any], after: Sequence[Node] = ()
    ) -> None:
        self.function = function
        self.spec = _with(spec, options)
        self._says_critical = "critical" in options
        self._after = tuple(after)
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        drawing = _drawing.get()
        if drawing is None:
            return self.function(*args, **kwargs)
        return self._draw(drawing, self._bound(*args, **kwargs), None)  # type: ignore[return-value]  # what it will give

    def map(self, items: Node | Sequence[object], *args: Any, **kwargs: Any) -> Node:
        """Do the step once for each item, which becomes its first argument; gives the list of results.

        Raises:
            BadInput: It is called outside of a workflow.
        """
        drawing = _drawing.get()
        if drawing is None:
            raise BadInput(
                f"{self.spec.id}.map says how a workflow goes", hint="call it inside of a @workflow function"
            )
        return self._draw(drawing, self._bound(Node("item"), *args, **kwargs), items)

    def options(self, *, after: Sequence[Node] = (), **options: Any) -> StepFunction[P, R]:
        """Return the step with other options: all that `@step` takes, `id`, and `when`.

        Args:
            after: Steps that it needs though it takes nothing from them.
        """
        said = {"critical": self.spec.critical, **options} if self._says_critical else options
        return StepFunction(self.function, self.spec, said, [*self._after, *after])

    def _bound(self, *args: Any, **kwargs: Any) -> dict[str, object]:
        """Return the arguments by name; `ctx` is given by the engine."""
        signature = inspect.signature(self.function)
        known = [one for one in signature.parameters.values() if one.name != "ctx"]
        try:
            return dict(signature.replace(parameters=known).bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadInput(f"step {self.spec.id}{signature} cannot be called like this: {error}") from None

    def _draw(self, drawing: _Drawing, arguments: Mapping[str, object], items: Node | Sequence[object] | None) -> Node:
        nodes = [*_nodes(list(arguments.values())), *self._after, *([items] if isinstance(items, Node) else [])]
        ids = dict.fromkeys(node.step_id for node in nodes)
        needs = [Need(one) for one in ids if one in drawing.specs]
        for_each = items.path if isinstance(items, Node) else None if items is None else tuple(items)
        filled = {name: _written(value) for name, value in arguments.items()}
        critical = self.spec.critical if self._says_critical else drawing.critical
        spec = replace(self.spec, needs=tuple(needs), for_each=for_each, arguments=filled, critical=critical)
        return drawing.add(spec, self.function)


@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...
@overload
def step(**options: Any) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...
def step(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Mark a function as a step.

    Args:
        options: `id`, `retries` (a number or `Retry`), `timeout` (seconds, or a text such as `90s`), `critical`,
            `priority`, `limits`, `executor`, `effect`, `cache`, `deadline`, `when`, `title`: as in workflow files.

    Raises:
        BadInput: An option is unknown or cannot be.
    """

    def mark(marked: Callable[P, R]) -> StepFunction[P, R]:
        name = re.sub(r"\W", "_", getattr(marked, "__name__", "step"))
        return StepFunction(marked, StepSpec(name, call=_call(marked, name)), options)

    return mark if function is None else mark(function)


def _call(marked: Callable[..., Any], name: str) -> str:
    """Return where a function is, as the plan names it: its run is handed the function itself, whatever that is."""
    module = re.sub(r"[^\w.]", "_", getattr(marked, "__module__", None) or "__main__")
    place = re.sub(r"\.<locals>|<lambda>", "", getattr(marked, "__qualname__", name))
    is_path = re.fullmatch(r"[\w.]*\w", place) is not None
    return f"{module}:{place if is_path else name}"


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    Attributes:
        value: What the workflow's function returned, with results in place of nodes; those of steps that gave none
            are None.
    """

    run_id: str
    status: str
    value: Any = None
    errors: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> Result:
        """Return the same, or raise what stopped it.

        Raises:
            RunFailed: The run did not complete.
        """
        if self.status == "completed":
            return self
        said = [f"{key}: {error}" for key, error in self.errors.items()]
        raise RunFailed(f"run {self.run_id} is {self.status}", details=said, hint=f"tasktrail explain {self.run_id}")


class WorkflowFunction(Generic[P]):
    """A function that draws a workflow. Its parameters are the workflow's params."""

    def __init__(self, function: Callable[P, Any], options: Mapping[str, Any]) -> None:
        self.function = function
        self._options = dict(options)
        update_wrapper(self, function)  # type: ignore[arg-type]  # what it wraps is called when it is drawn

    @cached_property
    def _drawn(self) -> tuple[Workflow, dict[str, Callable[..., Any]], Any]:
        params = {one.name: _param(one) for one in inspect.signature(self.function).parameters.values()}
        drawing = _Drawing(self._options.get("on_failure", "stop") == "stop")
        with _drawn_in(drawing):
            value = self.function(**{name: Node(f"params.{name}") for name in params})  # type: ignore[call-arg, arg-type]  # its own
        name = self._options.pop("name", None) or self.function.__name__
        said = inspect.getdoc(self.function) or ""
        flow = Workflow(name, tuple(drawing.specs.values()), description=said, params=params, **self._options)
        check_workflow(flow)
        return flow, drawing.functions, value

    @property
    def workflow(self) -> Workflow:
        """The workflow as a value.

        Raises:
            BadInput: Its function decides by what is known only when it runs.
        """
        return self._drawn[0]

    async def execute(
        self, *, run_id: str | None = None, ledger: Ledger | None = None, accept_changes: bool = False, **params: Any
    ) -> Result:
        """Execute a run and return how it ended; a run that was interrupted goes on.

        Args:
            run_id: Public id of a run that is begun or gone on with; None begins a new one.
            ledger: Where it lives; None is the project's store.
            accept_changes: Whether a run goes on by the workflow and the code of its steps as they are now, where they
                differ from what it went by.

        Raises:
            BadInput: A param is missing, unknown or of another type.
            Conflict: Something differs, and nobody accepts it.
            Held: Another process executes this run.
        """
        flow, functions, value = self._drawn
        ledger = ledger or open_project()
        name = run_id or f"{re.sub(r'[^A-Za-z0-9._-]', '-', flow.name)}-{uuid.uuid4().hex[:8]}"
        execution = WorkflowRun.open(ledger, flow, name, params, functions=functions, accepts=accept_changes)
        run = await execution.execute()
        results, errors = execution.results()
        return Result(run.name, run.status, _resolved(value, {**results, "params": execution.params}), errors)

    def run(
        self, *, run_id: str | None = None, ledger: Ledger | None = None, accept_changes: bool = False, **params: Any
    ) -> Result:
        """Do as `execute`, for programs without an event loop."""
        return asyncio.run(self.execute(run_id=run_id, ledger=ledger, accept_changes=accept_changes, **params))


@overload
def workflow(function: Callable[P, Any], /) -> WorkflowFunction[P]: ...
@overload
def workflow(**options: Any) -> Callable[[Callable[P, Any]], WorkflowFunction[P]]: ...
def workflow(function: Callable[P, Any] | None = None, /, **options: Any) -> Any:
    """Mark a function that calls steps as a workflow; it is run once, to draw it.

    Args:
        options: `name`, `version`, `on_failure` (stop, continue), `max_parallel`: as in workflow files.
    """
    return (
        (lambda marked: WorkflowFunction(marked, options)) if function is None else WorkflowFunction(function, options)
    )


@contextmanager
def _drawn_in(drawing: _Drawing) -> Iterator[None]:
    token = _drawing.set(drawing)
    try:
        yield
    finally:
        _drawing.reset(token)


def _param(one: inspect.Parameter) -> Param:
    required = one.default is inspect.Parameter.empty
    kind = _TYPES.get(one.annotation) or _TYPES.get(type(one.default), "string")
    return Param(kind, None if required else one.default, required)


def _with(spec: StepSpec, options: Mapping[str, Any]) -> StepSpec:
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise BadInput(f"a step has no option {unknown[0]!r}", hint=f"options: {', '.join(sorted(_OPTIONS))}")
    values = {_OPTIONS[name][0]: _OPTIONS[name][1](value) for name, value in options.items()}
    changed: StepSpec = replace(spec, **values)
    if not re.fullmatch(STEP_ID, changed.id):
        raise BadInput(f"expected the id of a step to be {STEP_ID}, got: {changed.id!r}")
    return changed


def _as_is(value: Any) -> Any:
    return value


def _retry(value: RetryPolicy | int) -> RetryPolicy:
    return value if isinstance(value, RetryPolicy) else RetryPolicy(value)


def _milliseconds(value: float | str | None) -> int | None:
    return None if value is None else parse_duration_ms(value)


def _seconds(value: float | str | None) -> int | None:
    return None if value is None else parse_duration_ms(value) // 1000


_OPTIONS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "id": ("id", _as_is), "title": ("title", _as_is), "when": ("when", _as_is), "critical": ("critical", bool),
    "priority": ("priority", int), "limits": ("limits", dict), "executor": ("executor", _as_is),
    "effect": ("effect", _as_is), "retries": ("retry", _retry), "timeout": ("timeout_ms", _milliseconds),
    "deadline": ("deadline_ms", _milliseconds), "cache": ("cache_s", _seconds),
}  # fmt: skip


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _nodes(one)
    elif isinstance(value, dict):
        yield from _nodes(list(value.values()))


def _written(value: object) -> object:
    """Return an argument as the plan holds it: nodes are paths in braces."""
    if isinstance(value, Node):
        return f"{{{value.path}}}"
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list | tuple):
        return [_written(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _written(one) for key, one in value.items()}
    return value


def _resolved(value: object, results: Mapping[str, object]) -> Any:
    if isinstance(value, Node):
        found: Any = results
        for part in value.path.split("."):
            if found is None:
                return None
            found = found[int(part)] if isinstance(found, list) else found.get(part)
        return found
    if isinstance(value, list | tuple):
        return [_resolved(one, results) for one in value]
    if isinstance(value, dict):
        return {key: _resolved(one, results) for key, one in value.items()}
    return value
