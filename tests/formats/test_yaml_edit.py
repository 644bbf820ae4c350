"""YAML texts edited in place: they say what was wanted, and every line that no change touches is as it was."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasktrail.formats.changes import Change, Path, same
from tasktrail.formats.yaml_edit import REMOVE, apply, edit
from tasktrail.formats.yaml_load import load
from tasktrail.model.errors import BadInput
from tests.formats.yaml_texts import DOCUMENTS, KEYS, VALUES, printed

SEEDS = st.integers(0, 2**32)


def paths_of(value: object, path: Path = ()) -> list[Path]:
    """Return the paths of all values that stand in another one."""
    inner: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in inner for found in [(*path, key), *paths_of(item, (*path, key))]]


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


@st.composite
def documents_with_changes(draw: st.DrawFn) -> tuple[str, list[Change]]:
    """A text and changes of all kinds, none of which continues another one."""
    document = draw(DOCUMENTS)
    text = printed(document, random.Random(draw(SEEDS)))
    every = [(), *paths_of(document)]
    changes: list[Change] = []
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(every))
        value = at(document, path)
        kind = draw(st.sampled_from(["replace", "remove", "add", "add", "add deep"]))
        if kind.startswith("add") and (isinstance(value, dict | list) or value is None):
            path = (*path, len(value) if isinstance(value, list) else draw(KEYS))
            path = (*path, draw(KEYS)) if kind == "add deep" and path not in every else path
        if kind == "remove" and not path:
            continue
        if not any(path[: len(other)] == other[: len(path)] for other, _ in changes):
            changes.append((path, REMOVE if kind == "remove" else draw(VALUES)))
    return text, changes


@given(documents_with_changes())
def test_the_edited_text_says_what_was_wanted(case: tuple[str, list[Change]]):
    text, changes = case
    document = load(text, "x")
    expected = apply(deepcopy(document), changes)

    try:
        edited = edit(text, changes)
    except BadInput as refused:
        assert "question mark" in str(refused.details)  # noqa: PT017 - any other refusal is a failure
        return

    assert same(load(edited, "x"), expected), edited
    assert edited is not text or same(document, expected)
