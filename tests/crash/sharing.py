"""One of several processes that finish tasks of one pooled run beside each other: `python sharing.py URL RUN_NUMBER`.

It says `ready`, waits for a line, and prints how many commits had the run alone and how many shared it.
"""

from __future__ import annotations

import sys
import time
from typing import cast

from tasktrail.engine.execution import Answer, Claim, Joining
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan import Plan
from tasktrail.engine.pooling import FromPool, Share
from tasktrail.engine.steps import Step
from tasktrail.model.lifecycle import Ask, Failure
from tasktrail.model.run import OVER, Run
from tasktrail.model.task import Task
from tasktrail.store.opening import open_store
from tasktrail.store.transaction import Transaction

QUEUE = "pool"
FAILS = "x"
"""Tasks whose key begins so fail."""
AT_ONCE = 3
LONGEST_S = 60
MOST = 1_000

commits = {True: 0, False: 0}


def count() -> None:
    """Let transactions say whether they shared the run."""
    share = Transaction.share

    def sharing(self: Transaction, run: Run, most: int) -> bool:
        is_shared = share(self, run, most)
        commits[is_shared] += 1
        return is_shared

    Transaction.share = sharing  # type: ignore[method-assign]


def answer(claim: Claim) -> Answer:
    """Return what comes of a task."""
    if claim.task.key.startswith(FAILS):
        return Answer(claim, Ask("fail", failure=Failure("ValueError", "as it should")))
    return Answer(claim, Ask("complete"))


def main() -> None:
    """Execute what is there until the run is over."""
    ledger = Ledger(open_store(sys.argv[1]), actor="tester")
    run = ledger.store.read(lambda tx: tx.run(int(sys.argv[2])))
    tasks = ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))
    plan = Plan(cast("dict[str, Step]", {task.key: None for task in tasks}), max_parallel=MOST)
    picker = FromPool(ledger, run, plan, Share([QUEUE], (), AT_ONCE))
    joining = Joining(ledger, run.id)
    joining.most = MOST
    count()

    def pick(tx: Transaction) -> list[Task]:
        return picker.pick(tx, 0)

    print("ready", flush=True)
    sys.stdin.readline()
    turn, end = joining.begin(pick), time.monotonic() + LONGEST_S
    while turn.run.status not in OVER and time.monotonic() < end:
        if not turn.claims:
            time.sleep(0.002)
        turn = joining.advance([answer(claim) for claim in turn.claims], pick)
    print(commits[True], commits[False], flush=True)


if __name__ == "__main__":
    main()
