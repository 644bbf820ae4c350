"""--json everywhere: stdout is one document, whatever happens; global options stand where people put them."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Call

COMMANDS: list[tuple[list[str], str]] = [
    (["list-runs"], "run-list@1"),
    (["run", "dag", "--status", "my-dag-123"], "run@1"),
    (["run", "dag", "--retry", "my-dag-123"], "run@1"),
    (["resume", "my-dag-123"], "run@1"),
    (["run", "dag", "flow:etl"], "run@1"),
    (["history", "my-dag-123"], "event-list@1"),
    (["history", "my-dag-123:process"], "event-list@1"),
    (["list-executions"], "execution-list@1"),
    (["last-failed"], "last-failed@1"),
    (["trace", "my-dag-123"], "trace@1"),
    (["stats"], "statistics@1"),
    (["sql", "SELECT count(*) FROM executions"], "sql@1"),
    (["sql", "DELETE FROM run"], "error@1"),
    (["doctor"], "doctor@1"),
    (["doctor", "--verify"], "doctor@1"),
    (["config", "show"], "config@1"),
    (["init"], "file@1"),
    (["backup", "copy.db"], "file@1"),
    (["completion", "bash"], "completion@1"),
    (["schema"], "json-schema@1"),
    (["help", "exit-codes"], "exit-codes@1"),
    (["cancel", "my-dag-123"], "error@1"),
    (["restore", "nope.db"], "error@1"),
    (["history", "nope"], "error@1"),
    (["nope"], "error@1"),
    (["run"], "error@1"),
]


@pytest.mark.parametrize(
    ("arguments", "schema"), COMMANDS, ids=lambda value: "-".join(value) if isinstance(value, list) else value
)
def test_stdout_is_one_json_document(failed: str, spawn: Call, arguments: list[str], schema: str):
    answer = spawn(*arguments, "--json")

    assert answer.document["schema"] == f"tasktrail/{schema}"
    assert answer.out.count("\n") == 1
    assert ("error" in answer.document) == (schema == "error@1")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "run", "dag", "--status", "my-dag-123"],
        ["run", "--json", "dag", "--status", "my-dag-123"],
        ["run", "dag", "--json", "--status", "my-dag-123"],
        ["run", "dag", "--status", "my-dag-123", "--json"],
    ],
)
def test_global_options_stand_before_and_after_the_command(failed: str, call: Call, arguments: list[str]):
    assert call(*arguments).data["id"] == failed


def test_the_store_may_be_named_before_and_after(failed: str, call: Call):
    for arguments in (["--store", "other.db", "list-runs"], ["list-runs", "--store", "other.db"]):
        assert call(*arguments, "--json").data == []
