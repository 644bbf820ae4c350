"""What every store answers to SQL of somebody: exactly what it holds, and never a write."""

from __future__ import annotations

import pytest

from tasktrail.model.errors import BadInput, TookTooLong
from tasktrail.model.run import Run
from tasktrail.store.seam import Store
from tasktrail.testing.stored import Stored, snapshot

_FOR_EVER = "WITH RECURSIVE a (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SELECT "


class AskingContract(Stored):
    """Tests of `ask`; part of `StoreContract`."""

    def test_values_are_answered_as_they_are_with_the_names_of_columns(self, store: Store) -> None:
        """A row limit cuts, and says so."""
        answered = store.ask("SELECT 1 AS a, 'ü' AS b, NULL AS c, 2.5 AS d", most=10, timeout_s=30)

        assert (answered.columns, [list(row) for row in answered.rows], answered.more) == (
            ["a", "b", "c", "d"], [[1, "ü", None, 2.5]], False,
        )  # fmt: skip

    def test_no_more_rows_are_answered_than_are_wanted(self, store: Store) -> None:
        """Of a statement without end, too."""
        answered = store.ask(f"{_FOR_EVER} n FROM a", most=3, timeout_s=30)

        assert ([row[0] for row in answered.rows], answered.more) == ([1, 2, 3], True)
        assert store.ask("SELECT 1 WHERE 1 = 0", most=3, timeout_s=30).rows == []
        assert not store.ask("VALUES (1), (2), (3)", most=3, timeout_s=30).more

    def test_public_views_and_tables_are_answered_from(self, store: Store, etl: Run) -> None:
        """As they stand after the last commit."""
        answered = store.ask("SELECT name, kind FROM run -- all\n;", most=10, timeout_s=30)

        assert [list(row) for row in answered.rows] == [[etl.name, "dag"]]
        assert store.ask("SELECT * FROM executions", most=1, timeout_s=30).columns[0] == "id"

    @pytest.mark.parametrize(
        "text",
        [
            "DELETE FROM task",
            "UPDATE task SET key = 'x'",
            "/* SELECT */ INSERT INTO reader (name) VALUES ('x')",
            "DROP TABLE task",
            "COMMIT",
            "WITH a AS (SELECT 1) DELETE FROM attempt",
            "EXPLAIN ANALYZE DELETE FROM task",
            "SELECT 1; DELETE FROM task",
            "SELECT 1; SELECT 2",
            "PRAGMA query_only = OFF",
            "ATTACH 'other.db' AS other",
            "SET default_transaction_read_only = off",
            "COPY task TO STDOUT",
            "DO $$ BEGIN DELETE FROM task; END $$",
            "SELECT load_extension('x')",
            "SELECT * FROM nowhere",
            "SELECT 1 +",
            "SELECT :name",
            "",
            " -- nothing\n;",
        ],
    )
    def test_what_does_more_than_read_or_is_not_understood_is_refused(self, store: Store, etl: Run, text: str) -> None:
        """Nothing is changed, and the store goes on."""
        before = snapshot(store, etl.id)

        with pytest.raises(BadInput):
            store.ask(text, most=10, timeout_s=30)

        assert snapshot(store, etl.id) == before
        assert store.ask("SELECT count(*) FROM task", most=1, timeout_s=30).rows[0][0] == 4
        store.write(lambda tx: tx.set_run(etl.id, paused=1))

    def test_an_error_names_its_place(self, store: Store) -> None:
        """Line and column, counted in characters, and a caret below."""
        with pytest.raises(BadInput, match="line 2, column 10: ") as refused:
            store.ask("SELECT 'ä'\n  AS ö,  wrong.column", most=1, timeout_s=30)

        assert refused.value.details == ("  AS ö,  wrong.column\n         ^",)

    def test_a_statement_that_takes_too_long_is_stopped(self, store: Store, etl: Run) -> None:
        """The store goes on afterwards."""
        with pytest.raises(TookTooLong, match="stopped after"):
            store.ask(f"{_FOR_EVER} count(*) FROM a", most=1, timeout_s=0.2)

        assert store.ask("SELECT count(*) FROM run", most=1, timeout_s=30).rows[0][0] == 1
        store.write(lambda tx: tx.set_run(etl.id, paused=1))
