"""A workflow: steps and what they need, as a value that a file, decorators or a runner end in, and that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from tasktrail.model.condition import WORDS
from tasktrail.model.graph import Need
from tasktrail.model.retry import RetryPolicy

ParamType = Literal["string", "integer", "number", "boolean", "list", "object"]
Effect = Literal["at_least_once", "at_most_once"]
OnFailure = Literal["stop", "continue"]

PARAM_TYPES: Final[tuple[ParamType, ...]] = get_args(ParamType)
EFFECTS: Final[tuple[Effect, ...]] = get_args(Effect)
ON_FAILURE: Final[tuple[OnFailure, ...]] = get_args(OnFailure)
STEP_ID: Final = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
RESERVED: Final = frozenset({"params", "item", "index", "run", "env", "ctx"}) | WORDS
"""Words that mean something else where a step's id may stand, so no step is called so."""
RUN_NAMES: Final = ("id", "folder")
"""What paths find in `run`."""
NO_RETRIES: Final = RetryPolicy(max_retries=0)


@dataclass(frozen=True, slots=True)
class Param:
    """A value that whoever begins a run may give.

    Args:
        required: Whether it must be given; else it is `default`.
    """

    type: ParamType = "string"
    default: object = None
    required: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step: exactly one of `run`, `call` and `manual` says what is done.

    Args:
        run: An argument list, its parts may hold `{paths}`; one text is a line for a shell, with no substitution.
        call: `module:function`.
        manual: What a person is asked to do.
        arguments: What parameters of the function are given beside what their names say: JSON values, whose texts may
            hold `{paths}`.
        title: What people read; of a step with `for_each` what each part is called, which may hold `{paths}`.
        for_each: A list of JSON values, or the path of one (`fetch.items`); the step is done once for each.
        when: A condition; where it is false the step is skipped.
        timeout_ms: For one attempt; None means no limit.
        limits: By the name of a limit, how many tasks that name it may run at the same time.
        env: Environment variables for a command; the values may hold `{paths}`.
        executor: `thread`, `process`, `async` or one that is installed; None lets the function decide.
        resources: By name, how much of the executor's place it takes: `{"num_cpus": 2}`; what may be named, it says.
        effect: What a step that was running when its process died is: done again, or blocked until a person says.
        cache_s: Seconds for which a result of the same inputs is used again; None never.
        deadline_ms: After the start of the run; a step that has not started by then fails.
    """

    id: str
    run: tuple[str, ...] | str | None = None
    call: str | None = None
    manual: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    title: str | None = None
    needs: tuple[Need, ...] = ()
    for_each: tuple[object, ...] | str | None = None
    when: str | None = None
    retry: RetryPolicy = NO_RETRIES
    timeout_ms: int | None = None
    critical: bool = True
    priority: int = 3
    queue: str | None = None
    labels: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    executor: str | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    effect: Effect = "at_least_once"
    cache_s: int | None = None
    deadline_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """What is executed, without a run of it.

    Args:
        name: The dag_id of its runs.
        version: What its author calls this state of it.
        on_failure: Whether a step's final failure stops the run where the step does not say.
        max_parallel: How many steps run at the same time; None is the setting `run.max_parallel`.
    """

    name: str
    steps: tuple[StepSpec, ...]
    version: str = ""
    description: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    on_failure: OnFailure = "stop"
    max_parallel: int | None = None

    @property
    def by_id(self) -> dict[str, StepSpec]:
        """The steps by their ids, in order."""
        return {step.id: step for step in self.steps}

    @property
    def needs(self) -> dict[str, tuple[Need, ...]]:
        """What each step needs, by its id: the graph."""
        return {step.id: step.needs for step in self.steps}


def param_type_of(value: object) -> ParamType:
    """Return the type of a param whose default is this value; for null it is a string.

    >>> [param_type_of(value) for value in ("x", 1, 1.5, True, [], {}, None)]
    ['string', 'integer', 'number', 'boolean', 'list', 'object', 'string']
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "number"
    if isinstance(value, Mapping):
        return "object"
    return "list" if isinstance(value, list | tuple) else "string"


def is_of_type(value: object, param_type: ParamType) -> bool:
    """Return whether a param of this type may have the value; null is of every type, and an integer is a number."""
    if value is None:
        return True
    own = param_type_of(value)
    return own == param_type or (own == "integer" and param_type == "number")
