"""Random verbs on random graphs: after each, the store must say what the pure functions say of the statuses."""

from __future__ import annotations

import itertools
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.verification import verify
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import WrongState
from tasktrail.model.graph import MET_BY, Need, dead_needs, ready, unmet
from tasktrail.model.lifecycle import RULES, Ask, Change, decide
from tasktrail.model.run import OVER, STOPPING_KINDS, Kind, Run, roll_up
from tasktrail.model.task import STATUSES, WAITING, Status, Task
from tasktrail.store.records import Mark
from tasktrail.store.seam import Store
from tasktrail.store.transaction import Transaction
from tasktrail.testing.fakes import FakeClock, FixedIds

_LARGEST_GRAPH: Final = 7
_numbers: Final = itertools.count(1)

Edges = list[tuple[int, int, bool]]
"""Who needs whom, by place: a larger one needs a smaller one, perhaps optionally."""

GRAPHS: Final[st.SearchStrategy[tuple[int, Edges]]] = st.integers(1, _LARGEST_GRAPH).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(
            st.tuples(st.integers(0, size - 1), st.integers(0, size - 1), st.booleans()).filter(lambda e: e[0] > e[1]),
            max_size=2 * size,
            unique_by=lambda edge: edge[:2],
        ),
    )
)


class LedgerMachine(RuleBasedStateMachine):
    """One run, changed at random. Each example makes a run of its own, so that a store can be used for many.

    Run it with `hypothesis.stateful.run_state_machine_as_test(lambda: LedgerMachine(store))`.
    """

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.clock = FakeClock()
        self.ledger = Ledger(store, actor="machine", clock=self.clock, ids=FixedIds())
        self.needs: dict[str, list[Need]] = {}
        self.run_id = 0

    @initialize(kind=st.sampled_from(["dag", "plan", "matrix"]), graph=GRAPHS, critical=st.integers(0, 127))
    def create(self, kind: Kind, graph: tuple[int, Edges], critical: int) -> None:
        """Make a run; a set bit of `critical` makes a task critical."""
        size, edges = graph
        drafts = tuple(self._draft(place, edges, critical=bool(critical >> place & 1)) for place in range(size))
        self.run_id = self.ledger.create_run(RunDraft(kind, f"machine-{next(_numbers)}", "machine", drafts)).id

    def _draft(self, place: int, edges: Edges, *, critical: bool = True) -> TaskDraft:
        needs = tuple(Need(f"t{needed}", optional) for needing, needed, optional in edges if needing == place)
        self.needs[f"t{place}"] = list(needs)
        return TaskDraft(f"t{place}", needs=needs, critical=critical)

    @rule(data=st.data(), optional=st.booleans())
    @precondition(lambda self: len(self.needs) < 2 * _LARGEST_GRAPH)
    def add_task(self, data: st.DataObject, optional: bool) -> None:
        """Add a task that needs some of those that are there, whatever their status is by now."""
        place = len(self.needs)
        chosen = data.draw(st.lists(st.integers(0, place - 1), max_size=3, unique=True))
        self.ledger.add_tasks(self.run_id, [self._draft(place, [(place, one, optional) for one in chosen])])

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        """Ask one thing of one task."""
        self.clock.advance(1)
        task = data.draw(st.sampled_from(self._tasks()))
        self.ledger.ask(task.id, data.draw(_asks(task)))

    @rule(data=st.data())
    def ask_several(self, data: st.DataObject) -> None:
        """Apply several changes, each decided on the same snapshot, in one transaction."""
        self.clock.advance(1)
        tasks = data.draw(st.lists(st.sampled_from(self._tasks()), unique_by=lambda task: task.id, max_size=4))
        asks = [data.draw(_asks(task)) for task in tasks]

        def work(tx: Transaction) -> list[Change]:
            mark = Mark("machine", span_id="1" * 16)
            changes = [decide(task, ask, self.clock.now()) for task, ask in zip(tasks, asks, strict=True)]
            return tx.apply([(change, mark) for change in changes])

        assert len(self.store.write(work)) == len(tasks)

    @rule(data=st.data())
    def answer_late_in_the_day(self, data: st.DataObject) -> None:
        """End a claim by what was known when it began, after something else has happened."""
        running = [task for task in self._tasks() if task.status == "in_progress"]
        if not running:
            return
        claim = data.draw(st.sampled_from(running))
        others = [task for task in self._tasks() if task.id != claim.id]
        if others:
            other = data.draw(st.sampled_from(others))
            self.ledger.ask(other.id, data.draw(_asks(other)))
        ask = Ask(data.draw(st.sampled_from(["complete", "fail", "retry", "release"])))
        change = (decide(claim, ask, self.clock.now()), Mark("machine", held=True))
        assert self.store.write(lambda tx: tx.apply([change]))

    @rule()
    def cancel_run(self) -> None:
        """Cancel what is not finished; a run that came to its end by itself refuses."""
        run = self._run()
        refused = False
        try:
            self.ledger.cancel_run(self.run_id)
        except WrongState:
            refused = True
        assert refused == (run.status in OVER and run.cancelled_at is None)

    @invariant()
    @precondition(lambda self: self.run_id > 0)
    def counters_are_what_the_statuses_say(self) -> None:
        """Compare all that the store counts with functions that look at the whole graph."""
        run, tasks = self._run(), {task.key: task for task in self._tasks()}
        statuses: dict[str, Status] = {key: task.status for key, task in tasks.items()}
        kinds: dict[str, Any] = {"met_by": {"completed"} if run.kind == "matrix" else MET_BY}
        waiting, dead = unmet(statuses, self.needs, **kinds), dead_needs(statuses, self.needs, **kinds)
        assert {key: task.unmet for key, task in tasks.items()} == _lengths(tasks, waiting)
        assert {key: task.dead_needs for key, task in tasks.items()} == _lengths(tasks, dead)
        assert [task.key for task in self._ready()] == ready(statuses, self.needs, **kinds)
        assert run.counts == {status: list(statuses.values()).count(status) for status in STATUSES}
        assert run.n_unreachable == sum(tasks[key].status == "pending" for key in dead)
        assert {key for key, task in tasks.items() if task.unreachable} == {k for k in dead if statuses[k] in WAITING}
        assert run.status == _status(run, list(tasks.values()))

    @invariant()
    @precondition(lambda self: self.run_id > 0)
    def history_folds_to_the_rows(self) -> None:
        """Nothing contradicts itself."""
        assert verify(self.store, self.run_id) == []

    def _run(self) -> Run:
        return self.store.read(lambda tx: tx.run(self.run_id))

    def _tasks(self) -> list[Task]:
        return self.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=self.run_id))

    def _ready(self) -> list[Task]:
        return self.store.read(lambda tx: tx.tasks("ready_tasks", run_id=self.run_id, without=None, limit=100))


@st.composite
def _asks(draw: st.DrawFn, task: Task) -> Ask:
    """Draw something that the task's status allows."""
    verb = draw(st.sampled_from([verb for verb, rule_ in RULES.items() if task.status in rule_.sources]))
    target = draw(st.sampled_from(STATUSES)) if verb in ("adopt", "undo") else None
    return Ask(verb, target=target, force=True, reason=draw(st.none() | st.just("because")))


def _lengths(keys: dict[str, Task], found: dict[str, list[str]]) -> dict[str, int]:
    return {key: len(found.get(key, ())) for key in keys}


def _status(run: Run, tasks: list[Task]) -> str:
    stopping = [task for task in tasks if task.critical and task.status == "failed"]
    return roll_up(
        {status: n for status, n in run.counts.items() if n},
        moved=run.started_at is not None,
        stopped=run.kind in STOPPING_KINDS and bool(stopping),
        cancelled=run.cancelled_at is not None,
        unreachable=sum(task.unreachable and task.status == "pending" for task in tasks),
    )
