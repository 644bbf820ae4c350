"""Plans as check lists: nothing is lost on the way there and back, and what people write by hand is understood."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from markdown_it import MarkdownIt

from tasktrail.formats.plan_markdown import dump, read
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tests.formats.plans import plans

PLAN = (
    PlanTask("T1", "Fix the `login`: it is [x] broken", "completed", 1, result="done", attempts=1, completed_at=0),
    PlanTask("fetch data", "two\nlines", "blocked", needs=("T1", "a b"), reason="on hold", extra={"a`b": 1}),
    PlanTask(
        "T2", "[ ] Go", notes=(Note("soon", 0, "ann"), Note("by: hand")),
        history=(Move(0, "pending", "in_progress", "my bot"), Move(1, "in_progress", "pending")),
    ),
)  # fmt: skip
TEXT = """\
<!-- tasktrail/plan@1 -->

- [x] T1: Fix the `login`: it is [x] broken
  - priority: 1
  - result: done
  - attempts: 1
  - completed_at: 1970-01-01T00:00:00.000000+00:00
- [ ] `fetch data`: `"two\\nlines"`
  - status: blocked
  - needs: T1, `a b`
  - reason: on hold
  - extra: `{"a\\u0060b":1}`
- [ ] T2: [ ] Go
  - note 1970-01-01T00:00:00.000000+00:00 by ann: soon
  - note: by: hand
  - moved 1970-01-01T00:00:00.000000+00:00 by `my bot`: pending -> in_progress
  - moved 1970-01-01T00:00:00.000001+00:00: in_progress -> pending
"""


@example([PlanTask("T1", '`"in code"`', result="T2: not a key", needs=('"quoted"', "`"))])
@given(plans)
def test_what_is_written_is_read_again(plan: list[PlanTask]) -> None:
    assert read(dump(plan), "p.md").tasks == tuple(plan)


@given(plans)
def test_a_program_that_knows_markdown_sees_one_item_per_task(plan: list[PlanTask]) -> None:
    tokens = MarkdownIt().parse(dump(plan))

    assert sum(token.type == "list_item_open" and token.level == 1 for token in tokens) == len(plan)


def test_a_plan_can_be_read_by_people() -> None:
    assert dump(PLAN) == TEXT
    assert read(TEXT.replace("\n", "\r\n"), "p.md").tasks == PLAN


def test_a_list_written_by_hand_is_enough() -> None:
    text = """\
\ufeff# Release

What we need:

## Before ##

* [ ] Fix: the login
  that fails
    + [X] Write tests
    1. [ ] Fix: the login
      - see the report
* [ ] T7: Say so
  - needs: fix-the-login-that-fails
  - priority: high
  - status: In_Progress
  - note: ask Ann

  She knows.
- Not a task
"""
    found = read(text, "p.md")

    section = {"section": "Before"}
    assert found.tasks == (
        PlanTask(
            "fix-the-login-that-fails", "Fix: the login that fails",
            needs=("write-tests", "fix-the-login"), extra=section,
        ),
        PlanTask("write-tests", "Write tests", "completed", extra=section),
        PlanTask("fix-the-login", "Fix: the login", notes=(Note("see the report"),), extra=section),
        PlanTask(
            "T7", "Say so", "in_progress", 2, ("fix-the-login-that-fails",),
            notes=(Note("ask Ann"), Note("She knows.")), extra=section,
        ),
    )  # fmt: skip
    assert found.notes == ("left out: line 3: What we need:", "left out: line 19: Not a task")


def test_equal_titles_get_keys_of_their_own_and_written_keys_stay() -> None:
    found = read("- [ ] Paint\n- [ ] paint!\n- [ ] `paint-2`: Third\n- [ ] ???\n", "p.md")

    assert [task.key for task in found.tasks] == ["paint", "paint-3", "paint-2", "task"]


def test_one_click_completes_a_task_or_opens_it_again() -> None:
    clicked = TEXT.replace("- [ ] `fetch", "- [x] `fetch").replace("- [x] T1", "- [ ] T1")

    assert [task.status for task in read(clicked, "p.md").tasks] == ["pending", "completed", "pending"]


def test_a_word_of_ones_own_is_the_reason() -> None:
    (task,) = read("- [ ] Paint\n  - status: On Hold\n", "p.md", {"on hold": "blocked"}).tasks

    assert (task.status, task.reason) == ("blocked", "On Hold")


def test_all_that_is_wrong_is_named_with_its_line() -> None:
    text = """\
<!-- tasktrail/plan@2 -->
- [ ] T1: Go
  - status: someday
  - priority: soon
  - priority: 1
  - created_at: then
  - extra: `[1]`
  - needs: `a
  - moved 2025-01-01T00:00:00Z: nowhere -> pending
- [ ] T1: Go
"""
    with pytest.raises(BadInput) as error:
        read(text, "p.md")

    assert [line.partition(",")[0] for line in error.value.details] == [
        "p.md:1:1: expected version 1 of plans",
        "p.md:10:1: expected each task once",
        "p.md:5:1: expected priority once",
        "p.md:7:1: expected extra to be an object",
        "p.md:3:1: expected status to be one of pending",
        "p.md:6:1: expected created_at to be an ISO 8601 time like 2025-05-19T10:00:00Z",
        "p.md:9:1: expected history[0].from to be one of pending",
        "p.md:8:1: expected dependencies to be a list",
    ]


@pytest.mark.parametrize("text", ["", "# Title\n\nNo list\n", "- a\n- b\n"])
def test_what_is_no_check_list_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="expected a check list"):
        read(text, "p.md")
