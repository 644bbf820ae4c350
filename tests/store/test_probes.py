"""The file of probes: what plain SQLite and PostgreSQL answer to it, and that it asks the public views alone."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.store.opening import open_store
from tasktrail.store.queries import probes
from tasktrail.store.seam import Store
from tasktrail.testing.fakes import FakeClock
from tests.postgres import Server
from tests.recordings import executed, told

EXPECTED = """
by status|success|4
by status|failed|3
by task|sync|4|2026-01-01T00:00:09.000Z
by task|etl:step|3|2026-01-01T00:00:02.000Z
success rate|sync|2|2|50.0
success rate|etl:step|2|1|66.7
duration|sync|4|1750.0|1000|4000
duration|etl:step|3|1000.0|1000|1000
last failed|2026-01-01T00:00:09.000Z|sync|1|OSError|fp1:b|t3
last failed|2026-01-01T00:00:01.000Z|sync|1|OSError|fp1:a|t1
last failed|2026-01-01T00:00:00.000Z|monday:step|1|OSError|FP|TRACE
error pattern|sync|OSError|fp1:b|1|2026-01-01T00:00:09.000Z
error pattern|sync|OSError|fp1:a|1|2026-01-01T00:00:01.000Z
error pattern|etl:step|OSError|FP|1|2026-01-01T00:00:00.000Z
retried|TRACE|monday:step|2|success
retried|t1|sync|2|success
last|2026-01-01T00:00:09.000Z|sync|failed|1|1000
last|2026-01-01T00:00:05.000Z|sync|success|2|4000
last|2026-01-01T00:00:04.000Z|sync|success|1|1000
last|2026-01-01T00:00:02.000Z|tuesday:step|success|1|1000
last|2026-01-01T00:00:01.000Z|monday:step|success|2|1000
last|2026-01-01T00:00:01.000Z|sync|failed|1|1000
last|2026-01-01T00:00:00.000Z|monday:step|failed|1|1000
retrieval|sync|0.8|2
retrieval|etl:step|0.0|0
backfilled or live|backfilled|1
backfilled or live|live|6
""".strip().splitlines()
"""What `sqlite3` prints; FP and TRACE are drawn by the store."""


def fill(store: Store) -> None:
    clock = FakeClock()
    ledger = Ledger(store, actor="tester", clock=clock)
    executed(ledger, clock, "monday", "gone", "ok")
    executed(ledger, clock, "tuesday", "ok")
    told(ledger, "sync", 1, id="x1", trace_id="t1", failed="fp1:a", parents='["a","b"]')
    told(ledger, "sync", 5, id="x2", trace_id="t1", n=2, took_s=4, parents='["a"]')
    told(ledger, "sync", 4, id="x3", trace_id="t2", backfilled=1)
    told(ledger, "sync", 9, id="x4", trace_id="t3", failed="fp1:b", backfilled=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(open_store(str(tmp_path / "tasktrail.db"))) as store:
        fill(store)
    return tmp_path / "tasktrail.db"


def statements() -> list[str]:
    """Return the statements of the file without what is said of them."""
    bare = re.sub(r"^--.*\n", "", probes(), flags=re.MULTILINE)
    return [text.strip() for text in bare.split(";") if text.strip()]


def printed(rows: Iterable[Iterable[object]]) -> list[str]:
    """Return rows as `sqlite3` prints them."""
    return ["|".join("" if cell is None else str(cell) for cell in row) for row in rows]


def known(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield re.sub(r"\b[0-9a-f]{32}\b", "TRACE", re.sub(r"fp1:[0-9a-f]{16}", "FP", line))


@pytest.mark.requirement("AX-079", "AX-080", "AX-081", "AX-082", "AX-083", "AX-084", "AX-085", "AX-086")
def test_pythons_own_sqlite_answers_the_probes(file: Path):
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        rows = [row for text in statements() for row in connection.execute(text)]

    assert list(known(printed(rows))) == EXPECTED


@pytest.mark.requirement("AX-086")
@pytest.mark.platform_only("the program sqlite3; Python's own is asked everywhere")
def test_plain_sqlite3_answers_the_file_as_it_is(file: Path):
    if shutil.which("sqlite3") is None:
        pytest.skip("there is no sqlite3")
    command = ["sqlite3", "-readonly", str(file)]
    done = subprocess.run(command, input=probes(), capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert list(known(done.stdout.splitlines())) == EXPECTED


def test_postgresql_answers_the_same(server: Server):
    with server.schema() as url:
        with closing(open_store(url)) as store:
            fill(store)
        schema = url.rpartition("schema=")[2]
        with psycopg.connect(server.url()) as connection:
            connection.execute(f"SET search_path = {schema}".encode())
            rows = [row for text in statements() for row in connection.execute(text.encode()).fetchall()]

    assert list(known(printed(rows))) == EXPECTED


def test_the_probes_ask_the_public_views_alone():
    assert set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", probes())) <= {"executions", "errors"}
    assert len(statements()) == 10


def test_the_store_answers_them_too(file: Path):
    with closing(open_store(str(file))) as store:
        rows = [row for text in statements() for row in store.ask(text, most=100, timeout_s=60).rows]

    assert list(known(printed(rows))) == EXPECTED
