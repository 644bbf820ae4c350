"""Run files, task breakdowns and trackers pass the contract of documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from tasktrail.formats import json_edit
from tasktrail.formats.plan_codec import PLAN_JSON
from tasktrail.formats.run_json import RUN_JSON, STEP_WORDS
from tasktrail.formats.tracker_codec import TRACKER_JSON, TRACKER_YAML
from tasktrail.model.task import Status
from tasktrail.testing import DocumentContract

WORDS = {status: word for word, status in STEP_WORDS.items() if word != "retry"}


class TestRunJson(DocumentContract):
    codec = RUN_JSON.name
    broken: ClassVar[Sequence[str]] = (
        "", "{", "[]", '{"run_id": "r"', '{"run_id": "r", "steps": {"a": {"status": "done"}}}', '{"run_id": "../r"}',
        '{"run_id": "r", "run_id": "s"}', '{"run_id": "r", "steps": []}', '{"run_id": "r"} x', "<<<<<<< HEAD\n{}",
    )  # fmt: skip

    def sample(self, keys: Sequence[str]) -> str:
        steps = ",\n".join(
            f'      "{key}" :\t{{"note": "ours", "status": "pending",   "max_retries": 3}}' for key in keys
        )
        return (
            f'{{ "x-owner" : ["CC",\n  "CA"],\r\n "steps": {{\n{steps} }},\n   "run_id" : "r1", "dag_id": "etl"}}\n\n'
        )

    def edited(self, text: str, key: str, status: Status) -> str:
        old = WORDS[_status(text, key)]
        at = text.index(f'"{key}"')
        return text[:at] + text[at:].replace(f'"{old}"', f'"{WORDS[status]}"', 1)


class TestPlanJson(DocumentContract):
    codec = PLAN_JSON.name
    kind = "plan"
    most_changed_lines = 24
    broken: ClassVar[Sequence[str]] = (
        "", "{", "[]", '{"tasks": 1}', '{"tasks": [{"id": "a", "status": "done"}]}',
        '{"tasks": [{"description": "a"}]}', '{"tasks": [{"id": "a"}, {"id": "a"}]}', '{"tasks": []} x', "{}",
        "<<<<<<< HEAD\n{}",
    )  # fmt: skip

    def sample(self, keys: Sequence[str]) -> str:
        tasks = ",\n".join(
            f'   {{"note" : "ours", "status":\t"pending", "id": "{key}" ,  "dependencies": null}}' for key in keys
        )
        return f'{{ "x-owner" : ["CC",\n  "CA"],\r\n "tasks": [\n{tasks} ],\n "for": "us" }}\n\n'

    def edited(self, text: str, key: str, status: Status) -> str:
        at = next(at for at, task in enumerate(json.loads(text)["tasks"]) if task["id"] == key)
        return json_edit.edit(text, [(("tasks", at, "status"), status)], "sample")


class TestTrackerJson(DocumentContract):
    codec = TRACKER_JSON.name
    kind = "matrix"
    broken: ClassVar[Sequence[str]] = (
        "", "{", "[]", '{"items": 1}', '{"items": {"a": {"tasks": {"b": {"status": "done"}}}}}', '{"items": {"": {}}}',
        '{"week_tasks": {"tasks": {"a/b": {}}}}', '{"items": {}, "items": {}}', "{} x", "<<<<<<< HEAD\n{}",
    )  # fmt: skip

    def sample(self, keys: Sequence[str]) -> str:
        tasks = ",\n".join(f'   "{key}" :\t{{"note": "ours",  "status" : "pending"}}' for key in keys)
        return (
            f'{{ "x-owner" : ["CC",\n  "CA"],\r\n "week_tasks": {{ "x": 1,"tasks": {{\n{tasks} }} }},\n'
            '  "items": null, "metadata" : {"for": "us"}}\n\n'
        )

    def edited(self, text: str, key: str, status: Status) -> str:
        return json_edit.edit(text, [(("week_tasks", "tasks", key, "status"), status)], "sample")


class TestTrackerYaml(DocumentContract):
    codec = TRACKER_YAML.name
    kind = "matrix"
    broken: ClassVar[Sequence[str]] = (
        "items: [\n", "items:\n\tP: 1\n", "- a\n", "items: 1\n", "items: {a: {tasks: {b: {status: done}}}}\n",
        "items: {'': {}}\n", "week_tasks: {tasks: {a/b: {}}}\n", "items: {}\nitems: {}\n", "items: {}\n--- {}\n",
        "items: &a {}\n", "items: !!map {}\n", "<<<<<<< HEAD\nitems: {}\n",
    )  # fmt: skip

    def sample(self, keys: Sequence[str]) -> str:
        tasks = "".join(
            f"        {key}:  # ours\n            'status'  :   pending  # as yet\n"
            "            note: {by: CC, at: 1:30}\n"
            for key in keys
        )
        return (
            "# a week\n\nx-owner: [CC,\n   CA]\nitems: ~\nweek_tasks:\n    x: |\n      a text\n\n    tasks:\n"
            f"{tasks}\nmetadata:   {{ for: 'us' }}\n# the end"
        )

    def edited(self, text: str, key: str, status: Status) -> str:
        at = text.index(f"        {key}:")
        end = text.index("note:", at)
        old, new = text[at:end], TRACKER_YAML.load(text, "sample").by_name()[key].status
        return text[:at] + old.replace(f":   {new}", f":   {status}") + text[end:]


def _status(text: str, key: str) -> Status:
    return STEP_WORDS[json.loads(text)["steps"][key]["status"]]
