"""The JSON Schema of the table `[tracker]`: what editors complete and check. `load_settings` sees more, and decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasktrail.formats.workflow_schema import workflow_schema
from tasktrail.model.matrix import TYPE_NAME
from tasktrail.tracker.config import EXECUTION_KEYS
from tasktrail.tracker.settings import GROUPS

__all__ = ["tracker_schema"]

Schema = dict[str, Any]


def tracker_schema() -> Schema:
    """Return the schema of a tasktrail.toml with such a table, draft 2020-12; it can be written as JSON as it is."""
    workflow: Schema = workflow_schema()
    step = workflow["$defs"].pop("step")
    return {
        "$schema": workflow["$schema"],
        "$id": "urn:tasktrail:tracker-settings:1",
        "title": "Tasktrail trackers",
        "description": "Groups of items, their task types, and how each is executed.",
        "type": "object",
        "properties": {"tracker": _table()},
        "$defs": {"type": _type(step), **{name: workflow["$defs"][name] for name in ("duration", "retries")}},
    }


def _table() -> Schema:
    names = {"type": "array", "items": {"type": "string"}}
    return {
        "type": "object",
        "properties": {
            "backend": _text("yaml, json, a store's URL, or a backend that a package offers; yaml when not said."),
            "weeks_dir": _text("The folder with a folder per group; data/weeks when not said, beside this file."),
            "groups": {"enum": list(GROUPS), "description": "How groups are called: A to Z, or by any name."},
            "word": _text("What one of them is called: week, sprint."),
            "skipped_meets": _flag("Whether what is skipped meets needs, as what is completed does."),
            "item_tasks": {**names, "description": "Which types a new item has; all of items when not said."},
            "week_tasks": {**names, "description": "Which types a new group has of its own; all when not said."},
            "types": {
                "type": "object",
                "propertyNames": {"pattern": f"^{TYPE_NAME}$"},
                "additionalProperties": {"$ref": "#/$defs/type"},
                "description": "Task types by name, in order.",
            },
        },
        "additionalProperties": False,
    }


def _type(step: Mapping[str, Any]) -> Schema:
    names = {"type": "array", "items": {"type": "string"}}
    own = {
        "depends_on": {"anyOf": [{"type": "string"}, names],
                       "description": "Types that must be completed before; of a group's task those of all items."},
        "agent": _text("Who executes it."),
        "output_pattern": _text("Where its result goes; may hold {sanitized_name}, {item}, {letter}, {year}."),
        "description": _text("What is done."),
        "is_week_level": _flag("Whether the group has it once, not each item."),
        "when": _text("A condition over item.ATTRIBUTE; an item for which it is false has no such task."),
    }  # fmt: skip
    return {
        "type": "object",
        "properties": {**own, **{key: step["properties"][key] for key in EXECUTION_KEYS}},
        "additionalProperties": False,
    }


def _text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _flag(description: str) -> Schema:
    return {"type": "boolean", "description": description}
