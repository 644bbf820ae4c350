"""The page on MCP names all that is offered, and the architecture page has the section that document 001 asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasktrail.mcp.client_config import CLIENTS
from tasktrail.mcp.prompts import PROMPTS
from tasktrail.mcp.resources import TEMPLATES
from tasktrail.mcp.toolsets import TOOLSETS, Offer

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "MCP_INTEGRATION.md").read_text(encoding="utf-8")


@pytest.mark.requirement("AX-100", "AX-105")
def test_the_page_names_every_tool_of_every_toolset():
    rows = dict(re.findall(r"^\| `([\w-]+)`(?: \(default\))? \| (`\w+`(?:, `\w+`)*) \|$", PAGE, re.MULTILINE))

    assert {name: re.findall(r"`(\w+)`", tools) for name, tools in rows.items()} == {
        name: Offer((name,)).definitions.names for name in TOOLSETS
    }


@pytest.mark.requirement("AX-105")
def test_the_page_names_clients_resources_and_prompts():
    for name in (*CLIENTS, *(prompt.name for prompt in PROMPTS)):
        assert f"`{name}`" in PAGE
    for template in TEMPLATES:
        assert f"`{template.name}://" in PAGE
    assert "guide://workflow" in PAGE


@pytest.mark.requirement("AX-105")
def test_the_architecture_page_has_a_section_on_task_executions():
    design = (DOCS / "design.md").read_text(encoding="utf-8")

    section = design.partition("\n## Section D: task executions\n")[2].partition("\n## ")[0]
    assert "tasks_last_failed" in section
