"""Plans as Markdown check lists: what people write by hand, and what says all of a task and reads well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from tasktrail.formats import json_edit
from tasktrail.formats.imports.source import PRIORITIES, Imported, Source, Words
from tasktrail.formats.json_load import BOM
from tasktrail.formats.json_object import Fault, JsonObject, encode
from tasktrail.formats.plan_json import read_task, task_words
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import PlanTask
from tasktrail.model.task import STATUSES

__all__ = ["dump", "read"]

_HEAD: Final = "<!-- tasktrail/plan@1 -->"
_ANY_HEAD: Final = re.compile(r"<!-- tasktrail/plan@(\S+) -->")
_WORDS: Final[Words] = {status: status for status in STATUSES}
_TEXTS: Final = ("result", "error", "reason")
_TIMES: Final = ("created_at", "updated_at", "started_at", "completed_at", "status_updated_at")
_NUMBERS: Final = ("priority", "attempts")
_FIELDS: Final = frozenset({"status", "needs", "dependencies", "extra", *_TEXTS, *_TIMES, *_NUMBERS})
_USUAL: Final = 3
"""The priority of a task of which none is said."""
_ALSO: Final[Mapping[str, str]] = {"needs": "dependencies"}
_SIMPLE_KEY: Final = r"(?=\S*[0-9])[^\s:`]+"
"""A key that looks like one: T1, 2.1, bug-7. Others are in a code span, so that `Fix: the login` is a title."""

_ITEM: Final = re.compile(r"(?P<indent>\s*)(?:[-*+]|[0-9]{1,9}[.)])\s+(?P<text>\S.*)")
_BOX: Final = re.compile(r"\[(?P<mark>[ xX])\]\s+(?P<title>.*)")
_TITLE: Final = re.compile(rf"(?:`(?P<span>[^`]+)`|(?P<key>{_SIMPLE_KEY})):(?: +(?P<title>.*))?")
_HEADING: Final = re.compile(r"#{1,6}\s+(?P<text>.*?)(?:\s+#+)?")
_FIELD: Final = re.compile(r"(?P<name>[a-z_]+):(?: +(?P<value>.*))?")
_AT_BY: Final = r"(?: (?P<at>[0-9]{4}-[0-9T:.+Z-]*))?(?: by (?:`(?P<span>[^`]*)`|(?P<actor>[^\s:`]+)))?"
_NOTE: Final = re.compile(rf"note{_AT_BY}: +(?P<text>.*)")
_MOVE: Final = re.compile(rf"moved{_AT_BY}: +(?P<old>[a-z_]+) -> (?P<new>[a-z_]+)")
_NEED: Final = re.compile(r"`(?P<span>[^`]*)`|(?P<key>[^\s,`]+)")
_CODED: Final = re.compile(r'`("[^`]*")`')
_MOST_SLUG: Final = 40


# -------------------------------------------------------------------------------------------------------------- writing


def dump(tasks: Iterable[PlanTask]) -> str:
    """Return tasks as a check list. A box is ticked when its task is completed; another status is said below it.

    Text is written as it is; what would be read as something else is a JSON text in a code span.
    """
    return "".join(f"{line}\n" for line in (_HEAD, "", *(line for task in tasks for line in _lines(task))))


def _lines(task: PlanTask) -> Iterator[str]:
    key = task.key if re.fullmatch(_SIMPLE_KEY, task.key) else _key_span(task.key)
    yield f"- [{'x' if task.status == 'completed' else ' '}] {key}: {_text(task.title)}"
    yield from (f"  - {line}" for line in _bullets(task, task_words(replace(task, extra={}))))


def _bullets(task: PlanTask, words: Mapping[str, object]) -> Iterator[str]:
    if task.status not in ("pending", "completed"):
        yield f"status: {task.status}"
    if task.priority != _USUAL:
        yield f"priority: {task.priority}"
    if task.needs:
        yield f"needs: {', '.join(map(_need, task.needs))}"
    yield from (f"{name}: {_text(text)}" for name in _TEXTS if (text := getattr(task, name)) is not None)
    if task.attempts:
        yield f"attempts: {task.attempts}"
    yield from (f"{name}: {words[name]}" for name in _TIMES if words.get(name) is not None)
    yield from (f"note{_at_by(note)}: {_text(str(note['note']))}" for note in _entries(words, "notes"))
    yield from (f"moved{_at_by(move)}: {move['from']} -> {move['to']}" for move in _entries(words, "history"))
    if task.extra:
        yield f"extra: {_span(dict(task.extra))}"


def _entries(words: Mapping[str, object], name: str) -> Iterable[Mapping[str, object]]:
    return words.get(name, ())  # type: ignore[return-value]  # `task_words` makes them lists of objects


def _at_by(entry: Mapping[str, object]) -> str:
    at, actor = entry["timestamp"], entry.get("actor")
    by = "" if actor is None else f" by {_actor(str(actor))}"
    return f"{'' if at is None else f' {at}'}{by}"


def _actor(actor: str) -> str:
    return actor if re.fullmatch(r"[^\s:`]+", actor) and actor.isprintable() else _key_span(actor)


def _need(key: str) -> str:
    return key if re.fullmatch(r"[^\s,`]+", key) and key.isprintable() else _key_span(key)


def _key_span(key: str) -> str:
    return f"`{key}`" if _is_plain(key) and "`" not in key and key[0] != '"' else _span(key)


def _text(text: str) -> str:
    return text if _is_plain(text) and not text.startswith('`"') else _span(text)


def _is_plain(text: str) -> bool:
    return bool(text) and text.isprintable() and text == text.strip()


def _span(value: object) -> str:
    """Return JSON in a code span: nothing in it ends the span or the line."""
    return f"`{''.join(map(_escaped, encode(value)))}`"


def _escaped(character: str) -> str:
    if character == "`":
        return r"\u0060"
    return character if character.isprintable() else json.dumps(character)[1:-1]


# -------------------------------------------------------------------------------------------------------------- reading


@dataclass(slots=True)
class _Bullet:
    """What stands under a task; its text may go on in the next line."""

    line: int
    text: str


@dataclass(slots=True)
class _Item:
    """A line with a box, and what stands under it."""

    line: int
    text: str
    indent: int
    ticked: bool
    section: str | None
    key: str = ""
    bullets: list[_Bullet] = field(default_factory=list)
    inner: list[_Item] = field(default_factory=list)


class _Reading:
    """The lines of a text, one after the other: items, and what is none of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._within: list[_Item] = []
        self._open: _Item | _Bullet | None = None
        self._section: str | None = None
        self.items: list[_Item] = []
        self.is_ours = False

    def take(self, number: int, line: str) -> None:
        """Take the next line."""
        if not line.strip():
            self._open = None
        elif head := _ANY_HEAD.fullmatch(line.strip()):
            self._take_head(number, head[1])
        elif item := _ITEM.fullmatch(line):
            self._take_item(number, len(item["indent"].expandtabs(4)), item["text"].rstrip())
        elif heading := _HEADING.fullmatch(line.strip()):
            self._section, self._within, self._open = heading["text"], [], None
        else:
            self._take_text(number, line)

    def _take_head(self, number: int, version: str) -> None:
        self.is_ours = True
        if version != "1":
            self._source.refuse(f"{self._source.where}:{number}:1: expected version 1 of plans, got: {version}")

    def _take_item(self, number: int, indent: int, text: str) -> None:
        while self._within and self._within[-1].indent >= indent:
            self._within.pop()
        box = _BOX.fullmatch(text)
        if box is None:
            self._take_bullet(number, text)
            return
        item = _Item(number, box["title"].strip(), indent, box["mark"] != " ", self._section)
        if self._within:
            self._within[-1].inner.append(item)
        self.items.append(item)
        self._within.append(item)
        self._open = item

    def _take_bullet(self, number: int, text: str) -> None:
        if not self._within:
            self._leave_out(number, text)
            return
        self._open = _Bullet(number, text)
        self._within[-1].bullets.append(self._open)

    def _take_text(self, number: int, line: str) -> None:
        """A line goes on what stands right above it; after an empty one it belongs to what it is indented under."""
        if self._open is not None:
            self._open.text += f" {line.strip()}"
        elif line[0] in " \t":
            self._take_bullet(number, line.strip())
        else:
            self._within = []
            self._leave_out(number, line)

    def _leave_out(self, number: int, text: str) -> None:
        self._open = None
        self._source.notes.append(f"left out: line {number}: {text.strip()[:500]}")


