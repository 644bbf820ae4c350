"""A matrix, opened to be executed: its types are the steps, its cells are the tasks; the code is the caller's or found.

What is not ready, and what nobody said how to execute, is left alone: agents and people do it, at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from tasktrail.engine.cell_values import CellValues, words_of
from tasktrail.engine.execution import take_up_pooled
from tasktrail.engine.gates import Gates, given
from tasktrail.engine.grids import grid_in, put_in_queues
from tasktrail.engine.items import item_in, items_of
from tasktrail.engine.ledger import Ledger
from tasktrail.engine.matrices import hold_matrix
from tasktrail.engine.ownership import check_free
from tasktrail.engine.plan import Judge, Plan, Verdict
from tasktrail.engine.runner import Runner
from tasktrail.engine.steps import Step
from tasktrail.engine.workflow_code import Functions, code_of
from tasktrail.model.errors import BadInput, NotFound
from tasktrail.model.graph import Need
from tasktrail.model.lifecycle import Ask, decide
from tasktrail.model.matrix import Grid, TaskType
from tasktrail.model.path import Template
from tasktrail.model.run import Run
from tasktrail.model.suggestion import Suggestions
from tasktrail.model.task import ITEM_REMOVED, Task
from tasktrail.model.workflow import StepSpec, Workflow
from tasktrail.store.records import Mark
from tasktrail.store.transaction import Transaction

__all__ = ["MatrixRun", "Part", "execute_matrix", "pool_matrix"]

_MOST_AT_ONCE: Final = 8
_ANY_NUMBER: Final = 1_000_000
_TO_DO: Final = frozenset({"pending", "in_progress", "failed"})
_OUTPUT_FILE: Final = "output_file"


@dataclass(frozen=True, slots=True)
class Part:
    """What of a matrix is to be executed.

    Args:
        types: These task types alone; None: all that have code.
        items: Of items these alone; None: all. The group's own tasks are not asked.
        limit: Of those the first so many that have something to do.
    """

    types: Collection[str] | None = None
    items: Collection[str] | None = None
    limit: int | None = None

    def items_in(self, tx: Transaction, run: Run, keys: Collection[str]) -> Collection[str] | None:
        """Return the items whose cells are executed, '' for the group's own; None for all.

        Args:
            keys: The types that are executed.

        Raises:
            BadInput: There is no such item.
        """
        if self.items is None and self.limit is None:
            return None
        present = [item.name for item in items_of(tx, run) if item.removed_at is None]
        _check_known(self.items or (), present, f"{run.name} has no item")
        chosen = [name for name in present if self.items is None or name in self.items]
        if self.limit is None:
            return {*chosen, ""}
        cells = tx.tasks("steps_of_run", run_id=run.id)
        open_items = {task.item for task in cells if task.key in keys and task.status in _TO_DO}
        return {*islice((name for name in chosen if name in open_items), self.limit), ""}


_WHOLE: Final = Part()


@dataclass(slots=True)
class MatrixRun:
    """A matrix that this process is about to execute, or a part of it.

    Args:
        steps: The code, by task type.
        folder: Where commands work and modules are found, and below which output files lie.
        items: As in `Plan`.
    """

    ledger: Ledger
    run: Run
    grid: Grid
    steps: Mapping[str, Step]
    workflow: Workflow
    folder: Path
    items: Collection[str] | None = None
    max_parallel: int = _MOST_AT_ONCE
    watch: Callable[[Run], None] | None = None
    say: Callable[[Task, str], None] | None = None

    @classmethod
    def open(
        cls,
        ledger: Ledger,
        run: Run,
        folder: Path,
        *,
        functions: Functions | None = None,
        part: Part = _WHOLE,
        max_parallel: int | None = None,
    ) -> MatrixRun:
        """Find the code of a matrix by the types that are stored with it.

        Args:
            functions: Functions by task type, whatever the type itself says.
            max_parallel: How many cells run at the same time; None: 8.

        Raises:
            BadInput: A type or an item is unknown, or the code of a type is not here; no type has any.
        """
        functions = functions or {}
        run, grid = ledger.store.read(lambda tx: _read(tx, run))
        _check_known([*(part.types or ()), *functions], grid.by_name, f"{grid.name} has no task type")
        workflow, keys = _workflow(grid, functions, part.types)
        if not keys:
            hint = "give functions, or say in its task types what executes them"
            raise BadInput(f"nobody said how to execute the tasks of {run.name}", hint=hint)
        _check_patterns(grid, keys)
        code = code_of(workflow, folder, functions, {one.name: words_of(one) for one in grid.types})
        items = ledger.store.read(lambda tx: part.items_in(tx, run, keys))
        steps = {key: code[key] for key in keys}
        return cls(ledger, run, grid, steps, workflow, folder, items, max_parallel or _MOST_AT_ONCE)

    @classmethod
    def pooled(cls, ledger: Ledger, run: Run, folder: Path) -> MatrixRun:
        """Open a matrix for a worker: it goes by what is stored, with the code that is here.

        Raises:
            BadInput: The code of a type is not here.
        """
        return cls.open(ledger, run, folder, max_parallel=_ANY_NUMBER)  # the workers' own limits hold

    async def execute(self, *, retry: bool = True) -> Run:
        """Execute the matrix as far as it goes by these types.

        Args:
            retry: Whether what stands failed is tried again.

        Raises:
            Held: Another process executes it, or workers do.
        """
        return await Runner(self.ledger, self.run.id, self.plan(), retry=retry).execute()

    def plan(self) -> Plan:
        """Return what a runner goes by."""
        gates = Gates(self.ledger, self.workflow, {}, self.steps, self.folder, self._means)
        return Plan(
            self.steps,
            max_parallel=self.max_parallel,
            gate=lambda tx: _Judge(tx, self.ledger, gates(tx)),
            values=lambda tx, task, names: given(gates.specs[task.key], gates.values(tx, task), names),
            results=lambda tx, task: self._means(tx, task).results(),
            details=self._details,
            items=self.items,
            definition_id=self.run.definition_id,
            once=[spec.id for spec in self.workflow.steps if spec.effect == "at_most_once"],
            watch=self.watch,
            say=self.say,
        )

    def _means(self, tx: Transaction, task: Task) -> CellValues:
        return CellValues(tx, task, self.grid, self.folder)

    def _details(self, task: Task, value: object) -> Mapping[str, object]:
        """Where a cell's output went: what its code says, else the file of the pattern, if that was made."""
        said = value.get(_OUTPUT_FILE) if isinstance(value, dict) else None
        if isinstance(said, str):
            return {_OUTPUT_FILE: said}
        if self.grid.by_name[task.key].output_pattern is None:
            return {}
        path = self.ledger.store.read(lambda tx: self._means(tx, task)[_OUTPUT_FILE])
        return {_OUTPUT_FILE: path} if _is_below(self.folder, str(path)) else {}


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the cells of one transaction: those of removed items are nobody's work, however they came here."""

    tx: Transaction
    ledger: Ledger
    judge: Judge

    def __call__(self, task: Task) -> Verdict:
        item = item_in(self.tx, self.tx.run(task.run_id), task.item) if task.item else None
        if item is None or item.removed_at is None:
            return self.judge(task)
        skip = decide(task, Ask("skip", reason=ITEM_REMOVED), self.ledger.clock.now())
        self.tx.apply([(skip, Mark(self.ledger.actor))])
        return "moved"


