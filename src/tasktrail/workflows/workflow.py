"""Functions that draw workflows, runs of these, and how a run ended."""

from __future__ import annotations

import asyncio
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from typing import (
    Any,
    Final,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.loops import run_to_end
from tasktrail.engine.project import open_project
from tasktrail.engine.workflow_run import WorkflowRun
from tasktrail.model.errors import BadInput, RunFailed
from tasktrail.model.workflow import Param, ParamType, Workflow, param_type_of
from tasktrail.model.workflow_check import check_workflow
from tasktrail.workflows.node import Node, plain, resolved
from tasktrail.workflows.options import OF_WORKFLOW, read_options
from tasktrail.workflows.steps import Drawing

P = ParamSpec("P")

_TYPES: Final[Mapping[object, ParamType]] = {
    str: "string", int: "integer", float: "number", bool: "boolean", list: "list", dict: "object",
    Sequence: "list", Mapping: "object",
    "str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "list", "dict": "object",
}  # fmt: skip
_OF_RUN: Final = ("run_id", "ledger", "accept_changes")
_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_HINT: Final = "annotate it with str, int, float, bool, list or dict"


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
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise BadInput(f"expected workflow {function.__name__} to be a plain function: it only draws the steps")
        self.function = function
        self._options: dict[str, Any] = {"name": function.__name__, **read_options(options, OF_WORKFLOW, "workflow")}
        update_wrapper(self, function)

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse to be called: it could mean to run it, or to draw its steps within another workflow."""
        name = self._options["name"]
        hint = f"{self.function.__name__}.run(...); within another workflow, {self.function.__name__}.function(...)"
        raise BadInput(f"workflow {name} is executed by run, not by a call", hint=hint)

    @cached_property
    def _drawn(self) -> tuple[Workflow, dict[str, Callable[..., Any]], Any]:
        params = _params(self.function)
        drawing = Drawing(params, critical=self._options.get("on_failure", "stop") == "stop")
        with drawing.open():
            value = self.function(**{name: Node(f"params.{name}") for name in params})  # type: ignore[call-arg, arg-type]  # its own
        said = inspect.getdoc(self.function) or ""
        flow = Workflow(steps=tuple(drawing.specs.values()), description=said, params=params, **self._options)
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
        given = {name: plain(one, f"param {name}") for name, one in params.items()}
        ledger = ledger or open_project()
        execution = WorkflowRun.open(ledger, flow, run_id, given, functions=functions, accepts=accept_changes)
        run = await execution.execute()
        results, errors = execution.results()
        return Result(run.name, run.status, resolved(value, {**results, "params": execution.params}), errors)

    def run(
        self, *, run_id: str | None = None, ledger: Ledger | None = None, accept_changes: bool = False, **params: Any
    ) -> Result:
        """Do as `execute`, for programs without an event loop.

        Raises:
            BadInput: An event loop runs here already.
        """
        if _has_loop():
            name = self.function.__name__
            hint = f"await {name}.execute(...)"
            raise BadInput(f"{name}.run needs an event loop of its own, and one runs here already", hint=hint)
        return run_to_end(self.execute(run_id=run_id, ledger=ledger, accept_changes=accept_changes, **params))


@overload
def workflow(function: Callable[P, Any], /) -> WorkflowFunction[P]: ...
@overload
def workflow(**options: Any) -> Callable[[Callable[P, Any]], WorkflowFunction[P]]: ...
def workflow(function: Callable[P, Any] | None = None, /, **options: Any) -> Any:
    """Mark a function that calls steps as a workflow; it is run once, to draw it.

    Args:
        options: `name`, `version`, `on_failure` (stop, continue), `max_parallel`: as in workflow files.

    Raises:
        BadInput: An option is unknown or cannot be, or the function is no plain one.
    """
    return (
        (lambda marked: WorkflowFunction(marked, options)) if function is None else WorkflowFunction(function, options)
    )


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _params(function: Callable[..., Any]) -> dict[str, Param]:
    try:
        hints = get_type_hints(function)
    except Exception:  # noqa: BLE001 - a foreign annotation; what it says as text decides nothing
        hints = {}
    parameters = inspect.signature(function).parameters
    return {name: _param(one, hints.get(name, one.annotation)) for name, one in parameters.items()}


def _param(one: inspect.Parameter, hint: object) -> Param:
    if one.kind not in _NAMED or one.name in _OF_RUN:
        kind = f"named otherwise than {', '.join(_OF_RUN)}, and given by name"
        raise BadInput(f"expected the params of a workflow to be {kind}, got: {one}")
    required = one.default is inspect.Parameter.empty
    default = None if required else plain(one.default, f"the default of param {one.name}")
    found = param_type_of(default) if default is not None or hint is inspect.Parameter.empty else None
    found = _type_of(hint) or found
    if found is None:
        raise BadInput(f"expected the type of a param to be one that a run can be given, got: {one}", hint=_HINT)
    return Param(found, default, required)


def _type_of(hint: object) -> ParamType | None:
    """Return what an annotation means: `list[int]` is a list, `int | None` a whole number."""
    if get_origin(hint) in (Union, types.UnionType):
        possible = [kind for kind in get_args(hint) if kind is not type(None)]
        return _type_of(possible[0]) if len(possible) == 1 else None
    if get_origin(hint) is Literal:
        return param_type_of(get_args(hint)[0])
    return _TYPES.get(get_origin(hint) or hint)
