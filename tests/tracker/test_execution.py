"""Functions by task type execute a week, in parallel, retried, and recorded in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasktrail.tracker import YAMLTrackerBackend, execute_tasks, run_tasks


@pytest.mark.requirement("CN-079")
def test_functions_execute_a_week_and_the_file_says_so(tmp_path: Path) -> None:
    tracker, done = YAMLTrackerBackend(tmp_path / "weeks"), list[str]()
    tracker.sync_with_etl("A", ["x", "y"])

    def research(item: str, output_file: str) -> dict[str, str]:
        done.append(f"research {item}")
        return {"output_file": output_file}

    async def content(item: str, research: dict[str, str]) -> None:
        done.append(f"content {item} from {research['output_file']}")

    progress = run_tasks(tracker, "A", {"research": research, "content": content}, folder=tmp_path)

    assert (progress.completed, progress.pending) == (4, 1)
    assert sorted(done) == [
        "content x from research/x.yaml", "content y from research/y.yaml", "research x", "research y",
    ]  # fmt: skip
    assert "output_file: research/x.yaml" in (tmp_path / "weeks/00-A/tracker.yaml").read_text()
    assert tracker.get_ready_tasks()[0].task_type == "blog_post"


@pytest.mark.requirement("CN-078")
async def test_what_failed_is_tried_again_and_what_is_completed_is_not(tmp_path: Path) -> None:
    tracker, tries = YAMLTrackerBackend(tmp_path / "weeks"), list[str]()
    tracker.sync_with_etl("A", ["x", "y"])

    away = True

    def research(item: str) -> None:
        tries.append(item)
        if away and item == "y":
            raise ConnectionError("no network")

    first = await execute_tasks(tracker, "A", {"research": research}, folder=tmp_path)
    failed = tracker.load_tracker("A").items["y"]["research"]
    away = False
    again = await execute_tasks(tracker, "A", {"research": research}, folder=tmp_path)

    assert (first.failed, failed.error_message, again.failed) == (1, "no network", 0)
    assert sorted(tries) == ["x", *["y"] * 5]  # three retries, and the second execution
    assert tracker.load_tracker("A").items["y"]["research"].retry_count == 4
