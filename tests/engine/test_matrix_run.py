"""Matrices that are executed: what cells are told, what is left alone, and what of them is tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasktrail.engine.items import items_of
from tasktrail.engine.lookup import Found, history
from tasktrail.engine.matrices import create_matrix, picture_of, use_grid
from tasktrail.engine.matrix_run import Part, execute_matrix, pool_matrix
from tasktrail.engine.ownership import is_pooled
from tasktrail.engine.workflow_code import Functions
from tasktrail.formats.picture import ItemPicture, Picture, TaskPicture
from tasktrail.model.errors import BadInput, Held
from tasktrail.model.lifecycle import Ask
from tasktrail.model.matrix import Grid, TaskType
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.run import Run
from tasktrail.model.task import Task
from tasktrail.model.workflow import StepSpec
from tests.engine.executing import SOON_S, Engine, until
from tests.engine.matrices import sync

Items = Mapping[str, Mapping[str, object]]

ITEMS: Items = {"Foo & Bar": {"url": "u1"}, "Baz": {"url": "u2"}}
RESEARCH = TaskType("research", output_pattern="research/{sanitized_name}.yaml")
CONTENT = TaskType("content", ("research",))
POST = TaskType("post", ("content",), is_group_level=True, output_pattern="{year}-{letter}.md")


def weeks(*types: TaskType) -> Grid:
    types = types or (RESEARCH, CONTENT, POST)
    own = [one.name for one in types if one.is_group_level]
    return Grid("weeks", types, tuple(one.name for one in types if one.name not in own), tuple(own))


def matrix(engine: Engine, grid: Grid | None = None, items: Items = ITEMS, name: str = "A") -> Run:
    """Store a matrix of these items."""
    grid = grid or weeks()
    cells = [cell for item, said in items.items() for cell in grid.cells_of(item, said)] + grid.group_cells()
    pictures = tuple(ItemPicture(item, attributes=json.dumps(said)) for item, said in items.items())
    tasks = tuple(TaskPicture(key, "pending", item=item) for item, key in cells)
    return create_matrix(engine.ledger, name, grid, Picture(name, "weeks", tasks=tasks, items=pictures))


def execute(engine: Engine, run: Run, functions: Functions | None = None, **options: Any) -> Run:
    return asyncio.run(asyncio.wait_for(execute_matrix(engine.ledger, run, functions, **options), SOON_S))


def cell(engine: Engine, run: Run, item: str, key: str) -> Task:
    found = engine.ledger.store.read(lambda tx: tx.task("task_by_key", key=key, run_id=run.id, item=item, map_index=-1))
    assert found is not None
    return found


def statuses(engine: Engine, run: Run) -> dict[str, str]:
    return {task.name: task.status for task in picture_of(engine.ledger, run).tasks}


def details(engine: Engine, run: Run, name: str) -> dict[str, Any]:
    metadata = picture_of(engine.ledger, run).by_name()[name].metadata
    return json.loads(metadata) if metadata else {}


@pytest.mark.requirement("CN-079")
def test_every_type_is_executed_for_every_item_and_then_for_the_group(engine: Engine) -> None:
    run = matrix(engine)

    async def content(item: str, research: dict[str, object]) -> str:
        return f"{item} by {research['url']}"

    functions: Functions = {
        "research": lambda attributes, sanitized_name: {"url": attributes["url"], "as": sanitized_name},
        "content": content,
        "post": lambda group, research, content: [group, sorted(research), content],
    }
    after = execute(engine, run, functions)

    assert (after.status, after.n_completed, after.worker_id) == ("completed", 5, None)
    assert cell(engine, run, "Foo & Bar", "research").output == '{"url":"u1","as":"foo_and_bar"}'
    assert json.loads(str(cell(engine, run, "", "post").output)) == [
        "A", ["Baz", "Foo & Bar"], {"Foo & Bar": "Foo & Bar by u1", "Baz": "Baz by u2"},
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [{}, {"item": "{item}"}])
def test_functions_get_the_item_as_a_plain_text(engine: Engine, arguments: dict[str, Any]) -> None:
    """Not as one that paths can ask more of, which YAML refuses to write."""
    kinds: list[type] = []
    step = StepSpec("a", call="own:a", arguments=arguments)
    run = matrix(engine, weeks(TaskType("a", step=step)), {"x": {"url": "u"}})

    execute(engine, run, {"a": lambda item: kinds.append(type(item))})

    assert kinds == [str]


def test_cells_run_at_the_same_time_and_no_more_than_asked_for(engine: Engine) -> None:
    run, running, most = matrix(engine, weeks(TaskType("a")), {item: {} for item in "abcdef"}), [0], [0]

    async def a() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0)
        running[0] -= 1

    execute(engine, run, {"a": a}, max_parallel=3)

    assert most == [3]


def test_what_nobody_said_how_to_execute_is_left_alone(engine: Engine) -> None:
    """An agent does the content; once that is done the next execution goes on behind it."""
    run = matrix(engine)
    functions: Functions = {"research": lambda: 1, "post": lambda content: content}

    first = execute(engine, run, functions)
    assert (first.status, first.worker_id) == ("running", None)
    assert statuses(engine, run) == {
        "Foo & Bar/research": "completed", "Foo & Bar/content": "pending",
        "Baz/research": "completed", "Baz/content": "pending", "post": "pending",
    }  # fmt: skip

    for item in ITEMS:
        engine.ledger.ask(cell(engine, run, item, "content").id, Ask("complete", output='"by hand"'))
    assert execute(engine, run, functions).status == "completed"
    assert cell(engine, run, "", "post").output == '{"Foo & Bar":"by hand","Baz":"by hand"}'


def test_a_matrix_that_nothing_executes_is_refused(engine: Engine) -> None:
    run = matrix(engine)

    with pytest.raises(BadInput, match="nobody said how to execute the tasks of A"):
        execute(engine, run)
    with pytest.raises(BadInput, match=r"weeks has no task type 'reserch'; did you mean research\?"):
        execute(engine, run, {"reserch": lambda: 1})
    with pytest.raises(BadInput, match="A has no item 'Bax'"):
        execute(engine, run, {"research": lambda: 1}, items=["Bax"])
    assert engine.verbs(run.id).count("resume") == 0


@pytest.mark.parametrize(
    ("part", "done"),
    [
        ({"types": ["research"]}, ["Baz/research", "Foo & Bar/research"]),
        ({"items": ["Baz"]}, ["Baz/content", "Baz/research"]),
        ({"limit": 1}, ["Foo & Bar/content", "Foo & Bar/research"]),
        ({"items": ["Baz"], "types": ["research"], "limit": 5}, ["Baz/research"]),
    ],
)
def test_a_part_of_a_matrix_is_executed(engine: Engine, part: dict[str, Any], done: list[str]) -> None:
    run = matrix(engine)

    execute(engine, run, dict.fromkeys(("research", "content", "post"), lambda: 1), **part)

    assert sorted(name for name, status in statuses(engine, run).items() if status == "completed") == done


def test_a_limit_passes_over_items_that_are_done(engine: Engine) -> None:
    run = matrix(engine)
    functions: Functions = dict.fromkeys(("research", "content", "post"), lambda: 1)

    execute(engine, run, functions, limit=1)
    after = execute(engine, run, functions, limit=1)

    assert after.status == "completed"


# failures


def failing(*names: str) -> Functions:
    """Functions that fail for these items, for as long as they are in the list."""
    broken = list(names)

    def research(item: str) -> str:
        if item in broken:
            raise ValueError(f"nothing on {item}")
        return item

    return {"research": research, "content": lambda: 1, "post": lambda: 1}


@pytest.mark.requirement("CN-078")
def test_a_cell_that_fails_stops_no_other_and_is_tried_again_by_the_next_execution(engine: Engine) -> None:
    run = matrix(engine, weeks(once(RESEARCH), CONTENT, POST))

    after = execute(engine, run, failing("Baz"))
    assert after.status == "partial"
    assert statuses(engine, run) == {
        "Foo & Bar/research": "completed", "Foo & Bar/content": "completed",
        "Baz/research": "failed", "Baz/content": "pending", "post": "pending",
    }  # fmt: skip
    assert cell(engine, run, "Baz", "research").error == "nothing on Baz"

    assert execute(engine, run, failing()).status == "completed"
    assert cell(engine, run, "Baz", "research").attempts == 2
    assert cell(engine, run, "Foo & Bar", "research").attempts == 1


def once(task_type: TaskType, **options: Any) -> TaskType:
    return replace(task_type, step=StepSpec(task_type.name, call="time:time", **options))


def test_a_part_of_a_matrix_tries_again_only_what_failed_of_it(engine: Engine) -> None:
    run = matrix(engine, weeks(once(RESEARCH), CONTENT, POST))
    execute(engine, run, failing(*ITEMS))

    execute(engine, run, failing(), items=["Baz"])

    assert statuses(engine, run)["Baz/research"] == "completed"
    assert statuses(engine, run)["Foo & Bar/research"] == "failed"


@pytest.mark.requirement("CN-078")
def test_a_type_says_how_often_its_cells_are_tried(engine: Engine) -> None:
    retried = once(RESEARCH, retry=RetryPolicy(max_retries=2, delay_s=0.001), priority=1, timeout_ms=9000)
    run = matrix(engine, weeks(retried, CONTENT, POST), {"Baz": {}})
    tries: list[int] = []

    def research(ctx: Any) -> int:
        tries.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return 1

    execute(engine, run, {"research": research, "content": lambda: 1, "post": lambda: 1})

    found = cell(engine, run, "Baz", "research")
    assert tries == [1, 2, 3]
    assert (found.status, found.max_retries, found.priority, found.timeout_ms) == ("completed", 2, 1, 9000)
    assert cell(engine, run, "Baz", "content").max_retries == 3
    assert [event.verb for event in history(engine.ledger, Found(run, found)).events] == [
        "start", "retry", "start", "retry", "start", "complete",
    ]  # fmt: skip


def test_cells_follow_their_type_unless_one_was_made_otherwise(engine: Engine) -> None:
    items: Items = {"x": {}, "y": {}}
    run = matrix(engine, weeks(once(RESEARCH, retry=RetryPolicy(max_retries=1))), items)
    own = picture_of(engine.ledger, run)
    other = weeks(once(RESEARCH, retry=RetryPolicy(max_retries=5), queue="gpu"))
    from tasktrail.engine.drafts import RunEdit, TaskEdit, save

    x = cell(engine, run, "x", "research")
    save(engine.ledger, RunEdit(run.id, [TaskEdit(x.id, x.version, definition={"max_retries": 9})]))
    run = use_grid(engine.ledger, run, other)
    sync(engine.ledger, run, "x", "y", "z")

    assert len(own.tasks) == 2
    assert [cell(engine, run, name, "research").max_retries for name in "xyz"] == [9, 5, 5]
    assert [cell(engine, run, name, "research").queue for name in "xyz"] == [None, None, None]


# output files


def test_where_the_output_of_a_cell_went_is_kept_with_it(engine: Engine, tmp_path: Path) -> None:
    """What the code says counts first, then the file of the pattern, if it is there; never a guess."""
    items: Items = {"Said": {}, "Made": {}, "None": {}}
    run = matrix(engine, weeks(replace(RESEARCH, agent="researcher")), items)

    def research(item: str, output_file: str) -> object:
        if item == "Said":
            return {"output_file": "elsewhere.yaml"}
        if item == "Made":
            (tmp_path / output_file).parent.mkdir()
            (tmp_path / output_file).write_text("x")
        return output_file

    execute(engine, run, {"research": research}, folder=tmp_path)

    assert details(engine, run, "Said/research") == {"output_file": "elsewhere.yaml"}
    assert details(engine, run, "Made/research") == {"output_file": "research/made.yaml"}
    assert details(engine, run, "None/research") == {}
    made = cell(engine, run, "Made", "research")
    last = history(engine.ledger, Found(run, made)).events[-1]
    assert (last.verb, last.changes["metadata"]) == ("complete", [None, '{"output_file":"research/made.yaml"}'])


def test_a_file_above_the_folder_is_no_output(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").touch()
    run = matrix(engine, weeks(replace(RESEARCH, output_pattern="{item}")), {"../secret": {}})

    execute(engine, run, {"research": lambda: 1}, folder=tmp_path / "in")

    assert details(engine, run, "../secret/research") == {}


def test_a_pattern_that_cannot_be_filled_is_refused_before_anything_runs(engine: Engine) -> None:
    run = matrix(engine, weeks(replace(POST, needs=(), output_pattern="{item}.md")))

    with pytest.raises(BadInput) as refused:
        execute(engine, run, {"post": lambda: 1})

    assert refused.value.details == ("output_pattern of post: expected one of group, letter, year, got: item",)


# commands


def test_a_command_is_told_of_its_item_in_its_place_and_by_its_file(engine: Engine, tmp_path: Path) -> None:
    script = (
        "import json, os, sys; told = json.load(open(os.environ['TASKTRAIL_INPUT']));"
        "print(sys.argv[1:], os.environ['URL'], told['item'], told['attributes'], told['group'])"
    )
    step = StepSpec(
        "research",
        run=("python3", "-c", script, "{item}", "{item.url}", "{output_file}", "{run.folder}"),
        env={"URL": "{attributes.url}"},
    )
    run = matrix(engine, weeks(replace(RESEARCH, step=step)), {"Baz": {"url": "u2"}})

    after = execute(engine, run, folder=tmp_path)

    assert after.status == "completed", cell(engine, run, "Baz", "research").error
    output = json.loads(str(cell(engine, run, "Baz", "research").output))
    assert output["stdout"] == f"['Baz', 'u2', 'research/baz.yaml', '{tmp_path}'] u2 Baz {{'url': 'u2'}} A\n"


def test_a_step_may_ask_for_a_condition_a_person_or_a_limit(engine: Engine) -> None:
    run = matrix(
        engine,
        weeks(
            once(RESEARCH, when="item.url == 'u2'", limits={"api": 1}),
            replace(CONTENT, needs=(), step=StepSpec("content", manual="Write of {item} at {item.url}")),
        ),
    )

    execute(engine, run, {"research": lambda: 1})

    assert (cell(engine, run, "Foo & Bar", "research").status, cell(engine, run, "Baz", "research").status) == (
        "skipped", "completed",
    )  # fmt: skip
    assert cell(engine, run, "Baz", "content").reason == "Write of Baz at u2"


# what changes meanwhile


def test_a_removed_item_is_not_executed_and_one_that_comes_is(engine: Engine) -> None:
    run, done = matrix(engine), list[str]()

    def research(item: str) -> None:
        done.append(item)
        if item == "Foo & Bar":
            sync(engine.ledger, run, "Foo & Bar", "New")

    execute(engine, run, {"research": research}, max_parallel=1)

    assert done == ["Foo & Bar", "New"]
    assert cell(engine, run, "Baz", "research").status == "skipped"
    assert [item.removed_at is None for item in engine.ledger.store.read(lambda tx: items_of(tx, run))] == [
        True, False, True,
    ]  # fmt: skip


def test_what_is_claimed_next_goes_by_the_types_that_are_stored_then(engine: Engine) -> None:
    """The post no longer needs the content; what ran is finished."""
    run, seen = matrix(engine, items={"Baz": {}}), list[str]()

    def research(output_file: str) -> None:
        seen.append(output_file)
        other = weeks(RESEARCH, CONTENT, replace(POST, needs=("research",), output_pattern="new.md"))
        use_grid(engine.ledger, run, other)

    after = execute(engine, run, {"research": research, "post": lambda output_file: seen.append(output_file)})

    assert seen == ["research/baz.yaml", "new.md"]
    assert statuses(engine, run) == {"Baz/research": "completed", "Baz/content": "pending", "post": "completed"}
    assert after.worker_id is None


async def test_one_process_executes_a_matrix_at_a_time(engine: Engine) -> None:
    run, go = matrix(engine, weeks(RESEARCH), {"Baz": {}}), asyncio.Event()

    async def research() -> None:
        await go.wait()

    first = asyncio.create_task(execute_matrix(engine.ledger, run, {"research": research}))
    await until(lambda: cell(engine, run, "Baz", "research").status == "in_progress")
    with pytest.raises(Held, match="run A is being executed"):
        await execute_matrix(engine.ledger, run, {"research": research})
    go.set()
    await asyncio.wait_for(first, SOON_S)

    assert cell(engine, run, "Baz", "research").attempts == 1


# pooled


def queues(engine: Engine, run: Run) -> dict[str, str | None]:
    return {
        task.name: task.queue for task in engine.ledger.store.read(lambda tx: tx.tasks("steps_of_run", run_id=run.id))
    }


def test_a_pooled_matrix_has_what_workers_execute_in_their_queues(engine: Engine) -> None:
    run = matrix(engine, weeks(once(RESEARCH), CONTENT, once(POST, queue="gpu", labels=("big",))), {"x": {}})
    assert not is_pooled(engine.ledger.store, run)

    after = pool_matrix(engine.ledger, run, Path.cwd())
    sync(engine.ledger, after, "x", "y")

    assert queues(engine, run) == {
        "x/research": "default", "x/content": None, "post": "gpu", "y/research": "default", "y/content": None,
    }  # fmt: skip
    assert cell(engine, run, "", "post").labels == '["big"]'
    assert (after.target, is_pooled(engine.ledger.store, run)) == (".", True)
    with pytest.raises(Held, match="run A is pooled"):
        execute(engine, run, {"research": lambda: 1})
    use_grid(engine.ledger, after, weeks(RESEARCH, CONTENT, POST))
    assert set(queues(engine, run).values()) == {None}


def test_only_what_is_asked_for_is_left_to_workers(engine: Engine) -> None:
    run = matrix(engine, weeks(once(RESEARCH), once(CONTENT)))

    pool_matrix(engine.ledger, run, Path.cwd(), Part(types=["research"], limit=1))

    assert [name for name, queue in queues(engine, run).items() if queue] == ["Foo & Bar/research"]


def test_a_matrix_is_executed_where_no_loop_runs(engine: Engine) -> None:
    run = matrix(engine, weeks(RESEARCH))

    assert asyncio.run(execute_matrix(engine.ledger, run, {"research": lambda: 1}, limit=1)).n_completed == 1
