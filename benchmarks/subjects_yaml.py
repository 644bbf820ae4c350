"""Workflow files, read and executed as `run dag FILE` does: the shapes of `subjects_tasktrail.py`, and a large file."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from measuring import Reading, peak_rss_mb, timed
from shapes import AT_ONCE, STEPS_PER_RUN
from subjects_tasktrail import MAX_RETRIES, RUN_ID, SETTINGS, must_have_run, no_op_inline, use_store

CALL = f"call: {no_op_inline.__module__}:{no_op_inline.__name__}"


def chain(n: int, folder: Path) -> Reading:
    return _executed(n, _chain_entries(n), folder)


def fan(n: int, folder: Path) -> Reading:
    return _executed(n + 2, _fan_entries(n), folder)


def runs(n: int, folder: Path) -> Reading:
    """The file is read anew for each run, and that is timed, as building each run is for runners."""
    file, ledger = opened(folder, _chain_entries(STEPS_PER_RUN))
    seconds = asyncio.run(_execute_runs(file, ledger, n))
    must_have_run(n * STEPS_PER_RUN)
    return Reading(n, seconds, peak_rss_mb(), f"{SETTINGS}; each file read")


def load(n: int, folder: Path) -> Reading:
    """From the file to a workflow that was checked as a whole."""
    file, _ = opened(folder, _chain_entries(n))
    with timed() as watch:
        workflow = file.load()
    assert len(workflow.steps) == n
    return Reading(n, watch.seconds, peak_rss_mb(), f"{file.path.stat().st_size / 1024:,.0f} KiB")


def parse(n: int, folder: Path) -> Reading:
    """The same file in PyYAML's own C loader, which gives lists and dicts and checks nothing."""
    import yaml

    with timed() as watch:
        found = yaml.load((folder / "flow.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader)
    assert len(found["steps"]) == n
    return Reading(n, watch.seconds, peak_rss_mb(), "PyYAML, CSafeLoader")


def opened(folder: Path, entries: Iterable[str]) -> tuple[Any, Any]:
    """Write a workflow file; return it as the command line has it, and the ledger of a store beside it."""
    path = folder / "flow.yaml"
    path.write_text(f"name: flow\nmax_parallel: {AT_ONCE}\nsteps:\n{''.join(entries)}", "utf-8")
    use_store(folder)
    import tasktrail.formats.workflow_yaml
    import tasktrail.formats.yaml_events  # noqa: F401 - an import is not timed
    from tasktrail.engine.project import open_project
    from tasktrail.engine.workflow_files import WorkflowFile

    return WorkflowFile(path, path.name), open_project()


def entry(key: str, *words: str) -> str:
    """Return what the file says of one step."""
    return "".join([f"  - id: {key}\n", *(f"    {one}\n" for one in words)])


def _chain_entries(n: int) -> Iterator[str]:
    return chained(n, CALL, f"retries: {MAX_RETRIES}")


def chained(n: int, *words: str) -> Iterator[str]:
    """Return n steps, each of which needs the one before."""
    for index in range(n):
        yield entry(f"s{index}", *words, *([f"depends_on: s{index - 1}"] if index else []))


def _fan_entries(n: int) -> Iterator[str]:
    leaves = [f"leaf{index}" for index in range(n)]
    yield entry("root", CALL)
    yield from (entry(leaf, CALL, "depends_on: root") for leaf in leaves)
    yield entry("join", CALL, f"depends_on: [{', '.join(leaves)}]")


def _executed(n: int, entries: Iterable[str], folder: Path) -> Reading:
    """Reading the file is not timed, as building a runner is not: what it took stands in the settings."""
    file, ledger = opened(folder, entries)
    with timed() as reading:
        workflow = file.load()
    seconds = asyncio.run(execute(workflow, ledger, folder))
    must_have_run(n)
    return Reading(n, seconds, peak_rss_mb(), f"{SETTINGS}; file read in {reading.seconds * 1000:.0f} ms")


async def execute(workflow: Any, ledger: Any, folder: Path, run_id: str = RUN_ID) -> float:
    """Begin a run of a workflow and execute it; return the seconds that this takes."""
    from tasktrail.engine.workflow_run import WorkflowRun

    with timed() as watch:
        run = await WorkflowRun.open(ledger, workflow, run_id, {}, folder=folder).execute()
    assert run.status == "completed", run.status
    return watch.seconds


async def _execute_runs(file: Any, ledger: Any, n: int) -> float:
    from tasktrail.config import find_store
    from tasktrail.engine.workflow_files import WorkflowFile

    store = find_store(file.path.parent)
    with timed() as watch:
        for _ in range(n):  # each reads the file, as each command does
            again = WorkflowFile(file.path, file.text)
            again.check(ledger, None, {})
            await again.open(ledger, None, store=store, accepts=False).execute()
    return watch.seconds


SUBJECTS = {"yaml-chain": chain, "yaml-fan": fan, "yaml-load": load, "yaml-parse": parse, "yaml-runs": runs}
