"""An execution as somebody tells it, with all that differs given by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tasktrail.executions import Experience, create_task_execution_experience

START = datetime(2025, 11, 5, 14, 15, tzinfo=UTC)


def told(**given: Any) -> Experience:
    """Return the experience of one second's work that went well."""
    arguments: dict[str, Any] = {
        "task_id": "daily", "task_slug": "daily_reflection", "task_name": "Daily reflection",
        "task_type": "self_reflection", "scheduled_vs_manual": "scheduled", "started_at": START,
        "status": "success", **given,
    }  # fmt: skip
    if "ended_at" not in arguments:
        arguments["ended_at"] = arguments["started_at"] + timedelta(seconds=1)
    return create_task_execution_experience(**arguments)


def raised(error: BaseException) -> BaseException:
    """Return an exception that was raised, so that it has a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught
