"""`sql`: one statement that reads, its answer as a table, JSON or CSV."""

from __future__ import annotations

import io
import signal
from pathlib import Path

import pytest

from tasktrail.engine.project import open_project
from tasktrail.store.queries import probes
from tests.cli.conftest import Call
from tests.recordings import told


def test_values_are_shown_exactly(call: Call):
    statement = (
        """SELECT 1 AS one, -0.1 AS "tenth", 'a\x1b[31m' || char(10) AS text, NULL AS missing, x'00ff' AS bytes"""
    )

    assert call("sql", statement).out == (
        "one  tenth  text           missing  bytes\n1    -0.1   a\\x1b[31m\\x0a  NULL     x'00ff'\n"
    )
    assert call("sql", "SELECT 9223372036854775807, 1e999, 'ü', x'00', NULL", "--json").data == {
        "columns": ["9223372036854775807", "1e999", "'ü'", "x'00'", "NULL"],
        "rows": [[9223372036854775807, "inf", "ü", "x'00'", None]],
        "more": False,
    }
    assert call("sql", "SELECT 'a,b' AS a, NULL AS b, x'00' AS c", "--csv").out == "a,b,c\n\"a,b\",,x'00'\n"


def test_it_asks_the_projects_store_and_makes_none(call: Call, tmp_path: Path):
    assert call("sql", "SELECT count(*) AS n FROM executions").out == "n\n0\n"
    assert list(tmp_path.iterdir()) == []

    told(open_project(), "sync")

    assert call("sql", "SELECT task_id, status FROM executions").out == "task_id  status\nsync     success\n"


def test_no_more_rows_are_shown_than_are_wanted_and_that_is_said(call: Call):
    answer = call("sql", "VALUES (1), (2), (3)", "--limit", "2")

    assert (answer.out.splitlines()[1:], answer.err) == (["1", "2"], "2 rows of more: --limit N shows N\n")
    assert call("sql", "VALUES (1), (2)", "--limit", "2").err == ""


def test_a_statement_comes_from_stdin(call: Call, monkeypatch: pytest.MonkeyPatch):
    for arguments in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 7 AS n -- days\n;\n"))
        assert call("sql", *arguments).out == "n\n7\n"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM task", "error: the store is only read here: DELETE is refused; nothing was changed\nhint: "),
        ("WITH a AS (SELECT 1) DELETE FROM task", "error: the store is only read here: DELETE task is refused"),
        ("SELECT 1; SELECT 2", "error: expected one statement, got several\n"),
        ("SELECT frm\nFROM wher WHERE", "error: incomplete input\n"),
        ("SELECT 1,\n  frm", "error: line 2, column 3: no such column: frm\n    frm\n      ^\n"),
        ("", "error: expected a statement in SQL, got nothing\n"),
    ],
)
def test_what_is_refused_is_told_with_its_place(call: Call, statement: str, words: str):
    told(open_project(), "sync")

    answer = call("sql", statement)

    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


_ENDLESS = "WITH RECURSIVE a (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT count(*) FROM a"


def test_a_statement_ends_with_its_time(call: Call):
    answer = call("sql", _ENDLESS, "--timeout", "0.2")

    assert (answer.code, answer.err.splitlines()[0]) == (1, "error: the statement was stopped after 0.2 s")


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1"])
def test_a_time_that_is_none_is_refused(call: Call, seconds: str):
    answer = call("sql", "SELECT 1", f"--timeout={seconds}")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: invalid value for --timeout: {float(seconds)} is ")


def test_ctrl_c_stops_a_statement(call: Call):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        answer = call("sql", _ENDLESS, "--timeout", "60")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert (answer.code, answer.err) == (130, "\nerror: interrupted\n")


def test_the_probes_are_printed(call: Call):
    assert call("sql", "--probes").out == probes()
    assert call("sql", "--probes", "SELECT 1").code == 2
    assert call("sql", "SELECT 1", "--csv", "--json").code == 2
