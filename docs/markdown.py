"""Markdown made from values: tables, fenced blocks, and docstrings in the project's form."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Source")
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}):[ ]?", re.MULTILINE)
_SEED = re.compile(r"\s*Source: (?:seed )?document [^\n]*")  # for those who change the code: readers cannot look it up
_ENTRY = re.compile(r"^([\w, .]+): ", re.MULTILINE)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars inside a cell are escaped.

    >>> print(table(["word", "means"], [["a", "first"]]))
    | word | means |
    |---|---|
    | a | first |
    """
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: str) -> str:
    """Return text as code inside a line; nothing stays nothing."""
    return f"`{text}`" if text else ""


def codes(texts: Iterable[str]) -> str:
    """Return texts as code, one after another."""
    return ", ".join(code(text) for text in texts)


def fence(language: str, text: str) -> str:
    """Return text as a fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def docstring(text: str | None) -> str:
    """Return a docstring as Markdown: paragraphs, its sections as lists, its examples as blocks."""
    parts = _SECTION.split(_SEED.sub("", inspect.cleandoc(text or "")))
    body = [_paragraphs(parts[0])]
    body += [_section(name, content) for name, content in zip(parts[1::2], parts[2::2], strict=True)]
    return "\n\n".join(part for part in body if part)


def _paragraphs(text: str) -> str:
    blocks = [block for block in re.split(r"\n\s*\n", text.strip()) if block]
    return "\n\n".join(fence("pycon", block) if block.startswith(">>>") else block for block in blocks)


def _section(name: str, content: str) -> str:
    """A section whose lines are `name: meaning` becomes a list; one that is a sentence stays one."""
    text, *rest = re.split(r"\n\s*\n", content.strip("\n"), maxsplit=1)
    entries = _entries(inspect.cleandoc("\n" + text) if text.startswith(" ") else text)
    after = "\n\n" + _paragraphs(inspect.cleandoc(rest[0])) if rest else ""
    if not entries:
        return f"**{name}:** {' '.join(text.split())}{after}"
    lines = [f"- {codes(names.split(', '))}: {meaning}" for names, meaning in entries]
    return "\n".join([f"**{name}**", "", *lines]) + after


def _entries(text: str) -> list[tuple[str, str]]:
    found = _ENTRY.split("\n" + text) if _ENTRY.match(text) else []
    return [(name, " ".join(meaning.split())) for name, meaning in zip(found[1::2], found[2::2], strict=True)]
