"""Functions that are steps: outside of a workflow what they were, inside of one a part of what is drawn."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import update_wrapper
from types import MethodType
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from tasktrail.engine.steps import identifier
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.workflow import STEP_ID, StepSpec
from tasktrail.workflows.node import Node, nodes_in, plain, written
from tasktrail.workflows.options import OF_STEP, read_options

P = ParamSpec("P")
R = TypeVar("R")

_GIVEN: Final = frozenset({"params", "run", "item", "index"})
_UNNAMED: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Drawing:
    """The steps of a workflow whose function is running.

    Args:
        params: Names of the workflow's params.
        critical: What a step is that does not say.
    """

    def __init__(self, params: Collection[str], *, critical: bool) -> None:
        self.critical = critical
        self._fills = {*params, *_GIVEN}
        self._numbers: defaultdict[str, int] = defaultdict(lambda: 1)
        self.specs: dict[str, StepSpec] = {}
        self.functions: dict[str, Callable[..., Any]] = {}

    def add(self, spec: StepSpec, function: Callable[..., Any]) -> Node:
        """Take a step; where its id is there already it gets a number."""
        name = spec.id
        while spec.id in self.specs:  # once, unless somebody calls a step `fetch_2`
            self._numbers[name] += 1
            spec = replace(spec, id=f"{name}_{self._numbers[name]}")
        self.specs[spec.id], self.functions[spec.id] = spec, function
        self._fills |= {spec.id, identifier(spec.id)}
        return Node(spec.id)

    def fills(self, name: str) -> bool:
        """Whether a parameter of this name is filled where nobody says a value, as steps of files have it."""
        return name in self._fills

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let steps that are called meanwhile be drawn here."""
        token = _drawing.set(self)
        try:
            yield
        finally:
            _drawing.reset(token)


_drawing: Final[ContextVar[Drawing | None]] = ContextVar("tasktrail_drawing", default=None)


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

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A method stays one; within a workflow its `self` is an argument, and refused as no JSON."""
        return self if instance is None or isinstance(self.function, staticmethod) else MethodType(self, instance)

    def map(self, items: Node | Sequence[object], *args: Any, **kwargs: Any) -> Node:
        """Do the step once for each item, which becomes its first argument; gives the list of results.

        Raises:
            BadInput: It is called outside of a workflow, or there is no list of items.
        """
        drawing = _drawing.get()
        if drawing is None:
            raise BadInput(
                f"{self.spec.id}.map says how a workflow goes", hint="call it inside of a @workflow function"
            )
        self._check_items(items)
        return self._draw(drawing, self._bound(Node("item"), *args, **kwargs), items)

    def options(self, *, after: object = (), **options: Any) -> StepFunction[P, R]:
        """Return the step with other options: all that `@step` takes, `id`, and `when`.

        Args:
            after: What steps will give that it needs though it takes nothing from them: a list, or one.
        """
        said = {"critical": self.spec.critical, **options} if self._says_critical else options
        further = after if isinstance(after, list | tuple) else [after]
        nodes = [one for one in further if isinstance(one, Node)]
        if len(nodes) < len(further):
            raise BadInput(f"expected after to be steps that were called before, got: {after!r:.80}")
        return StepFunction(self.function, self.spec, said, [*self._after, *nodes])

    def _check_items(self, items: object) -> None:
        if isinstance(items, Node) or (isinstance(items, list | tuple | range) and not list(nodes_in(list(items)))):
            return
        raise BadInput(
            f"expected {self.spec.id}.map to be given a list, or a result that will be one, got: {items!r:.80}",
            hint="let a step return the list",
        )

    def _listed(self, items: Sequence[object]) -> tuple[object, ...]:
        return tuple(plain(list(items), f"the list of items of step {self.spec.id}"))

    def _bound(self, *args: Any, **kwargs: Any) -> dict[str, object]:
        """Return the arguments by name; `ctx` is given by the engine."""
        signature = inspect.signature(self.function)
        known = [one for one in signature.parameters.values() if one.name != "ctx"]
        try:
            bound = dict(signature.replace(parameters=known).bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadInput(f"step {self.spec.id}{signature} cannot be called like this: {error}") from None
        for name in bound:
            if signature.parameters[name].kind in _UNNAMED:
                raise BadInput(
                    f"step {self.spec.id}{signature} is given arguments as *{name}; "
                    "a plan holds arguments by the names of parameters",
                    hint="give the step one parameter for a list or a dict of them",
                )
        return bound

    def _defaults(self, drawing: Drawing, bound: Collection[str]) -> dict[str, object]:
        """Return defaults that must be said, since another value would take their place."""
        parameters = inspect.signature(self.function).parameters.values()
        said = (one for one in parameters if one.name not in bound and one.default is not inspect.Parameter.empty)
        return {one.name: one.default for one in said if one.name != "ctx" and drawing.fills(one.name)}

    def _draw(self, drawing: Drawing, arguments: Mapping[str, object], items: Node | Sequence[object] | None) -> Node:
        nodes = [*nodes_in(list(arguments.values())), *self._after, *([items] if isinstance(items, Node) else [])]
        ids = dict.fromkeys(node.step_id for node in nodes)
        arguments = {**self._defaults(drawing, arguments), **arguments}
        filled = {
            name: plain(written(value), f"argument {name} of step {self.spec.id}") for name, value in arguments.items()
        }
        spec = replace(
            self.spec,
            needs=tuple(Need(one) for one in ids if one in drawing.specs),
            for_each=items.path if isinstance(items, Node) else None if items is None else self._listed(items),
            arguments=filled,
            critical=self.spec.critical if self._says_critical else drawing.critical,
        )
        return drawing.add(spec, self.function)


@overload
def step(function: Callable[P, R], /) -> StepFunction[P, R]: ...
@overload
def step(**options: Any) -> Callable[[Callable[P, R]], StepFunction[P, R]]: ...
def step(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Mark a function as a step.

    Args:
        options: `id`, `retries` (a number or `Retry`), `timeout` (seconds, or a text such as `90s`), `critical`,
            `priority`, `limits`, `executor`, `resources`, `effect`, `cache`, `deadline`, `when`, `title`, `queue`,
            `labels`: as in workflow files.

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


def _with(spec: StepSpec, options: Mapping[str, Any]) -> StepSpec:
    values: dict[str, Any] = read_options(options, OF_STEP, "step")
    changed: StepSpec = replace(spec, **values)
    if not re.fullmatch(STEP_ID, changed.id):
        kind = "1-64 characters of A-Z a-z 0-9 _ -, beginning with a letter or _"
        raise BadInput(f"expected the id of a step to be {kind}, got: {changed.id!r:.80}", hint='@step(id="...")')
    return changed
