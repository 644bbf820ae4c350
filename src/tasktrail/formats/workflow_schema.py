"""The JSON Schema of workflow files: what editors complete and check. `load_workflow` sees more, and decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasktrail.model.path import NAME, PATH
from tasktrail.model.retry import BACKOFFS
from tasktrail.model.task import PRIORITIES
from tasktrail.model.workflow import EFFECTS, ON_FAILURE, PARAM_TYPES, RESERVED, STEP_ID

__all__ = ["workflow_schema"]

Schema = Mapping[str, object]

_LARGEST: Final = 2**31 - 1
_SCALAR: Final = ["string", "number", "boolean"]
_CASES: Final = (str.upper, str.lower, str.capitalize)


def workflow_schema() -> dict[str, object]:
    """Return the schema, draft 2020-12; it can be written as JSON as it is."""
    steps = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": 20_000}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tasktrail:workflow-file:1",
        "title": "Tasktrail workflow",
        "description": "Steps, what they need, and how each is executed.",
        "type": "object",
        "properties": {
            **_top(),
            "steps": {**steps, "description": "What is to be done; each step starts when those it needs are done."},
            "tasks": {**steps, "description": "Another word for `steps`."},
            "$schema": {"type": "string", "description": "Where this schema lies, for editors."},
        },
        "required": ["name"],
        "oneOf": [{"required": ["steps"]}, {"required": ["tasks"]}],
        "additionalProperties": False,
        "$defs": {"step": _step(), "duration": _duration(), "need": _need(), "retries": _retries(), "param": _param()},
    }


def _text(description: str, **more: object) -> dict[str, object]:
    return {"type": _SCALAR, "minLength": 1, **more, "description": description}


def _or_null(schema: Schema) -> dict[str, object]:
    """Programs write null for what is not set."""
    if "type" in schema:
        kinds = schema["type"]
        return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}
    return {"anyOf": [schema, {"type": "null"}], "description": schema.get("description", "")}


def _reference(name: str, description: str) -> dict[str, object]:
    return {"$ref": f"#/$defs/{name}", "description": description}


def _words(words: tuple[str, ...], description: str) -> dict[str, object]:
    return {"anyOf": [{"enum": list(words)}], "description": description}


def _whole(description: str, least: int = 1) -> dict[str, object]:
    return {"type": "integer", "minimum": least, "maximum": _LARGEST, "description": description}


def _env(description: str) -> dict[str, object]:
    return {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "additionalProperties": {"type": _SCALAR},
        "description": description,
    }


def _top() -> dict[str, object]:
    optional: dict[str, Schema] = {
        "version": _text("What you call this state of the workflow."),
        "description": _text("What it is for."),
        "params": {
            "type": "object",
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": {"$ref": "#/$defs/param"},
            "description": "Values that are given when a run begins, by name: a default, or `{type, default}`. "
            "One with neither must be given.",
        },
        "env": _env("Environment variables for all commands; values may hold `{params.x}` and `{run.id}`."),
        "on_failure": _words(
            ON_FAILURE,
            "`stop` (when not said) or `continue`: what a step without `critical` does to the run when it fails.",
        ),
        "max_parallel": _whole("How many steps run at the same time; otherwise the setting `run.max_parallel`."),
    }
    name = _text("What runs of it are called.", maxLength=200)
    return {"name": name, **{key: _or_null(schema) for key, schema in optional.items()}}


def _duration() -> dict[str, object]:
    written = {"type": "string", "pattern": r"^ *[0-9]{1,15}(\.[0-9]{1,9})? ?(ms|s|m|h|d) *$"}
    return {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, written],
        "description": "A number of seconds, or one number with one unit: `500ms`, `90s`, `5m`, `2h`, `7d`.",
    }


def _need() -> dict[str, object]:
    mapping = {
        "type": "object",
        "properties": {
            "step": _text("The id of the step that is needed."),
            "optional": {
                "type": "boolean",
                "description": "Go on without it when it cannot complete; its result is null.",
            },
        },
        "required": ["step"],
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": _SCALAR, "minLength": 1}, mapping], "description": "A step's id, or `{step, optional}`."}


def _retries() -> dict[str, object]:
    delay = {"anyOf": [{"type": "number", "minimum": 0}, _duration()["anyOf"][1]]}  # type: ignore[index]
    properties = {
        "max": _whole("Further tries after the first.", 0),
        "delay": {**delay, "description": "The wait before the first retry, in seconds or with a unit."},
        "backoff": {
            "enum": list(BACKOFFS),
            "description": "How the wait grows: `exponential` doubles it, `linear` adds it, `constant` keeps it.",
        },
        "max_delay": {**_or_null(delay), "description": "No wait is longer."},
        "jitter": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "The share of the wait that is random, 0 to 1.",
        },
        "on": {
            "type": "array",
            "items": {"type": ["string", "integer"]},
            "description": "Names of errors and exit codes after which it is tried again; otherwise after all.",
        },
    }
    policy = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [_whole("", 0), policy], "description": "How many times, or how often and when."}


def _param() -> dict[str, object]:
    properties = {
        "type": {
            "enum": list(PARAM_TYPES),
            "description": f"{', '.join(f'`{one}`' for one in PARAM_TYPES)}; that of the default when not said.",
        },
        "default": {"description": "What it is when it is not given."},
        "description": _text("What it is for."),
    }
    long = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [long, {"type": [*_SCALAR, "array", "null"]}], "description": "A default, or `{type, default}`."}


def _step() -> dict[str, object]:
    properties = {**_actions(), **{key: _or_null(schema) for key, schema in {**_order(), **_execution()}.items()}}
    none = {"type": "null"}
    by_hand = {
        "retries": {"enum": [0, None]}, "timeout": none, "cache": none, "executor": none,
        "resources": {"maxProperties": 0},
        "effect": {"enum": ["at_least_once", None]}, "env": {"maxProperties": 0}, "limits": {"maxProperties": 0},
    }  # fmt: skip
    said = {"properties": {"shell": {"const": True}}, "required": ["shell"]}
    asking = {"properties": {"resources": {"type": "object", "minProperties": 1}}, "required": ["resources"]}
    line = {"properties": {"run": {"type": _SCALAR}}, "required": ["run"]}
    return {
        "type": "object",
        "properties": properties,
        "required": ["id"],
        "oneOf": [{"required": [word]} for word in ("run", "call", "manual")],
        "allOf": [
            {"if": line, "then": said},
            {"if": said, "then": line},
            {"if": {"required": ["manual"]}, "then": {"properties": by_hand}},
            {"if": {"required": ["call"]}, "then": {"properties": {"env": {"maxProperties": 0}}}},
            {"if": {"required": ["run"]}, "then": {"properties": {"executor": none}}},
            {"if": asking, "then": {"properties": {"executor": {"type": _SCALAR}}, "required": ["executor"]}},
            {"not": {"required": ["name", "title"]}},
        ],
        "additionalProperties": False,
    }


def _actions() -> dict[str, object]:
    """What a step is called, and what is done."""
    words = sorted(RESERVED)
    return {
        "id": {
            "type": "string",
            "pattern": f"^{STEP_ID}$",
            "not": {"enum": words},
            "description": "Its name in the run, in other steps' `depends_on`, and in paths.",
        },
        "name": _or_null(_text("Another word for `title`.")),
        "title": _or_null(_text("What people read; with `for_each` what each part is called, with `{paths}`.")),
        "run": {
            "anyOf": [{"type": "array", "items": {"type": _SCALAR}, "minItems": 1}, {"type": _SCALAR}],
            "description": "A command as a list of arguments, which may hold `{paths}`; "
            "with `shell: true` one line for a shell, which gets values by `env`.",
        },
        "shell": {"type": "boolean", "description": "Whether `run` is one line that a shell reads."},
        "call": _text("A function: `module:function`. It gets results and params by the names of its parameters.",
                      pattern=r"^[^\s:]+:[^\s:]+$"),
        "with": {
            "type": "object",
            "description": "What parameters of the function are given by name; texts may hold `{paths}`.",
        },
        "manual": _text("What a person does. The step is blocked until somebody completes it."),
    }  # fmt: skip


def _order() -> dict[str, Schema]:
    """When a step starts, and how often."""
    return {
        "depends_on": {
            "anyOf": [_reference("need", ""), {"type": "array", "items": _reference("need", "")}],
            "description": "The steps that must be done before: an id, or a list of ids and `{step, optional: true}`.",
        },
        "for_each": {
            "anyOf": [{"type": "array"}, {"type": "string", "pattern": rf"^\{{{PATH}\}}$"}],
            "description": "A list, or the path of one in braces; the step is done for each `item` at its `index`.",
        },
        "when": _text("A condition; where it is false the step is skipped.", maxLength=4_000),
        "priority": {
            "anyOf": [
                {"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST},
                {"enum": [case(word) for word in PRIORITIES for case in _CASES]},
            ],
            "description": "A whole number, smaller is more urgent, or CRITICAL, HIGH, MEDIUM, LOW; 3 when not said.",
        },
        "deadline": _reference("duration", "After the start of the run; a step that has not started by then fails."),
    }


def _execution() -> dict[str, Schema]:
    """How a step is executed, and what its failure means."""
    return {
        "retries": _reference("retries", "How often it is tried again: a number, or "
                                         "`{max, delay, backoff, max_delay, jitter, on}`; 0 when not said."),
        "timeout": _reference("duration", "How long one attempt may take; no limit when not said."),
        "critical": {"type": "boolean", "description": "Whether its failure stops the run; see `on_failure`."},
        "queue": _text("In which queue it is where the run is pooled; `default` when not said.", maxLength=200),
        "labels": {
            "type": "array",
            "items": {"type": _SCALAR, "maxLength": 200},
            "description": "What a worker must offer to take it, where the run is pooled.",
        },
        "limits": {
            "type": "object",
            "additionalProperties": _whole("How many tasks with this limit run at the same time."),
            "description": "By name, how many tasks that share the name run at the same time.",
        },
        "env": _env("Environment variables for its command; values may hold `{paths}`."),
        "executor": _text("Where a function runs: `thread`, `process`, `async`, or one that is installed.",
                          pattern="^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"),
        "resources": {
            "type": "object",
            "additionalProperties": {"type": "number", "minimum": 0, "maximum": _LARGEST},
            "description": "By name, what its executor is asked for; `ray` takes `num_cpus` and `num_gpus`.",
        },
        "effect": _words(EFFECTS, "What happens to it when its process dies: it is done again (`at_least_once`), "
                                  "or blocked until a person decides (`at_most_once`)."),
        "cache": _reference("duration", "How long a result for the same inputs is used again; never when not said."),
    }  # fmt: skip