async def execute_matrix(
    ledger: Ledger,
    run: Run,
    functions: Functions | None = None,
    folder: Path | None = None,
    *,
    max_parallel: int | None = None,
    types: Collection[str] | None = None,
    items: Collection[str] | None = None,
    limit: int | None = None,
    watch: Callable[[Run], None] | None = None,
) -> Run:
    """Execute what is ready of a matrix, and what becomes so, until nothing is; return it as it then stands.

    Cells that failed are tried again with a fresh budget. One that fails stops no other. Where the matrix goes by
    other task types meanwhile, what runs is finished, and the rest goes by them.

    Args:
        functions: Functions by task type, sync or async. A parameter is filled by its name: `item`, `attributes`,
            `sanitized_name`, `group` (also `letter`), `year`, `output_file`, `ctx`, and types that it needs.
        folder: Where commands work and modules are found, and below which output files lie; None: that of the project.
        types: These alone.
        items: Of the items these alone.
        limit: Of the items the first so many that have something to do.

    Raises:
        BadInput: A type or an item is unknown, or nobody said how to execute anything.
        Held: Another process executes it, or workers do.
    """
    part, retry = Part(types, items, limit), True
    while True:
        folder = folder or folder_of(ledger, run)
        opened = MatrixRun.open(ledger, run, folder, functions=functions, part=part, max_parallel=max_parallel)
        opened.watch = watch
        part = replace(part, items=opened.items and {*opened.items} - {""}, limit=None)
        run = await opened.execute(retry=retry)
        if run.definition_id == opened.run.definition_id:
            return run
        retry = False


