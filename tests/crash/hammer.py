"""One of several processes that write into the same store: `python hammer.py STORE NUMBER THREADS ROUNDS`.

It says `ready`, waits for a line, lets its threads work, and prints as JSON what it did.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter

from tasktrail.engine.ledger import Ledger
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Conflict, TasktrailError, WrongState
from tasktrail.model.lifecycle import Ask, Verb
from tasktrail.model.task import Task
from tasktrail.store.opening import open_store

SHARED = "shared"
CONTENDED = "contended"


def key_of(process: int, thread: int, round_: int) -> str:
    """Return the key of the task that this thread finishes in this round; nobody else touches it."""
    return f"p{process}-t{thread}-r{round_}"


class Hammer:
    """One thread's work and its tally."""

    def __init__(self, ledger: Ledger, process: int, thread: int) -> None:
        self.ledger = ledger
        self.process = process
        self.thread = thread
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []

    def work(self, rounds: int) -> None:
        """Do everything once per round."""
        try:
            for round_ in range(rounds):
                self.finish_own(round_)
                self.contend()
                self.create(round_)
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")

    def finish_own(self, round_: int) -> None:
        """Start, note and complete a task of one's own; the counters of its run are everybody's."""
        task = self.task(key_of(self.process, self.thread, round_))
        started = self.ledger.ask(task.id, Ask("start"))
        self.ledger.note(started, f"round {round_}")
        self.ledger.ask(task.id, Ask("complete", output=json.dumps([self.process, self.thread, round_])))
        self.done["completed"] += 1

    def contend(self) -> None:
        """Block and unblock the one task that everybody wants; only what was acknowledged counts."""
        task = self.task(CONTENDED)
        verbs: tuple[Verb, ...] = ("block", "unblock")
        for verb in verbs:
            try:
                self.ledger.ask(task.id, Ask(verb))
            except (WrongState, Conflict):
                continue
            self.done[verb] += 1

    def create(self, round_: int) -> None:
        """Create a run of one's own, and one that everybody tries to create."""
        self.ledger.create_run(RunDraft("dag", f"p{self.process}-t{self.thread}-{round_}", "own", (TaskDraft("a"),)))
        self.done["created"] += 1
        try:
            self.ledger.create_run(RunDraft("dag", f"everybodys-{round_}", "everybodys", (TaskDraft("a"),)))
        except Conflict:
            return
        self.done["won"] += 1

    def task(self, key: str) -> Task:
        """Return a task of the shared run."""
        run = self.ledger.store.read(lambda tx: tx.runs("runs_by_name", name=SHARED, kind="plan"))[0]
        found = self.ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item="", map_index=-1))
        if found is None:
            raise TasktrailError(f"no task {key}")
        return found


def main(path: str, process: int, threads: int, rounds: int) -> None:
    """Work, and tell."""
    ledger = Ledger(open_store(path), actor=f"process {process}")
    hammers = [Hammer(ledger, process, thread) for thread in range(threads)]
    workers = [threading.Thread(target=hammer.work, args=(rounds,)) for hammer in hammers]
    print("ready", flush=True)
    sys.stdin.readline()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    done = sum((hammer.done for hammer in hammers), Counter[str]())
    print(json.dumps({"done": done, "errors": [error for hammer in hammers for error in hammer.errors]}))


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:5]))
