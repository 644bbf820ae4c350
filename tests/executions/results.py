"""Result files as document 001's scheduler left them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path("results")
BEGIN = datetime(2025, 11, 5, 14, 15)


def write_result(name: str, **members: Any) -> Path:
    """Write a result that succeeded, but for the members that are given; None leaves one out."""
    told = {
        "task_id": "daily_reflection",
        "task_name": "Daily Reflection",
        "started_at": "2025-11-05T14:15:00",
        "completed_at": "2025-11-05T14:15:02",
        "success": True,
        "response": "Three things went well",
        "error": None,
        "metadata": {"model": "small"},
    } | members
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in told.items() if value is not None}), encoding="utf-8")
    return path


def write_results(number: int) -> None:
    """Write results that began one second after another."""
    for index in range(number):
        at = BEGIN + timedelta(seconds=index)
        write_result(f"{index:05}.json", started_at=at.isoformat(), completed_at=at.isoformat())


def write_both() -> None:
    """Write the two results that document 001 speaks of."""
    write_result("daily_reflection_20251105_141500.json")
    write_result("idea_generation_20251105_150000.json", task_id="idea_generation", started_at="2025-11-05T15:00:00Z")
