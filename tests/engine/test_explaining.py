"""Why nothing runs: one sentence each, the most important first, and what to type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasktrail.engine.claims import claim_next
from tasktrail.engine.explaining import Reason, explain_run, explain_task
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import write_list
from tasktrail.engine.plans import mark_task
from tasktrail.engine.situation import situation
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.plan import PlanTask
from tasktrail.model.run import Kind, Run
from tasktrail.model.unblocking import Unblocking
from tasktrail.plan import PlanTools
from tasktrail.store.opening import open_store
from tasktrail.testing import FakeClock
from tests.mapped import do, mapped_run, task_of

BROKEN = Ask("fail", failure=Failure("OSError", "no space\nat all"), outcome="error")
STEPS = (
    TaskDraft("fetch"),
    TaskDraft("parse", needs=(Need("fetch"),)),
    TaskDraft("report", needs=(Need("parse"),)),
    TaskDraft("beside", critical=False),
)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(open_store("memory:"), actor="ann@desk", clock=FakeClock())


def make(ledger: Ledger, *tasks: TaskDraft, kind: Kind = "dag") -> Run:
    return ledger.create_run(RunDraft(kind, "A", "etl", tasks or STEPS, target="flow:etl"))


def of_run(ledger: Ledger, run: Run) -> list[Reason]:
    return explain_run(situation(ledger, run))


def of_task(ledger: Ledger, run: Run, key: str, index: int = -1) -> list[Reason]:
    return explain_task(situation(ledger, run), task_of(ledger, run, key, index))


def said(reasons: list[Reason]) -> list[tuple[str, str, str | None]]:
    return [(reason.cause, reason.text, reason.command) for reason in reasons]


def test_a_run_that_nobody_executed_has_not_begun(ledger: Ledger):
    run = make(ledger)

    assert said(of_run(ledger, run))[0] == ("not_begun", "run A has not begun", "tasktrail resume A")
    assert said(of_task(ledger, run, "fetch")) == [("not_begun", "run A has not begun", "tasktrail resume A")]


def test_a_run_that_nobody_executes_says_what_to_type(ledger: Ledger):
    run = make(ledger)
    do(ledger, run, "fetch")

    assert said(of_run(ledger, run)) == [
        ("unowned", "nobody executes run A", "tasktrail resume A"),
        ("waiting", "report waits for what it needs", None),
    ]


def test_code_that_only_a_script_has_is_no_command(ledger: Ledger):
    run = ledger.create_run(RunDraft("dag", "A", "etl", STEPS))

    assert [reason.command for reason in of_run(ledger, run)] == [None, None]


def test_a_pause_comes_before_all_else(ledger: Ledger):
    run = make(ledger)
    do(ledger, run, "fetch")
    ledger.pause_run(run.id)

    assert said(of_run(ledger, run)) == [("paused", "run A is paused, nothing new starts", "tasktrail resume A")]
    assert said(of_task(ledger, run, "parse"))[0][0] == "paused"


def test_a_cancelled_run_says_since_when(ledger: Ledger):
    run = make(ledger)
    after = ledger.cancel_run(run.id)

    found = of_run(ledger, run)

    assert said(found) == [("cancelled", "run A was cancelled", "tasktrail resume A")]
    assert found[0].since == after.cancelled_at
    assert said(of_task(ledger, run, "fetch")) == [("cancelled", "fetch is cancelled", "tasktrail resume A")]


def test_a_critical_failure_is_named_as_what_stops_the_run(ledger: Ledger):
    run = make(ledger)
    do(ledger, run, "fetch", -1, BROKEN)

    assert said(of_run(ledger, run)) == [
        ("stopped", "fetch failed, and stops the run: OSError: no space", "tasktrail retry A:fetch")
    ]
    assert said(of_task(ledger, run, "beside")) == said(of_run(ledger, run))


def test_of_what_can_no_longer_start_the_failed_root_is_named_and_not_the_chain(ledger: Ledger):
    run = make(ledger, TaskDraft("fetch", critical=False), *STEPS[1:])
    do(ledger, run, "fetch", -1, BROKEN)

    assert said(of_task(ledger, run, "report")) == [
        ("unreachable", "report cannot start: fetch failed: OSError: no space", "tasktrail retry A:fetch")
    ]
    assert ("unreachable", "2 steps can no longer start: parse, report", None) in said(of_run(ledger, run))


def test_a_step_that_waits_names_the_roots_of_its_waiting(ledger: Ledger):
    run = make(ledger)
    ledger.ask(task_of(ledger, run, "fetch").id, Ask("start"))

    found = of_task(ledger, run, "report")

    assert said(found) == [("in_progress", "report waits: fetch is in progress, by ann@desk", None)]
    assert found[0].since == ledger.clock.now()
    assert found[0].tasks == ("A:fetch",)


def test_a_blocked_step_says_what_a_person_types(ledger: Ledger):
    run = make(ledger)
    ledger.ask(task_of(ledger, run, "fetch").id, Ask("block", reason="Look at the pages"))
    ledger.ask(task_of(ledger, run, "beside").id, Ask("complete"))

    blocked = ("blocked", "fetch waits for a person: Look at the pages", "tasktrail complete A:fetch")
    assert said(of_run(ledger, run))[0] == blocked, "resuming it would start nothing"
    assert said(of_task(ledger, run, "fetch")) == [blocked]
    assert said(of_task(ledger, run, "report")) == [("blocked", f"report waits: {blocked[1]}", blocked[2])]


def test_a_step_that_waits_for_its_time_says_until_when(ledger: Ledger):
    run = make(ledger)
    due = ledger.clock.now() + 60_000_000
    do(ledger, run, "fetch", -1, Ask("retry", failure=Failure("OSError", "no"), outcome="error", not_before=due))

    first = of_task(ledger, run, "fetch")[0]

    assert (first.cause, first.text, first.until) == ("retrying", "fetch is tried again after OSError: no", due)


def test_what_is_ready_waits_for_a_place_while_somebody_executes_the_run(ledger: Ledger):
    run = make(ledger)
    seen = situation(ledger, run)

    owned = type(seen)(**{**{name: getattr(seen, name) for name in seen.__dataclass_fields__}, "owner": "process 7"})

    assert said(explain_run(owned))[0] == ("ready", "2 steps start when a place is free: fetch, beside", None)
    assert said(explain_task(owned, task_of(ledger, run, "fetch"))) == [
        ("ready", "fetch starts when a place is free", None)
    ]


def test_in_a_plan_nobody_has_to_execute_anything(ledger: Ledger):
    run = make(ledger, kind="plan")

    assert said(of_run(ledger, run)) == [
        ("ready", "2 steps can be started: fetch, beside", None),
        ("waiting", "2 steps wait for what they need: parse, report", None),
    ]


def test_a_mapped_step_waits_for_its_parts(ledger: Ledger):
    run = mapped_run(ledger, items=list("abcdefgh"))
    do(ledger, run, "parse", 0)
    ledger.ask(task_of(ledger, run, "parse", 1).id, Ask("start"))

    assert [reason.text for reason in of_task(ledger, run, "report")] == [
        "report waits: parse#1 is in progress, by ann@desk",
        "report waits for others: 6 steps are ready to start: parse#2, parse#3, parse#4, parse#5, parse#6, …",
        "nobody executes run pages",
    ]


def test_a_completed_run_leaves_nothing_to_do(ledger: Ledger):
    run = make(ledger, TaskDraft("only"))
    do(ledger, run, "only")

    assert said(of_run(ledger, run)) == [("completed", "run A is completed, nothing is left to do", None)]
    assert said(of_task(ledger, run, "only")) == [("completed", "only is completed", None)]


def test_of_many_that_stand_alike_five_are_named(ledger: Ledger):
    run = make(ledger, *(TaskDraft(f"s{n}", critical=False) for n in range(8)), TaskDraft("last"))
    for n in range(8):
        do(ledger, run, f"s{n}", -1, BROKEN)
    do(ledger, run, "last")

    texts = [reason.text for reason in of_run(ledger, run)]

    assert texts[0] == "s0 failed: OSError: no space"
    assert texts[5:] == ["… and 3 more"]


# plans


def plan(ledger: Ledger, *tasks: PlanTask) -> Run:
    return write_list(ledger, "p", tasks).run


def needing(key: str, *needs: str) -> PlanTask:
    return PlanTask(key, f"Do {key}", needs=needs)


def test_the_chain_to_a_root_is_the_shortest_and_told_where_others_are_between(ledger: Ledger):
    run = plan(ledger, needing("A"), needing("B", "A"), needing("C", "B"), needing("D", "C", "B"))
    mark_task(ledger, "p", "A", "failed")

    (of_d,), (of_b,) = of_task(ledger, run, "D"), of_task(ledger, run, "B")

    assert (of_d.text, of_d.chain) == ("D cannot start: A failed: no reason given", ["p:D", "p:B", "p:A"])
    assert of_b.chain == []


def test_what_can_no_longer_start_names_its_root_also_behind_a_blocked_task(ledger: Ledger):
    run = plan(ledger, needing("A"), needing("B", "A"), needing("C", "B"))
    mark_task(ledger, "p", "B", "blocked")
    mark_task(ledger, "p", "A", "failed", result="the disk was full")

    assert said(of_task(ledger, run, "C")) == [
        ("unreachable", "C cannot start: A failed: the disk was full", "tasktrail retry p:A")
    ]


def test_a_claim_is_told_with_who_has_it_since_when_and_whether_it_ran_out(ledger: Ledger):
    run = plan(ledger, needing("A"), needing("B", "A"))
    claim_next(ledger, "p", owner="bob", lease_s=60)
    began = ledger.clock.now()
    (first, *_) = of_run(ledger, run)
    assert (first.text, first.command, first.since) == ("A is in progress, claimed by bob", None, began)

    assert isinstance(ledger.clock, FakeClock)
    ledger.clock.advance(61)

    words = "A is in progress, claimed by bob, whose lease ran out; the next claim takes it over"
    assert said(of_run(ledger, run))[0] == ("in_progress", words, "tasktrail next --claim --plan p")
    assert said(of_task(ledger, run, "B"))[0] == ("in_progress", f"B waits: {words}", "tasktrail next --claim --plan p")


def test_in_a_plan_the_few_tasks_are_named_that_free_the_most(ledger: Ledger):
    run = plan(
        ledger, needing("A"), needing("B"), needing("C", "A"), needing("D", "C"), needing("E", "A", "B"), needing("F")
    )
    mark_task(ledger, "p", "A", "failed")
    mark_task(ledger, "p", "B", "blocked")

    (found,) = [reason for reason in of_run(ledger, run) if reason.cause == "unblocking"]

    words = "3 of 3 waiting tasks go on once these are done, the most for so few: A (2 alone), B (0 alone)"
    assert (found.text, found.tasks) == (words, ["p:A", "p:B"])
    assert found.unblocking == Unblocking({"A": 2, "B": 0}, together=3, held=3, exact=True)


HAND_WRITTEN = [
    {"id": "A", "dependencies": ["B"]}, {"id": "B", "dependencies": ["A"]}, {"id": "C", "dependencies": ["C"]},
    {"id": "D", "dependencies": ["B"]}, {"id": "E", "dependencies": ["X"]}, {"id": "F", "dependencies": ["E"]},
]  # fmt: skip


@pytest.mark.requirement("JB-036")
@pytest.mark.parametrize("working", [False, True])
def test_tasks_of_a_hand_written_file_that_need_each_other_are_blocked_and_the_cycle_is_named(
    tmp_path: Path, working: bool
):
    file = tmp_path / "shop" / "architecture" / "task-breakdown.json"
    file.parent.mkdir(parents=True)
    other = [{"id": "G", "status": "in_progress"}] if working else []
    file.write_text(json.dumps({"tasks": [*HAND_WRITTEN, *other]}))
    tools = PlanTools.in_workspace(tmp_path / "shop")

    answer = tools.get_next_task()

    assert [(one["id"], one["reason"]) for one in answer["blocked"]] == [
        ("E", "needs X, which does not exist"),
        ("A", "tasks need each other in a cycle: A -> B -> A"),
        ("B", "tasks need each other in a cycle: B -> A -> B"),
        ("C", "task C needs itself"),
    ]
    assert answer["blocked_count"] == 4
    cycle = {"cause": "cycle", "text": "tasks need each other in a cycle: B -> A -> B"}
    assert tools.explain_task("D")["reasons"] == [cycle]
    missing = {"cause": "missing", "text": "F waits: E needs X, which does not exist"}
    assert tools.explain_task("F")["reasons"] == [missing]
    told = [(one["cause"], one["text"]) for one in tools.explain_task()["reasons"]]
    assert ("cycle", "tasks need each other in a cycle: A -> B -> A") in told
    assert ("cycle", "task C needs itself") in told
    assert ("missing", "E needs X, which does not exist") in told


def test_the_tool_explains_the_whole_plan_and_chains_by_keys():
    tools = PlanTools("memory:")
    assert tools.explain_task()["code"] == "not_found"
    tools.write_task_list([{"id": "A", "description": "a"}, *({**one, "description": "b"} for one in AFTER_A)])
    tools.mark_task_status("A", "failed", result="the disk was full")

    (reason,) = tools.explain_task("C")["reasons"]
    answer = tools.explain_task()

    assert (reason["text"], reason["chain"]) == ("C cannot start: A failed: the disk was full", "C -> B -> A")
    assert "task_id" not in answer
    (advice,) = [one["unblocking"] for one in answer["reasons"] if "unblocking" in one]
    assert advice == {"alone": {"A": 2}, "together": 2, "held": 2, "exact": True}


AFTER_A = [{"id": "B", "dependencies": ["A"]}, {"id": "C", "dependencies": ["B"]}]