def pool_matrix(ledger: Ledger, run: Run, folder: Path | None = None, part: Part = _WHOLE) -> Run:
    """Leave a matrix to the workers: cells whose type says what executes them are put into their queues.

    Those that come later are, too. What failed is tried again with a fresh budget.

    Args:
        folder: As for `execute_matrix`; kept with the matrix.

    Raises:
        BadInput: As for `execute_matrix`; functions cannot be handed to workers.
        Held: A process executes it.
    """
    folder = (folder or folder_of(ledger, run)).resolve()
    opened = MatrixRun.open(ledger, run, folder, part=part)
    check_free(ledger.store, opened.run)
    home = ledger.attachments.documents.folder
    target = (folder.relative_to(home) if home and folder.is_relative_to(home) else folder).as_posix()

    def work(tx: Transaction) -> None:
        current = hold_matrix(tx, run.id)
        put_in_queues(tx, ledger, current, opened.steps.keys(), opened.items)
        if target != current.target:
            at = ledger.clock.now()
            tx.record_run(run.id, "accept", at, ledger.actor, note=f"workers execute it in {target}")
            tx.set_run(run.id, target=target, updated_at=at)

    ledger.commit(work, documents=run.documents)
    return take_up_pooled(ledger, opened.run)


def folder_of(ledger: Ledger, run: Run) -> Path:
    """Return where the commands of a matrix work: the project's folder, unless it was said."""
    return (ledger.attachments.documents.folder or Path.cwd()) / (run.target or "")


# what is executed


def _read(tx: Transaction, run: Run) -> tuple[Run, Grid]:
    current = tx.run(run.id)
    grid = grid_in(tx, current)
    if grid is None:
        raise NotFound(f"matrix {run.name} was made by nobody who said of what", hint="name its task types")
    return current, grid


def _workflow(grid: Grid, functions: Functions, types: Collection[str] | None) -> tuple[Workflow, list[str]]:
    """Return the types as steps that need each other, and which of them have code; the others only give results."""
    specs, keys = [], []
    for one in grid.types:
        spec = _spec(one, functions) if types is None or one.name in types else None
        if spec is not None:
            keys.append(one.name)
        needs = tuple(Need(name) for name in one.needs)
        specs.append(replace(spec or StepSpec(one.name, manual=one.description), needs=needs))
    return Workflow(grid.name, tuple(specs), on_failure="continue"), keys


def _spec(task_type: TaskType, functions: Functions) -> StepSpec | None:
    spec = task_type.step
    if spec is not None and spec.for_each is not None:
        words = f"task type {task_type.name} is done once for each item; it cannot have for_each"
        raise BadInput(words, hint="let the list be the items of the matrix")
    if task_type.name not in functions:
        return spec
    called = f"the function given for {task_type.name}"
    return replace(spec or StepSpec(task_type.name), run=None, manual=None, call=called)


def _check_known(names: Collection[str], known: Collection[str], what: str) -> None:
    suggest = Suggestions()
    for name in names:
        if name not in known:
            hint = f"there are {', '.join(islice(known, 10)) or 'none'}"
            raise BadInput(f"{what} {name!r}{suggest(name, known)}", hint=hint)


def _check_patterns(grid: Grid, keys: Collection[str]) -> None:
    """Refuse a pattern that could not be filled, before any code runs."""
    faults = [fault for one in grid.types if one.name in keys for fault in _pattern_faults(one)]
    if faults:
        raise BadInput(f"the task types of {grid.name} cannot be executed", details=faults)


def _pattern_faults(task_type: TaskType) -> Iterator[str]:
    known = [word for word in words_of(task_type) if word != _OUTPUT_FILE]
    try:
        roots = Template.parse(task_type.output_pattern or "").roots
    except BadInput as error:
        yield f"output_pattern of {task_type.name}: {error.message}"
        return
    for root in roots:
        if root not in known:
            yield f"output_pattern of {task_type.name}: expected one of {', '.join(known)}, got: {root}"


def _is_below(folder: Path, path: str) -> bool:
    try:
        found = (folder / path).resolve()
        return found.is_relative_to(folder.resolve()) and found.is_file()
    except (OSError, ValueError):
        return False
