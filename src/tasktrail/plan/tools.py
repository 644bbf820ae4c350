"""`PlanTools`: the documented functions over a plan in a store. Source: document 000, Implementation Components."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tasktrail.config import find_store, find_store_for_folder, load
from tasktrail.engine.batches import mark_tasks
from tasktrail.engine.claims import End, claim_next, claim_task, end_claim, renew_claim
from tasktrail.engine.explaining import explain_task
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import history
from tasktrail.engine.plan_lists import edit_task, write_list
from tasktrail.engine.plans import (
    NextTask,
    add_note,
    counts_of,
    existing_plan,
    found_task,
    mark_task,
    next_task,
    page_of_tasks,
    read_plan,
)
from tasktrail.engine.project import ledger_of
from tasktrail.engine.situation import situation
from tasktrail.engine.undo import undo
from tasktrail.model.errors import BadInput
from tasktrail.model.reference import MAX_RUN_ID_CHARS
from tasktrail.model.task import STATUSES
from tasktrail.plan.answers import NO_PLAN, answering
from tasktrail.plan.updates import marked_words, marks_of, selected, undone_words
from tasktrail.plan.words import MARKS, Words, edit_of, event_words, tasks_of, words_of

STANDING_PLAN: Final = "main"
"""The plan of a store that no folder names."""
LEASE_SECONDS: Final = 900.0
"""An agent may think for so long without a word."""
MOST_ON_A_PAGE: Final = 1_000
_NONE_LEFT: Final = "No pending tasks (all completed, failed, or blocked by dependencies)"
_answering = answering(f"{NO_PLAN}. Create tasks first.", "Task {} not found in breakdown")


class PlanTools:
    """The plan of a folder or a store. Every function answers with a dictionary, also where something is wrong.

    Args:
        where: A folder, whose project's store is used and whose name the plan has; or a store's URL.
        plan: The name of the plan; None is the folder's, `main` for a URL.
    """

    def __init__(self, where: str | Path, plan: str | None = None) -> None:
        if isinstance(where, str) and ("://" in where or where == "memory:"):
            location, config = find_store(flag=where), load()
        else:
            location, config = find_store_for_folder(Path(where)), load(Path(where))
            plan = plan or _name_of(Path(where))
        self._ledger: Ledger = ledger_of(location, config)
        self._plan = plan or STANDING_PLAN

    @_answering
    def write_task_list(self, tasks: Sequence[Mapping[str, Any]]) -> Words:
        """Create the plan, or bring it to a new list; what tasks of the same id have reached is kept.

        Args:
            tasks: Each has `id` and `description`, and may have `priority` (smaller is more urgent), `dependencies`
                and keys of your own. Where it has `status`, `result` and the like, that is where the task then stands.

        Returns:
            `changes` has the ids that were added, changed and removed.
        """
        read, standing = tasks_of(tasks)
        written = write_list(self._ledger, self._plan, read, standing)
        changes = {"added": written.added, "changed": written.changed, "removed": written.removed}
        message = f"Task breakdown written: {len(read)} tasks"
        return {
            "status": "success", "message": message, "plan": self._plan, "task_count": len(read), "changes": changes,
        }  # fmt: skip

    @_answering
    def read_task_breakdown(self) -> Words:
        """Return all tasks, and how many there are at each status."""
        now = read_plan(self._ledger, self._plan)
        tasks = now.tasks if now else ()
        counts, claims = counts_of(tasks), {claim.key: claim for claim in (now.claims if now else ())}
        listed = [words_of(task, claims.get(task.key)) for task in tasks]
        words: Words = {"status": "success", "tasks": listed, "total_tasks": len(tasks)}
        words.update({f"{status}_count": counts.get(status, 0) for status in STATUSES})
        words["progress_percent"] = round(100 * counts.get("completed", 0) / len(tasks), 1) if tasks else 0
        if now is None:
            words["message"] = NO_PLAN
        return words

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
        if not claim:
            return _next_words(next_task(self._ledger, self._plan, skip_needs=skip_dependencies))
        found = claim_next(
            self._ledger, self._plan, owner=self._owner(owner), lease_s=lease_seconds, skip_needs=skip_dependencies
        )
        words = _next_words(found.next)
        if found.claim is not None:
            words.update(token=found.claim.token, lease_seconds=lease_seconds)
        if found.taken_back:
            words["taken_back"] = list(found.taken_back)
        return words

    @_answering
    def claim_task(self, task_id: str, *, owner: str = "", lease_seconds: float = LEASE_SECONDS) -> Words:
        """Begin one task, so that no other agent gets it; its dependencies must be done."""
        claim = claim_task(self._ledger, self._plan, task_id, owner=self._owner(owner), lease_s=lease_seconds)
        message = f"Task {task_id} claimed"
        task = words_of(claim.task)
        return {
            "status": "success", "message": message, "task": task, "token": claim.token, "lease_seconds": lease_seconds,
        }  # fmt: skip

    @_answering
    def heartbeat(self, task_id: str, token: str) -> Words:
        """Say that the work on a claimed task goes on; its lease is renewed."""
        renew_claim(self._ledger, self._plan, task_id, token)
        return _done(task_id, "in_progress", f"Lease of task {task_id} renewed")

    @_answering
    def finish_task(
        self, task_id: str, token: str, result: str = "", *, status: str = "completed", notes: str = "", error: str = ""
    ) -> Words:
        """Answer a claim: its task is completed, or failed. Repeating it changes nothing.

        Args:
            result: What came of it.
            status: `completed` or `failed`.
            error: Why it failed.
        """
        if status not in ("completed", "failed"):
            raise BadInput(f"Invalid status: {status}. Must be: completed, failed")
        end: End = "failed" if status == "failed" else "completed"
        return self._end(task_id, token, end, notes, result, error)

    @_answering
    def release_task(self, task_id: str, token: str, notes: str = "") -> Words:
        """Give a claimed task back unfinished."""
        return self._end(task_id, token, "pending", notes, "")

    @_answering
    def mark_task_status(
        self, task_id: str, status: str, notes: str = "", result: str = "", *, token: str = ""
    ) -> Words:
        """Let a task stand at a status: pending, in_progress, completed or failed.

        Args:
            notes: Appended to the task's notes.
            result: What came of it, when it is completed or failed.
            token: Of the claim on it, where an agent has claimed it.
        """
        if status not in MARKS:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(MARKS)}")
        if token and status != "in_progress":
            return self._end(task_id, token, status, notes, result)
        if token:
            renew_claim(self._ledger, self._plan, task_id, token, notes)
            return _done(task_id, status, f"Task {task_id} marked as {status}")
        marked = mark_task(self._ledger, self._plan, str(task_id), status, note=notes, result=result)
        words = _done(task_id, marked.task.status, f"Task {task_id} marked as {status}")
        if marked.kept_as_note:
            words["message"] += "; it has another result already, this one was kept as a note"
        return words

    @answering(NO_PLAN, "Task {} not found")
    def update_task(self, task_id: str, updates: Mapping[str, Any], *, token: str = "") -> Words:
        """Change what a task is: its description, priority, dependencies, or keys of your own.

        Args:
            token: Of a claim on it, which is renewed.

        Returns:
            `updates` is what was changed; `ignored` has keys that no update changes, such as `status`.
        """
        edit, ignored = edit_of(updates)
        edit_task(self._ledger, self._plan, str(task_id), edit, token)
        done = {key: value for key, value in updates.items() if key not in ignored}
        words: Words = {"status": "success", "message": f"Task {task_id} updated", "updates": done}
        if ignored:
            words["ignored"] = ignored
            words["message"] += f"; not changed: {', '.join(ignored)}"
        return words

    @_answering
    def add_note(self, task_id: str, note: str, *, token: str = "") -> Words:
        """Append a note to a task.

        Args:
            token: Of a claim on it, which is renewed.
        """
        if not note.strip():
            raise BadInput("expected note to be a text, got nothing")
        add_note(self._ledger, self._plan, task_id, note, token)
        return {"status": "success", "message": f"Note added to task {task_id}", "task_id": task_id}

    @_answering
    def get_tasks(self, status: str = "", limit: int = 20, cursor: str = "") -> Words:
        """Return tasks in the order of the list, a page at a time.

        Args:
            status: Only those that stand there; empty takes all.
            cursor: `next` of the page before; empty begins.
        """
        return self._page(status, "", limit, cursor)

    @_answering
    def search_tasks(self, query: str, limit: int = 20, cursor: str = "") -> Words:
        """Return the tasks whose id, description or result has a text in it, in lower or upper case."""
        return self._page("", query, limit, cursor)

    @_answering
    def task_history(self, task_id: str, limit: int = 50, cursor: str = "") -> Words:
        """Return what happened to a task, the newest at the end; `next` gets what was before."""
        _check_limit(limit)
        found = found_task(self._ledger, self._plan, task_id)
        page = history(self._ledger, found, limit=limit, cursor=cursor or None)
        events = [event_words(event) for event in page.events]
        return {"status": "success", "task_id": task_id, "history": events, "next": page.cursor}

    @_answering
    def explain_task(self, task_id: str) -> Words:
        """Return why a task stands where it stands: what it waits for, down to the tasks that somebody must act on."""
        found = found_task(self._ledger, self._plan, task_id)
        seen = situation(self._ledger, found.run)
        task = next(task for task in seen.tasks if task.key == task_id)
        reasons = [{"cause": reason.cause, "text": reason.text} for reason in explain_task(seen, task)]
        message = "; ".join(reason["text"] for reason in reasons)
        return {"status": "success", "task_id": task_id, "message": message, "reasons": reasons}

    @_answering
    def mark_tasks(self, updates: Sequence[Mapping[str, Any]], partial: bool = False) -> Words:
        """Let many tasks stand at statuses, in one commit: all of them, or none where something is wrong.

        Args:
            updates: Each has `task_id` and `status`, and may have `notes` and `result`, as for mark_task_status.
            partial: Mark those that can be; the others have their error in `results`.

        Returns:
            `results` has an answer for each; `batch` is the number by which undo takes all of them back.
        """
        marks = marks_of(updates)
        return marked_words(marks, mark_tasks(self._ledger, self._plan, marks, partial=partial))

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
            since: A time in ISO 8601, with actor.
            batch: The number of a batch, or of any change in it.
            dry_run: Change nothing, and say the same.

        Returns:
            `undone` has each task, `effects` what attempts did that nobody can undo.
        """
        run = self._ledger.store.read(lambda tx: existing_plan(tx, self._plan))
        select = selected(run, event, actor, since, batch)
        return undone_words(undo(self._ledger, select, plan=self._plan, dry_run=dry_run), dry_run=dry_run)

    def _page(self, status: str, query: str, limit: int, cursor: str) -> Words:
        _check_limit(limit)
        known = next((one for one in STATUSES if one == status), None)
        if status and known is None:
            raise BadInput(f"Invalid status: {status}. Must be: {', '.join(STATUSES)}")
        page = page_of_tasks(
            self._ledger, self._plan, status=known, words=query or None, limit=limit, cursor=cursor or None
        )
        return {"status": "success", "tasks": [words_of(task) for task in page.tasks], "next": page.cursor}

    def _end(self, task_id: str, token: str, end: End, notes: str, result: str, error: str = "") -> Words:
        end_claim(self._ledger, self._plan, task_id, token, end, note=notes, result=result, error=error)
        return _done(task_id, end, f"Task {task_id} marked as {end}")

    def _owner(self, owner: str) -> str:
        return owner or self._ledger.actor


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_ON_A_PAGE:
        raise BadInput(f"expected limit to be 1 to {MOST_ON_A_PAGE}, got: {limit!r}")


def _done(task_id: str, status: str, message: str) -> Words:
    return {"status": "success", "message": message, "task_id": task_id, "new_status": status}


def _next_words(found: NextTask) -> Words:
    words: Words = {"status": "success", "task": None}
    if found.ran_out:
        words["expired_claims"] = [{"id": one.key, "claimed_by": one.owner} for one in found.ran_out]
    if found.task is not None:
        words["task"] = words_of(found.task)
        words["message"] = f"Next task: {found.task.key} - {found.task.title}"
        return words
    words["message"] = _NONE_LEFT if found.n_tasks else "No tasks in breakdown"
    if found.blocked:
        words["blocked"] = [{"id": one.key, "reason": one.reason} for one in found.blocked]
        words["blocked_count"] = found.n_blocked
    return words


def _name_of(folder: Path) -> str | None:
    """Return the name of a folder's plan, None where no run can have it."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", folder.absolute().resolve().name)[:MAX_RUN_ID_CHARS].strip("-._")
    return name or None
