"""The generated parts on workflow files: tables of keys from the published schema, and a broken file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docs.markdown import code, fence, table
from tasktrail.formats.workflow_schema import workflow_schema
from tasktrail.formats.workflow_yaml import load_workflow
from tasktrail.model.errors import BadInput

BROKEN = """\
name: atlas
params: {day: "2026-01-01"}
steps:
  - id: fetch
    run: python3 fetch.py {params.day}
    timeot: 90s
  - id: parse
    call: steps:parse
    when: "fetch.count > and"
    depends_on: [fetsch]
"""


def top_keys() -> str:
    """Return the keys of the file itself."""
    return _keys(workflow_schema(), leave_out=("$schema",))


def step_keys() -> str:
    """Return the keys of a step."""
    return _keys(_definitions()["step"])


def retry_keys() -> str:
    """Return the keys of `retries`."""
    return _keys(_definitions()["retries"]["anyOf"][1])


def param_keys() -> str:
    """Return the keys of a param."""
    return _keys(_definitions()["param"]["anyOf"][0])


def broken_file() -> str:
    """Return a file that is wrong in several places, and what is said of it."""
    try:
        load_workflow(BROKEN, "atlas.yaml")
    except BadInput as error:
        return f"{fence('yaml', BROKEN)}\n\n{fence('text', str(error))}"
    raise AssertionError("the file is meant to be wrong")


def _definitions() -> dict[str, Any]:
    definitions = workflow_schema()["$defs"]
    assert isinstance(definitions, dict)
    return definitions


def _keys(schema: Mapping[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    rows = [[code(name), one["description"]] for name, one in schema["properties"].items() if name not in leave_out]
    return table(["key", "meaning"], rows)
