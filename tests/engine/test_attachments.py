"""Run files pass the contract of documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

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


def _status(text: str, key: str) -> Status:
    return STEP_WORDS[json.loads(text)["steps"][key]["status"]]
