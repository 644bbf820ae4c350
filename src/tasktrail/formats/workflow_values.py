"""The values of a workflow file's keys: each reader takes a node and returns what the model holds."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from tasktrail.formats.yaml_load import Fault, Node, Source
from tasktrail.model.duration import parse_duration_ms
from tasktrail.model.errors import BadInput
from tasktrail.model.graph import Need
from tasktrail.model.path import BadExpression, Mention, Template, shown
from tasktrail.model.reference import check_key
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import PRIORITIES
from tasktrail.model.workflow import EFFECTS, Effect

__all__ = ["RETRY_KEYS", "Reading"]

RETRY_KEYS: Final = ("max", "delay", "backoff", "max_delay", "jitter", "on")

_LARGEST: Final = 2**31 - 1  # what an integer column holds in every store
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_DURATIONS: Final = ("delay", "max_delay")
_ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType({
    "needs": "depends_on", "dependencies": "depends_on", "after": "depends_on", "command": "run", "cmd": "run",
    "script": "run", "function": "call", "if": "when", "condition": "when", "foreach": "for_each", "matrix": "for_each",
    "retry": "retries", "max_retries": "retries", "timeout_seconds": "timeout", "environment": "env",
    "parameters": "params", "inputs": "params", "jobs": "steps", "stages": "steps", "concurrency": "max_parallel",
})  # fmt: skip
"""Keys of other programs' files, by what they are called here: no spelling leads from one to the other."""

T = TypeVar("T")


