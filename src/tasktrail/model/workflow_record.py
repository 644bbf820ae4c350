"""A workflow as plain JSON: what is stored with a run, so that it goes on from the plan that it began with."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Final, TypeVar

from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.path import kind_of, shown
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.workflow import EFFECTS, ON_FAILURE, PARAM_TYPES, Param, StepSpec, Workflow

SCHEMA: Final = "tasktrail/workflow@1"

_HASH_DIGITS: Final = 12
_SCHEMA_NAME: Final = SCHEMA.partition("@")[0]

T = TypeVar("T", Workflow, StepSpec, Param)


def workflow_to_dict(workflow: Workflow) -> dict[str, object]:
    """Return the workflow as JSON values: what differs from the defaults, in the order of the fields.

    >>> workflow_to_dict(Workflow("hello", (StepSpec("greet", run=("echo", "hi")),)))
    {'schema': 'tasktrail/workflow@1', 'name': 'hello', 'steps': [{'id': 'greet', 'run': ['echo', 'hi']}]}
    """
    return {"schema": SCHEMA, **_record(workflow)}


def workflow_from_dict(data: object) -> Workflow:
    """Return the workflow that `workflow_to_dict` made. Its meaning is not checked again: it was, before it was stored.

    Raises:
        BadInput: It is something else, or a newer Tasktrail wrote it; the details name what cannot be read.
    """
    if not isinstance(data, Mapping) or not str(data.get("schema")).startswith(f"{_SCHEMA_NAME}@"):
        raise BadInput(f"expected a stored workflow, {SCHEMA}, got: {kind_of(data)}")
    if data["schema"] != SCHEMA:
        raise BadInput(f"expected a stored workflow to be {SCHEMA}, got: {data['schema']}", hint="upgrade Tasktrail")
    faults: list[str] = []
    values = {key: value for key, value in data.items() if key != "schema"}
    workflow = _read(Workflow, values, "workflow", _WORKFLOW, faults)
    if faults or workflow is None:
        raise BadInput("the stored workflow cannot be read", details=faults)
    return workflow


def workflow_from_text(text: str) -> Workflow:
    """Return the workflow of a stored definition: what executes the types of a grid is one, too."""
    record = json.loads(text)
    return workflow_from_dict(record.get("workflow", record))


def workflow_hash(record: Mapping[str, object]) -> str:
    """Return 12 hexadecimal digits of what `workflow_to_dict` made.

    They differ when anything of the workflow does, the order of mappings left aside.
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


