"""Lists of items that a matrix is to have: names one per line, JSON, YAML or CSV, of one group or of many."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Literal

from tasktrail.formats.yaml_load import Fault, Node, Source, load_node
from tasktrail.model.errors import BadInput

__all__ = ["ItemList", "load_items"]

Form = Literal["lines", "yaml", "csv"]
ItemRecord = dict[str, object]
"""`name`, and where they are said `content_hash` and attributes."""

_ENDINGS: Final[Mapping[str, Form]] = MappingProxyType(
    {".json": "yaml", ".yaml": "yaml", ".yml": "yaml", ".csv": "csv", ".txt": "lines"}
)
_NAME: Final = "name"
_REFUSED: Final = "is no list of items"


@dataclass(frozen=True, slots=True)
class ItemList:
    """What a file says.

    Args:
        items: Of a list that names no group; None where the file has groups.
        groups: Items by group.
    """

    items: list[ItemRecord] | None
    groups: Mapping[str, list[ItemRecord]]


def load_items(text: str, where: str) -> ItemList:
    """Return the items that a file lists.

    Args:
        where: The file's name: its ending says what it is; without a known one the text does.

    Raises:
        BadInput: It is none; the details name every fault with its line.
    """
    text = text.removeprefix("\ufeff")
    form = _ENDINGS.get(PurePath(where).suffix.lower()) or _form_of(text)
    if form == "yaml":
        return _of_nodes(text, where)
    read = _of_csv if form == "csv" else _of_lines
    return ItemList(list(read(text, where)), {})


def _form_of(text: str) -> Form:
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if first[:1] in ("[", "{") or first.startswith(("- ", "---")):
        return "yaml"
    return "csv" if first.partition(",")[0].strip() == _NAME else "lines"


def _of_lines(text: str, where: str) -> Iterator[ItemRecord]:  # noqa: ARG001 - as _of_csv
    return ({_NAME: line.strip()} for line in text.splitlines() if line.strip())


# CSV


def _of_csv(text: str, where: str) -> Iterator[ItemRecord]:
    """A column for each attribute; an empty cell says nothing."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = rows.fieldnames or ()
        if _NAME not in header:
            raise BadInput(f"{where}:1: expected a column {_NAME!r}, got: {', '.join(map(repr, header)) or 'nothing'}")
        for row in rows:
            yield _of_row(row, f"{where}:{rows.line_num}")
    except csv.Error as error:
        raise BadInput(f"{where}:{rows.line_num}: {error}") from None


def _of_row(row: Mapping[str | None, object], where: str) -> ItemRecord:
    if None in row:
        raise BadInput(f"{where}: expected as many cells as the header has, got: more")
    record: ItemRecord = {str(key): value for key, value in row.items() if value not in (None, "")}
    if _NAME not in record:
        raise BadInput(f"{where}: expected an item to have a name, got: none")
    return record


# JSON and YAML


def _of_nodes(text: str, where: str) -> ItemList:
    source, faults = Source(text, where), list[Fault]()
    root = load_node(source, faults)
    if root is None:
        raise source.refusal(faults, "cannot be read")
    found = _list(root, faults)
    if faults:
        raise source.refusal(faults, _REFUSED, 'a list of names, or of {"name": …}, or a mapping of groups to such')
    return found


def _list(root: Node, faults: list[Fault]) -> ItemList:
    if root.members is not None:
        return ItemList(None, {group: list(_items(node, faults)) for group, node in root.members.items()})
    return ItemList(list(_items(root, faults)), {})


def _items(node: Node, faults: list[Fault]) -> Iterator[ItemRecord]:
    if node.items is None:
        faults.append(Fault(node.line, node.column, "expected a list of items"))
    for one in node.items or ():
        name = one.members.get(_NAME) if one.members is not None else one
        if name is None or not name.is_scalar or name.value is None or not name.text.strip():
            faults.append(Fault(one.line, one.column, "expected an item to be a name or a mapping with a name"))
            continue
        said = {key: value.to_json() for key, value in (one.members or {}).items()}
        yield {**said, _NAME: name.text}
