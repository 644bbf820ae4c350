"""What document 001 says of the database itself: its log, its indexes, and what an older one becomes."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tasktrail.executions import RawStore, RawStoreError
from tasktrail.model.errors import BadInput
from tasktrail.store import migrate
from tasktrail.store.sqlite import SqliteStore
from tests.executions.told import told

FIRST_VERSION = Path(__file__).parents[1] / "store" / "version_1.sql"
INDEXES = {
    "ix_experiences_type_ts": ["type", "started_at DESC"],
    "ix_experiences_task": ["task_ref", "started_at DESC"],
    "ix_experiences_task_slug": ["task_slug", "started_at DESC"],
    "ix_experiences_trace": ["trace_id"],
    "ix_experiences_idempotency": ["idempotency_key"],
}
"""The document's names; an execution's record is created when it begins."""


@pytest.mark.requirement("AX-060")
def test_the_five_indexes_are_there_and_are_of_recordings_alone(tmp_path: Path) -> None:
    with RawStore(tmp_path / "raw.db") as store:
        store.append_experience(told())
    connection = apsw.Connection(str(tmp_path / "raw.db"))
    columns = {
        name: [
            f"{column} DESC" if is_descending else column
            for _, _, column, is_descending, _, is_key in connection.execute(f"PRAGMA index_xinfo({name})")
            if is_key
        ]
        for name in INDEXES
    }
    partial = {row[1]: row[4] for row in connection.execute("PRAGMA index_list(attempt)")}
    connection.close()

    assert columns == INDEXES
    assert [partial[name] for name in INDEXES] == [1] * 5


@pytest.mark.requirement("AX-044")
def test_the_write_ahead_log_is_on_and_cannot_be_switched_off(tmp_path: Path) -> None:
    with RawStore(tmp_path / "raw.db") as store:
        store.append_experience(told())
        connection = apsw.Connection(str(tmp_path / "raw.db"), apsw.SQLITE_OPEN_READONLY)
        assert connection.pragma("journal_mode") == "wal"
        connection.close()

    with pytest.raises(BadInput, match="expected enable_wal to be True"):
        RawStore(tmp_path / "raw.db", enable_wal=False)


@pytest.mark.requirement("AX-053")
def test_an_older_database_opens_is_upgraded_and_takes_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    with monkeypatch.context() as then:
        first = migrate.migrations("sqlite")[:1]
        then.setattr(migrate, "migrations", lambda _: first)
        SqliteStore(path).close()
    connection = apsw.Connection(str(path))
    connection.execute(FIRST_VERSION.read_text(encoding="utf-8"))
    known = connection.execute("SELECT count(*) FROM attempt").get
    connection.close()

    with RawStore(path) as store:
        one = told()
        store.append_experience(one)
        found = store.get_experience(one.id)

        assert found == one
        assert found.causes == []
        assert store.count_experiences() == known + 1


def test_the_store_is_at_exactly_this_path_and_its_folder_is_made(tmp_path: Path) -> None:
    with RawStore(tmp_path / "data" / "memory" / "raw.db") as store:
        assert not (tmp_path / ".tasktrail").exists()
        assert store.count_experiences() == 0

    assert (tmp_path / "data" / "memory" / "raw.db").is_file()


def test_in_memory_nobody_else_sees_it(tmp_path: Path) -> None:
    with RawStore(":memory:") as one, RawStore("memory:") as two:
        one.append_experience(told())

        assert (one.count_experiences(), two.count_experiences()) == (1, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"no database at all, just words, and many of them " * 9, b""], ids=["words", "empty"]
)
def test_a_file_that_is_no_store_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "raw.db"
    path.write_bytes(content)

    if content:
        with pytest.raises(RawStoreError, match="is no Tasktrail store"):
            RawStore(path).count_experiences()
        assert path.read_bytes() == content
    else:
        assert RawStore(path).count_experiences() == 0, "an empty file becomes one"
