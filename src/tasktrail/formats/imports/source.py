"""What all imports share: records taken member by member, and the one error that names all that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tasktrail.formats import json_edit
from tasktrail.formats.json_object import Fault, JsonObject, encode
from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Note, PlanTask
from tasktrail.model.reference import check_key
from tasktrail.model.task import PRIORITIES as _PRIORITIES
from tasktrail.model.task import STATUSES, Status

__all__ = ["PRIORITIES", "Imported", "Record", "Source", "Words"]

Words = Mapping[str, Status]
"""The words of a tool, in small letters, and what they are here; the first one of a status is its usual word."""

PRIORITIES: Final[Mapping[str, int]] = {word.lower(): priority for word, priority in _PRIORITIES.items()}

_MAX_FAULTS: Final = 20
_TELLS_WHY: Final[frozenset[Status]] = frozenset({"blocked", "skipped", "cancelled"})
_OURS: Final = frozenset(PlanTask.__slots__) | {"id", "description", "dependencies", "status_updated_at"}
"""Names that mean something in a plan: what a tool calls so is kept with the tool's name before it."""

Locate = Callable[[json_edit.Path], str]
"""Says `line:column` of a path."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file or folder of another tool holds.

    Args:
        notes: A sentence for each thing that was left out or changed.
    """

    tasks: tuple[PlanTask, ...]
    notes: tuple[str, ...] = ()


class Record:
    """One task of a tool; what nobody takes of it is kept as `extra`."""

    def __init__(self, members: JsonObject, tool: str) -> None:
        self.members = members
        self._tool = tool
        self._rest = dict(members.members)
        self._more: dict[str, object] = {}

    def text(self, name: str) -> str | None:
        """Take a text; what is empty is None."""
        return (self.members.text(name) or None) if self._takes(name) else None

    def named(self, name: str) -> str:
        """Take a text that must be there."""
        found = self.text(name)
        if not found and not self._is_refused(name):
            self.members.fault(f"expected {name} to be given", name)
        return found or ""

    def key(self, name: str, prefix: str = "") -> str:
        """Take what others name the task by: a text, or a whole number as text."""
        value = self.members.members.get(name)
        self._takes(name)
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.members.fault(f"expected {name} to be a text or a whole number, got: {encode(value)[:60]}", name)
            return ""
        try:
            return check_key(f"{prefix}{value}")
        except BadInput as error:
            self.members.fault(error.message, name)
            return ""

    def keys(self, name: str) -> list[str]:
        """Take a list of texts or whole numbers."""
        values = self.members.items(name) if self._takes(name) else []
        for at, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, str | int):
                what = f"expected each of {name} to be a text or a whole number, got: {encode(value)[:60]}"
                self.members.fault(what, name, at)
        return [str(value) for value in values]

    def records(self, name: str) -> list[Record]:
        """Take a list of objects."""
        return [Record(inner, self._tool) for inner in self.members.objects(name)] if self._takes(name) else []

    def inner(self, name: str) -> dict[str, object]:
        """Take an object."""
        return self.members.inner(name) if self._takes(name) else {}

    def moment(self, name: str) -> int | None:
        """Take a time."""
        return self.members.moment(name) if self._takes(name) else None

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Take a whole number."""
        value = self._rest.get(name)
        if not self._takes(name) or (type(value) is int and least <= value <= most):
            return value if isinstance(value, int) else None
        self.members.refuse(name, f"a whole number from {least} to {most}")
        return None

    def status(self, name: str, words: Words) -> tuple[Status, str | None]:
        """Take a status; none is pending.

        Returns:
            Ours, and as its reason the tool's word, where that says more. A word for which another is more usual, and
            that is no reason, is kept in `extra`.
        """
        word = self._word(name, words)
        if word is None:
            return "pending", None
        status = words[word.lower()]
        if status in _TELLS_WHY:
            return status, None if word.lower() == status else word
        if word.lower() != next(usual for usual, ours in words.items() if ours == status):
            self.keep(name, word)
        return status, None

    def priority(self, name: str, words: Mapping[str, int], default: int = 3) -> int:
        """Take a priority."""
        word = self._word(name, words)
        return default if word is None else words[word.lower()]

    def keep(self, name: str, value: object) -> None:
        """Add something to `extra`."""
        self._more[f"{self._tool}_{name}" if name in _OURS else name] = value

    def keep_as_is(self, name: str) -> None:
        """Add a member to `extra` although somebody takes it."""
        if self._rest.get(name):
            self.keep(name, self._rest[name])

    def extra(self) -> dict[str, object]:
        """Return what was not taken, less what is empty."""
        for name, value in self._rest.items():
            if value not in (None, "", [], {}):
                self.keep(name, value)
        return self._more

    def _word(self, name: str, words: Mapping[str, object]) -> str | None:
        word = self.text(name)
        if word is not None and word.lower() not in words:
            self.members.refuse(name, f"one of {', '.join(words)}")
            return None
        return word

    def _takes(self, name: str) -> bool:
        """Whether there is something under this name; it is nobody else's from now on."""
        return self._rest.pop(name, None) is not None

    def _is_refused(self, name: str) -> bool:
        return any(path == (*self.members.path, name) for path, _ in self.members.faults)


