"""Workflow files: YAML or JSON to a workflow, or one error that names every fault with its line and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeVar

from tasktrail.formats.workflow_steps import STEP_KEYS, StepReading, is_said_null
from tasktrail.formats.yaml_load import Fault, Node, Source, load_node
from tasktrail.model.errors import BadInput
from tasktrail.model.workflow import (
    ON_FAILURE,
    PARAM_TYPES,
    OnFailure,
    Param,
    StepSpec,
    Workflow,
    param_type_of,
)
from tasktrail.model.workflow_check import Check, workflow_faults
from tasktrail.model.workflow_check import Fault as ModelFault

__all__ = ["MAX_STEPS", "PARAM_KEYS", "STEP_KEYS", "TOP_KEYS", "load_workflow", "refusal"]

MAX_STEPS: Final = 20_000
TOP_KEYS: Final = (
    "name", "version", "description", "params", "env", "on_failure", "max_parallel", "steps", "tasks", "$schema",
)  # fmt: skip
PARAM_KEYS: Final = ("type", "default", "description")

T = TypeVar("T")
_REFUSED: Final = "is no workflow that can be executed"
_OLDER_KEYS: Final = frozenset({"agent", "input_file", "input_from", "outputs"})


def load_workflow(text: str, where: str, check_executor: Check | None = None) -> Workflow:
    """Return the workflow that a file describes.

    Args:
        text: YAML, of which JSON is a part; see `load_node` for what of YAML is accepted.
        where: How messages name the file.
        check_executor: Refuses the name of an executor that is not there; None lets any word pass.

    Raises:
        BadInput: The details name every fault as `where:line:column`, with the line and a caret below it.
    """
    reading, workflow = _read(text, where, check_executor)
    if reading.faults:
        hint = "tasktrail schema workflow prints what a workflow file may hold"
        raise reading.source.refusal(reading.faults, _REFUSED, hint)
    return workflow


def refusal(text: str, where: str, faults: Iterable[ModelFault]) -> BadInput:
    """Return the error about a workflow that `load_workflow` read, found wrong later: its code is not there.

    Args:
        faults: By the places that the model gives them; the error has them by line and column.
    """
    reading, _ = _read(text, where)
    for fault in faults:
        reading.place(fault)
    return reading.source.refusal(reading.faults, _REFUSED)


def _read(text: str, where: str, check_executor: Check | None = None) -> tuple[_File, Workflow]:
    source = Source(text, where)
    reading = _File(source, check_executor)
    root = load_node(source, reading.faults)
    if root is None:
        raise source.refusal(reading.faults, "cannot be read")
    _refuse_older_form(root, source)
    return reading, reading.workflow(root)


def _refuse_older_form(root: Node, source: Source) -> None:
    """Name the older form as a whole: read as one of ours it would have a fault in every line."""
    members = root.members or {}
    found = members.get("workflow") if members.get("workflow", root).members is not None else None
    for step in _steps_of(root).items or ():
        keys = step.members or {}
        if not keys.keys() & {"run", "call", "manual"}:
            found = found or next((step.keys[key] for key in keys if key in _OLDER_KEYS), None)
    if found is None:
        return
    what = "this is the older form of workflow files (workflow:, agent:, input_file:, outputs:), which is not executed"
    hint = (
        "put name, version and description at the top, and say with run, call or manual what each step does; "
        "it gets the results of the steps in its depends_on"
    )
    raise source.refusal([Fault(found.line, found.column, what)], _REFUSED, hint)


def _steps_of(root: Node) -> Node:
    """The list of steps; an empty node when there is none."""
    members = root.members or {}
    return members.get("steps") or members.get("tasks") or Node(None, root.line, root.column)


class _File(StepReading):
    """A workflow file that is read: keys to fields, and the places of what the model finds wrong."""

    def __init__(self, source: Source, check_executor: Check | None) -> None:
        super().__init__(source)
        self._check_executor = check_executor
        self._root = Node(None, 0, 0)
        self._places: list[int] = []

    def workflow(self, root: Node) -> Workflow:
        """Return what could be read; what is wrong is in `faults`."""
        self._root = root
        if root.members is None:
            self.unlike(root, "a workflow file", "a mapping with name and steps")
            return Workflow("", ())
        for key in root.members:
            if key not in TOP_KEYS:
                self.unknown_key(root, key, TOP_KEYS)
        on_failure: OnFailure = self._top("on_failure", lambda node, key: self.choice(node, key, ON_FAILURE)) or "stop"
        workflow = Workflow(
            name=self._name(root),
            steps=self._steps(critical=on_failure == "stop"),
            version=self._top("version", self.text) or "",
            description=self._top("description", self.text) or "",
            params=self._top("params", self._params) or {},
            env=self._top("env", self.env) or {},
            on_failure=on_failure,
            max_parallel=self._top("max_parallel", self.whole),
        )
        for fault in workflow_faults(workflow, self._check_executor):
            self.place(fault)
        return workflow

    def _top(self, key: str, read: Callable[[Node, str], T | None]) -> T | None:
        node = (self._root.members or {}).get(key)
        return None if node is None or is_said_null(node) else read(node, key)

    def _name(self, root: Node) -> str:
        if "name" in (root.members or {}):
            return self._top("name", self.name) or "?"
        self.fault(root, "expected a workflow to have a name")
        return "?"

    # -------------------------------------------------------------------------------------------------------- params

    def _params(self, node: Node, key: str) -> dict[str, Param] | None:
        if node.members is None:
            self.unlike(node, key, "a mapping of names to {type, default}, or to defaults")
            return None
        return {name: self._param(name, one) for name, one in node.members.items()}

    def _param(self, name: str, node: Node) -> Param:
        """The long form is a mapping; anything else is the default, and nothing means that there is none."""
        if node.members is None:
            return self._of_default(node)
        for key in node.members:
            if key not in PARAM_KEYS:
                self.unknown_key(node, key, PARAM_KEYS)
        default, said = node.members.get("default"), node.members.get("type")
        param = Param() if default is None else self._of_default(default, required=False)
        description = node.members.get("description")
        return replace(
            param,
            type=param.type if said is None else self.choice(said, f"{name}.type", PARAM_TYPES) or param.type,
            description="" if description is None else self.text(description, f"{name}.description") or "",
        )

    def _of_default(self, node: Node, *, required: bool | None = None) -> Param:
        value = node.to_json()
        nothing = node.value is None and not node.text if required is None else required
        return Param(param_type_of(value), value, required=nothing)

    # --------------------------------------------------------------------------------------------------------- steps

    def _steps(self, *, critical: bool) -> tuple[StepSpec, ...]:
        node = _steps_of(self._root)
        members = self._root.members or {}
        if "steps" in members and "tasks" in members:
            self.fault(self._root.keys["tasks"], "expected steps or tasks, got: both")
        if node.items is None:
            if "steps" in members or "tasks" in members:
                self.unlike(node, "steps", "a list of steps")
            return ()
        if len(node.items) > MAX_STEPS:
            self.fault(node, f"expected at most {MAX_STEPS:,} steps, got: {len(node.items):,}")
            return ()
        found = [self.step(one, critical=critical) for one in node.items]
        self._places = [place for place, step in enumerate(found) if step is not None]
        return tuple(step for step in found if step is not None)

    # -------------------------------------------------------------------------------------------------------- places

    def place(self, fault: ModelFault) -> None:
        """Note a fault that the model found, at the node that its keys and indexes lead to."""
        node = self._root
        parts = fault.at
        if parts == ("steps",) and _steps_of(node).value:
            return  # there are no steps since they cannot be read, which was said
        if parts[:1] == ("steps",):
            node, parts = _steps_of(self._root), parts[1:]
            if parts and node.items is not None and isinstance(parts[0], int):
                node, parts = node.items[self._places[parts[0]]], parts[1:]
        elif len(parts) == 2 and parts[0] == "params":
            node, parts = (self._root.members or {})["params"].keys[str(parts[1])], ()
        for part in parts:
            node = _inside(node, part)
        if fault.offset is None or not node.is_scalar:
            self.fault(node, fault.what)
        else:
            # The model has the path of for_each without its brace.
            offset = fault.offset + (fault.at[-1] == "for_each")
            self.faults.append(Fault(*self.source.place_of(node, offset), fault.what))


def _inside(node: Node, part: str | int) -> Node:
    """The node that a key, an index or a name in a list leads to; the node itself when it leads nowhere."""
    if node.members is not None:
        return node.members.get(str(part), _named(node))
    if node.items is None:
        return node
    if isinstance(part, int):
        return node.items[part]
    # The last one: where a name is there twice, the second is one too many.
    return next((one for one in map(_named, reversed(node.items)) if one.text == part), node)


def _named(need: Node) -> Node:
    return (need.members or {}).get("step", need)
