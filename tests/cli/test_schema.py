"""`schema`: the JSON Schema of workflow files on stdout."""

from __future__ import annotations

import json

import pytest

from tasktrail.formats.workflow_schema import workflow_schema
from tests.cli.conftest import Call


@pytest.mark.parametrize("arguments", [[], ["workflow"]])
def test_the_schema_is_printed_as_it_is(call: Call, arguments: list[str]):
    answer = call("schema", *arguments)

    assert answer.code == 0
    assert json.loads(answer.out) == workflow_schema()


def test_with_json_it_is_a_record(call: Call):
    assert call("schema", "--json").data == {"id": "workflow", "json_schema": workflow_schema()}


def test_a_kind_that_nobody_knows_is_refused(call: Call):
    answer = call("schema", "plan")

    assert answer.code == 2
    assert "workflow" in answer.err
