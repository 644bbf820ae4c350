"""What a step of a workflow will give: named while the workflow is drawn, known only when it runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn

from tasktrail.engine.values import json_text
from tasktrail.model.errors import BadInput
from tasktrail.model.path import NAME, ValuePath

_PART: Final = re.compile(rf"{NAME}|[0-9]+")


class Node:
    """What a step of a workflow will give, or a part of it: `node["items"]`. Nothing can look at it while drawing."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __getitem__(self, key: object) -> Node:
        if isinstance(key, str | int) and _PART.fullmatch(str(key)):
            return Node(f"{self.path}.{key}")
        raise BadInput(
            f"expected a part of {self.path} to be a plain name or an index from 0, got: {key!r:.80}",
            hint="let a step take it apart",
        )

    def __repr__(self) -> str:
        return f"Node({self.path!r})"

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self.path} has no attribute {name}; a part of it is written [{name!r}]")

    def _refuse(self, what: str, hint: str) -> NoReturn:
        raise BadInput(f"{self.path} is known only when the workflow runs, so nothing can {what} here", hint=hint)

    def _iterated(self, *_: object) -> NoReturn:
        self._refuse("go over it", "STEP.map(that_list) does a step once for each item")

    def _decided(self, *_: object) -> NoReturn:
        self._refuse("be decided by it", 'STEP.options(when="...") skips a step')

    def _written(self, *_: object) -> NoReturn:
        self._refuse("be written of it", "give it to a step, which makes the text")

    __iter__ = __len__ = __contains__ = _iterated
    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _decided
    __str__ = __format__ = _written
    __hash__ = object.__hash__

    @property
    def step_id(self) -> str:
        """The step that it comes from."""
        return self.path.partition(".")[0]


def nodes_in(value: object) -> Iterator[Node]:
    """Yield the nodes in a value."""
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from nodes_in(one)
    elif isinstance(value, dict):
        yield from nodes_in(list(value.values()))


def written(value: object) -> object:
    """Return an argument as the plan holds it: nodes are paths in braces.

    Raises:
        BadInput: A node is the key of a dictionary.
    """
    if isinstance(value, Node):
        return f"{{{value.path}}}"
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list | tuple):
        return [written(one) for one in value]
    if isinstance(value, dict):
        return {_key(key): written(one) for key, one in value.items()}
    return value


def plain(value: object, what: str) -> Any:
    """Return a value as it is read again from the plan.

    Raises:
        BadInput: It is no JSON.
    """
    return json.loads(json_text(value, what))


def _key(key: object) -> object:
    if isinstance(key, Node):
        raise BadInput(f"{key.path} is known only when the workflow runs, so it cannot be the key of a dictionary")
    return key


def resolved(value: object, results: Mapping[str, object]) -> Any:
    """Return a value with results in place of nodes; of a step that gave nothing, None.

    Raises:
        BadInput: A node names a part that the result does not have.
    """
    if isinstance(value, Node):
        return None if results.get(value.step_id) is None else ValuePath.parse(value.path).value_in(results)
    if isinstance(value, list | tuple):
        return [resolved(one, results) for one in value]
    if isinstance(value, dict):
        return {key: resolved(one, results) for key, one in value.items()}
    return value