def read(text: str, where: str, words: Words | None = None) -> Imported:
    """Return the tasks of a check list, with or without keys of their own; a task needs those that are nested in it.

    A task without a key gets one made of its title. What stands under a task and is no field is a note, the heading
    above it is its `section`.

    Args:
        where: How messages name the file.
        words: What statuses mean that are not ours.

    Raises:
        BadInput: There is no check list, or something in it is wrong; the details name all of it, with its line.
    """
    source = Source("markdown", where, _WORDS, words)
    reading = _Reading(source)
    for number, line in enumerate(text.removeprefix(BOM).split("\n"), 1):
        reading.take(number, line.removesuffix("\r"))
    if not reading.items and not reading.is_ours:
        source.refuse(f"{where}:1:1: expected a check list, with lines like: - [ ] Title")
    _name(source, reading.items)
    return source.imported([_task(source, item) for item in reading.items])


def _name(source: Source, items: Iterable[_Item]) -> None:
    """Find the keys that are written, then make the others, so that those are of nobody else."""
    taken: set[str] = set()
    without = []
    for item in items:
        found = _TITLE.fullmatch(item.text)
        if found is None:
            without.append(item)
            continue
        item.key = found["key"] if found["span"] is None else _of_span(found["span"])
        item.text = found["title"] or ""
        if item.key in taken:
            source.refuse(f"{source.where}:{item.line}:1: expected each task once, got: {item.key} again")
        taken.add(item.key)
    for item in without:
        item.key = _free(re.sub(r"[\W_]+", "-", item.text.lower())[:_MOST_SLUG].strip("-") or "task", taken)
        taken.add(item.key)


