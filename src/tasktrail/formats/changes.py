"""Changes of a document of JSON values, whatever it is written in: which there are, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

__all__ = ["REMOVE", "Change", "Path", "Want", "adds", "apply", "assembled", "difference", "misfit", "same", "wanted"]

Path = tuple[str | int, ...]
"""Keys and list indexes, from the outermost value inwards; () is the whole document."""


class _Remove(Enum):
    REMOVE = "remove"


REMOVE: Final = _Remove.REMOVE
"""As the value of a change: the key goes, or the place in its list."""

Change = tuple[Path, object]

# ------------------------------------------------------------------------------------------------------------ comparing


def same(old: object, new: object) -> bool:
    """Whether two JSON values are equal: 1, 1.0 and true are three values; the order of keys does not matter."""
    if type(old) is not type(new):
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    # The text tells 0.0 from -0.0, which are equal.
    return repr(old) == repr(new) if isinstance(old, float) else old == new


def difference(old: object, new: object, path: Path = ()) -> list[Change]:
    """Return the smallest changes that make `new` of `old`, for `edit`; empty when they are the same.

    >>> difference({"a": 1, "b": [1, 2]}, {"b": [1, 3], "c": 0})
    [(('a',), <_Remove.REMOVE: 'remove'>), (('b', 1), 3), (('c',), 0)]
    """
    if isinstance(old, dict) and isinstance(new, dict):
        changes: list[Change] = [((*path, key), REMOVE) for key in old if key not in new]
        for key, value in new.items():
            changes += difference(old[key], value, (*path, key)) if key in old else [((*path, key), value)]
        return changes
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [change for at, (before, after) in pairs for change in difference(before, after, (*path, at))]
    return [] if same(old, new) else [(path, new)]


# ------------------------------------------------------------------------------------------------------------- applying


def apply(document: object, changes: Sequence[Change]) -> object:
    """Make the changes in a loaded document itself, and return it: what the edited text says, without reading it."""
    return _applied(document, wanted(changes)) if changes else document


def _applied(value: object, want: Want) -> object:
    if not want.inner:
        return value if same(value, want.value) else want.value
    if value is None:
        return assembled(want) if adds(want) else None
    if isinstance(value, list):
        return _applied_list(value, want.inner)
    assert isinstance(value, dict), "edit refuses other paths"
    for key, inner in want.inner.items():
        if inner.value is REMOVE:
            value.pop(key, None)
        elif key in value:
            value[key] = _applied(value[key], inner)
        elif adds(inner):
            value[key] = assembled(inner)
    return value


def _applied_list(items: list[object], wants: dict[str | int, Want]) -> list[object]:
    kept = [
        _applied(item, wants[at]) if at in wants else item
        for at, item in enumerate(items)
        if at not in wants or wants[at].value is not REMOVE
    ]
    return kept + [assembled(inner) for at, inner in wants.items() if int(at) >= len(items) and adds(inner)]


# ------------------------------------------------------------------------------------------------------ what is wanted


@dataclass(slots=True)
class Want:
    """What is wanted at one place of the document: a value, or something further in."""

    inner: dict[str | int, Want] = field(default_factory=dict)
    value: object = None


def wanted(changes: Iterable[Change]) -> Want:
    """Return the tree of what the changes want."""
    root = Want()
    for path, value in changes:
        want = root
        for key in path:
            want = want.inner.setdefault(key, Want())
        want.value = value
    return root


def adds(want: Want) -> bool:
    """Whether anything is wanted here that could be missing."""
    return any(map(adds, want.inner.values())) if want.inner else want.value is not REMOVE


def assembled(want: Want) -> object:
    """Return the value of something that is missing, put together from what is wanted inside it."""
    if not want.inner:
        return want.value
    if all(isinstance(key, int) for key in want.inner):
        return [assembled(inner) for inner in want.inner.values()]
    return {key: assembled(inner) for key, inner in want.inner.items() if adds(inner)}


def misfit(want: Want, size: int, *, is_list: bool) -> str | None:
    """Return what else would have to stand here, for what is wanted inside; None when a container of this size does."""
    if not is_list:
        return None if all(isinstance(key, str) for key in want.inner) else "expected a list here"
    indexes = sorted(key for key in want.inner if isinstance(key, int) and key >= 0)
    if len(indexes) != len(want.inner):
        return "expected an object here"
    more = [at for at in indexes if at >= size]
    return f"expected a list of more than {size} here" if more != [*range(size, size + len(more))] else None
