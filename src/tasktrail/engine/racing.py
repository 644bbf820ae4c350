"""The race: processes that claim and finish the tasks of a plan beside each other, each task once, and the verdict.

It runs in a store of its own on the disk, or on the server, of the user's; what it proves holds for that place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Final

from tasktrail.config import Config
from tasktrail.engine.claims import claim_next, end_claim
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.plan_lists import write_list
from tasktrail.engine.plans import read_plan
from tasktrail.engine.verification import verify
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import PlanTask
from tasktrail.store.opening import open_store
from tasktrail.store.scratch import scratch_store
from tasktrail.store.seam import Store

N_TASKS: Final = 2_000
BOOT: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from tasktrail.engine import racing; racing.main()"
)
"""What a racer executes: before anything of ours is imported it looks for modules where we look."""
_PLAN: Final = "race"
_LEASE_S: Final = 3_600.0
"""No lease runs out during a race, however slow the disk: only a fault of ours gives a task away twice."""
_NAMED: Final = 3

Heard = tuple[int, str | None]
"""A racer's number and a line that it said; None once it has ended."""


@dataclass(frozen=True, slots=True)
class Finish:
    """A task that a racer claimed and finished; `claim_s` is how long it waited for the claim."""

    key: str
    claim_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a race.

    Args:
        duration_s: From the word to go to the last answer.
        faults: What must not be, in words; empty when each task was claimed and finished exactly once.
    """

    n_processes: int
    n_tasks: int
    finished: Sequence[Finish]
    duration_s: float
    faults: Sequence[str]

    @property
    def claims_per_s(self) -> float:
        """How many tasks all together claimed and finished in a second."""
        return len(self.finished) / self.duration_s if self.finished else 0.0

    @property
    def slowest_claim_s(self) -> float:
        """How long the slowest claim took."""
        return max((one.claim_s for one in self.finished), default=0.0)


def race(config: Config, n_processes: int, n_tasks: int, told: Callable[[int], None]) -> Verdict:
    """Let processes claim and finish tasks beside each other; neither they nor their store outlive this call.

    Args:
        told: Hears after each task how many were finished until now.

    Raises:
        BadInput: The project's store is in memory, which no other process sees.
        StoreError: There can be no store beside it.
    """
    if config.store.url == "memory:":
        raise BadInput(
            "no other process sees a store in memory", hint=f"tasktrail --store FILE doctor --race {n_processes}"
        )
    with scratch_store(config.store.url) as url:
        store = open_store(url, synchronous=config.store_synchronous, busy_s=config.store_busy_timeout_s)
        try:
            write_list(Ledger(store, actor=_PLAN), _PLAN, [PlanTask(f"T{n}", "race") for n in range(1, n_tasks + 1)])
            course = _Course(n_processes, told)
            course.run([url, config.store_synchronous, config.store_busy_timeout_s, n_tasks])
            faults = [*course.faults(), *judged(store, course.finished)]
            return Verdict(n_processes, n_tasks, course.finished, course.duration_s, faults)
        finally:
            store.close()


def judged(store: Store, finished: Sequence[Finish]) -> Iterator[str]:
    """Yield what is wrong: by what the racers say they did, by the rows, and by the history."""
    plan = read_plan(Ledger(store, actor=_PLAN), _PLAN)
    tasks, said = plan.tasks if plan else (), Counter(one.key for one in finished)
    yield from _fault("claimed more than once", (task.key for task in tasks if max(task.attempts, said[task.key]) > 1))
    yield from _fault(
        "never finished", (task.key for task in tasks if task.status != "completed" or not said[task.key])
    )
    yield from verify(store)


def _fault(words: str, keys: Iterator[str]) -> Iterator[str]:
    if found := list(keys):
        more = ", …" if len(found) > _NAMED else ""
        yield f"{words}: {len(found):,} of the tasks, {', '.join(found[:_NAMED])}{more}"


class _Course:
    """Where racers run: starts them, lets all go at once, and hears what they say until the last has ended."""

    def __init__(self, n_processes: int, told: Callable[[int], None]) -> None:
        self.finished: list[Finish] = []
        self.duration_s = 0.0
        self._n = n_processes
        self._told = told
        self._heard: SimpleQueue[Heard] = SimpleQueue()
        self._ready: set[int] = set()
        self._over: set[int] = set()
        self._ended: set[int] = set()
        self._last_words: dict[int, str] = {}

    def run(self, orders: Sequence[object]) -> None:
        with ExitStack() as stack:
            racers = [stack.enter_context(_racer([*orders, n], n, self._heard)) for n in range(self._n)]
            while len(self._ready | self._ended) < self._n:
                self._hear()
            begun = time.monotonic()
            for racer in racers:
                _say(racer, "go")
            while len(self._ended) < self._n:
                if self._hear():
                    self.duration_s = time.monotonic() - begun
                    self._told(len(self.finished))

    def faults(self) -> list[str]:
        early = sorted(self._ended - self._over)
        return [f"process {n} ended early: {self._last_words.get(n, 'without a word')}" for n in early]

    def _hear(self) -> bool:
        """Hear one line; return whether a task was finished."""
        number, line = self._heard.get()
        if line is None:
            self._ended.add(number)
        elif line == "ready":
            self._ready.add(number)
        elif line == "over":
            self._over.add(number)
        elif line.startswith("finished "):
            _, key, claim_s = line.split()
            self.finished.append(Finish(key, float(claim_s)))
            return True
        elif line:
            self._last_words[number] = line
        return False


@contextmanager
def _racer(orders: Sequence[object], number: int, heard: SimpleQueue[Heard]) -> Iterator[subprocess.Popen[str]]:
    """Start a process. A Ctrl-C is not for it; however we end, nobody reads what it says, and it ends at that."""
    process = subprocess.Popen(
        [sys.executable, "-c", BOOT, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    listener = threading.Thread(target=_listen, args=(process.stdout, number, heard), daemon=True)
    with process:
        try:
            listener.start()
            _say(process, json.dumps(orders))  # the URL may hold a password, which arguments would show
            yield process
        finally:
            process.kill()
            listener.join()


def _listen(output: IO[str], number: int, heard: SimpleQueue[Heard]) -> None:
    for line in output:
        heard.put((number, line.strip()))
    heard.put((number, None))


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended; its last words tell why
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


# a racer


def main() -> None:
    """Claim and finish tasks until there is none, or as many as there ever were: it says each, and `over`."""
    url, synchronous, busy_s, most, number = json.loads(sys.stdin.readline())
    ledger = Ledger(open_store(url, synchronous=synchronous, busy_s=busy_s), actor=f"racer-{number}")
    print("ready", flush=True)  # noqa: T201 - to the process that started this one
    if not sys.stdin.readline():
        return
    for _ in range(most):
        begun = time.monotonic()
        claim = claim_next(ledger, _PLAN, owner=ledger.actor, lease_s=_LEASE_S).claim
        claim_s = time.monotonic() - begun
        if claim is None:
            break
        end_claim(ledger, _PLAN, claim.task.key, claim.token, "completed", result=f"by {ledger.actor}")
        print(f"finished {claim.task.key} {claim_s:.6f}", flush=True)  # noqa: T201 - likewise
    print("over", flush=True)  # noqa: T201 - likewise
