"""The work of the week: plan, research, content. Nothing here knows Tasktrail, and nothing is made up."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TypedDict

LONGEST_LINE = 200
FEWEST_WORDS = 40


class Plan(TypedDict):
    """The days and their topics, and where things go."""

    days: list[str]
    topics: list[str]
    drafts: str
    outbox: str


class Facts(TypedDict):
    """What a module's source says about it."""

    topic: str
    lines: int  # 0: there is no source to read
    about: str
    members: list[tuple[str, str]]  # public functions and classes with the first line of their docstring
    undocumented: int
    uses: list[str]


class Draft(TypedDict):
    """A post that is written."""

    file: str
    name: str
    topic: str


def plan(monday: str, topics: list[str], out: str, run: dict[str, str]) -> Plan:
    """Say what is written on which day."""
    unknown = [topic for topic in topics if topic not in sys.stdlib_module_names]
    if unknown or not 1 <= len(topics) <= 7:
        raise ValueError(
            f"expected 1 to 7 modules of the standard library, got: {', '.join(unknown or topics) or 'none'}"
        )
    first = date.fromisoformat(monday) if monday else date.today() - timedelta(days=date.today().weekday())
    days = [str(first + timedelta(days=place)) for place in range(len(topics))]
    drafts, outbox = Path(out).resolve() / run["id"], Path(out).resolve() / "outbox"
    for folder in (drafts, outbox):
        folder.mkdir(parents=True, exist_ok=True)
    return Plan(days=days, topics=topics, drafts=str(drafts), outbox=str(outbox))


def research(item: str) -> Facts:
    """Read a module's source, without importing or running it."""
    print(f"reading {item}")
    spec = importlib.util.find_spec(item)
    source = Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None
    if source is None:
        return Facts(topic=item, lines=0, about="", members=[], undocumented=0, uses=[])
    text = source.read_text("utf-8")
    module = ast.parse(text)
    public = [one for one in module.body if isinstance(one, (ast.FunctionDef, ast.ClassDef)) and one.name[0] != "_"]
    told = [(one.name, first_line(one)) for one in public]
    return Facts(
        topic=item,
        lines=len(text.splitlines()),
        about=first_line(module),
        members=[(name, about) for name, about in told if about],
        undocumented=sum(not about for _, about in told),
        uses=sorted(set(imports(module)) & sys.stdlib_module_names - {item}),
    )


def first_line(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    """Return the first line of a docstring; nothing where there is none."""
    return (ast.get_docstring(node) or "").partition("\n")[0].strip()


def imports(module: ast.Module) -> Iterator[str]:
    """Yield the names of the modules that a module imports at its top."""
    for node in module.body:
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def content(item: Facts, index: int, plan: Plan, most: int) -> Draft:
    """Write a post from facts."""
    topic, day = item["topic"], plan["days"][index]
    shown = [f"- `{name}`: {about}" for name, about in item["members"][:most]]
    more = len(item["members"]) - len(shown)
    lines = [
        f"# {date.fromisoformat(day):%A}: {topic}",
        "",
        item["about"] or f"`{topic}` says nothing about itself.",
        "",
        f"Its source has {item['lines']:,} lines, and uses {', '.join(item['uses']) or 'no other module'}.",
        "",
        *(["Functions and classes that say what they do:", "", *shown] if shown else []),
        *([f"- and {more} more"] if more else []),
        "",
        f"Public, and without a docstring: {item['undocumented']}.",
    ]
    file = Path(plan["drafts"], f"{day}-{topic}.md")
    file.write_text("\n".join([*lines, ""]), "utf-8")
    return Draft(file=str(file), name=file.name, topic=topic)


def proofread(content: list[Draft]) -> int:
    """Look for what a reader would stumble over; return how many posts were read."""
    faults = []
    for draft in content:
        text = Path(draft["file"]).read_text("utf-8")
        if (longest := max(map(len, text.splitlines()))) > LONGEST_LINE:
            faults.append(f"{draft['name']} has a line of {longest} characters")
        if len(text.split()) < FEWEST_WORDS:
            faults.append(f"{draft['name']} has {len(text.split())} words")
    if faults:
        raise ValueError("; ".join(faults))
    return len(content)


def summary(content: list[Draft], post: list[object] | None, plan: Plan) -> dict[str, list[str]]:
    """Say what was posted, and which topics gave no post."""
    written = [draft["topic"] for draft in content]
    left = [topic for topic in plan["topics"] if topic not in written]
    print(f"{len(post or ())} posts in {plan['outbox']}; none about {', '.join(left) or 'nothing'}")
    return {"posted": [draft["name"] for draft in content] if post else [], "left out": left}