def _free(slug: str, taken: set[str]) -> str:
    number, key = 1, slug
    while key in taken:
        number += 1
        key = f"{slug}-{number}"
    return key


def _of_span(span: str) -> str:
    """Return what a code span says: itself, or a text as JSON."""
    return _decoded(f"`{span}`") if span.startswith('"') else span


def _decoded(text: str) -> str:
    """Return what a text says that may be JSON in a code span."""
    coded = _CODED.fullmatch(text)
    with suppress(BadInput):
        return str(json_edit.load(coded[1], "")) if coded else text
    return text


def _task(source: Source, item: _Item) -> PlanTask:
    """Read an item with the reader of plan files, which says what is wrong with it."""
    faults: list[Fault] = []
    members: dict[str, object] = {"id": item.key, "description": _decoded(item.text)}
    lines = _take_bullets(members, item.bullets, faults)
    _stand(source, members, ticked=item.ticked)
    extra = _extra(members, item.section, faults)
    needs = members.get("dependencies")
    if item.inner and isinstance(needs, list | None):
        members["dependencies"] = [*(needs or ()), *(one.key for one in item.inner)]
    task = read_task(JsonObject(members, (), faults))
    for path, what in faults:
        line = lines.get(path[:2]) or lines.get(path[:1]) or item.line
        source.refuse(f"{source.where}:{line}:1: {what}")
    return replace(task, extra={**task.extra, **extra})


def _take_bullets(
    members: dict[str, object], bullets: Iterable[_Bullet], faults: list[Fault]
) -> dict[json_edit.Path, int]:
    """Add what stands under a task to its members; return the line of each."""
    lines: dict[json_edit.Path, int] = {}
    notes, history = list[object](), list[object]()
    for bullet in bullets:
        if (found := _FIELD.fullmatch(bullet.text)) and found["name"] in _FIELDS:
            name = _ALSO.get(found["name"], found["name"])
            if name in members:
                faults.append(((name,), f"expected {found['name']} once"))
            members[name] = _value(name, found["value"] or "")
            lines[name,] = bullet.line
        elif found := _MOVE.fullmatch(bullet.text):
            lines["history", len(history)] = bullet.line
            history.append({**_stamp(found), "from": found["old"], "to": found["new"]})
        else:
            lines["notes", len(notes)] = bullet.line
            notes.append(_note(bullet.text))
    members.update(notes=notes, history=history)
    return lines


def _note(text: str) -> dict[str, object]:
    found = _NOTE.fullmatch(text)
    return {**_stamp(found), "note": _decoded(found["text"])} if found else {"note": _decoded(text)}


def _stamp(found: re.Match[str]) -> dict[str, object]:
    actor = found["actor"] if found["span"] is None else _of_span(found["span"])
    return {"timestamp": found["at"], "actor": actor}


def _value(name: str, text: str) -> object:
    """Return what a field says; what it should not say is left as it is, for the reader to refuse."""
    if not text or name in _TEXTS:
        return _decoded(text) or None
    if name == "dependencies":
        keys = [one["key"] if one["span"] is None else _of_span(one["span"]) for one in _NEED.finditer(text)]
        return text if "`" in _NEED.sub("", text) else keys
    if name == "priority" and text.lower() in PRIORITIES:
        return PRIORITIES[text.lower()]
    return int(text) if name in _NUMBERS and re.fullmatch(r"-?[0-9]{1,19}", text) else text


def _stand(source: Source, members: dict[str, object], *, ticked: bool) -> None:
    """A tick says more than the word below it, since one click makes it."""
    word = members.get("status")
    if ticked:
        members["status"] = "completed"
    elif isinstance(word, str) and word.lower() in source.words:
        members["status"] = status = source.words[word.lower()]
        if word.lower() != status and members.get("reason") is None:
            members["reason"] = word


def _extra(members: dict[str, object], section: str | None, faults: list[Fault]) -> dict[str, object]:
    text = members.pop("extra", None)
    extra: object = {}
    if isinstance(text, str):
        try:
            extra = json_edit.load(text.removeprefix("`").removesuffix("`"), "extra")
        except BadInput as error:
            faults.append((("extra",), "; ".join(error.details) or error.message))
    known = JsonObject({"extra": extra}, (), faults).inner("extra")
    return {"section": section, **known} if section is not None else known
