"""What a server that asks for passwords refuses: one line that says what is wrong, one that says what to do, exit 6."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.cli.conftest import Call
from tests.postgres import Server

RULES = "local all postgres trust\nlocal all all scram-sha-256\n"


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server that asks everybody but its superuser for a password: ann owns a schema of `work`, bob owns none."""
    server = Server(["password_encryption=scram-sha-256"])
    try:
        (server.data / "pg_hba.conf").write_text(RULES, "utf-8")
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as boss:
            boss.execute("CREATE ROLE ann LOGIN PASSWORD 'r1ght'")
            boss.execute("CREATE ROLE bob LOGIN PASSWORD 'r1ght'")
            boss.execute("CREATE DATABASE work")
        with psycopg.connect(server.url("work"), autocommit=True) as boss:
            boss.execute("CREATE SCHEMA tasktrail AUTHORIZATION ann")
        yield server
    finally:
        server.close()


REFUSED = [
    ("ann:wr0ng", "work", "", 'cannot be reached: .*password authentication failed for user "ann"', "password"),
    ("ann", "work", "", "cannot be reached: .*(no password supplied|password authentication failed)", "password"),
    ("eve:r1ght", "work", "", 'cannot be reached: .*password authentication failed for user "eve"', "password"),
    ("ann:r1ght", "nowhere", "", 'cannot be reached: .*database "nowhere" does not exist', "check host"),
    ("bob:r1ght", "work", "&schema=bobs", "refuses: permission denied for database work", "GRANT CREATE ON DATABASE"),
    ("bob:r1ght", "work", "", "refuses: permission denied for schema tasktrail", "GRANT"),
]


@pytest.mark.parametrize(("user", "database", "more", "words", "to_do"), REFUSED)
def test_what_a_server_refuses_is_one_line_and_exit_6(
    strict: Server, call: Call, user: str, database: str, more: str, words: str, to_do: str
) -> None:
    Path("flow.yaml").write_text('name: flow\nsteps:\n  - {id: a, run: ["true"]}\n', "utf-8")
    url = f"postgresql://{user}@/{database}?host={strict.folder}{more}"

    answer = call("--store", url, "run", "dag", "flow.yaml")

    error, hint = answer.err.splitlines()
    assert answer.code == 6
    assert re.match(f"error: postgresql://.*/{database}.* {words}", error), error
    assert hint.startswith("hint: ")
    assert to_do in hint
    assert "r1ght" not in answer.err
    assert "wr0ng" not in answer.err


def test_who_has_the_password_and_the_right_is_let_in(strict: Server, call: Call) -> None:
    Path("flow.yaml").write_text('name: flow\nsteps:\n  - {id: a, run: ["true"]}\n', "utf-8")

    assert call("--store", f"postgresql://ann:r1ght@/work?host={strict.folder}", "run", "dag", "flow.yaml").code == 0


def test_another_kind_of_pooler_is_one_line_and_exit_6(call: Call) -> None:
    answer = call("--store", "postgresql://db/work?pooler=statement", "list-runs")

    assert answer.code == 6
    assert answer.err == (
        "error: expected pooler in the URL of a PostgreSQL database to be transaction\n"
        "hint: leave pooler out where each connection keeps its session (PgBouncer: pool_mode = session)\n"
    )
