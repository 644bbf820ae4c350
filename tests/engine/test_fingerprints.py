"""Fingerprints of failures wherever a step is executed: here, in a process, as a command; and recorded executions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tasktrail.engine.calls import Call, PlainContext
from tasktrail.engine.child import perform
from tasktrail.engine.commands import Command, execute
from tasktrail.engine.errors import list_errors
from tasktrail.engine.failure_memory import memory_of
from tasktrail.engine.failures import StepFailed, failure_of, told_failure
from tasktrail.engine.isolation import value_of
from tasktrail.engine.ledger import Ledger
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock, FixedIds

MODULE = """
class BankError(Exception): ...

def pay():
    raise BankError("no route to ann@example.org")
"""

CONTEXT = PlainContext("r", "s", "r:s", 1, "1" * 32, "1" * 16, "t", "p")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_store(str(tmp_path / "tasks.db"))) as store:
        yield Ledger(store, actor="ann", clock=FakeClock(), ids=FixedIds())


def test_a_failure_keeps_its_fingerprint_on_the_way_from_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_of_fingerprints.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    call = Call("shop_of_fingerprints:pay", CONTEXT, (), {}, False, None, lambda *_: None)
    with pytest.raises(StepFailed) as raised:
        value_of(perform(call.document))
    from shop_of_fingerprints import BankError, pay  # type: ignore[import-not-found]  # written above

    with pytest.raises(BankError) as here:
        pay()
    assert here.value.__traceback__ is not None
    direct = failure_of(here.value.with_traceback(here.value.__traceback__.tb_next))

    assert failure_of(raised.value).fingerprint == direct.fingerprint
    assert direct.fingerprint is not None
    assert "example" not in direct.fingerprint


def test_a_command_is_known_by_the_traceback_that_it_prints_else_by_its_words(tmp_path: Path) -> None:
    script = tmp_path / "shop.py"
    script.write_text(MODULE + "\npay()\n")

    assert _of_command("python3", str(script)) == _of_command("python3", "-X", "dev", str(script))
    assert _of_command("python3", str(script)) != _of_command("sh", "-c", "exit 3") != _of_command("sh", "-c", "exit 4")
    assert _of_command("sh", "-c", "echo no 17 >&2; exit 3") == _of_command("sh", "-c", "echo no 17 >&2; exit 3")


def _of_command(*arguments: str) -> str:
    with pytest.raises(StepFailed) as raised:
        asyncio.run(execute(Command(arguments), CONTEXT, lambda *_: None))
    fingerprint = failure_of(raised.value).fingerprint
    assert fingerprint is not None
    return fingerprint


def test_what_an_agent_tells_is_known_again_in_other_words_for_its_values() -> None:
    one, other = told_failure("port 80 is taken", "failed"), told_failure("port 8080 is taken", "failed")

    assert one is not None
    assert other is not None
    assert (
        one.fingerprint == other.fingerprint != getattr(told_failure("the port is taken", "failed"), "fingerprint", 0)
    )


def test_a_recorded_execution_is_mended_by_a_later_one_of_its_trace_or_its_task(ledger: Ledger) -> None:
    _record(ledger, 1, "a", trace="1" * 32, outcome="error")
    _record(ledger, 2, "a", trace="1" * 32, outcome="ok", response="it works\nnow")
    _record(ledger, 3, "b", trace="2" * 32, outcome="error")
    _record(ledger, 4, "b", trace="3" * 32, outcome="ok")
    _record(ledger, 5, "c", trace="4" * 32, outcome="error")
    _record(ledger, 6, "another", trace="4" * 32, outcome="ok", response="another task of the trace helps nobody")

    (error,) = ledger.store.read(lambda tx: list_errors(tx)).errors
    memory = ledger.store.read(lambda tx: memory_of(tx, error.fingerprint))
    assert memory is not None
    assert (memory.error.occurrences, memory.tasks) == (3, ["c", "b", "a"])
    assert [(one.task, one.notes) for one in memory.mended] == [("b", []), ("a", ["it works now"])]


def _record(ledger: Ledger, number: int, task: str, *, trace: str, outcome: str, response: str | None = None) -> None:
    from tasktrail.engine.recording import record
    from tasktrail.model.record import Recording

    values: dict[str, object] = dict.fromkeys(Recording._fields)
    values.update(type="task_execution", public_id=f"x{number}", task_ref=task, n=1, trace_id=trace, actor="ann")
    values.update(span_id=f"{number:016}", started_at=number, ended_at=number, outcome=outcome, response=response)
    values.update(fingerprint="fp1:00000000000000aa" if outcome == "error" else None, error_type="E", error="gone")
    record(ledger, [Recording(**values)])  # type: ignore[arg-type]  # by name
