"""The generated reference: it names every command, setting, error, verb, public name, table, and their meanings."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import pytest

import tasktrail.dag
import tasktrail.plan
import tasktrail.testing
from docs import markdown, parts, parts_api, parts_schema
from tasktrail.cli.app import ALIASES, COMMANDS
from tasktrail.cli.errors import EXIT_CODES, MEANINGS
from tasktrail.config import SETTINGS, files
from tasktrail.engine import failures
from tasktrail.engine.context import StepContext
from tasktrail.formats import picture
from tasktrail.model import reference, retry
from tasktrail.model.lifecycle import RULES
from tasktrail.model.task import OUTCOMES, STATUSES
from tasktrail.store import described, places
from tasktrail.store.sqlite import SqliteStore

SOURCE = Path(parts_api.__file__).parent.parent / "src" / "tasktrail"
TABLES = described.schema()


def cells(table: str) -> list[list[str]]:
    """The rows of a Markdown table, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def first_words(table: str) -> list[str]:
    return [row[0].strip("`") for row in cells(table)]


# commands


def test_every_command_has_its_section():
    text = parts.commands()

    assert {name for name in COMMANDS if f"\n## tasktrail {name}" not in f"\n{text}"} == set()


def test_every_shown_option_of_every_command_is_listed_with_its_meaning():
    silent = [
        f"{context.command_path} {row[0]}"
        for one, context in parts.all_commands()
        for row in cells(parts._command(one, context))
        if not row[1]
    ]

    assert silent == []


def test_every_alias_is_listed():
    assert first_words(parts.aliases()) == list(ALIASES)


def test_every_exit_code_is_explained_with_its_errors():
    rows = cells(parts.exit_codes())

    assert [int(row[0]) for row in rows] == list(MEANINGS)
    assert {word for row in rows for word in re.findall(r"`(\w+)`", row[2])} == set(EXIT_CODES)


# settings and errors


def test_every_setting_has_a_row():
    assert first_words(parts.settings()) == [setting.name for setting in SETTINGS]


def test_every_setting_is_a_global_option():
    assert {setting.flag for setting in SETTINGS if setting.flag} <= {
        word.split()[0] for word in first_words(parts.global_options())
    }


def test_every_error_class_has_a_row_with_its_exit_code():
    rows = cells(parts.error_table())

    assert len(rows) == len(parts.error_classes()) > 10
    assert all(row[1].strip("`") in EXIT_CODES and row[4] for row in rows)


# states and events


def test_every_verb_is_in_the_table_and_in_the_list_of_events():
    assert first_words(parts.verbs()) == list(RULES)
    assert set(RULES) <= set(first_words(parts.events()))


def test_the_diagram_has_each_move_of_the_table_once():
    moves = sum(len(rule.sources) for rule in RULES.values() if rule.target)
    edges = [line.partition(": ")[2] for line in parts.state_diagram().splitlines() if ": " in line]

    assert sum(len(words.split(", ")) for words in edges) == moves


def test_every_status_is_in_the_tables_of_verbs_and_routes():
    assert first_words(parts.allowed()) == list(STATUSES)
    assert first_words(parts.routes()) == list(STATUSES)
    assert first_words(parts.outcomes()) == list(OUTCOMES)


def test_every_event_that_the_code_records_is_described():
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    recorded = set(re.findall(r'record_(?:run\(\s*[\w.]+,|alone\()\s*"(\w+)"', code))
    recorded |= set(re.findall(r'_judge\(ledger, text, "(\w+)"', code))
    recorded |= set(re.findall(r'^[A-Z]+: Final = "(\w+)"$', (SOURCE / "engine/removals.py").read_text(), re.MULTILINE))
    assert recorded == {*parts.RUN_EVENTS, *parts.TASK_EVENTS, *parts.OTHER_EVENTS}


# the Python names


@pytest.mark.parametrize(
    ("module", "part"),
    [(tasktrail.dag, parts_api.dag), (tasktrail.plan, parts_api.plan), (tasktrail.testing, parts_api.testing)],
    ids=["dag", "plan", "testing"],
)
def test_every_public_name_has_its_section(module, part):
    assert {name for name in module.__all__ if f"\n## {name}\n" not in f"\n{part()}"} == set()


