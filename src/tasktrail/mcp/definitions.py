"""Our tools as the protocol tells them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import mcp_types as types

from tasktrail.mcp.asking import CONFIRM
from tasktrail.tools import Schema, Tool

__all__ = ["definition", "definitions"]

_CONFIRM: Final = {"type": "string", "description": "The token of a refusal, once a person agreed."}


def definitions(tools: Iterable[Tool]) -> list[types.Tool]:
    """Return what `tools/list` tells, always in the same order."""
    return [definition(one) for one in tools]


def definition(one: Tool) -> types.Tool:
    """Return a tool with all four annotations; the store is the project's own, so none reaches further."""
    return types.Tool(
        name=one.name,
        title=one.title,
        description=one.description,
        input_schema=_schema(one),
        output_schema=one.answer,
        annotations=types.ToolAnnotations(
            read_only_hint=one.effect.reads,
            destructive_hint=one.effect.destroys,
            idempotent_hint=one.effect.reads or one.effect.repeats,
            open_world_hint=False,
        ),
    )


def _schema(one: Tool) -> Schema:
    schema: dict[str, Any] = one.schema
    if not one.effect.destroys:
        return schema
    return {**schema, "properties": {**schema["properties"], CONFIRM: _CONFIRM}}
