"""What a workflow asks of a step before it starts: its condition, its list, a person, its deadline, its limits."""

from __future__ import annotations

import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tasktrail.engine.expansion import Expansion, Title, item_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.lookup import task_reference
from tasktrail.engine.plan import Judge, Verdict
from tasktrail.engine.steps import Step
from tasktrail.engine.values import Encoded, decode
from tasktrail.model.condition import Condition
from tasktrail.model.errors import BadInput
from tasktrail.model.lifecycle import Ask, Failure, decide
from tasktrail.model.path import Template, ValuePath, kind_of, unnamed
from tasktrail.model.plain import storable
from tasktrail.model.task import Task
from tasktrail.model.workflow import StepSpec, Workflow
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

_LONGEST_TITLE: Final = 200
_PARTS_ASK: Final = frozenset({"item", "index"})


class Values(Mapping[str, object]):
    """What the first words of paths mean for one task. Each is fetched when it is asked for.

    Args:
        folder: Where commands work, and modules are found.
    """

    def __init__(self, tx: Transaction, task: Task, folder: Path) -> None:
        self._tx, self._task, self._folder = tx, task, folder
        self._found: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def named(self, name: str) -> object:
        """Return what a function's parameter is filled with."""
        return self[name]

    def _find(self, name: str) -> object:
        """Return what a word means.

        Raises:
            KeyError: Nothing.
        """
        if name != "run":
            raise KeyError(name)
        run = self._tx.run(self._task.run_id)
        return {"id": run.name, "workflow": run.workflow, "folder": str(self._folder)}


class StepValues(Values):
    """What they mean for a step: other steps' results, `params`, `item`, `index`, `run`."""

    def __init__(
        self, tx: Transaction, task: Task, workflow: Workflow, params: Mapping[str, object], folder: Path
    ) -> None:
        super().__init__(tx, task, folder)
        self._workflow, self._params = workflow, params

    def __iter__(self) -> Iterator[str]:
        return iter([*(spec.id for spec in self._workflow.steps), "params", "run", *self._of_part])

    def named(self, name: str) -> object:
        """Return what a function's parameter is filled with: a param stands there by its own name."""
        return self._params[name] if name in self._params else self[name]

    @property
    def _of_part(self) -> tuple[str, ...]:
        return ("item", "index") if self._task.map_index >= 0 else ()

    def _find(self, name: str) -> object:
        if name == "params":
            return self._params
        if name == "index" and self._of_part:
            return self._task.map_index
        if name == "item" and self._of_part:
            row = self._tx.row("details_of_task", id=self._task.id)
            return item_of(str(row[2]) if row and row[2] is not None else None)
        task = self._tx.task("task_by_key", key=name, run_id=self._task.run_id, item="", map_index=-1)
        return decode(task.output, self._tx) if task is not None else super()._find(name)


def filled(value: object, values: Values) -> object:
    """Return a JSON value with what its texts stand for."""
    if isinstance(value, str):
        return Template.parse(value).fill(values)
    if isinstance(value, list | tuple):
        return [filled(one, values) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, values) for key, one in value.items()}
    return value


