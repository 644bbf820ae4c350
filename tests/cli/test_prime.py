"""`prime`: the text an agent begins with, on stdout."""

from __future__ import annotations

from tasktrail.plan import PlanTools
from tests.cli.conftest import Call


def test_an_agent_is_told_where_its_plan_stands(call: Call) -> None:
    missing = call("prime", "--plan", "later")
    PlanTools(".", "later").write_task_list([{"id": "T1", "description": "Draw the schema"}])

    answer, small = call("prime", "--plan", "later"), call("prime", "--plan", "later", "--budget", "9")

    assert (missing.code, missing.out) == (3, "")
    assert 'hint: tasktrail add "What is to be done" --plan later' in missing.err
    assert "hint: tasktrail prime --plan later" in call("prime").err, "the plan that is there was probably meant"
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("# Tasktrail: plan later\n")
    assert answer.out.endswith('\n## Next (1)\n- T1 "Draw the schema" priority 3\n')
    assert call("prime", "--plan", "later", "--json").data == {"id": "later", "text": answer.out}
    assert (small.code, small.out) == (2, "")
