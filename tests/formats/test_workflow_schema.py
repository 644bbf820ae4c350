"""The published JSON Schema of workflow files: it accepts what is fine, and refuses what a schema can see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasktrail.formats import workflow_values, workflow_yaml
from tasktrail.formats.workflow_schema import workflow_schema
from tasktrail.formats.workflow_yaml import load_workflow
from tasktrail.formats.yaml_load import Source, load_node
from tasktrail.model.errors import BadInput
from tests.formats.workflow_files import INVALID, VALID

SCHEMA: dict[str, Any] = workflow_schema()


def accepts(text: str) -> bool:
    """Return whether the schema has no objection to a file, as an editor would parse it."""
    node = load_node(Source(text, "w.yaml"), [])
    assert node is not None
    return Draft202012Validator(SCHEMA).is_valid(node.to_json())


def described(schema: object, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property of a schema with its place."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in ("properties", "$defs") and not at.endswith(("/then", "/if")):
            yield from ((f"{at}/{name}", one) for name, one in value.items())
        if key not in ("then", "if"):
            yield from described(value, f"{at}/{key}")


def test_it_is_a_schema_and_plain_json() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("name", VALID)
def test_it_accepts_what_is_fine(name: str) -> None:
    assert accepts(VALID[name])


@pytest.mark.parametrize("name", INVALID)
def test_it_refuses_what_a_schema_can_see(name: str) -> None:
    assert accepts(INVALID[name].text) is not INVALID[name].schema


@settings(max_examples=300)
@given(st.sampled_from(sorted(VALID)), st.data())
def test_it_refuses_no_file_that_is_read(name: str, data: st.DataObject) -> None:
    text = VALID[name]
    place = data.draw(st.integers(0, len(text)))
    slip = data.draw(st.sampled_from(["", " ", "x", "5", "null", "true", "[]", "\n"]))
    changed = text[:place] + slip + text[place + data.draw(st.integers(0, 6)) :]

    assert not is_read(changed) or accepts(changed)


def is_read(text: str) -> bool:
    """Return whether a file is a workflow."""
    try:
        load_workflow(text, "w.yaml")
    except BadInput:
        return False
    return True


def test_it_has_the_keys_that_are_read() -> None:
    retries = SCHEMA["$defs"]["retries"]["anyOf"][1]["properties"]

    assert set(SCHEMA["properties"]) == set(workflow_yaml.TOP_KEYS)
    assert set(SCHEMA["$defs"]["step"]["properties"]) == set(workflow_yaml.STEP_KEYS)
    assert set(SCHEMA["$defs"]["param"]["anyOf"][0]["properties"]) == set(workflow_yaml.PARAM_KEYS)
    assert set(retries) == set(workflow_values.RETRY_KEYS)


def test_an_editor_has_something_to_say_of_every_key() -> None:
    silent = [at for at, one in described(SCHEMA) if not one.get("description") and at != "/step"]

    assert silent == []