def test_everything_a_context_offers_is_listed():
    offered = [name for name in vars(StepContext) if not name.startswith("_")]

    assert {name for name in offered if f"- `{name}" not in parts_api.context()} == set()


def test_every_public_method_says_what_it_does():
    rooms = (tasktrail.dag, tasktrail.plan)
    classes = [value for room in rooms for name in room.__all__ if isinstance(value := getattr(room, name), type)]
    silent = [
        f"{one.__name__}.{name}"
        for one in classes
        if not issubclass(one, Enum)
        for name, what in vars(one).items()
        if not name.startswith("_") and (callable(what) or isinstance(what, property)) and not what.__doc__
    ]

    assert silent == []


def test_a_signature_is_written_as_in_the_source():
    def work(first: int, *rest: str, size_s: float = 1.0, strategy=None) -> None: ...

    assert parts_api._signature(work) == "(first: int, *rest: str, size_s: float = 1.0, strategy=None)"


def test_keyword_only_parameters_stand_behind_a_star():
    def work(first: int, *, last: bool = False) -> int:
        return first + last

    assert parts_api._signature(work) == "(first: int, *, last: bool = False) -> int"


def test_a_docstring_becomes_paragraphs_lists_and_examples():
    args = "Args:\n        a, b: First\n            and second."

    assert markdown.docstring(f"Do it.\n\n    {args}\n\n    Returns: A word.\n\n    >>> 1 + 1\n    2\n") == (
        "Do it.\n\n**Args**\n\n- `a`, `b`: First and second.\n\n**Returns:** A word.\n\n```pycon\n>>> 1 + 1\n2\n```"
    )


# the schema


def test_every_table_and_column_of_a_real_store_is_described():
    store = SqliteStore(None)
    query = (
        "SELECT m.name, c.name, c.type FROM sqlite_schema AS m, pragma_table_info(m.name) AS c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    )
    real = {tuple(row) for row in store._connection().execute(query)}

    assert real == {(one.name, column.name, column.type) for one in TABLES for column in one.columns}


def test_every_table_says_what_it_is():
    assert [one.name for one in TABLES if not one.comment] == []


def test_every_column_has_a_meaning():
    nameless = [(one.name, c.name) for one in TABLES for c in one.columns if not parts_schema._meaning(one, c)]

    assert nameless == []


def test_every_text_column_says_how_it_is_kept():
    kept = {c.kept for one in TABLES for c in one.columns if c.type == "TEXT"}

    assert kept == {"text", "data", "exact"}


def test_no_meaning_is_left_of_a_column_that_is_gone():
    columns = {name for one in TABLES for c in one.columns for name in (f"{one.name}.{c.name}", c.name)}

    assert parts_schema.MEANINGS.keys() - columns == set()


def test_the_diagram_names_each_reference():
    foreign_keys = [(c.target, one.name) for one in TABLES for c in one.columns if c.target]
    lines = parts_schema.diagram().splitlines()

    assert sum("||--o{" in line for line in lines) == len(foreign_keys)
    assert sum("||..o{" in line for line in lines) == len(parts_schema.LOOSE)


# the figures that a page states by hand


def test_the_sizes_on_the_page_of_limits_are_those_of_the_code():
    page = (Path(parts_api.__file__).parent / "limits.md").read_text(encoding="utf-8")
    said = {row[0]: row[1] for row in cells(page[page.index("| what | limit |") : page.index("A run file is written")])}

    assert said == {
        "tasks of a run, a plan or a matrix that has a file": f"{picture.MAX_TASKS:,}",
        "a run file": f"{places.MAX_BYTES // 2**20} MiB",
        "a settings file": f"{files._MAX_FILE_BYTES // 2**10} KiB",
        "a run id": "128 characters",
        "a step id": f"{reference.MAX_KEY_CHARS} characters",
        "an error message that is kept": f"{failures.LONGEST[1]:,} characters, the middle left out",
        "a stack that is kept": f"{failures.LONGEST[2]:,} characters, the middle left out",
        "a wait between tries": (
            f"{retry.LONGEST_DELAY_S / 86_400:g} days; by `Retry-After` {retry.LONGEST_RETRY_AFTER_S / 86_400:g} day"
        ),
    }
    assert "{0,127}" in reference.RUN_ID.pattern