class Source:
    """A file or folder of a tool while it is read: tasks, notes, and what is wrong, said at once at the end.

    Args:
        tool: Goes before names of its own that mean something else here.
        words: The tool's statuses, and what else the caller says of words, in whatever letters.
    """

    def __init__(self, tool: str, where: str, usual: Words, words: Words | None = None) -> None:
        self.tool = tool
        self.where = where
        self.words: Words = {**usual, **{word.lower(): _checked(status) for word, status in (words or {}).items()}}
        self.notes: list[str] = []
        self._faults: list[str] = []
        self._tasks: dict[str, PlanTask] = {}

    def read_json(self, text: str, first_line: int = 1) -> object:
        """Return the value of a JSON text; None when it is none, which is noted.

        Args:
            first_line: The text's place in its file, where it is one line of many.
        """
        try:
            return json_edit.load(text, self.where)
        except BadInput:
            pass
        try:
            json_edit.load("\n" * (first_line - 1) + text, self.where)
        except BadInput as error:
            self.refuse(*(error.details or [error.message]))
        return None

    def record(self, value: object, path: json_edit.Path, faults: list[Fault]) -> Record:
        """Return the object at a path as one to take from; an empty one when it is none, which is a fault."""
        return Record(JsonObject.of(value, path, faults), self.tool)

    def add(self, task: PlanTask, record: Record, name: str) -> None:
        """Add a task. Its key must be new; `name` is what the record calls it."""
        if task.key and self._tasks.setdefault(task.key, task) is not task:
            record.members.fault(f"expected each task once, got: {task.key} again", name)

    def note(self, key: str, record: Record, text: str, at: str, actor: str = "author") -> Note:
        """Return what somebody wrote about the task; the number of a note is not kept."""
        note = Note(record.named(text), record.moment(at), record.text(actor))
        rest = {name: value for name, value in record.extra().items() if not name.endswith("id")}
        if rest:
            self.notes.append(f"left out: what a note of {key} says beside its text: {encode(rest)[:500]}")
        return note

    def place(self, faults: Iterable[Fault], locate: Locate, where: str | None = None) -> None:
        """Note faults of a text that could be read."""
        self.refuse(*(f"{where or self.where}:{locate(path)}: {what}" for path, what in faults))

    def place_in_json(self, faults: list[Fault], text: str, first_line: int = 1) -> None:
        """Note faults of a JSON text; see `read_json`."""
        if not faults or len(self._faults) >= _MAX_FAULTS:
            self.refuse(*(what for _, what in faults))  # they are counted, and nobody reads them
            return
        whole = "\n" * (first_line - 1) + text
        offsets = json_edit.places(whole, [path for path, _ in faults])
        ordered = sorted(faults, key=lambda fault: offsets[fault[0]])
        self.place(ordered[:_MAX_FAULTS], lambda path: json_edit.position(whole, offsets[path]))
        self.refuse(*(what for _, what in ordered[_MAX_FAULTS:]))

    def refuse(self, *faults: str) -> None:
        """Note sentences on what is wrong, each with its place."""
        self._faults += faults

    @property
    def tasks(self) -> tuple[PlanTask, ...]:
        """What was read so far."""
        return tuple(self._tasks.values())

    def imported(self, tasks: Iterable[PlanTask] | None = None) -> Imported:
        """Return what was read, or `tasks` in its place.

        Raises:
            BadInput: Something is wrong; the details name all of it, with its place.
        """
        if not self._faults:
            return Imported(self.tasks if tasks is None else tuple(tasks), tuple(self.notes))
        hint = "nothing was imported; correct it there"
        if any(": expected" in fault and "status to be one of" in fault for fault in self._faults):
            hint += ', or say what a status means here: words={"on hold": "blocked"}'
        if len(self._faults) == 1:
            raise BadInput(self._faults[0], hint=hint)
        count = len(self._faults)
        more = [f"and {count - _MAX_FAULTS:,} more"] if count > _MAX_FAULTS else []
        message = f"{self.where} cannot be imported: {count:,} faults"
        raise BadInput(message, hint=hint, details=[*self._faults[:_MAX_FAULTS], *more])


def _checked(status: Status) -> Status:
    if status not in STATUSES:
        raise BadInput(f"expected a status to be one of {', '.join(STATUSES)}, got: {status!r}")
    return status
