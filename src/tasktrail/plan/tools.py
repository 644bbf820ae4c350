"""`PlanTools`: the documented functions over a plan in a store. Source: document 000, Implementation Components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from tasktrail.engine.batches import mark_tasks
from tasktrail.engine.claims import End, claim_next, claim_task, end_claim, renew_claim
from tasktrail.engine.explaining import explain_run, explain_task
from tasktrail.engine.failure_memory import remembered, remembered_of_plan
from tasktrail.engine.failures import told_failure
from tasktrail.engine.lookup import attempts_of, history
from tasktrail.engine.plan_lists import ListWritten, edit_task
from tasktrail.engine.plans import (
    NextTask,
    NoPlan,
    PlanNow,
    add_note,
    counts_of,
    existing_plan,
    found_task,
    fresh_plan,
    mark_task,
    next_task,
    page_of_tasks,
    read_plan,
)
from tasktrail.engine.project import NO_FLAGS
from tasktrail.engine.situation import situation
from tasktrail.engine.undo import undo
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import STANDING_PLAN, percent_done
from tasktrail.model.task import STATUSES, Task
from tasktrail.plan import losses
from tasktrail.plan.answers import NO_PLAN, saying
from tasktrail.plan.places import FILE, FolderPlan, Place, Plan, StorePlan
from tasktrail.plan.updates import marked_words, marks_of, selected, undone_words
from tasktrail.plan.words import (
    MARK_LIST,
    MARKS,
    TASK_LIST,
    UPDATES,
    attempt_words,
    brief_words,
    edit_of,
    elapsed_words,
    event_words,
    memory_words,
    reason_words,
    tasks_of,
    words_of,
)
from tasktrail.tools import Shape, Tools, Words, answering, check_limit, tool

LEASE_SECONDS: Final = 900.0
"""An agent may think for so long without a word."""
MOST_ON_A_PAGE: Final = 1_000
TOOLS: Final = (
    "write_task_list", "replace_task_list", "read_task_breakdown", "get_next_task", "claim_task", "heartbeat",
    "mark_task_status", "mark_tasks", "finish_task", "release_task", "update_task", "add_note", "get_tasks",
    "search_tasks", "explain_task", "task_history", "undo",
)  # fmt: skip
"""What can be offered to a language model, by the names of the methods."""
DEFAULT_TOOLS: Final = (
    "write_task_list", "read_task_breakdown", "get_next_task", "mark_task_status", "update_task", "finish_task",
    "get_tasks", "explain_task",
)  # fmt: skip
"""Those that one agent needs."""

_ENDS: Final[tuple[End, ...]] = ("completed", "failed")
TaskList = Annotated[Sequence[Mapping[str, Any]], TASK_LIST]
MarkList = Annotated[Sequence[Mapping[str, Any]], MARK_LIST]
Updates = Annotated[Mapping[str, Any], UPDATES]
Marks = Annotated[str, Shape({"type": "string", "enum": list(MARKS)})]
Ends = Annotated[str, Shape({"type": "string", "enum": list(_ENDS)})]
Statuses = Annotated[str, Shape({"type": "string", "enum": list(STATUSES)})]
_NONE_LEFT: Final = "No pending tasks (all completed, failed, or blocked by dependencies)"
_answering = answering(saying(f"{NO_PLAN}. Create tasks first.", "Task {} not found in breakdown"))


class PlanTools:
    """The plan of a folder or a store. Every function answers with a dictionary, also where something is wrong.

    Args:
        where: A folder, whose project's store is used and whose name the plan has; or a store's URL.
        plan: The name of the plan; None is the folder's, `main` for a URL.
        settings: Of a folder's project, by name, as flags of the command line say them.
    """

    def __init__(self, where: str | Path, plan: str | None = None, *, settings: Mapping[str, str] = NO_FLAGS) -> None:
        if isinstance(where, str) and ("://" in where or where == "memory:"):
            self._place: Place = StorePlan(where, plan or STANDING_PLAN)
        else:
            self._place = FolderPlan(Path(where), plan, settings=settings)

    @classmethod
    def in_workspace(cls, folder: str | Path) -> PlanTools:
        """Return the tools of a workspace, whose plan is in `architecture/task-breakdown.json`, also a new one."""
        tools = cls(folder)
        tools._place = FolderPlan(Path(folder), makes_file=True)
        return tools

    def _taken_out(self, tasks: TaskList) -> str:
        """Say which tasks a list takes out of the plan."""
        return losses.of_removal(self._now(), losses.keys_of(tasks))

    def _forgotten(self, tasks: TaskList) -> str:
        """Say what a plan that starts over forgets."""
        return losses.of_starting_over(self._now(), losses.keys_of(tasks))

    def _undone(self, dry_run: bool = False, **which: Any) -> str:
        """Say what is taken back; what cannot be is said by the call itself."""
        answer = {} if dry_run else self.undo(**which, dry_run=True)
        return str(answer["message"]) if answer.get("status") == "success" and answer.get("undone") else ""

    @tool(destroys=True, repeats=True, losses=_taken_out)
    @_answering
    def write_task_list(self, tasks: TaskList) -> Words:
        """Create the plan, or bring it to a new list; what tasks of the same id have reached is kept.

        Each task has `id` and `description`, and may have `priority` (3 where it has none; CRITICAL, HIGH, MEDIUM and
        LOW are 1 to 4), `dependencies` and keys of your own. Where it has `status`, `result`, `attempts` and the like,
        that is where the task then stands.

        Args:
            tasks: The whole plan: a task that is not in it is taken out.

        Returns:
            `changes` has the ids that were added, changed and removed.
        """
        read, standing = tasks_of(tasks)
        return self._written(len(read), self._place.write(read, standing))

    @tool(destroys=True, repeats=True, losses=_forgotten)
    @_answering
    def replace_task_list(self, tasks: TaskList) -> Words:
        """Start the plan over: its tasks are exactly these, and what tasks of the same id had reached is forgotten.

        Args:
            tasks: As for write_task_list.
        """
        read, _ = tasks_of(tasks)
        return self._written(len(read), self._place.replace(read))

    @tool(reads=True)
    @_answering
    def read_task_breakdown(self) -> Words:
        """Return all tasks, and how many there are at each status."""
        now = self._now()
        tasks = now.tasks if now else ()
        counts, claims = counts_of(tasks), {claim.key: claim for claim in (now.claims if now else ())}
        listed, keys = [words_of(task, claims.get(task.key)) for task in tasks], {task.key for task in tasks}
        for task, said in zip(tasks, listed, strict=True):
            if unknown := [key for key in task.needs if key not in keys]:
                said["unknown_dependencies"] = unknown
        words: Words = {"status": "success", "tasks": listed, "total_tasks": len(tasks)}
        words.update({f"{status}_count": counts.get(status, 0) for status in STATUSES})
        words["progress_percent"] = percent_done(counts.get("completed", 0), len(tasks))
        if now is None:
            words["message"] = NO_PLAN
        return words

    @tool()
    @_answering
    def get_next_task(
        self,
        skip_dependencies: bool = False,
        *,
        claim: bool = False,
        owner: str = "",
        lease_seconds: float = LEASE_SECONDS,
    ) -> Words:
        """Return the most urgent pending task whose dependencies are all done; ties go by the order of the list.

        Args:
            skip_dependencies: Whether one that waits for others counts, too.
            claim: Whether to begin it, so that no other agent gets it; what silent agents held is taken over first.
            owner: Whom the history names as the one who has it.
            lease_seconds: How long the claim lasts after the last call that carries its token.

        Returns:
            `task` is None when there is none; `blocked` then says which tasks cannot start, and why. A claim has its
            `token`, by which finish_task, release_task and heartbeat know it. `expired_claims` are those of silent
            agents; `taken_back` are the tasks that a claim took from such.
        """
        try:
            plan = self._place.open() if claim else self._place.look()
        except NoPlan:
            return _next_words(NextTask(None, 0))
        if not claim:
            return _next_words(next_task(*plan, skip_needs=skip_dependencies))
        found = claim_next(*plan, owner=owner or plan.ledger.actor, lease_s=lease_seconds, skip_needs=skip_dependencies)
        words = _next_words(found.next)
        if found.claim is not None:
            words.update(token=found.claim.token, lease_seconds=lease_seconds)
            words.update(memory_words(remembered_of_plan(*plan, found.claim.task)))
        if found.taken_back:
            words["taken_back"] = list(found.taken_back)
        return words

    @tool()
    @_answering
    def claim_task(self, task_id: str, *, owner: str = "", lease_seconds: float = LEASE_SECONDS) -> Words:
        """Begin one task, so that no other agent gets it; its dependencies must be done."""
        plan = self._place.open()
        claim = claim_task(*plan, task_id, owner=owner or plan.ledger.actor, lease_s=lease_seconds)
        message = f"Task {task_id} claimed"
        task = words_of(claim.task)
        return {
            "status": "success", "message": message, "task": task, "token": claim.token, "lease_seconds": lease_seconds,
            **memory_words(remembered_of_plan(*plan, claim.task)),
        }  # fmt: skip

    @tool(repeats=True)
    @_answering
    def heartbeat(self, task_id: str, token: str) -> Words:
        """Say that the work on a claimed task goes on; its lease is renewed."""
        return _done(renew_claim(*self._place.open(), task_id, token), f"Lease of task {task_id} renewed")

    @tool(repeats=True)
    @_answering
    def finish_task(
        self,
        task_id: str,
        token: str,
        result: str = "",
        *,
        status: Ends = "completed",
        notes: str = "",
        error: str = "",
    ) -> Words:
        """Answer a claim: its task is completed, or failed. Repeating it changes nothing.

        Args:
            result: What came of it.
            error: Why it failed, with its traceback.
        """
        if status not in _ENDS:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(_ENDS)}")
        end: End = "failed" if status == "failed" else "completed"
        return self._end(task_id, token, end, notes, result, error)

    @tool(repeats=True)
    @_answering
    def release_task(self, task_id: str, token: str, notes: str = "") -> Words:
        """Give a claimed task back unfinished."""
        return self._end(task_id, token, "pending", notes, "")

    @tool()
    @_answering
    def mark_task_status(
        self,
        task_id: str,
        status: Marks,
        notes: str = "",
        result: str = "",
        *,
        error: str = "",
        token: str = "",
    ) -> Words:
        """Let a task stand at a status: pending, in_progress, completed or failed.

        Args:
            notes: Appended to the task's notes.
            result: What came of it, when it is completed or failed.
            error: Why it failed, with its traceback.
            token: Of the claim on it, where an agent has claimed it.
        """
        if status not in MARKS:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(MARKS)}")
        if token and status != "in_progress":
            return self._end(task_id, token, status, notes, result, error)
        if token:
            told_failure(error, status)  # refuses what no task in progress has
            return _done(renew_claim(*self._place.open(), task_id, token, notes))
        plan = self._place.open()
        marked = mark_task(*plan, str(task_id), status, note=notes, result=result, error=error)
        words = {**_done(marked.task), **_remembered(plan, marked.task)}
        for name in marked.notes:
            words["message"] += f"; it has another {name} already, this one was kept as a note"
        return words

    @tool(repeats=True)
    @answering(saying(NO_PLAN, "Task {} not found"))
    def update_task(self, task_id: str, updates: Updates, *, token: str = "") -> Words:
        """Change what a task is, not where it stands.

        Args:
            updates: What is to be another; what it does not name stays.
            token: Of a claim on it, which is renewed.

        Returns:
            `updates` is what was changed; `ignored` has keys that no update changes, such as `status`.
        """
        edit, ignored = edit_of(updates)
        edit_task(*self._place.open(), str(task_id), edit, token)
        done = {key: value for key, value in updates.items() if key not in ignored}
        words: Words = {"status": "success", "message": f"Task {task_id} updated", "updates": done}
        if ignored:
            words["ignored"] = ignored
            words["message"] += f"; not changed: {', '.join(ignored)}"
        return words

    @tool()
    @_answering
    def add_note(self, task_id: str, note: str, *, token: str = "") -> Words:
        """Append a note to a task.

        Args:
            token: Of a claim on it, which is renewed.
        """
        if not note.strip():
            raise BadInput("expected note to be a text, got nothing")
        add_note(*self._place.open(), task_id, note, token)
        return {"status": "success", "message": f"Note added to task {task_id}", "task_id": task_id}

    @tool(reads=True)
    @_answering
    def get_tasks(self, status: Statuses = "", limit: int = 20, cursor: str = "") -> Words:
        """Return tasks in the order of the list, a page at a time.

        Args:
            status: Only those that stand there; empty takes all.
            cursor: `next_cursor` of the page before; empty begins.
        """
        return self._page(status, "", limit, cursor)

    @tool(reads=True)
    @_answering
    def search_tasks(self, query: str, limit: int = 20, cursor: str = "") -> Words:
        """Return the tasks whose id, description or result has a text in it, in lower or upper case."""
        return self._page("", query, limit, cursor)

    @tool(reads=True)
    @_answering
    def task_history(self, task_id: str, limit: int = 50, cursor: str = "") -> Words:
        """Return what happened to a task, the newest at the end; `next_cursor` gets what was before.

        Returns:
            Without a cursor, `attempts` has each of them: how it ended, how long it took, its error and its stack.
        """
        check_limit(limit, MOST_ON_A_PAGE)
        plan = self._place.look()
        found = found_task(*plan, task_id)
        page = history(plan.ledger, found, limit=limit, cursor=cursor or None)
        events = [event_words(event) for event in page.events]
        words: Words = {"status": "success", "task_id": task_id, "history": events, "next_cursor": page.cursor}
        if not cursor:
            words["attempts"] = [attempt_words(one) for one in attempts_of(plan.ledger, found)]
        return words

    @tool(reads=True)
    @_answering
    def explain_task(self, task_id: str = "") -> Words:
        """Return why a task, or the plan, stands where it stands: what it waits for, down to who must act.

        Args:
            task_id: Empty explains the plan.

        Returns:
            Each of `reasons` has its `cause` and `text`, and the `chain` of tasks to a cause that is further away. That
            with `unblocking` says which few tasks to see to first, and how many each frees.
        """
        plan = self._place.look()
        run = plan.ledger.store.read(lambda tx: existing_plan(tx, plan.name))
        seen = situation(plan.ledger, found_task(*plan, task_id).run if task_id else run)
        task = next((task for task in seen.tasks if task.key == task_id), None)
        reasons = explain_run(seen) if task is None else explain_task(seen, task)
        message = "; ".join(reason.text for reason in reasons)
        words: Words = {"status": "success", "message": message, "reasons": [reason_words(one) for one in reasons]}
        return {**words, "task_id": task_id} if task_id else words

    @tool()
    @_answering
    def mark_tasks(self, updates: MarkList, partial: bool = False) -> Words:
        """Let many tasks stand at statuses, in one commit: all of them, or none where something is wrong.

        Args:
            updates: As for mark_task_status.
            partial: Mark those that can be; the others have their error in `results`.

        Returns:
            `results` has an answer for each; `batch` is the number by which undo takes all of them back.
        """
        marks = marks_of(updates)
        return marked_words(marks, mark_tasks(*self._place.open(), marks, partial=partial))

    @tool(destroys=True, losses=_undone)
    @_answering
    def undo(
        self,
        event: int | None = None,
        *,
        actor: str = "",
        since: str = "",
        batch: int | None = None,
        dry_run: bool = False,
    ) -> Words:
        """Take changes of the plan's tasks back, all or none: one, a batch, or all of an actor since a time.

        Args:
            event: The `number` of a change, as task_history has it.
            since: With actor: ISO 8601, or 2h, 3d.
            batch: The number of a batch, or of any change in it.
            dry_run: Change nothing, and say the same.

        Returns:
            `undone` has each task, `effects` what attempts did that nobody can undo.
        """
        plan = self._place.open()
        fresh_plan(*plan)
        run = plan.ledger.store.read(lambda tx: existing_plan(tx, plan.name))
        select = selected(run, event, actor, since, batch, plan.ledger.clock.now())
        return undone_words(undo(plan.ledger, select, plan=plan.name, dry_run=dry_run), dry_run=dry_run)

    def tools(self, names: Iterable[str] = DEFAULT_TOOLS) -> Tools:
        """Return what is offered to a language model: its definitions, and a way to call them.

        Args:
            names: Of those in `TOOLS`.
        """
        return Tools(getattr(self, name) for name in names)

    def _now(self) -> PlanNow | None:
        """The plan as it stands; None where there is none."""
        try:
            return read_plan(*self._place.look())
        except NoPlan:
            return None

    def _written(self, n_tasks: int, written: ListWritten) -> Words:
        changes = {"added": written.added, "changed": written.changed, "removed": written.removed}
        message = f"Task breakdown written: {n_tasks} tasks"
        words: Words = {"status": "success", "message": message, "plan": written.run.name, "task_count": n_tasks}
        if self._place.file is not None:
            words.update(file_path=FILE, absolute_path=str(self._place.file))
        return {**words, "changes": changes}

    def _page(self, status: str, query: str, limit: int, cursor: str) -> Words:
        check_limit(limit, MOST_ON_A_PAGE)
        known = next((one for one in STATUSES if one == status), None)
        if status and known is None:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(STATUSES)}")
        plan = self._place.look()
        page = page_of_tasks(*plan, status=known, words=query or None, limit=limit, cursor=cursor or None)
        return {"status": "success", "tasks": [brief_words(task) for task in page.tasks], "next_cursor": page.cursor}

    def _end(self, task_id: str, token: str, end: End, notes: str, result: str, error: str = "") -> Words:
        place = self._place.open()
        ended = end_claim(*place, task_id, token, end, note=notes, result=result, error=error)
        return {**_done(ended), **elapsed_words(ended), **_remembered(place, ended)}


def _done(task: Task, message: str | None = None) -> Words:
    said = message or f"Task {task.key} marked as {task.status}"
    return {"status": "success", "message": said, "task_id": task.key, "new_status": task.status}


def _remembered(plan: Plan, task: Task) -> Words:
    """What is known of a failure that an agent has just told of."""
    return memory_words(remembered(plan.ledger, task)) if task.status == "failed" else {}


def _next_words(found: NextTask) -> Words:
    words: Words = {"status": "success", "task": None}
    if found.ran_out:
        words["expired_claims"] = [{"id": one.key, "claimed_by": one.owner} for one in found.ran_out]
    if found.task is not None:
        words["task"] = words_of(found.task)
        words["message"] = f"Next task: {found.task.key} - {found.task.title}"
        return words
    words["message"] = _NONE_LEFT if found.n_tasks else "No tasks in breakdown"
    if found.stopped:
        until = " until a person resumes it" if found.stopped == "paused" else ""
        words["message"] = f"The plan is {found.stopped}: nothing new starts{until}"
    if found.blocked:
        words["blocked"] = [{"id": one.key, "reason": one.reason} for one in found.blocked]
        words["blocked_count"] = found.n_blocked
    return words