# ----------------------------------------------------------------------------------------------- fields and their kinds


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the value of a field is in JSON.

    Args:
        write: From the value to JSON.
        read: From JSON to the value; the third argument collects what is wrong. It is asked only when `fits`.
    """

    fits: Callable[[object], bool]
    write: Callable[[object], object] = lambda value: value
    read: Callable[[object, str, list[str]], object] = lambda value, where, faults: value


def _record(value: Workflow | StepSpec | Param) -> dict[str, object]:
    columns = _COLUMNS[type(value)]
    return {name: write(one) for name, write, default in columns if (one := getattr(value, name)) != default}


def _read(
    made: type[T], data: Mapping[object, object], where: str, kinds: Mapping[str, _Kind], faults: list[str]
) -> T | None:
    values: dict[str, object] = {}
    for key, value in data.items():
        kind = kinds.get(str(key))
        if kind is None:
            faults.append(f"{where}: this version of Tasktrail knows no {shown(str(key))}")
        elif not kind.fits(value):
            faults.append(f"{where}.{key}: cannot be {kind_of(value)} like this one")
        else:
            values[str(key)] = kind.read(value, f"{where}.{key}", faults)
    faults.extend(f"{where}: has no {name}" for name in kinds if name not in values and name not in _DEFAULTS[made])
    make: Callable[..., T] = made
    return None if faults else make(**values)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _choice(words: Collection[str]) -> _Kind:
    return _Kind(lambda value: value in words)


def _mapping_of(fits: Callable[[object], bool]) -> _Kind:
    return _Kind(
        lambda value: isinstance(value, Mapping) and all(fits(one) for one in value.values()),
        lambda value: dict(value) if isinstance(value, Mapping) else value,
    )


def _list_or_text(fits: Callable[[object], bool]) -> _Kind:
    return _Kind(
        lambda value: isinstance(value, str) or (isinstance(value, list) and all(fits(one) for one in value)),
        lambda value: list(value) if isinstance(value, tuple) else value,
        lambda value, where, faults: tuple(value) if isinstance(value, list) else value,
    )


def _write_needs(needs: object) -> object:
    assert isinstance(needs, tuple)
    return [{"step": need.key, "optional": True} if need.optional else need.key for need in needs]


def _read_needs(value: object, where: str, faults: list[str]) -> object:
    assert isinstance(value, list)
    needs = []
    for one in value:
        if isinstance(one, str):
            needs.append(Need(one))
        elif isinstance(one, Mapping) and isinstance(key := one.get("step"), str):
            needs.append(Need(key, optional=one.get("optional") is True))
        else:
            faults.append(f"{where}: {kind_of(one)} names no step")
    return tuple(needs)


def _read_retry(value: object, where: str, faults: list[str]) -> object:
    try:
        return RetryPolicy.from_dict(value, where=where)
    except BadInput as error:
        faults.extend(error.details)
        return RetryPolicy()


def _read_steps(value: object, where: str, faults: list[str]) -> object:
    assert isinstance(value, list)
    steps = [_read_member(StepSpec, one, f"{where}.{place}", _STEP, faults) for place, one in enumerate(value)]
    return tuple(step for step in steps if step is not None)


def _read_params(value: object, where: str, faults: list[str]) -> object:
    assert isinstance(value, Mapping)
    return {name: _read_member(Param, one, f"{where}.{name}", _PARAM, faults) for name, one in value.items()}


def _read_member(made: type[T], value: object, where: str, kinds: Mapping[str, _Kind], faults: list[str]) -> T | None:
    if isinstance(value, Mapping):
        return _read(made, value, where, kinds, faults)
    faults.append(f"{where}: cannot be {kind_of(value)}")
    return None


def _write_steps(steps: object) -> object:
    assert isinstance(steps, Sequence)
    return [_record(step) for step in steps]


def _write_params(params: object) -> object:
    assert isinstance(params, Mapping)
    return {name: _record(param) for name, param in params.items()}


def _write_retry(policy: object) -> object:
    assert isinstance(policy, RetryPolicy)
    return policy.to_dict()


_TEXT: Final = _Kind(_is_text)
_WHOLE: Final = _Kind(_is_whole)
_FLAG: Final = _Kind(_is_flag)
_PARAM: Final = {
    "type": _choice(PARAM_TYPES), "default": _Kind(lambda value: True), "required": _FLAG, "description": _TEXT,
}  # fmt: skip
_STEP: Final = {
    "id": _TEXT, "run": _list_or_text(_is_text), "call": _TEXT, "manual": _TEXT,
    "arguments": _mapping_of(lambda value: True), "title": _TEXT,
    "needs": _Kind(_is_list, _write_needs, _read_needs), "for_each": _list_or_text(lambda value: True), "when": _TEXT,
    "retry": _Kind(_is_mapping, _write_retry, _read_retry), "timeout_ms": _WHOLE, "critical": _FLAG,
    "priority": _WHOLE, "queue": _TEXT, "labels": _list_or_text(_is_text), "limits": _mapping_of(_is_whole),
    "env": _mapping_of(_is_text),
    "executor": _TEXT, "resources": _mapping_of(_is_number), "effect": _choice(EFFECTS),
    "cache_s": _WHOLE, "deadline_ms": _WHOLE,
}  # fmt: skip
_WORKFLOW: Final = {
    "name": _TEXT, "steps": _Kind(_is_list, _write_steps, _read_steps), "version": _TEXT, "description": _TEXT,
    "params": _Kind(_is_mapping, _write_params, _read_params), "env": _mapping_of(_is_text),
    "on_failure": _choice(ON_FAILURE), "max_parallel": _WHOLE,
}  # fmt: skip
_REQUIRED: Final = object()


def _defaults(one: Workflow | StepSpec | Param, *required: str) -> dict[str, object]:
    return {field.name: getattr(one, field.name) for field in fields(one) if field.name not in required}


_DEFAULTS: Final[Mapping[type, Mapping[str, object]]] = {
    Workflow: _defaults(Workflow("", ()), "name", "steps"),
    StepSpec: _defaults(StepSpec(""), "id"),
    Param: _defaults(Param()),
}
_COLUMNS: Final = {
    made: tuple(
        (field.name, kinds[field.name].write, _DEFAULTS[made].get(field.name, _REQUIRED)) for field in fields(made)
    )
    for made, kinds in ((Workflow, _WORKFLOW), (StepSpec, _STEP), (Param, _PARAM))
}
"""The fields of each kind of value, in order: how one is written, and when it is left out."""
