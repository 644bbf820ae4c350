"""What is wrong with a workflow before anything of it runs: its graph, and what its texts refer to.

It is the same for a file, for decorators and for a stored plan. Each fault names its place as keys and indexes, which a
file's reader turns into line and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Final, NamedTuple

from tasktrail.model.condition import Condition
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import cycle_text, find_cycles, order
from tasktrail.model.path import PATH, BadExpression, Mention, Template, ValuePath, kind_of, shown
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.workflow import RESERVED, RUN_NAMES, STEP_ID, Param, StepSpec, Workflow, is_of_type

Place = tuple[str | int, ...]
Check = Callable[[str], object]
"""Raises BadInput for a name that cannot be."""

_STEP_ID: Final = re.compile(STEP_ID)
_NAME: Final = r"[^\W\d]\w*"
_CALL: Final = re.compile(rf"{_NAME}(?:\.{_NAME})*:{_NAME}(?:\.{_NAME})*")
_IN_SHELL: Final = re.compile(rf"(?<!\$)\{{({PATH})\}}")
_NOT_BY_HAND: Final[Mapping[str, str]] = {
    "retry": "retries", "timeout_ms": "timeout", "cache_s": "cache", "executor": "executor", "effect": "effect",
    "limits": "limits", "env": "env",
}  # fmt: skip
"""Fields that say how something is executed, by the key of a file: a person executes a manual step."""
_DEFAULTS: Final = {field.name: getattr(StepSpec(id=""), field.name) for field in fields(StepSpec)}
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})


class Fault(NamedTuple):
    """One thing that is wrong.

    Args:
        at: Where: keys of a workflow file and indexes of its lists; a need is named by the step that is needed.
        what: What was expected, and what is there.
        offset: Where in the text that is there, from 0; None is the whole.
    """

    at: Place
    what: str
    offset: int | None = None


class BadWorkflow(BadInput):
    """A workflow cannot be executed; the details name every fault and its place.

    Args:
        faults: What is wrong, for who can say the places better, as lines of a file.
    """

    def __init__(self, workflow: Workflow, faults: Sequence[Fault]) -> None:
        lines = [f"{_place_text(workflow, fault.at)}{fault.what}" for fault in faults]
        super().__init__(f"workflow {shown(workflow.name)} cannot be executed", details=lines)
        self.faults = tuple(faults)


def check_workflow(workflow: Workflow) -> None:
    """Refuse a workflow that cannot be executed.

    Raises:
        BadWorkflow: Something is wrong with it.
    """
    if faults := list(workflow_faults(workflow)):
        raise BadWorkflow(workflow, faults)


def workflow_faults(workflow: Workflow, check_executor: Check | None = None) -> Iterator[Fault]:
    """Yield everything that is wrong, in no particular order.

    Args:
        check_executor: Refuses the name of an executor that is not there; None lets any word pass.
    """
    if not workflow.steps:
        yield Fault(("steps",), "expected at least one step, got: none")
    suggest = Suggestions()
    yield from _ids(workflow)
    yield from _graph(workflow, suggest)
    yield from _limits(workflow)
    for name, param in workflow.params.items():
        yield from _param(name, param)
    for place, step in enumerate(workflow.steps):
        yield from (fault._replace(at=("steps", place, *fault.at)) for fault in step_faults(step))
    if check_executor is not None:
        yield from _executors(workflow, check_executor)
    yield from _Texts(workflow, suggest).faults()


def _place_text(workflow: Workflow, at: Place) -> str:
    """`step parse, when: `; nothing for the workflow as a whole."""
    if len(at) > 1 and at[0] == "steps" and isinstance(at[1], int):
        at = (f"step {shown(workflow.steps[at[1]].id)}", *(part for part in at[2:3]))
    return f"{', '.join(str(part) for part in at)}: " if at else ""


def _ids(workflow: Workflow) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, step in enumerate(workflow.steps):
        at: Place = ("steps", place, "id")
        if not _STEP_ID.fullmatch(step.id):
            kind = "1-64 characters of A-Z a-z 0-9 _ -, beginning with a letter or _"
            yield Fault(at, f"expected a step's id to be {kind}, got: {shown(step.id)}")
        elif step.id in RESERVED:
            yield Fault(at, f"expected another id, got: {step.id}, which means something else in paths and conditions")
        elif step.id in seen:
            yield Fault(at, f"expected each step's id once, got: {step.id} again")
        seen.add(step.id)


def _graph(workflow: Workflow, suggest: Suggestions) -> Iterator[Fault]:
    needs = workflow.needs
    places: dict[str, int] = {}
    for place, step in enumerate(workflow.steps):
        places.setdefault(step.id, place)
        seen: set[str] = set()
        for need in step.needs:
            at: Place = ("steps", place, "depends_on", need.key)
            if need.key == step.id:
                yield Fault(at, f"expected other steps, got: {step.id}, which would need itself")
            elif need.key not in needs:
                yield Fault(at, f"there is no step {shown(need.key)}{suggest(need.key, needs)}")
            elif need.key in seen:
                yield Fault(at, f"expected each step once, got: {need.key} again")
            seen.add(need.key)
    for cycle in find_cycles(needs):
        yield Fault(("steps", places[cycle[0]], "depends_on", cycle[1]), cycle_text(cycle))


def _limits(workflow: Workflow) -> Iterator[Fault]:
    first: dict[str, StepSpec] = {}
    for place, step in enumerate(workflow.steps):
        for name, most in step.limits.items():
            before = first.setdefault(name, step)
            if before.limits[name] != most:
                what = f"expected limit {shown(name)} to be the same in all steps, got: {most}, "
                yield Fault(("steps", place, "limits", name), f"{what}and {before.limits[name]} in {before.id}")


def _executors(workflow: Workflow, check_executor: Check) -> Iterator[Fault]:
    for place, step in enumerate(workflow.steps):
        if step.executor is not None:
            try:
                check_executor(step.executor)
            except BadInput as error:
                yield Fault(("steps", place, "executor"), error.message)


def _param(name: str, param: Param) -> Iterator[Fault]:
    if not re.fullmatch(PATH, name) or "." in name:
        yield Fault(("params", name), f"expected a param's name to be like a step's id, got: {shown(name)}")
    if not is_of_type(param.default, param.type):
        what = f"expected the default of param {name} to be of its type {param.type}, got: {kind_of(param.default)}"
        yield Fault(("params", name, "default"), what)


def step_faults(step: StepSpec) -> Iterator[Fault]:
    """Yield what is wrong with a step, whatever the others are; places begin at its own keys."""
    said = [word for word in ("run", "call", "manual") if getattr(step, word) is not None]
    if len(said) != 1:
        yield Fault((), f"expected exactly one of run, call and manual, got: {' and '.join(said) or 'none'}")
    if step.run is not None and not step.run:
        yield Fault(("run",), "expected run to have at least one argument, got: none")
    if step.call is not None and not _CALL.fullmatch(step.call):
        yield Fault(("call",), f"expected call to be module:function, got: {shown(step.call)}")
    if step.env and step.call is not None:
        yield Fault(("env",), "expected env only where a command is run; a function gets values by its parameters")
    if step.executor is not None and step.run is not None:
        yield Fault(("executor",), "expected executor only where a function is called; a command is its own process")
    if step.resources and step.executor is None:
        yield Fault(("resources",), "expected resources only with an executor that takes them, got: no executor")
    if step.arguments and step.call is None:
        yield Fault(("with",), "expected with only where a function is called; a command has its arguments in run")
    if said == ["manual"]:
        for name, key in _NOT_BY_HAND.items():
            if getattr(step, name) != _DEFAULTS[name]:
                yield Fault((key,), f"expected no {key} in a manual step, which a person does")


# ------------------------------------------------------------------------------------------------ what texts refer to


class _Texts:
    """Looks at the paths in a workflow's templates and conditions."""

    def __init__(self, workflow: Workflow, suggest: Suggestions) -> None:
        self._workflow = workflow
        self._suggest = suggest
        self._places = {step.id: place for place, step in enumerate(workflow.steps)}
        self._reach: list[int] | None = None

    def faults(self) -> Iterator[Fault]:
        for name, text in self._workflow.env.items():
            yield from self._template(text, ("env", name), None)
        for place, step in enumerate(self._workflow.steps):
            for fault in self._of_step(step):
                yield fault._replace(at=("steps", place, *fault.at))

    def _of_step(self, step: StepSpec) -> Iterator[Fault]:
        if isinstance(step.run, str):
            yield from self._shell(step.run)
        else:
            for number, text in enumerate(step.run or ()):
                yield from self._template(text, ("run", number), step)
        for name, text in step.env.items():
            yield from self._template(text, ("env", name), step)
        for at, text in _texts_in(step.arguments, ("with",)):
            yield from self._template(text, at, step)
        if step.title is not None and step.for_each is not None:
            yield from self._template(step.title, ("title",), step)
        if step.manual is not None:
            yield from self._template(step.manual, ("manual",), step)
        if step.when is not None:
            yield from self._condition(step.when, step)
        if isinstance(step.for_each, str):
            yield from self._for_each(step.for_each, step)

    def _template(self, text: str, at: Place, step: StepSpec | None) -> Iterator[Fault]:
        try:
            mentions = Template.parse(text).mentions
        except BadExpression as error:
            yield Fault(at, error.what, error.offset)
            return
        yield from self._mentions(mentions, at, step)

    def _condition(self, text: str, step: StepSpec) -> Iterator[Fault]:
        try:
            mentions = Condition.parse(text).mentions
        except BadExpression as error:
            yield Fault(("when",), error.what, error.offset)
            return
        yield from self._mentions(mentions, ("when",), step)

    def _for_each(self, text: str, step: StepSpec) -> Iterator[Fault]:
        try:
            path = ValuePath.parse(text)
        except BadExpression as error:
            yield Fault(("for_each",), error.what, error.offset)
            return
        if path.root in ("item", "index"):
            yield Fault(("for_each",), f"expected a list that is there before the items, got: {path}", 0)
            return
        param = self._workflow.params.get(path.parts[1]) if path.root == "params" and len(path.parts) == 2 else None
        if param is not None and param.type != "list":
            yield Fault(("for_each",), f"expected a list, got: {path}, which is of type {param.type}", 0)
            return
        yield from self._mentions((Mention(path, 0),), ("for_each",), step)

    def _shell(self, text: str) -> Iterator[Fault]:
        """A value put into a shell's line would be read as shell: one with a `;` in it would be a command."""
        for found in _IN_SHELL.finditer(text):
            root, dot, _ = found[1].partition(".")
            if dot or root in RESERVED or root in self._places:
                what = "a line for a shell gets values by environment variables, never by substitution: "
                advice = f'write env: {{VALUE: "{found[0]}"}} and $VALUE here'
                yield Fault(("run",), f"{what}{advice}", found.start())

    def _mentions(self, mentions: tuple[Mention, ...], at: Place, step: StepSpec | None) -> Iterator[Fault]:
        for path, offset in mentions:
            what = self._unknown(path, step)
            if what is not None:
                yield Fault(at, what, offset)

    def _unknown(self, path: ValuePath, step: StepSpec | None) -> str | None:
        """Why a path can lead to nothing; None when it may lead somewhere."""
        if path.root == "params":
            return self._unknown_param(path)
        if path.root == "run":
            known = len(path.parts) == 2 and path.parts[1] in RUN_NAMES
            return None if known else f"expected {' or '.join(f'run.{name}' for name in RUN_NAMES)}, got: {path}"
        if path.root in ("item", "index"):
            inside = step is not None and step.for_each is not None
            return None if inside else f"there is no {path.root}: the step has no for_each"
        if step is None:
            return f"expected params or run, got: {path}; the results of steps are known inside steps only"
        if path.root not in self._places:
            return self._unknown_step(path)
        return self._unneeded(path.root, step)

    def _unknown_param(self, path: ValuePath) -> str | None:
        if len(path.parts) == 1:
            return None
        name, params = path.parts[1], self._workflow.params
        if name not in params:
            return f"there is no param {name}{self._suggest(name, params)}"
        if len(path.parts) > 2 and params[name].type in _SCALARS:
            return f"there is no {path}: param {name} is of type {params[name].type}, which has no parts"
        return None

    def _unknown_step(self, path: ValuePath) -> str:
        if path.root in self._workflow.params:
            return f"there is no step {path.root}; did you mean params.{path}?"
        return f"there is no step {path.root}{self._suggest(path.root, [*self._places, 'params', 'item', 'index'])}"

    def _unneeded(self, needed: str, step: StepSpec) -> str | None:
        if needed == step.id:
            return f"expected a result that is there before, got: that of {step.id} itself"
        if any(need.key == needed for need in step.needs) or self._reaches(step.id, needed):
            return None
        if self._reaches(needed, step.id):
            return f"there is no result of {needed} yet: {needed} needs {step.id}"
        return f"{step.id} does not need {needed}, so its result may not be there: add {needed} to depends_on"

    def _reaches(self, step: str, needed: str) -> bool:
        """Whether a step needs another one, directly or not; true for all when a cycle leaves that open."""
        if self._reach is None:
            self._reach = self._ancestors()
        return not self._reach or bool(self._reach[self._places[step]] >> self._places[needed] & 1)

    def _ancestors(self) -> list[int]:
        """By place the set of all steps that a step needs, as bits: sets of names would be quadratic in memory."""
        needs = self._workflow.needs
        try:
            ordered = order(needs, needs)
        except BadInput:
            return []
        reach = [0] * len(self._workflow.steps)
        for key in ordered:
            for need in needs[key]:
                if need.key in self._places:
                    place = self._places[need.key]
                    reach[self._places[key]] |= reach[place] | 1 << place
        return reach


def _texts_in(value: object, at: Place) -> Iterator[tuple[Place, str]]:
    """Every text in a JSON value, with its place."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _texts_in(one, (*at, str(key)))
    elif isinstance(value, list | tuple):
        for place, one in enumerate(value):
            yield from _texts_in(one, (*at, place))
