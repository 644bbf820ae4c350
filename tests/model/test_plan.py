"""What is wrong with a plan that somebody writes."""

from __future__ import annotations

import pytest

from tasktrail.model.plan import PlanTask, faults_of, percent_done


def test_a_sound_plan_has_no_faults():
    assert faults_of([]) == []
    assert faults_of([PlanTask("T1", "a"), PlanTask("T2", "b", needs=("T1", "T1"))]) == []


@pytest.mark.requirement("JB-014")
def test_all_faults_of_a_plan_are_named_at_once():
    tasks = [
        PlanTask("", "a"),
        PlanTask("T1", " ", needs=("T2", "T1")),
        PlanTask("T2", "b", needs=("T1", "login")),
        PlanTask("T2", "c"),
        PlanTask("logins", "d"),
        PlanTask("a\nb", "e"),
    ]

    assert faults_of(tasks) == [
        "task number 1 has no id",
        "task T1 has no description",
        "task number 6: expected an id to be 1-200 printable characters without a blank at either end, got: 'a\\nb'",
        "task T2 is given 2 times",
        "task T2 needs login, which does not exist; did you mean logins?",
        "task T1 needs itself",
        "tasks need each other in a cycle: T1 -> T2 -> T1",
    ]


def test_a_cycle_through_the_first_of_two_tasks_of_one_id_is_named_too():
    tasks = [PlanTask("T1", "a", needs=("T2",)), PlanTask("T1", "b"), PlanTask("T2", "c", needs=("T1",))]

    assert faults_of(tasks)[1:] == ["tasks need each other in a cycle: T1 -> T2 -> T1"]


@pytest.mark.requirement("JB-060")
@pytest.mark.parametrize(
    ("completed", "total", "percent"), [(0, 0, 0), (0, 3, 0), (1, 3, 33.3), (999_999, 10**6, 99.9), (7, 7, 100)]
)
def test_a_hundred_percent_are_done_when_all_is(completed: int, total: int, percent: float):
    assert percent_done(completed, total) == percent
