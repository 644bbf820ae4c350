"""Run files and task breakdowns pass the contract of documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from tasktrail.formats import json_edit
from tasktrail.formats.plan_codec import PLAN_JSON
from tasktrail.formats.run_json import RUN_JSON, STEP_WORDS
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


def _status(text: str, key: str) -> Status:
    return STEP_WORDS[json.loads(text)["steps"][key]["status"]]