class Reading:
    """One file that is read: what is wrong with it is collected here."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self._suggest = Suggestions()

    def fault(self, node: Node, what: str) -> None:
        """Note what is wrong with a node."""
        self.faults.append(Fault(node.line, node.column, what))

    def unlike(self, node: Node, key: str, kind: str) -> None:
        """Note that a node is not of the kind that its key needs."""
        self.fault(node, f"expected {key} to be {kind}, got: {_got(node)}{_unquoted(node)}")

    def unknown_key(self, mapping: Node, key: str, known: Collection[str]) -> None:
        """Note a key that nobody knows."""
        meant = _ELSEWHERE.get(key)
        advice = f"; did you mean {meant}?" if meant in known else self._suggest(key, known)
        self.fault(mapping.keys[key], f"unknown key {shown(key)}{advice}")

    # ------------------------------------------------------------------------------------------------------- scalars

    def text(self, node: Node, key: str) -> str | None:
        """Any scalar as it is written; it says something."""
        if node.is_scalar and node.value is not None and node.text.strip():
            return node.text
        self.unlike(node, key, "a text")
        return None

    def argument(self, node: Node, key: str) -> str | None:
        """A text for a command, which may be empty."""
        if not node.is_scalar or node.value is None:
            self.unlike(node, key, "a text")
        elif "\0" in node.text:
            self.fault(node, f"expected {key} to be without NUL, which no command can be given")
        else:
            return node.text
        return None

    def name(self, node: Node, key: str) -> str | None:
        """A name in one line."""
        text = self.text(node, key)
        return None if text is None else self._accepted(node, lambda: check_key(text, key))

    def word(self, node: Node, key: str) -> str | None:
        """A name of plain characters."""
        text = self.text(node, key)
        if text is None or _WORD.fullmatch(text):
            return text
        self.unlike(node, key, "a word")
        return None

    def flag(self, node: Node, key: str) -> bool | None:
        """True or false; the yes and no of older YAML are texts and refused."""
        if isinstance(node.value, bool):
            return node.value
        self.unlike(node, key, "true or false")
        return None

    def whole(self, node: Node, key: str, least: int = 1) -> int | None:
        """A whole number that fits the store."""
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _LARGEST:
            return value
        self.unlike(node, key, f"a whole number from {least}")
        return None

    def amount(self, node: Node, key: str) -> float | None:
        """A number of which there cannot be less than none."""
        value = node.value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
            return value
        self.unlike(node, key, "a number from 0")
        return None

    def priority(self, node: Node, key: str) -> int | None:
        """A whole number, smaller is more urgent, or one of four words."""
        word = node.text.upper() if node.is_scalar else ""
        if word in PRIORITIES:
            return PRIORITIES[word]
        if isinstance(node.value, str):
            self.unlike(node, key, f"a whole number or one of {', '.join(PRIORITIES)}")
            return None
        return self.whole(node, key, -_LARGEST)

    def effect(self, node: Node, key: str) -> Effect | None:
        """What happens to the step when its process dies."""
        return self.choice(node, key, EFFECTS)

    def choice(self, node: Node, key: str, words: Collection[T]) -> T | None:
        """One of some words."""
        for word in words:
            if word == node.value:
                return word
        self.unlike(node, key, " or ".join(str(word) for word in words))
        return None

    def duration_ms(self, node: Node, key: str) -> int | None:
        """A span of time in milliseconds."""
        if node.is_scalar and node.value is not None:
            return self._accepted(node, lambda: parse_duration_ms(node.value, key))
        self.unlike(node, key, "a number of seconds or a text like 90s")
        return None

    def duration_s(self, node: Node, key: str) -> int | None:
        """A span of time in whole seconds."""
        ms = self.duration_ms(node, key)
        if ms is None or ms % 1_000 == 0:
            return None if ms is None else ms // 1_000
        self.unlike(node, key, "whole seconds")
        return None

    def _accepted(self, node: Node, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except BadInput as error:
            self.fault(node, error.message)
            return None

    # ----------------------------------------------------------------------------------------------- lists and mappings

    def run(self, node: Node, key: str) -> tuple[str, ...] | None:
        """An argument list."""
        arguments = [self.argument(one, f"an argument of {key}") for one in node.items or ()]
        if None in arguments:
            return None
        return tuple(one for one in arguments if one is not None)

    def shell_line(self, node: Node, key: str, *, allowed: bool) -> str | None:
        """One text, which a shell reads."""
        line = self.argument(node, key) if node.is_scalar and node.value is not None else None
        if line is None:
            self.unlike(node, key, "a list of arguments")
            return None
        if not allowed:
            self.fault(node, f"expected run to be a list of arguments, got: one text; {_as_arguments(line)}")
            return None
        return line

    def env(self, node: Node, key: str) -> dict[str, str] | None:
        """Environment variables."""
        found = self._mapping(node, key, self.argument)
        for name in found or ():
            if not _VARIABLE.fullmatch(name):
                self.fault(node.keys[name], f"expected a variable's name, A-Z a-z 0-9 _, got: {shown(name)}")
        return found

    def labels(self, node: Node, key: str) -> tuple[str, ...] | None:
        """A list of names; one that is said twice is one."""
        if node.items is None:
            self.unlike(node, key, "a list of names")
            return None
        found = [self.name(one, f"a name in {key}") for one in node.items]
        return tuple(dict.fromkeys(name for name in found if name is not None))

    def limits(self, node: Node, key: str) -> dict[str, int] | None:
        """Limits by name."""
        return self._mapping(node, key, self.whole)

    def resources(self, node: Node, key: str) -> dict[str, float] | None:
        """Amounts by name."""
        return self._mapping(node, key, self.amount)

    def _mapping(self, node: Node, key: str, read: Callable[[Node, str], T | None]) -> dict[str, T] | None:
        if node.members is None:
            self.unlike(node, key, "a mapping")
            return None
        found = {name: read(one, f"{key}.{name}") for name, one in node.members.items()}
        return {name: value for name, value in found.items() if value is not None}

    def retries(self, node: Node, key: str) -> RetryPolicy | None:
        """How many times, or a mapping that says more."""
        if node.members is None:
            times = self.whole(node, key, 0)
            return None if times is None else RetryPolicy(max_retries=times)
        values = {name: self._of_policy(name, one) for name, one in node.members.items()}
        try:
            return RetryPolicy.from_dict(values)
        except BadInput:
            self._name_faults(node, values)
            return None

    def _of_policy(self, name: str, node: Node) -> object:
        """One value of a policy; a span of time as seconds, where it can be read as one."""
        value = node.to_json()
        if name not in _DURATIONS or not isinstance(value, str):
            return value
        try:
            return parse_duration_ms(value) / 1_000
        except BadInput:
            return value

    def _name_faults(self, policy: Node, values: Mapping[str, object]) -> None:
        """Look at each value alone, so that its own place is named."""
        for name, node in (policy.members or {}).items():
            if name not in RETRY_KEYS:
                self.unknown_key(policy, name, RETRY_KEYS)
                continue
            try:
                RetryPolicy.from_dict({name: values[name]}, where="retries")
            except BadInput as error:
                advice = ", or a text like 500ms" if name in _DURATIONS else ""
                self.fault(node, error.details[0].replace(", got:", f"{advice}, got:", 1))

    def needs(self, node: Node, key: str) -> tuple[Need, ...] | None:
        """One step, or a list of steps."""
        found = [self._need(one, key) for one in (node.items if node.items is not None else [node])]
        return tuple(need for need in found if need is not None)

    def _need(self, node: Node, key: str) -> Need | None:
        if node.members is None:
            step = self.text(node, f"a step in {key}")
            return None if step is None else Need(step)
        for name in node.members:
            if name not in ("step", "optional"):
                self.unknown_key(node, name, ("step", "optional"))
        if "step" not in node.members:
            self.fault(node, f"expected {key} to name a step, got: a mapping without step{_unquoted(node)}")
            return None
        step = self.text(node.members["step"], "step")
        optional = self.flag(node.members["optional"], "optional") if "optional" in node.members else False
        return None if step is None else Need(step, optional=bool(optional))

    def arguments(self, node: Node, key: str) -> dict[str, object] | None:
        """What parameters are given, by name."""
        if node.members is None:
            self.unlike(node, key, "a mapping of parameters to values")
            return None
        return {name: member.to_json() for name, member in node.members.items()}

    def for_each(self, node: Node, key: str) -> tuple[object, ...] | str | None:
        """A list, or the path of one."""
        if node.items is not None:
            return tuple(one.to_json() for one in node.items)
        if not isinstance(node.value, str):
            self.unlike(node, key, 'a list, or the path of one: "{fetch.items}"')
            return None
        try:
            pieces = Template.parse(node.text).pieces
        except BadExpression as error:
            self.faults.append(Fault(*self.source.place_of(node, error.offset), error.what))
            return None
        if len(pieces) == 1 and isinstance(only := pieces[0], Mention):
            return str(only.path)
        self.unlike(node, key, 'a list, or one path in braces: "{fetch.items}"')
        return None


def _got(node: Node) -> str:
    if node.items is not None:
        return "a list"
    if node.members is not None:
        return "a mapping"
    if node.value is None:
        return "nothing" if not node.text else node.text
    return shown(json.dumps(node.text, ensure_ascii=False)) if node.style == "quoted" else shown(node.text)


def _unquoted(node: Node) -> str:
    """Advice on `{fetch.items}` without quotes, which is a mapping for YAML."""
    members = node.members or {}
    if node.style != "flow" or len(members) != 1:
        return ""
    name, value = next(iter(members.items()))
    return f'; write it with quotes: "{{{name}}}"' if value.value is None and not value.text else ""


def _as_arguments(line: str) -> str:
    try:
        arguments = shlex.split(line)
    except ValueError:
        arguments = []
    plain = arguments and len(line) <= 80 and not re.search(r"[|&;<>$`*?~\n]", line)
    written = f"write {json.dumps(arguments, ensure_ascii=False)}, or add" if plain else "add"
    return f"{written} shell: true to have a shell read it"