def given(spec: StepSpec, values: Values, names: Collection[str]) -> dict[str, object]:
    """Return what a step gets under some names: what its `with` says, else what the name means."""
    own = spec.arguments
    found = {name: filled(own[name], values) if name in own else values.named(name) for name in names}
    return found if spec.call is None else {name: unnamed(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Gates:
    """Judges the tasks of one run by its workflow.

    Args:
        code: Of the steps, by id: a result is used again only for the same.
        folder: Where the workflow's file lies.
        means: Gives what paths mean for a task; None: what they mean for a step.
    """

    ledger: Ledger
    workflow: Workflow
    params: Mapping[str, object]
    code: Mapping[str, Step] = field(default_factory=dict)
    folder: Path = Path()
    means: Callable[[Transaction, Task], Values] | None = None
    specs: dict[str, StepSpec] = field(init=False)
    free: frozenset[str] = field(init=False)
    """Ids of the steps of which nothing is asked: most are, and every step of a run passes here."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "specs", self.workflow.by_id)  # once: every commit makes a judge
        object.__setattr__(self, "free", frozenset(spec.id for spec in self.workflow.steps if _is_free(spec)))

    def values(self, tx: Transaction, task: Task) -> Values:
        """Return what paths mean for a task."""
        if self.means is not None:
            return self.means(tx, task)
        return StepValues(tx, task, self.workflow, self.params, self.folder)

    def __call__(self, tx: Transaction) -> Judge:
        """Return the judge of one transaction."""
        return _Judge(tx, self, self.specs)


class _Judge:
    def __init__(self, tx: Transaction, gates: Gates, specs: Mapping[str, StepSpec]) -> None:
        self._tx, self._gates, self._specs = tx, gates, specs
        self._ledger = gates.ledger
        self._now = gates.ledger.clock.now()
        self._taken: dict[str, int] = {}

    def __call__(self, task: Task) -> Verdict:
        if task.key in self._gates.free:
            return "start"
        spec, values = self._specs[task.key], self._gates.values(self._tx, task)
        try:
            return self._judge(task, spec, values)
        except BadInput as error:
            failure = Failure("BadInput", str(error))
            return self._move(task, Ask("fail", failure=failure, reason=None))

    def _judge(self, task: Task, spec: StepSpec, values: Values) -> Verdict:
        if self._is_too_late(task, spec):
            return self._fail(task, "DeadlineExceeded", f"step {task.name} did not start before its deadline")
        if spec.when is not None and not self._holds(task, spec, values):
            return self._move(task, Ask("skip", reason=f"when: {spec.when}"))
        if spec.for_each is not None and task.map_index < 0:
            return self._expand(task, spec, values)
        if spec.manual is not None:
            return self._move(task, Ask("block", reason=_told(spec.manual, values)))
        if spec.cache_s is not None and (found := self._known(task, spec, values)):
            return self._complete(task, *found)
        return self._start(task, spec)

    def _known(self, task: Task, spec: StepSpec, values: Values) -> tuple[Encoded, str] | None:
        """The result that was had for the same, and whose it is; else this attempt is the one to remember.

        What was done before and was taken back is to be done again: then no result serves.
        """
        key, since = self._key(spec, values), self._now - (spec.cache_s or 0) * 1_000_000
        is_first = not task.attempts and task.output is None
        row = self._tx.row("result_for", key=key, since=since) if is_first else None
        if row is None:
            self._tx.execute("works_on", {"key": key, "task_id": task.id, "n": task.attempts + 1})
            return None
        output, had_by, attempt = row
        other = self._tx.task("task_by_id", id=had_by)
        assert other is not None
        name = task_reference(self._tx.run(other.run_id).name, other)
        reason = f"used again: the result of {name}, attempt {attempt}"
        return Encoded(None if output is None else str(output)), reason

    def _key(self, spec: StepSpec, values: Values) -> str:
        """What a result follows from: the code, and what the step is given, not what else there is in the run."""
        code = self._gates.code[spec.id]
        inputs = given(spec, values, code.wants.values())
        results = {need.key: values[need.key] for need in spec.needs} if code.wants_context else {}
        said = [spec.call, spec.run, spec.env, spec.arguments, code.code_version, inputs, results]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=dict).encode()).hexdigest()

    def _is_too_late(self, task: Task, spec: StepSpec) -> bool:
        began = self._tx.run(task.run_id).started_at
        if spec.deadline_ms is None or began is None:
            return False
        return self._now > began + spec.deadline_ms * 1000

    def _holds(self, task: Task, spec: StepSpec, values: Values) -> bool:
        """A condition about the item is asked of each part, any other of the step before it is expanded."""
        condition = Condition.parse(str(spec.when))
        of_parts = any(path.root in _PARTS_ASK for path in condition.paths)
        if spec.for_each is not None and of_parts != (task.map_index >= 0):
            return True
        return condition.holds(values)

    def _expand(self, task: Task, spec: StepSpec, values: Values) -> Verdict:
        items = ValuePath.parse(spec.for_each).value_in(values) if isinstance(spec.for_each, str) else spec.for_each
        if not isinstance(items, list | tuple):
            raise BadInput(
                f"expected for_each of step {task.key} to find a list at {spec.for_each}, got: {kind_of(items)}"
            )
        title = None if spec.title is None else _titles(spec.title, values)
        expansion = Expansion(self._tx, self._ledger, task, items, self._now, title)
        if items and not expansion.is_done:
            expansion.expand()
            return "moved"
        return self._complete(task, expansion.results())

    def _start(self, task: Task, spec: StepSpec) -> Verdict:
        """Who starts takes a place of each limit; all are taken or none."""
        if spec.limits:
            self._tx.hold(task.run_id)
        for name, most in spec.limits.items():
            if name not in self._taken:
                self._tx.execute("free_slots", {"name": name})
                row = self._tx.row("slots_taken", name=name)
                self._taken[name] = int(str(row[0])) if row else 0
            if self._taken[name] >= most:
                return "hold"
        for name in spec.limits:
            self._taken[name] += 1
            self._tx.execute("take_slot", {"name": name, "task_id": task.id})
        return "start"

    def _fail(self, task: Task, kind: str, words: str) -> Verdict:
        return self._move(task, Ask("fail", failure=Failure(kind, words)))

    def _complete(self, task: Task, output: Encoded, reason: str | None = None) -> Verdict:
        output.keep(self._tx, self._now)
        return self._move(task, Ask("complete", output=output.column, reason=reason))

    def _move(self, task: Task, ask: Ask) -> Verdict:
        change = decide(task, self._ledger.clean(ask), self._now)
        self._tx.apply([(change, Mark(self._ledger.actor))])
        return "moved"


def _is_free(spec: StepSpec) -> bool:
    asked = (spec.deadline_ms, spec.when, spec.for_each, spec.manual, spec.cache_s)
    return not spec.limits and all(one is None for one in asked)


def _titles(text: str, values: Values) -> Title:
    """What parts are called; where a title names what is not there, a part has none, and is done all the same."""
    template = Template.parse(text)

    def title(index: int, item: object) -> str | None:
        try:
            filled_in = template.fill(ChainMap[str, object]({"item": item, "index": index}, values))  # type: ignore[arg-type]  # it is only read
        except BadInput:
            return None
        words = filled_in if isinstance(filled_in, str) else json.dumps(filled_in, ensure_ascii=False)
        return storable(" ".join(words.split()))[:_LONGEST_TITLE] or None

    return title


def _told(manual: str, values: Values) -> str:
    """What a person is told; a result that is not there keeps nobody from being asked."""
    try:
        return str(Template.parse(manual).fill(values)).strip()
    except BadInput:
        return manual
