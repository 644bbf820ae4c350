"""Objects under fire: processes that share nothing but the object, and one that dies between its put and its COMMIT."""

from __future__ import annotations

import functools
import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.formats.run_json import RUN_JSON
from tasktrail.store.sqlite import SqliteStore
from tasktrail.testing.document_contract import adoptions, assert_agree, statuses, tasks
from tasktrail.testing.dying import die_everywhere
from tests import objects, processes
from tests.engine.test_object_attachments import TestRunObjects as RunObjects  # under this name it is not run again

pytestmark = [pytest.mark.crash, pytest.mark.requirement("CN-018")]

UPDATING = """
import sys
from pathlib import Path
from tasktrail.engine.ledger import Ledger
from tasktrail.model.lifecycle import Ask
from tasktrail.store.sqlite import SqliteStore
from tasktrail.testing.document_contract import tasks

url, folder, name = sys.argv[1:]
ledger = Ledger(SqliteStore(Path(folder, f"{name}.db")), actor=name)
run = ledger.attachments.open(url, "run-json@1", "dag")
print("ready", flush=True)
sys.stdin.readline()
for task in tasks(ledger, run):
    if task.key.startswith(f"{name}-"):
        ledger.ask(task.id, Ask("complete"))
print("fine", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize(("writers", "updates"), [(2, 20), (6, 5)])
def test_machines_that_share_only_an_object_lose_no_update(
    bucket: str, tmp_path: Path, writers: int, updates: int
) -> None:
    """Each has a store of its own, as on its own machine."""
    url, names = f"{bucket}/run.json", [f"w{n}" for n in range(writers)]
    keys = [f"{name}-{n}" for n in range(updates) for name in names]
    objects.put(url, RunObjects().sample(keys))

    with ExitStack() as stack:
        started = [stack.enter_context(processes.started(UPDATING, url, tmp_path, name)) for name in names]
        assert [processes.hear(one) for one in started] == ["ready"] * writers
        for one in started:
            processes.say(one)
        assert [processes.hear(one) for one in started] == ["fine"] * writers

    assert statuses(url, RUN_JSON.name) == dict.fromkeys(keys, "completed")
    for name in names:
        store = SqliteStore(tmp_path / f"{name}.db")
        ledger = Ledger(store, actor="survivor")
        run = ledger.attachments.open(url, RUN_JSON.name, "dag")
        assert run is not None
        assert run.n_completed == len(keys)
        events = store.read(functools.partial(_verbs, run_id=run.id))
        assert events.count("complete") == updates, "each of its own once, those of others adopted"
        assert_agree(ledger, url)
        assert verify(store) == []
        store.close()


def _verbs(tx, run_id: int) -> list[str]:
    return [row[3] for row in tx.rows("events_of_run", run_id=run_id, after=0, limit=10_000)]


@pytest.mark.platform_only("SIGKILL at a chosen step needs fork")
def test_what_was_put_by_a_process_that_died_before_its_commit_is_adopted(bucket: str, tmp_path: Path) -> None:
    text = RunObjects().sample(("fetch", "load", "save"))
    (tmp_path / "sample").write_bytes(text.encode())
    (tmp_path / "edited").write_bytes(text.encode())

    killed = die_everywhere(*RunObjects.dying, tmp_path, RUN_JSON.name, "dag", bucket, only="COMMIT")

    assert killed[0] == "COMMIT"
    url, store = f"{bucket}/1/document", SqliteStore(tmp_path / "1" / "tasks.db")
    assert json.loads(objects.get(url))["steps"]["load"]["status"] == "success", "it was put"
    ledger = Ledger(store, actor="survivor")
    known = ledger.attachments.known(url)
    assert known is not None
    assert [task.status for task in tasks(ledger, known)] == ["pending"] * 3, "it was not committed"

    run = ledger.attachments.open(url, RUN_JSON.name, "dag")

    assert run is not None
    assert [task.status for task in tasks(ledger, run)] == ["pending", "completed", "pending"]
    assert len(adoptions(ledger, run)) == 1
    assert_agree(ledger, url)
    assert verify(store) == []
    store.close()
