"""Params of a workflow as they are typed: NAME=VALUE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasktrail.model.workflow import Workflow


def typed(workflow: Workflow, texts: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """Return params as the workflow's types have them, a text as it is and all else as JSON; and what is wrong."""
    values: dict[str, object] = {}
    faults = []
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            faults.append(f"expected --param to be NAME=VALUE, got: {text[:60]!r}")
        elif name in values:
            faults.append(f"param {name} is given twice")
        else:
            values[name] = value
            if name in workflow.params and workflow.params[name].type != "string":
                values[name] = _value(name, value, faults)
    return values, faults


def _value(name: str, text: str, faults: list[str]) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] in ("[", "{"):
            why = error if isinstance(error, ValueError) else "it is nested too deep"
            faults.append(f"param {name} is no JSON: {why}")
        return text


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")
