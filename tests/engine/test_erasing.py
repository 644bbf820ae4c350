"""Erasing: a text goes from rows and history alike, and no byte of it is left; names and files are refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.batches import close_batch
from tasktrail.engine.erasing import COLUMNS, Erasing
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.ownership import worker_of
from tasktrail.engine.project import open_project
from tasktrail.engine.pruning import Pruning
from tasktrail.engine.values import decode, encode
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.plan import mark_task_status, set_workspace, write_task_list
from tasktrail.store.copying import Rows
from tasktrail.store.described import schema
from tasktrail.store.opening import open_store
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing import FakeClock
from tests.engine.executing import Engine
from tests.recordings import told
from tests.tracker.weeks import SAMPLE, file_of, known

NAME = "Zoë Example"
LARGE = encode(["x" * 5000, {"Zoë Example": "by ZOË example"}], "the result")
SMALL = encode({"who": 'say "Zoë Example"', "n": 1}, "the result")
REST = (
    "INSERT INTO item (run_id, name, position, attributes) VALUES (1, 'Argo', 1, '{\"Zoë Example\": 1}')",
    "INSERT INTO output (task_id, attempt, position, length, at, lines) VALUES (1, 1, 0, 5, 7, '1hello zoë example')",
    "INSERT INTO error (fingerprint, error_type, example, first_at, last_at, note)"
    " VALUES ('f', 'E', 'Zoë Example', 1, 1, 'ask Zoë Example')",
    "INSERT INTO definition (kind, name, version, spec, spec_hash, created_at)"
    " VALUES ('workflow', 'w', 'h', '{\"run\": [\"echo\", \"Zo\\u00eb Example\"]}', 'h', 1)",
    "INSERT INTO document (path, codec, written, detached_at) VALUES ('a.json', 'run-json@1', '[\"Zoë Example\"]', 1)",
    "INSERT INTO attempt (n, fence, trace_id, span_id, started_at, ended_at, outcome, type, public_id, task_ref,"
    " task_slug, response, parents, details, inputs) VALUES (1, 1, 't', 's', 1, 2, 'ok', 'task_execution', 'rec-1',"
    " 'mail Zoë Example', 'ZOË EXAMPLE', 'dear Zoë Example', '[]', '{\"a\": \"Zoë Example\"}', '[\"Zoë Example\"]')",
    "UPDATE run SET target = '/home/Zoë Example/flow.py', metadata = '{\"for\": \"Zoë Example\"}'",
    "UPDATE task SET title = 'Call Zoë Example', metadata = '{\"for\": \"Zoë Example\"}' WHERE key = 'a'",
)


def fill(engine: Engine) -> None:
    """Let the name stand wherever it may."""
    ledger = Ledger(engine.ledger.store, actor=NAME, clock=engine.clock)
    run = ledger.create_run(RunDraft("dag", "r", "w", (TaskDraft("a"), TaskDraft("b"), TaskDraft("c"))))
    a, b, c = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    ledger.ask(a.id, Ask("start"))
    ledger.ask(a.id, Ask("retry", failure=Failure("Zoë Example", "no Zoë Example", "at zoë example")), note=NAME)
    ledger.ask(a.id, Ask("start"))
    ledger.ask(a.id, Ask("complete", output=LARGE.column, summary="for Zoë Example"), payload=LARGE)
    ledger.ask(b.id, Ask("complete", output=LARGE.column), payload=LARGE)
    ledger.ask(b.id, Ask("reopen"))
    ledger.ask(b.id, Ask("complete", output=SMALL.column))
    ledger.ask(c.id, Ask("skip", reason="Zoë Example said so"))
    ledger.note(c, "ask Zoë Example")
    ledger.store.write(lambda tx: close_batch(tx, ledger, run.id, 0, "Zoë Example did it"))
    worker_of(ledger)
    for text in REST:
        ledger.store.write(lambda tx, text=text: tx.with_queries({"it": text}).execute("it", {}))  # type: ignore[misc]


def all_texts(store: Store) -> list[str]:
    def work(tx: Transaction) -> list[str]:
        rows = Rows(tx)
        return [value for table in rows.tables for row in rows.of(table) for value in row if isinstance(value, str)]

    return store.read(work)


def test_every_column_that_has_words_or_data_is_treated():
    said = {
        (table.name, column.name) for table in schema() for column in table.columns if column.kept in ("text", "data")
    }
    treated = {(table, column) for table, columns in COLUMNS.items() for column in columns}

    assert said - treated == {("definition", "version")}  # it is the hash of what the definition says
    assert treated - said == {("worker", "host"), ("attempt", "public_id"), ("attempt", "session_id")} | {
        ("attempt", name) for name in ("trace_id", "span_id", "idempotency_key")
    }  # fmt: skip


def test_it_goes_from_rows_and_history_alike(anywhere: Engine):
    fill(anywhere)
    store = anywhere.ledger.store
    assert verify(store) == []
    erasing = Erasing(anywhere.ledger, "zoË exampLe")
    seen = erasing.look()
    assert verify(store) == []

    done = erasing.erase()

    assert done.places == seen.places
    assert set(seen.places) == {
        f"{table}.{column}"
        for table, columns in COLUMNS.items()
        for column, how in columns.items()
        if how != "name"
    } - {
        "task.labels", "task.retry", "task.error_type", "task.error", "worker.host", "worker.queues", "worker.labels",
        "job.schedule", "run.declared_error", "delivery.target",
        "delivery.last_error",
        "attempt.output",  # it has a payload, which has the name
    }  # fmt: skip
    assert [text for text in all_texts(store) if "zo" in text.lower()] == []
    assert verify(store) == []
    b = anywhere.task(1, "b")
    assert store.read(lambda tx: decode(anywhere.task(1, "a").output, tx)) == ["x" * 5000, {"[erased]": "by [erased]"}]
    assert json.loads(b.output or "") == {"who": 'say "[erased]"', "n": 1}
    assert Erasing(anywhere.ledger, NAME).look().places == {}


def test_what_was_erased_is_on_record_and_only_who_knows_it_can_tell(anywhere: Engine):
    fill(anywhere)
    Erasing(Ledger(anywhere.ledger.store, actor=NAME, clock=anywhere.clock), NAME).erase()

    ((_, _, actor, changes),) = anywhere.rows("removals", verb="erased")

    assert actor == "[erased]"
    said = json.loads(str(changes))
    assert (said["task.title"], said["event.note"]) == ([1, 0], [3, 0])
    _, rounds, salt, told = said["text"][1].split("$")
    words = NAME.casefold().encode()
    assert told == hashlib.pbkdf2_hmac("sha256", words, salt.encode(), int(rounds)).hex()


def test_nothing_is_written_where_it_stands_nowhere(anywhere: Engine):
    fill(anywhere)
    before = anywhere.rows("last_event")

    assert Erasing(anywhere.ledger, "nobody of this name").erase().places == {}
    assert anywhere.rows("last_event") == before


def test_the_history_can_be_changed_no_more_afterwards(anywhere: Engine):
    fill(anywhere)
    Erasing(anywhere.ledger, NAME).erase()

    with pytest.raises(Exception, match="events are never changed"):
        anywhere.ledger.store.write(
            lambda tx: tx.with_queries({"it": "UPDATE event SET note = 'x'"}).execute("it", {}).fetchall()
        )


def test_names_are_refused_with_where_they_are_and_nothing_changes(anywhere: Engine):
    run = anywhere.ledger.create_run(RunDraft("dag", "for-ann", "w", (TaskDraft("mail_ANN"), TaskDraft("b"))))
    anywhere.ledger.note(anywhere.task(run.id, "b"), "by Ann")
    before = all_texts(anywhere.ledger.store)

    with pytest.raises(Conflict) as caught:
        Erasing(anywhere.ledger, "ann").erase()

    assert sorted(caught.value.details) == ["run name for-ann", "task key mail_ANN"]
    assert all_texts(anywhere.ledger.store) == before


@pytest.mark.parametrize("column", ["trace_id", "span_id", "idempotency_key"])
def test_what_reporters_call_their_records_is_refused(anywhere: Engine, column: str):
    named: dict[str, Any] = {column: "job-of-zoë_face"}
    told(anywhere.ledger, "sync", **named)
    told(anywhere.ledger, "sync", details={"retry_of": "job-of-zoë_face"})
    before = all_texts(anywhere.ledger.store)

    for text in ("Zoë", "face"):
        with pytest.raises(Conflict) as caught:
            Erasing(anywhere.ledger, text).erase()
        assert caught.value.details == (f"attempt {column} job-of-zoë_face",)
    assert all_texts(anywhere.ledger.store) == before


def test_ids_that_spell_a_text_by_chance_stay_and_so_does_what_points_to_them(anywhere: Engine):
    ids: dict[str, Any] = {"trace_id": "ada0" * 8, "span_id": "0ada" * 4, "idempotency_key": "ada1" * 16}
    told(anywhere.ledger, "sync", **ids, response="by Ada")
    told(anywhere.ledger, "sync", details={"retry_of": "0ada" * 4, "parent_span_id": "0ada" * 4, "by": "Ada"})

    seen = Erasing(anywhere.ledger, "ada").erase()

    assert (seen.places, seen.left) == ({"attempt.response": 1, "attempt.details": 1}, {})
    texts = all_texts(anywhere.ledger.store)
    assert {*ids.values()} <= {*texts}
    assert {"retry_of": "0ada" * 4, "parent_span_id": "0ada" * 4, "by": "[erased]"} in map(_object, texts)
    with pytest.raises(Conflict, match="part of names"):
        Erasing(anywhere.ledger, "0ADA" * 4).erase()


def test_what_points_to_no_record_is_erased(anywhere: Engine):
    told(anywhere.ledger, "sync", details={"retry_of": "job-of-zoë"})
    told(anywhere.ledger, "sync", details={"retry_of": "0ada" * 4})

    assert Erasing(anywhere.ledger, "Zoë").erase().places == {"attempt.details": 1}
    assert Erasing(anywhere.ledger, "0ada" * 4).erase().places == {"attempt.details": 1}
    assert {"retry_of": "[erased]"} in map(_object, all_texts(anywhere.ledger.store))


def _object(text: str) -> object:
    return json.loads(text) if text.startswith("{") else None


def test_the_chain_of_what_was_pruned_is_not_touched(anywhere: Engine):
    anywhere.ledger.create_run(RunDraft("dag", "a", "w", (TaskDraft("a"),)))
    ledger = Ledger(anywhere.ledger.store, actor="ada", clock=anywhere.clock)
    ledger.ask(anywhere.task(1, "a").id, Ask("complete"))
    anywhere.clock.advance(10)
    Pruning(ledger, anywhere.clock.now()).prune()

    Erasing(ledger, "ada").erase()
    digest = json.loads(str(anywhere.rows("removals", verb="pruned")[0][3]))["digest"][1]
    for text in ("tasks", digest[:7]):
        Erasing(ledger, text).erase()

    assert verify(ledger.store) == []
    assert anywhere.rows("removals", verb="pruned")[0][2] == "[erased]"


def test_a_fault_in_the_middle_leaves_all_as_it_was(anywhere: Engine, monkeypatch: pytest.MonkeyPatch):
    fill(anywhere)
    before, real, calls = all_texts(anywhere.ledger.store), Rows.change, list[object]()

    def change(self: Rows, *given: object) -> None:
        calls.append(given)
        if len(calls) == 9:
            raise ZeroDivisionError
        real(self, *given)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(Rows, "change", change)
    with pytest.raises(ZeroDivisionError):
        Erasing(anywhere.ledger, NAME).erase()

    assert all_texts(anywhere.ledger.store) == before


@pytest.mark.parametrize("text", ["", "ab", "erase"])
def test_what_cannot_be_erased_is_refused(anywhere: Engine, text: str):
    with pytest.raises(BadInput):
        Erasing(anywhere.ledger, text).look()


# -------------------------------------------------------------------------------------------------------- bytes, files


def bytes_beside(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes().lower() for path in folder.iterdir() if path.is_file()}


def test_no_byte_of_it_is_left_in_the_files(tmp_path: Path):
    folder = tmp_path / "store"
    folder.mkdir()
    clock = FakeClock()
    with closing(open_store(str(folder / "tasks.db"))) as store:
        engine = Engine(Ledger(store, actor="ann", clock=clock), clock)
        fill(engine)
        for _ in range(3):  # what was changed and removed since lies in pages and in the journal that nobody reads
            engine.ledger.note(engine.task(1, "c"), "Zoë Example " * 500)
        assert any("zoë example".encode() in raw for raw in bytes_beside(folder).values())

        Erasing(engine.ledger, NAME).erase()
        assert any("zoë example".encode() in raw for raw in bytes_beside(folder).values())
        assert store.compact() == []

        for name, raw in bytes_beside(folder).items():
            for one in ("zoë example".encode(), b"zo\\u00eb example", "ZOË EXAMPLE".encode().lower()):
                assert one not in raw, name


def test_a_reader_of_an_older_state_is_said_to_be_in_the_way(tmp_path: Path):
    with closing(open_store(str(tmp_path / "tasks.db"), busy_s=0.1)) as store:
        Ledger(store, actor="ann").create_run(RunDraft("dag", "a", "w", ()))

        def reading(tx: Transaction) -> list[str]:
            tx.rows("run_ids")
            Ledger(store, actor="ann").create_run(RunDraft("dag", "b", "w", ()))
            return store.compact()

        assert store.read(reading) == ["somebody reads an older state, which the journal keeps until then"]
        assert store.compact() == []


@pytest.fixture
def workspace() -> Callable[[], Erasing]:
    """A plan in a file, which two tasks and a result fill with a name."""
    set_workspace("shop")
    write_task_list([{"id": "T1", "description": "Call Zoë Example"}, {"id": "T2", "description": "Rest"}])
    mark_task_status("T2", "completed", result="for Zoë Example")
    return lambda: Erasing(open_project(), NAME)


def test_a_file_that_has_it_is_refused_and_taken_over_once_it_is_edited(workspace: Callable[[], Erasing]):
    (path,) = Path().rglob("task-breakdown.json")

    with pytest.raises(Conflict) as caught:
        workspace().erase()
    assert caught.value.details == (str(path.resolve()),)
    path.write_text(path.read_text().replace("Zoë Example", "a friend").replace("Zo\\u00eb Example", "a friend"))
    done = workspace().erase()

    assert done.files == []
    store = open_store(str(next(Path().rglob("tasktrail.db"))))
    assert [text for text in all_texts(store) if "Zoë" in text or "\\u00eb" in text] == []
    assert verify(store) == []
    assert "a friend" in path.read_text()


def test_a_file_that_folds_it_over_two_lines_is_refused():
    """What its codec read of it says so; the text of the file does not have it."""
    folded = SAMPLE.replace("agent: writer  # Ann, really", "agent: >-\n          Zoë\n          Example", 1)
    known(folded)
    assert NAME not in folded

    with pytest.raises(Conflict) as caught:
        Erasing(open_project(), NAME).erase()

    assert caught.value.details == (str(file_of().resolve()),)
