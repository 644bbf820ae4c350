"""The pages of the atlas: Markdown made from facts, without touching the machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from atlas import Card, Dependant, Facts, Need, Profile, family_of, letter_of

DRAWN_NODES = 60  # Mermaid pictures with more nodes than this are no longer read, and some viewers refuse them


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, also inside a table."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", text)


def human_size(size_bytes: int | None) -> str:
    """Return a size for people.

    >>> human_size(1_234_567)
    '1.2 MB'
    """
    if size_bytes is None:
        return "size not recorded"
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size, unit = next((size_bytes / n, u) for n, u in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")) if size_bytes >= n)
    return f"{size:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", "\u202f")


def card_of(profile: Profile) -> Card:
    """Return the one-line form of a profile; its needs are the installed ones alone."""
    facts = profile["facts"]
    return Card(
        key=facts["key"],
        name=facts["name"],
        version=facts["version"],
        summary=facts["summary"],
        licence=facts["licence"],
        files=facts["files"],
        size_bytes=facts["size_bytes"],
        needs=list(profile["names"]),
    )


def profile_page(profile: Profile) -> str:
    """Write the profile of one distribution."""
    facts = profile["facts"]
    letter = letter_of(facts["key"])
    summary = [f"> {escape(facts['summary'])}", ""] if facts["summary"] else []
    back = f"[{letter.upper()}](../letters/{letter}.md) · [the atlas](../index.md)"
    parts = [
        [back, "", f"# {escape(facts['name'])} {escape(facts['version'])}", "", *summary, *_fact_table(facts)],
        ["## What it needs", "", *_needs_section(facts, profile["names"])],
        ["## What needs it", "", *_dependants_section(profile["dependants"])],
        _commands_section(facts),
        [f"*Could not be read: {escape('; '.join(facts['gaps']))}.*"] if facts["gaps"] else [],
    ]
    return "\n\n".join("\n".join(part).rstrip() for part in parts if part) + "\n"


def short_page(facts: Facts) -> str:
    """Write about one distribution from its own facts alone."""
    needs = ", ".join(escape(need["name"]) for need in facts["needs"]) or "nothing but Python"
    parts = [
        [f"# {escape(facts['name'])} {escape(facts['version'])}"],
        [f"> {escape(facts['summary'])}"] if facts["summary"] else [],
        _fact_table(facts),
        [f"It needs {needs}."],
        _commands_section(facts),
    ]
    return "\n\n".join("\n".join(part).rstrip() for part in parts if part) + "\n"


def _fact_table(facts: Facts) -> list[str]:
    files = "not recorded" if facts["files"] is None else counted(facts["files"], "file")
    rows = [
        ("Licence", escape(facts["licence"])),
        ("Python", f"`{facts['python'].replace('|', '')}`"),
        ("Files", files if facts["size_bytes"] is None else f"{files}, {human_size(facts['size_bytes'])}"),
        ("Lives in", facts["home"]),
        *([("Home", f"<{facts['url']}>")] if facts["url"] else []),
    ]
    return ["| | |", "|---|---|", *(f"| **{label}** | {value} |" for label, value in rows)]


def _needs_section(facts: Facts, names: Mapping[str, str]) -> list[str]:
    lines = [_need_line(need, names) for need in facts["needs"]] or ["Nothing but Python."]
    if facts["elsewhere"]:
        said = ", ".join(f"{escape(need['name'])} (`{need['marker']}`)" for need in facts["elsewhere"])
        lines += ["", f"Not on this machine: {said}."]
    if facts["extras"]:
        lines += ["", "With extras:", ""]
        lines += [f"- `{extra}`: {escape(', '.join(wanted))}" for extra, wanted in facts["extras"].items()]
    return lines


def _need_line(need: Need, names: Mapping[str, str]) -> str:
    versions = f" `{need['versions']}`" if need["versions"] else ""
    if need["key"] in names:
        return f"- [{escape(names[need['key']])}]({need['key']}.md){versions}"
    return f"- {escape(need['name'])}{versions} — *not installed*"


def _dependants_section(dependants: Sequence[Dependant]) -> list[str]:
    lines = []
    for other in dependants:
        wish = f"asks for `{other['asks_for']}`" if other["asks_for"] else "takes any version"
        lines.append(f"- [{escape(other['name'])}]({other['key']}.md) {escape(other['version'])} {wish}")
    return lines or ["Nothing that is installed here: somebody wanted it for itself."]


def _commands_section(facts: Facts) -> list[str]:
    lines = []
    if facts["commands"]:
        lines += ["Commands: " + ", ".join(f"`{command}`" for command in facts["commands"]), ""]
    for group, names in facts["entry_points"].items():
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        lines.append(f"- `{group}`: {', '.join(f'`{name}`' for name in names[:6])}{more}")
    return ["## What it brings", "", *lines] if lines else []


def letter_page(letter: str, cards: Sequence[Card]) -> str:
    """Write the page of one letter: its profiles, a line each."""
    rows = [
        f"| [{escape(card['name'])}](../profiles/{card['key']}.md) | {escape(card['version'])} "
        f"| {escape(card['summary'])} | {escape(card['licence'])} |"
        for card in cards
    ]
    head = ["[the atlas](../index.md)", "", f"# {letter.upper()}", "", counted(len(cards), "distribution") + ".", ""]
    return "\n".join([*head, "| name | version | what it is | licence |", "|---|---|---|---|", *rows]) + "\n"


def index_page(cards: Sequence[Card], families: Mapping[str, Sequence[str]], python: str) -> str:
    """Write the front page: figures, letters, and the dependency graph as a picture and as a list."""
    needed_by = Counter(key for card in cards for key in card["needs"])
    parts = [
        ["# The atlas", "", _overview(cards, python)],
        ["## Letters", "", _letters_line(cards)],
        ["## Most needed", "", *_bars(needed_by, cards)],
        ["## Largest", "", *_largest(cards)],
        ["## Licences", "", *_licences(cards, families)],
        ["## Who needs whom", "", *_graph(cards, needed_by), "", *_edge_list(cards, needed_by)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _overview(cards: Sequence[Card], python: str) -> str:
    size = human_size(sum(card["size_bytes"] or 0 for card in cards))
    edges = sum(len(card["needs"]) for card in cards)
    files = counted(sum(card["files"] or 0 for card in cards), "file")
    return (
        f"{counted(len(cards), 'distribution')} for Python {python} on this machine, {files} ({size}), "
        f"tied together by {counted(edges, 'need')}."
    )


def _letters_line(cards: Sequence[Card]) -> str:
    sizes = Counter(letter_of(card["key"]) for card in cards)
    return " · ".join(f"[{letter.upper()}](letters/{letter}.md) {sizes[letter]}" for letter in sorted(sizes))


def _bars(needed_by: Mapping[str, int], cards: Sequence[Card]) -> list[str]:
    ranked = sorted((card for card in cards if card["key"] in needed_by), key=lambda card: -needed_by[card["key"]])
    longest = max(needed_by.values(), default=1)
    counts = [(card, needed_by[card["key"]]) for card in ranked[:12]]
    rows = [f"| {_link(card)} | {'█' * max(1, round(20 * n / longest))} {n} |" for card, n in counts]
    return ["| distribution | needed by |", "|---|---|", *rows] if rows else ["Nothing here needs anything else."]


def _largest(cards: Sequence[Card]) -> list[str]:
    ranked = sorted(cards, key=lambda card: (-(card["size_bytes"] or 0), card["key"]))[:5]
    return [f"{n}. {_link(card)} — {human_size(card['size_bytes'])}" for n, card in enumerate(ranked, 1)]


def _licences(cards: Sequence[Card], families: Mapping[str, Sequence[str]]) -> list[str]:
    counts = Counter(family_of(card["licence"], families) for card in cards)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ["| family | distributions |", "|---|---|", *(f"| {family} | {n} |" for family, n in ranked)]


def drawn_keys(cards: Sequence[Card], needed_by: Mapping[str, int], most: int = DRAWN_NODES) -> list[str]:
    """Return the keys that the picture shows: those with the most needs on either side, and none without any."""
    weights = {card["key"]: len(card["needs"]) + needed_by.get(card["key"], 0) for card in cards}
    tied = [key for key, weight in weights.items() if weight]
    return sorted(sorted(tied, key=lambda key: (-weights[key], key))[:most])


def _graph(cards: Sequence[Card], needed_by: Mapping[str, int]) -> list[str]:
    shown = drawn_keys(cards, needed_by)
    numbers = {key: f"n{number}" for number, key in enumerate(shown)}
    nodes = [f'  {numbers[card["key"]]}["{card["name"]}"]' for card in cards if card["key"] in numbers]
    edges = [
        f"  {numbers[card['key']]} --> {numbers[key]}"
        for card in cards
        for key in card["needs"]
        if card["key"] in numbers and key in numbers
    ]
    tied = len(drawn_keys(cards, needed_by, most=len(cards)))
    said = f"The picture shows the {len(shown)} with the most needs, of {tied} that are tied; the list below has all."
    whole = "An arrow points from what needs to what is needed."
    return [said if tied > len(shown) else whole, "", "```mermaid", "flowchart LR", *nodes, *edges, "```"]


def _edge_list(cards: Sequence[Card], needed_by: Mapping[str, int]) -> list[str]:
    by_key = {card["key"]: card for card in cards}
    lines = [
        f"- {_link(card)} needs {', '.join(_link(by_key[key]) for key in card['needs'])}"
        for card in cards
        if card["needs"]
    ]
    alone = [card for card in cards if not card["needs"] and not needed_by.get(card["key"])]
    said = f"On their own ({len(alone)}): {', '.join(_link(card) for card in alone)}."
    return [*lines, "", said] if alone else lines


def _link(card: Card) -> str:
    return f"[{escape(card['name'])}](profiles/{card['key']}.md)"
