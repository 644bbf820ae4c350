"""Runs drawn as text, Mermaid and DOT: whatever a step is called, and however many there are."""

from __future__ import annotations

import re
import time

import pytest

from tasktrail.formats.dot import dot
from tasktrail.formats.drawing import Arrow, Drawing, Node
from tasktrail.formats.mermaid import mermaid
from tasktrail.formats.text_tree import text_tree

HOSTILE = [
    'say "hi"', "two\nlines", "🚀 launch", "a --> b", "end", "subgraph x", "]:::failed", "%%{init: {}}%%", "#quot;",
    "<b>&",
    "`**bold**`", "\\N \\l", "a;b|c{d}", "Prüfung 検査", "\u202eabc", "-",
]  # fmt: skip
SMALL = Drawing(
    "pages (running)",
    [Node(1, "fetch", "completed"), Node(2, "parse", "in_progress", "[1/3]"), Node(3, "report", "pending")],
    [Arrow(1, 2), Arrow(2, 3), Arrow(1, 3, optional=True)],
)
MERMAID_NODE = re.compile(r'  n\d+\["(?:[\w .,:/()\[\]+=-]|#\d+;)*"\]:::\w+')
DOT_NODE = re.compile(r'  n\d+ \[label="(?:[^"\\\n]|\\["\\n])*", class=\w+, fillcolor="#\w{6}", color="#\w{6}"\]')


def named(names: list[str]) -> Drawing:
    return Drawing('run "x"', [Node(place, name, "pending") for place, name in enumerate(names, 1)])


def decoded(text: str) -> str:
    """What Mermaid shows for a label."""
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text)


def test_mermaid_has_statuses_as_classes():
    assert mermaid(SMALL, "LR") == (
        '---\ntitle: "pages (running)"\n---\nflowchart LR\n'
        '  n1["fetch"]:::completed\n  n2["parse<br/>[1/3]"]:::in_progress\n  n3["report"]:::pending\n'
        "  n1 --> n2\n  n2 --> n3\n  n1 -.-> n3\n"
        "  classDef pending fill:#f3f4f6,stroke:#6b7280,color:#111827\n"
        "  classDef in_progress fill:#dbeafe,stroke:#2563eb,color:#111827\n"
        "  classDef completed fill:#dcfce7,stroke:#16a34a,color:#111827\n"
    )


def test_dot_has_statuses_as_classes_and_colours():
    assert dot(SMALL) == (
        'digraph "pages (running)" {\n  rankdir=TB\n  node [shape=box, style="rounded,filled", fontname="sans-serif"]\n'
        '  n1 [label="fetch", class=completed, fillcolor="#dcfce7", color="#16a34a"]\n'
        '  n2 [label="parse\\n[1/3]", class=in_progress, fillcolor="#dbeafe", color="#2563eb"]\n'
        '  n3 [label="report", class=pending, fillcolor="#f3f4f6", color="#6b7280"]\n'
        "  n1 -> n2\n  n2 -> n3\n  n1 -> n3 [style=dashed]\n}\n"
    )


def test_text_is_a_tree_with_what_else_is_needed():
    assert text_tree(SMALL) == ("pages (running)\n✓ fetch\n  ● parse [1/3]\n    ○ report  (also needs fetch)\n")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_mermaid_label_and_it_reads_back(name: str):
    line = mermaid(named([name])).split("\n")[4]

    assert MERMAID_NODE.fullmatch(line), line
    assert decoded(line.partition('["')[2].rpartition('"]')[0]) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_dot_label(name: str):
    line = dot(named([name])).split("\n")[3]

    assert DOT_NODE.fullmatch(line), line
    assert dot(named([name])).count("\n") == 5


def test_a_hostile_title_breaks_neither():
    drawing = Drawing('x"\n---\nflowchart', [])

    assert mermaid(drawing).split("\n")[1] == 'title: "x\\" --- flowchart"'
    assert dot(drawing).split("\n")[0] == 'digraph "x\\"\\n---\\nflowchart" {'


@pytest.mark.parametrize("draw", [mermaid, dot, text_tree])
def test_5000_steps_in_one_chain_are_drawn_at_once(draw):
    nodes = [Node(n, f"step-{n}", "pending") for n in range(5000)]
    drawing = Drawing("long", nodes, [Arrow(n, n + 1) for n in range(4999)])
    began = time.perf_counter()

    text = draw(drawing)

    assert text.count("step-") == 5000
    assert time.perf_counter() - began < 1
    assert max(map(len, text.splitlines())) < 120
