"""Steps as workflow files and task types say them: the keys, and how the value of each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tasktrail.formats.workflow_values import Reading
from tasktrail.formats.yaml_load import Node
from tasktrail.model.path import Values
from tasktrail.model.workflow import StepSpec

__all__ = ["STEP_KEYS", "StepReading", "is_said_null"]

_Read = Callable[[Reading, Node, str], object]
_STEP: Final[Mapping[str, tuple[str, _Read]]] = MappingProxyType({
    "id": ("id", Reading.text), "name": ("title", Reading.text), "title": ("title", Reading.text),
    "call": ("call", Reading.text), "with": ("arguments", Reading.arguments), "manual": ("manual", Reading.text),
    "depends_on": ("needs", Reading.needs), "for_each": ("for_each", Reading.for_each), "when": ("when", Reading.text),
    "retries": ("retry", Reading.retries), "timeout": ("timeout_ms", Reading.duration_ms),
    "critical": ("critical", Reading.flag), "priority": ("priority", Reading.priority),
    "queue": ("queue", Reading.name), "labels": ("labels", Reading.labels), "limits": ("limits", Reading.limits),
    "env": ("env", Reading.env),
    "executor": ("executor", Reading.word), "resources": ("resources", Reading.resources),
    "effect": ("effect", Reading.effect),
    "cache": ("cache_s", Reading.duration_s), "deadline": ("deadline_ms", Reading.duration_ms),
})  # fmt: skip
"""By key: the field of a step, and how its value is read; `run` and `shell` are read together."""
STEP_KEYS: Final = ("id", "run", "shell", *(key for key in _STEP if key != "id"))

_STAND_INS: Final[Values] = MappingProxyType({"run": ("?",), "call": "stand:in", "manual": "?"})
"""For what could not be read, so that a step that says what is done is not told that it says nothing."""


class StepReading(Reading):
    """A file with steps that is read."""

    def step(self, node: Node, *, critical: bool) -> StepSpec | None:
        """Return what a mapping with id says; what could not be read is in `faults`."""
        if node.members is None:
            self.unlike(node, "a step", "a mapping with id and one of run, call and manual")
            return None
        values: dict[str, object] = {"critical": critical, **self._command(node.members)}
        for key, value in node.members.items():
            if key not in STEP_KEYS:
                self.unknown_key(node, key, STEP_KEYS)
            elif key in _STEP and not (is_said_null(value) and key != "id"):
                field, read = _STEP[key]
                found = read(self, value, key)
                if found is None:
                    found = _STAND_INS.get(field)
                if found is not None:
                    values[field] = found
        if "name" in node.members and "title" in node.members:
            self.fault(node.keys["title"], "expected name or title, got: both")
        if "id" not in node.members:
            self.fault(node, "expected a step to have an id")
        make: Callable[..., StepSpec] = StepSpec
        return make(**values) if "id" in values else None

    def _command(self, members: Mapping[str, Node]) -> dict[str, object]:
        """`run` and `shell`, which says how `run` is meant."""
        shell = self.flag(members["shell"], "shell") if "shell" in members else False
        run = members.get("run")
        if run is None or is_said_null(run):
            if shell:
                self.fault(members["shell"], "expected shell only where run is a line for it, got: no run")
            return {}
        if run.items is None:
            return {"run": self.shell_line(run, "run", allowed=shell is not False) or _STAND_INS["run"]}
        if shell:
            self.fault(members["shell"], "expected shell only where run is one text, got: a list of arguments")
        found = self.run(run, "run")
        return {"run": _STAND_INS["run"] if found is None else found}


def is_said_null(node: Node) -> bool:
    """Return whether null is said, as programs do for what is not set; a key with nothing behind it was forgotten."""
    return node.value is None and bool(node.text)
