"""What every kind of document must do, as tests: subclass `DocumentContract`, name a codec, make samples."""

from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.pictures import Pictures
from tasktrail.engine.verification import verify
from tasktrail.formats import codec
from tasktrail.formats.picture import MAX_TASKS, Picture, TaskPicture, differences
from tasktrail.model.errors import BadInput, Conflict
from tasktrail.model.lifecycle import Ask
from tasktrail.model.run import Kind, Run
from tasktrail.model.task import Status, Task
from tasktrail.store.documents import DocumentFile, place_of
from tasktrail.store.places import DocumentPlace
from tasktrail.store.sqlite import SqliteStore
from tasktrail.store.transaction import Transaction
from tasktrail.testing.dying import Arm, die_everywhere

KEYS: Final = ("fetch", "load", "save")
Where = Path | str


class DocumentContract:
    """Tests that a codec and the attachment of its documents pass.

    A subclass says which codec it is and overrides `sample` and `edited`. One for documents that are no files also says
    where they lie, as `home` and `place` do, and how other programs change them: `put`, `remove`, `fingerprint`.

    Attributes:
        codec: Its name, as `document.codec` holds it.
        kind: Of the runs that its documents are.
        broken: Texts that are no such document.
        most_changed_lines: Of a document in which one task is completed.
        place: What its documents' places are.
        dying: Module and function of the scene in which a process is killed at every step.
        steps: What such a step is, among others.
    """

    codec: ClassVar[str]
    kind: ClassVar[Kind] = "dag"
    broken: ClassVar[Sequence[str]] = ()
    most_changed_lines: ClassVar[int] = 16
    place: ClassVar[type[DocumentPlace]] = DocumentFile
    dying: ClassVar[tuple[str, str]] = (__name__, "complete_one")
    steps: ClassVar[Set[str]] = frozenset({"rename", "fsync", "COMMIT"})

    def sample(self, keys: Sequence[str]) -> str:
        """Return a document with these tasks, all pending, as an untidy person writes it: with all that we ignore."""
        raise NotImplementedError("a subclass of DocumentContract makes samples")

    def edited(self, text: str, key: str, status: Status) -> str:
        """Return the text as a person leaves it who gives a task another status, and touches nothing else."""
        raise NotImplementedError("a subclass of DocumentContract makes samples")

    # where a document lies, and what other programs do to it

    @pytest.fixture
    def home(self, tmp_path: Path) -> Where:
        """Below which the documents of a test lie."""
        return tmp_path

    @pytest.fixture
    def path(self, home: Where) -> Where:
        """The document: a sample with three tasks."""
        path = home / "document" if isinstance(home, Path) else f"{home}/document"
        self.put(path, self.sample(KEYS))
        return path

    def put(self, path: Where, text: str) -> None:
        """Write a document as an editor does that knows nothing of us: all of it, another file, renamed."""
        part = Path(f"{path}.editor")
        part.write_bytes(text.encode())
        part.replace(path)

    def remove(self, path: Where) -> None:
        """Remove a document."""
        Path(path).unlink()

    def fingerprint(self, path: Where) -> object:
        """Return what is another when a document was written, even if it says the same."""
        return Path(path).stat()

    def interrupt_writing(self, monkeypatch: pytest.MonkeyPatch, times: int, act: Callable[[], None]) -> None:
        """Act after we have read a document, and just before we replace it, so many times."""
        interrupt(monkeypatch, DocumentFile, "_check_unchanged", times, act)

    def edit(self, path: Where, key: str, status: Status) -> None:
        """Give a task of a document another status by hand."""
        self.put(path, self.edited(text_of(path), key, status))

    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Iterator[Ledger]:
        """A ledger on a store of its own. Whatever a test did to it, its history must fold to its rows."""
        store = SqliteStore(tmp_path / "tasks.db")
        yield Ledger(store, actor="tester")
        assert verify(store) == []
        store.close()

    def look(self, ledger: Ledger, path: Where) -> Run:
        """Return the run of a document, up to date with it."""
        run = ledger.attachments.open(path, self.codec, self.kind)
        assert run is not None, f"{path} is there"
        return run

    # the codec

    def test_a_document_that_says_it_already_is_not_written(self) -> None:
        """No change, no byte changed: the very same text comes back."""
        text = self.sample(KEYS)
        picture = codec(self.codec).load(text, "here")

        assert codec(self.codec).write(text, picture, "here").text is text

    def test_a_new_document_says_what_was_written(self) -> None:
        """What a codec has a word for survives; what it says then is what the writing promises."""
        picture = codec(self.codec).load(self.sample(KEYS), "here")
        writing = codec(self.codec).write(None, picture, "here")

        assert codec(self.codec).load(writing.text, "here") == writing.picture
        assert not differences(writing.picture, picture)

    def test_only_the_changed_characters_move(self) -> None:
        """Completing one task touches its lines and the run's; completing it again touches nothing."""
        text = self.sample([f"t{n}" for n in range(50)])
        edited = self.edited(text, "t7", "completed")
        picture = codec(self.codec).load(edited, "here")

        writing = codec(self.codec).write(text, picture, "here")

        assert len(_changed_lines(text, writing.text)) <= self.most_changed_lines
        assert not differences(writing.picture, picture)
        assert codec(self.codec).write(writing.text, writing.picture, "here").text is writing.text

    def test_more_than_20000_tasks_are_refused_both_ways(self) -> None:
        """Every reader would have to load them all to show one."""
        many = tuple(TaskPicture(f"t{n}", "pending") for n in range(MAX_TASKS + 1))
        picture = replace(codec(self.codec).load(self.sample(KEYS), "here"), tasks=many)

        with pytest.raises(BadInput, match="20,000"):
            codec(self.codec).write(None, picture, "here")
        with pytest.raises(BadInput, match="20,000"):
            codec(self.codec).load(self.sample([task.key for task in many]), "here")

    # attached

    def test_a_look_at_an_unchanged_document_writes_nothing(self, ledger: Ledger, path: Where) -> None:
        """Neither file nor store: not one commit."""
        self.look(ledger, path)
        run, before, tokens = self.look(ledger, path), self.fingerprint(path), ledger.store.changed_token()

        assert [self.look(ledger, path) for _ in range(3)] == [run] * 3
        assert (self.fingerprint(path), ledger.store.changed_token()) == (before, tokens)

    def test_a_change_by_hand_is_adopted_at_the_next_look(self, ledger: Ledger, path: Where) -> None:
        """As a fact, recorded with its source; what the person did not touch stays as it was."""
        run = self.look(ledger, path)
        others = tasks(ledger, run)[1:]
        self.edit(path, KEYS[0], "completed")
        mine = text_of(path)

        assert self.look(ledger, path).n_completed == 1
        assert [task.status for task in tasks(ledger, run)] == ["completed", "pending", "pending"]
        assert tasks(ledger, run)[1:] == others
        assert "document" in str(adoptions(ledger, run)[-1])
        assert text_of(path) == mine

    def test_a_change_is_in_the_document_when_the_call_returns(self, ledger: Ledger, path: Where) -> None:
        """And nothing else moved in it."""
        run, before = self.look(ledger, path), text_of(path)

        ledger.ask(tasks(ledger, run)[1].id, Ask("complete"))

        after = text_of(path)
        assert codec(self.codec).load(after, "here").by_name()[KEYS[1]].status == "completed"
        assert len(_changed_lines(before, after)) <= self.most_changed_lines
        assert_agree(ledger, path)

    def test_a_change_adopts_first_what_somebody_changed_by_hand(self, ledger: Ledger, path: Where) -> None:
        """Both are in the file and in the store."""
        run = self.look(ledger, path)
        self.edit(path, KEYS[0], "completed")

        ledger.ask(tasks(ledger, run)[1].id, Ask("complete"))

        assert statuses(path, self.codec) == {KEYS[0]: "completed", KEYS[1]: "completed", KEYS[2]: "pending"}
        assert_agree(ledger, path)

    def test_what_an_editor_saves_between_our_read_and_our_write_stays(
        self, ledger: Ledger, path: Where, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its program does not ask for our lock; its change is adopted and ours is made again."""
        run = self.look(ledger, path)
        self.interrupt_writing(monkeypatch, 1, lambda: self.edit(path, KEYS[0], "completed"))

        ledger.ask(tasks(ledger, run)[1].id, Ask("complete"))

        assert statuses(path, self.codec) == {KEYS[0]: "completed", KEYS[1]: "completed", KEYS[2]: "pending"}
        assert_agree(ledger, path)

    def test_what_an_editor_saves_between_our_look_and_our_read_stays(
        self, ledger: Ledger, path: Where, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What we read then was not adopted, so it is no ground to write on."""
        run = self.look(ledger, path)
        left = interrupt(monkeypatch, self.place, "read", 1, lambda: self.edit(path, KEYS[0], "completed"))
        ledger.ask(tasks(ledger, run)[1].id, Ask("complete"))

        assert next(left, None) is None
        assert statuses(path, self.codec) == {KEYS[0]: "completed", KEYS[1]: "completed", KEYS[2]: "pending"}
        assert_agree(ledger, path)

    def test_an_editor_that_never_stops_saving_is_a_conflict_that_names_the_file(
        self, ledger: Ledger, path: Where, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its change stays, ours is nowhere."""
        run = self.look(ledger, path)
        flip: Iterator[Status] = iter(["completed", "pending"] * 50)
        self.interrupt_writing(monkeypatch, 100, lambda: self.edit(path, KEYS[0], next(flip)))

        with pytest.raises(Conflict, match=_name(path)):
            ledger.ask(tasks(ledger, run)[1].id, Ask("complete"))

        monkeypatch.undo()
        self.look(ledger, path)
        assert [task.status for task in tasks(ledger, run)][1:] == ["pending", "pending"]
        assert_agree(ledger, path)

    def test_many_threads_change_one_document_and_nothing_is_lost(self, ledger: Ledger, path: Where) -> None:
        """Eight at a time, while others look at it."""
        keys = [f"t{n}" for n in range(40)]
        self.put(path, self.sample(keys))
        found = tasks(ledger, self.look(ledger, path))
        done = threading.Event()

        def watch() -> None:
            while not done.is_set():
                self.look(ledger, path)

        with ThreadPoolExecutor(9) as pool:
            watching = pool.submit(watch)
            for change in [pool.submit(ledger.ask, task.id, Ask("complete")) for task in found]:
                change.result()
            done.set()
            watching.result()

        assert statuses(path, self.codec) == dict.fromkeys(keys, "completed")
        assert_agree(ledger, path)

    # broken

    def test_a_broken_document_changes_nothing_and_fails_with_its_line(self, ledger: Ledger, path: Where) -> None:
        """The store keeps answering what it had; once the file is whole again all goes on."""
        self.look(ledger, path)
        run, whole = self.look(ledger, path), text_of(path)
        known = tasks(ledger, run)
        assert self.broken, "a subclass of DocumentContract gives broken texts"
        for text in self.broken:
            self.put(path, text)
            for attempt in (
                lambda: self.look(ledger, path), lambda: ledger.ask(known[0].id, Ask("complete")),
            ):  # fmt: skip
                with pytest.raises(BadInput, match=rf"{_name(path)}:\d+:\d+"):
                    attempt()
            assert (text_of(path), tasks(ledger, run)) == (text, known)
            self.put(path, whole)
            assert self.look(ledger, path) == run

    def test_a_broken_document_that_nobody_knows_makes_no_run(self, ledger: Ledger, path: Where) -> None:
        """Nothing of it is stored."""
        for text in self.broken:
            self.put(path, text)
            with pytest.raises(BadInput, match=rf"{_name(path)}:\d+:\d+"):
                self.look(ledger, path)

        assert ledger.store.read(lambda tx: tx.rows("run_ids")) == []

    # gone

    def test_a_document_that_is_gone_detaches_its_run(self, ledger: Ledger, path: Where) -> None:
        """The run is kept and goes on without it."""
        run = self.look(ledger, path)
        self.remove(path)

        assert ledger.attachments.open(path, self.codec, self.kind) is None
        assert is_detached(ledger, run)
        ledger.ask(tasks(ledger, run)[0].id, Ask("complete"))
        assert place_of(path).read() is None
        assert [task.status for task in tasks(ledger, run)] == ["completed", "pending", "pending"]

    def test_a_document_that_comes_back_is_adopted(self, ledger: Ledger, path: Where) -> None:
        """With what was changed in it, and without losing what its run did in the meantime."""
        run, away = self.look(ledger, path), text_of(path)
        self.remove(path)
        ledger.ask(tasks(ledger, run)[0].id, Ask("complete"))
        self.put(path, self.edited(away, KEYS[1], "completed"))

        assert self.look(ledger, path).id == run.id
        assert not is_detached(ledger, run)
        assert statuses(path, self.codec) == {KEYS[0]: "completed", KEYS[1]: "completed", KEYS[2]: "pending"}
        assert_agree(ledger, path)

    def test_a_folder_that_is_gone_for_a_while_does_the_same(self, ledger: Ledger, tmp_path: Path) -> None:
        """Its lock cannot be had meanwhile, and nobody looks before it is back, just as it was."""
        folder, away = tmp_path / "here", tmp_path / "away"
        folder.mkdir()
        path = folder / "document"
        path.write_bytes(self.sample(KEYS).encode())
        run = self.look(ledger, path)
        folder.rename(away)

        ledger.ask(tasks(ledger, run)[0].id, Ask("complete"))
        assert not folder.exists()
        away.rename(folder)

        assert self.look(ledger, path).id == run.id
        assert statuses(path, self.codec)[KEYS[0]] == "completed"
        assert_agree(ledger, path)

    # killed

    def test_a_crash_at_every_step_of_a_write_leaves_file_and_store_agreeing(self, tmp_path: Path, home: Where) -> None:
        """A change is made while another one by hand is still to be adopted, and the process is killed by SIGKILL
        before its first step, its second … until it survives. A step is whatever the system or SQLite is asked for."""
        if not hasattr(os, "fork"):
            pytest.skip("SIGKILL at a chosen step needs fork")
        text = self.sample(KEYS)
        (tmp_path / "sample").write_bytes(text.encode())
        (tmp_path / "edited").write_bytes(self.edited(text, KEYS[0], "completed").encode())

        killed = die_everywhere(*self.dying, tmp_path, self.codec, self.kind, home)

        assert self.steps <= set(killed)
        for n, step in enumerate([*killed, "the end"], 1):
            survived = n > len(killed)
            ours = self._check_survivor(tmp_path / str(n), home, f"killed before step {n}: {step}")
            assert ours == "completed" or not survived

    def _check_survivor(self, folder: Path, home: Where, when: str) -> Status:
        """Look as the next process does; return where the task stands that was being completed."""
        store = SqliteStore(folder / "tasks.db")
        ledger, path = Ledger(store, actor="survivor"), f"{home}/{folder.name}/document"
        run = self.look(ledger, path)
        found = {task.key: task.status for task in tasks(ledger, run)}
        assert found == statuses(path, self.codec), when
        assert (found[KEYS[0]], found[KEYS[2]]) == ("completed", "pending"), when
        assert_agree(ledger, path, when)
        assert verify(store) == [], when
        store.close()
        return found[KEYS[1]]


# --------------------------------------------------------------------------------------------------- looking at runs


def tasks(ledger: Ledger, run: Run) -> list[Task]:
    """Return the tasks of a run, in order."""
    return ledger.store.read(lambda tx: tx.tasks("tasks_of_run", run_id=run.id))


def text_of(path: Where) -> str:
    """Return what stands in a document."""
    if isinstance(path, Path):
        return path.read_bytes().decode()
    reading = place_of(path).read()
    assert reading is not None, f"{path} is there"
    return reading.text


def statuses(path: Where, codec_name: str) -> dict[str, Status]:
    """Return what a document says of its tasks."""
    picture = codec(codec_name).load(text_of(path), _name(path))
    return {task.key: task.status for task in picture.tasks}


def adoptions(ledger: Ledger, run: Run) -> list[object]:
    """Return the notes of what was adopted."""
    rows = ledger.store.read(lambda tx: tx.rows("events_of_run", run_id=run.id, after=0, limit=1000))
    return [row[8] for row in rows if row[3] == "adopt"]


def is_detached(ledger: Ledger, run: Run) -> bool:
    """Whether the run's document was found to be gone."""

    def work(tx: Transaction) -> bool:
        document = ledger.attachments.documents.by_id(tx, tx.run(run.id).document_id or 0)
        return document is not None and document.detached_at is not None

    return ledger.store.read(work)


def assert_agree(ledger: Ledger, path: Where, when: str = "now") -> None:
    """Fail unless the store would write of each task what the document says. Its run's status may be newer: a change by
    hand is adopted by a look, and a look writes no file."""

    def written(tx: Transaction) -> tuple[str, Picture]:
        run = next(run for run in tx.runs("runs_with_documents") if _path_of(ledger, tx, run) == place_of(path).where)
        document = ledger.attachments.documents.by_id(tx, run.document_id or 0)
        assert document is not None
        return document.codec, Pictures(ledger).of(tx, run)

    name, picture = ledger.store.read(written)
    text = text_of(path)
    said = codec(name).load(text, _name(path))
    shown = codec(name).write(text, replace(picture, name=said.name, workflow=said.workflow), _name(path)).picture
    found = differences(shown, said)
    others = (*found.added, *found.removed, *found.changed)
    others += (*found.items_added, *found.items_dropped, *found.items_changed)
    assert not others, f"{when}: the store says otherwise than {_name(path)}: {others}"


def _name(path: Where) -> str:
    return Path(path).name


def _path_of(ledger: Ledger, tx: Transaction, run: Run) -> str | None:
    document = ledger.attachments.documents.by_id(tx, run.document_id or 0)
    return document.path if document else None


def _changed_lines(old: str, new: str) -> list[str]:
    lines = difflib.ndiff(old.splitlines(), new.splitlines())
    return [line for line in lines if line.startswith(("+ ", "- "))]


def interrupt(
    monkeypatch: pytest.MonkeyPatch, place: type[DocumentPlace], method: str, times: int, act: Callable[[], None]
) -> Iterator[int]:
    """Act before a method of a place, so many times; return those that are left."""
    original, left = getattr(place, method), iter(range(times))

    def interrupted(*arguments: object) -> object:
        if next(left, None) is not None:
            act()
        return original(*arguments)

    monkeypatch.setattr(place, method, interrupted)
    return left


# ------------------------------------------------------------------------------------------------- a scene to die in


def complete_one(folder: Path, codec_name: str, kind: Kind, home: str, arm: Arm) -> None:
    """The scene of the contract: one task is completed while another one was changed by hand."""
    path = Path(home, folder.name, "document")
    complete_one_at(path, lambda text: path.write_bytes(text.encode()), folder, codec_name, kind, arm)


def complete_one_at(
    path: Where, put: Callable[[str], object], folder: Path, codec_name: str, kind: Kind, arm: Arm
) -> None:
    """The same for any place of documents.

    Args:
        put: Writes the document there as another program does.
    """
    put(text_of(folder.parent / "sample"))
    ledger = Ledger(SqliteStore(folder / "tasks.db"), actor="victim")
    run = ledger.attachments.open(path, codec_name, kind)
    assert run is not None
    put(text_of(folder.parent / "edited"))
    task = tasks(ledger, run)[1]
    arm(ledger.store)
    ledger.ask(task.id, Ask("complete"))
