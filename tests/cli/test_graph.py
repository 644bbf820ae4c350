"""`graph`: a run as it stands, drawn."""

from __future__ import annotations

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.project import open_project
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure
from tests.cli.conftest import Call
from tests.mapped import do, mapped_run


@pytest.fixture
def ledger() -> Ledger:
    return open_project()


def test_a_mapped_step_is_one_node_with_its_parts_counted(ledger: Ledger, call: Call):
    run = mapped_run(ledger)
    do(ledger, run, "parse", 0)
    do(ledger, run, "parse", 1, Ask("fail", failure=Failure("OSError", "no"), outcome="error"))

    assert call("graph", "pages").out == ("pages (failed)\n✓ fetch\n  ✗ parse [1/3] 1 failed\n    ○ report\n")
    mermaid = call("graph", "pages", "--format", "mermaid", "--direction", "LR").out
    assert "flowchart LR" in mermaid
    assert mermaid.count("-->") == 2, "arrows of parts are those of their step"
    assert '["parse<br/>[1/3] 1 failed"]:::failed' in mermaid
    assert call("graph", "pages", "--format", "dot").out.count(" -> ") == 2


def test_json_has_nodes_and_edges(ledger: Ledger, call: Call):
    mapped_run(ledger)

    data = call("graph", "pages", "--json").data

    assert data["nodes"][1] == {"id": "parse", "status": "pending", "note": "[0/3]"}
    assert data["edges"][0] == {"from": "fetch", "to": "parse", "optional": False}


def test_a_pause_stands_in_the_title(ledger: Ledger, call: Call):
    mapped_run(ledger)
    call("pause", "pages")

    assert call("graph", "pages").out.startswith("pages (running, paused)\n")


def test_more_arrows_than_mermaid_draws_are_told(ledger: Ledger, call: Call):
    tasks = [TaskDraft("a"), *(TaskDraft(f"b{n}", needs=(Need("a"),)) for n in range(501))]
    ledger.create_run(RunDraft("dag", "wide", "wide", tuple(tasks)))

    assert "Mermaid draws at most 500 arrows" in call("graph", "wide", "--format", "mermaid").err
    assert call("graph", "wide", "--format", "dot").err == ""


def test_a_run_that_is_not_there_is_told(ledger: Ledger, call: Call):
    mapped_run(ledger)

    assert call("graph", "pagse").code == 3
    assert "did you mean pages?" in call("graph", "pagse").err
