"""The named queries: all used, all explained, none made from text."""

from __future__ import annotations

import ast
import doctest
import re
from pathlib import Path

import pytest

import tasktrail
from tasktrail.store import queries as module
from tasktrail.store.queries import COMMON, parse, queries

PACKAGE = Path(tasktrail.__path__[0])
FOLDER = PACKAGE / "store" / "sql"
FILES = sorted(FOLDER.glob("*.sql"))
NAMED = queries("sqlite")
NOT_SELF_EVIDENT = re.compile(r"JOIN|UNION|\(SELECT|json_each|coalesce|CASE|min\(|max\(|WITH ", re.IGNORECASE)


def blocks(path: Path) -> dict[str, str]:
    """Return name and text, with comments, of every query of a file."""
    parts = re.split(r"^-- name: (\w+)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def words_of_the_package() -> set[str]:
    """Return every string constant in our code, and every fragment that a query includes."""
    used: set[str] = set()
    for path in [*PACKAGE.rglob("*.py")]:
        if path.parent.name == "testing":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    for path in FILES:
        used.update(re.findall(r"\{(\w+)\}", path.read_text(encoding="utf-8")))
    return used


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(module).failed == 0


def test_every_query_is_used() -> None:
    assert sorted(set(NAMED) - words_of_the_package()) == []


def test_no_name_is_given_twice() -> None:
    """What all databases have in common is in several files."""
    own = [[path] for path in FILES if path.stem not in COMMON]
    for paths in (*own, [path for path in FILES if path.stem in COMMON]):
        texts = (path.read_text(encoding="utf-8") for path in paths)
        names = [name for text in texts for name in re.findall(r"^-- name: (\w+)$", text, re.MULTILINE)]
        assert len(names) == len(set(names)), paths


def test_a_query_that_is_not_self_evident_has_a_sentence_above() -> None:
    silent = []
    for path in FILES:
        for name, text in blocks(path).items():
            comment = " ".join(line[3:] for line in text.splitlines() if line.startswith("-- "))
            if NOT_SELF_EVIDENT.search(parse(f"-- name: x\n{text}")["x"]) and not comment:
                silent.append(name)
            assert not comment or comment.endswith("."), f"{name}: a comment is a sentence"
    assert silent == []


def test_an_override_says_why_it_differs() -> None:
    for path in FILES:
        for name, text in blocks(path).items() if path.stem not in COMMON else ():
            # What other databases have no word for at all says so in the same way.
            assert text.startswith("-- Differs because "), f"{path.name}: {name}"


def test_parameters_are_named_and_keywords_are_in_capitals() -> None:
    for name, text in NAMED.items():
        bare = re.sub(r"'[^']*'|:\w+", "", text)
        assert "?" not in bare, name
        assert not re.search(r"\b(select|from|where|update|set|insert|into|values|join|order by|limit)\b", bare), name
        assert ";" not in bare, name


def test_only_one_query_sets_a_tasks_status() -> None:
    assigned = {name: text.split("WHERE")[0] for name, text in NAMED.items() if text.startswith("UPDATE task\n")}

    assert [name for name, text in assigned.items() if re.search(r"\bstatus =", text)] == ["move_task"]


def test_no_query_changes_or_moves_an_event() -> None:
    assert [name for name, text in NAMED.items() if re.search(r"(UPDATE|REPLACE INTO) event\b", text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("-- a comment\nSELECT 1\n", {}),
        ("-- name: a\nSELECT 1\n\n-- name: b\n-- Why.\nSELECT 2\nFROM t\n", {"a": "SELECT 1", "b": "SELECT 2\nFROM t"}),
    ],
)
def test_parse(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


def test_a_fragment_is_put_where_its_name_stands() -> None:
    assert NAMED["task_by_id"].startswith("SELECT id, run_id, key, item,")
    assert not [name for name, text in NAMED.items() if "{" in text]


def test_a_databases_own_query_takes_the_place_of_the_common_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    for common in COMMON:
        (folder / f"{common}.sql").touch()
    (folder / "queries.sql").write_text("-- name: cols\na, b\n\n-- name: one\nSELECT {cols} FROM t\n")
    (folder / "executions.sql").write_text("-- name: two\nSELECT 2\n")
    (folder / "other.sql").write_text("-- name: one\n-- Differs because it must.\nSELECT {cols} FROM u\n")
    monkeypatch.setattr(module, "SQL_FOLDER", folder)

    assert queries.__wrapped__("other") == {"cols": "a, b", "one": "SELECT a, b FROM u", "two": "SELECT 2"}
