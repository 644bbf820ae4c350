"""Runs and their documents: the file is the truth of what it has words for, the store holds the rest and a mirror.

Reading adopts what somebody changed in a file. Writing takes the file's lock, adopts, and replaces the file inside the
transaction, just before COMMIT: so the store is never ahead, and after a crash in between the file is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.drafts import RunEdit, TaskEdit, save_in
from tasktrail.engine.ledger import Documented, Ledger, drop_in, free_name
from tasktrail.engine.pictures import REMOVED, Pictures, Written
from tasktrail.engine.values import NOTHING, encode_text
from tasktrail.formats import codec
from tasktrail.formats.picture import Codec, Differences, Picture, TaskChange, TaskPicture, differences
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Busy, Conflict, NotFound, StoreError
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import OVER, Kind, Run
from tasktrail.model.task import Status, Task, Value
from tasktrail.store.documents import Document, DocumentFile, Documents, Look
from tasktrail.store.locks import sync_folder
from tasktrail.store.transaction import Transaction

_DEFINITION: Final = ("priority", "critical", "max_retries")
_UNSAID: Final[Mapping[str, Value]] = {"tries": 0, "max_retries": 3, "priority": 3, "critical": 1}
"""What a task has when its document no longer says it, where that cannot be nothing."""
_FRESH: Final[Mapping[str, Value]] = {"tries": 0, "last_outcome": None, "output": None}
"""What a task that comes back into its document has, unless that says otherwise."""
_RUN_TIMES: Final = ("started_at", "finished_at")
_STANDING: Final = ("not_before", "error_type", "error", "reason", "completed_at")
"""What `adopt` forgets of how a task stood, unless it is told."""
_TRIES: Final = 5

T = TypeVar("T")
Locked = tuple[Document, DocumentFile]


class Attachments:
    """Keeps the documents of a store's runs and the runs alike."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._pictures = Pictures(ledger)
        self.documents = Documents(ledger.store.path)

    # writing

    def commit(
        self, work: Callable[[Transaction], T], document_ids: Collection[int], patience_s: float | None = None
    ) -> T:
        """Run `work` in one transaction with the documents it touches locked, adopted, and then written.

        Raises:
            Conflict: A program that does not ask for the lock keeps changing the file.
            Busy: Another process holds a file's lock for too long.
        """
        ids = set(document_ids)
        for _ in range(_TRIES):
            try:
                with self._locked(ids) as files:
                    return self._store.write(lambda tx: self._write(tx, work, files), patience_s=patience_s)
            except Documented as found:
                ids |= set(found.ids)
            except Conflict as conflict:
                last = conflict
        raise last

    @contextmanager
    def _locked(self, ids: Collection[int]) -> Iterator[dict[int, Locked]]:
        """Lock the files in the order of their paths, so that two processes never wait for each other."""
        found = [one for one in (self._document(id_) for id_ in ids) if one]
        files: dict[int, Locked] = {}
        with ExitStack() as stack:
            for document in sorted(found, key=lambda one: one.path):
                file = document.file
                if Path(document.path).parent.is_dir():
                    stack.enter_context(file.lock(self._store.busy_s))
                    files[document.id] = (self._adopt(document, file), file)
            yield files

    def _write(self, tx: Transaction, work: Callable[[Transaction], T], files: dict[int, Locked]) -> T:
        result = work(tx)
        tx.settle()
        runs = tx.documented_runs()
        attached = {run.document_id for run in runs if run.document_id is not None}
        if missing := attached - set(files) - self._detach_gone(tx, attached - set(files)):
            raise Documented(missing)
        for run in runs:
            if run.document_id in files:
                document, file = files[run.document_id]
                self._replace(tx, run, document, file)
        return result

    def _detach_gone(self, tx: Transaction, ids: Collection[int]) -> set[int]:
        """Documents whose folder is gone cannot be locked, nor written; their runs go on without them."""
        found = {id_: self.documents.by_id(tx, id_) for id_ in ids}
        gone = {id_: one for id_, one in found.items() if one is None or not Path(one.path).parent.is_dir()}
        for one in gone.values():
            if one is not None:
                self.documents.save(tx, one.gone(self._ledger.clock.now()))
        return set(gone)

    def _replace(self, tx: Transaction, run: Run, document: Document, file: DocumentFile) -> None:
        if document.detached_at is not None:
            return
        reading, words = file.read(), codec(document.codec)
        text, look = (reading.text, reading.look) if reading else (None, None)
        last, versions = self._pictures.written(document, look), self._pictures.versions(tx, run)
        said = last.said if last else words.load(text, document.path) if text is not None else None
        picture = self._pictures.since(tx, run, last, versions) if last else self._pictures.of(tx, run)
        if said is not None:
            picture = self._pictures.as_typed(_named(picture, said), said)
        writing = words.write(text, picture, document.path, said)
        if writing.text is not text or look is None:
            look = file.replace(writing.text, look)
        kept = self._pictures.kept(writing.picture, last)
        run_alone = self._pictures.clean(replace(writing.picture, tasks=()))
        self.documents.save(tx, document.seen(look, run_alone.joined(kept.values())))
        known = {id_: version for id_, _, version in versions}
        self._pictures.remember(document.id, Written(look.digest, run.status, writing.picture, kept, known))

    # reading

    def sync(self, run: Run) -> Run:
        """Adopt what somebody changed in a run's document, and return the run as it then stands."""
        if run.document_id is None:
            return run
        document = self._document(run.document_id)
        if document is None:
            return run
        file = document.file
        look = file.recognise(document.look) if document.detached_at is None else None
        if look is not None:
            self._remember(document, file, look)
            return run
        if file.signature() is None and document.detached_at is not None:
            return run
        if not Path(document.path).parent.is_dir():
            self._save(document.gone(self._ledger.clock.now()))
        else:
            with file.lock(self._store.busy_s):
                self._adopt(document, file)
        return self._store.read(lambda tx: tx.run(run.id))

    def _remember(self, document: Document, file: DocumentFile, look: Look) -> None:
        """Make the next look at an unchanged file cheap; where that cannot be written, it costs what this one did."""
        if _tells_more(look, document.look):
            with suppress(Busy, StoreError), file.lock(0):
                self._adopt(document, file)

    def _adopt(self, document: Document, file: DocumentFile) -> Document:
        """Under the file's lock: bring the run to what the file says, where that is not what we last saw it say."""
        document = self._document(document.id) or document
        seen, was_gone = document.look, document.detached_at is not None
        if seen is not None and not was_gone and (look := file.recognise(seen)):
            return self._save(document.seen(look)) if _tells_more(look, seen) else document
        reading = file.read()
        if reading is None:
            never_there = seen is None or was_gone
            return document if never_there else self._save(document.gone(self._ledger.clock.now()))
        words = codec(document.codec)
        picture = self._pictures.clean(words.load(reading.text, document.path))
        known = document.seen(reading.look, picture.to_json())
        old = Picture.from_json(document.written) if document.written else Picture(picture.name, picture.workflow)
        found = _meant(words, old, picture)

        def work(tx: Transaction) -> None:
            run = self._run(tx, document.id)
            if run is not None and found:
                self._apply(tx, run.id, known, found, picture)
            self.documents.save(tx, known)
            if run is not None and was_gone:
                self._bring_up(tx, run.id, known, file)

        self._store.write(work)
        return known

    def _bring_up(self, tx: Transaction, run_id: int, document: Document, file: DocumentFile) -> None:
        """A file that came back may not know what its run did without it."""
        tx.settle()
        self._replace(tx, tx.settled(run_id), document, file)

    def _apply(self, tx: Transaction, run_id: int, document: Document, found: Differences, picture: Picture) -> None:
        assert document.look is not None, "a document that was just read"
        tasks = {task.key: task for task in tx.tasks("steps_of_run", run_id=run_id)}
        edits = [_changed(tasks[change.key], change) for change in found.changed if change.key in tasks]
        edits += [_removed(tasks[task.key]) for task in found.removed if task.key in tasks]
        edits += [_returned(tasks[task.key], task) for task in found.added if task.key in tasks]
        added = [task for task in found.added if task.key not in tasks]
        edit = RunEdit(
            run_id,
            edits,
            [(_draft(task), None) for task in added],
            metadata=str(found.run["metadata"] or "{}") if "metadata" in found.run else None,
            workflow=_text(found.run.get("workflow")),
            source=f"document changed at {document.look.signature.mtime_ns // 1_000_000_000} s",
        )
        save_in(tx, self._ledger, edit, self._ledger.clock.now())
        self._take_over(tx, run_id, added)
        if found.run.keys() & {"status", "error"}:
            self._declare(tx, run_id, document, picture)
        self._keep_times(tx, run_id, {name: found.run[name] for name in _RUN_TIMES if name in found.run})

    def _take_over(self, tx: Transaction, run_id: int, added: Sequence[TaskPicture]) -> None:
        """Tasks that came with the file stand where it says."""
        edits = []
        for picture in added:
            task = tx.task("task_by_key", key=picture.key, run_id=run_id, item="", map_index=-1)
            assert task is not None, "it was added just now"
            edit = _edit(task, picture.status, picture.values)
            if edit.status is not None:
                edits.append(edit)
        if edits:
            save_in(tx, self._ledger, RunEdit(run_id, edits, source="document"), self._ledger.clock.now())

    def _declare(self, tx: Transaction, run_id: int, document: Document, said: Picture) -> None:
        """What a file says of its run as a whole holds until a task moves, where the tasks do not explain it."""
        tx.settle()
        run = tx.run(run_id)
        status = said.status or run.status
        shown = codec(document.codec).write(None, self._pictures.of(tx, run), document.path).picture
        if status != run.status or said.error != (shown.error if said.error else run.declared_error):
            self._ledger.declare_in(tx, run_id, status, said.error, self._ledger.clock.now())

    @staticmethod
    def _keep_times(tx: Transaction, run_id: int, said: Mapping[str, Value]) -> None:
        """Times that a file says are facts; what we noticed later did not happen later."""
        tx.settle()
        run = tx.run(run_id)
        times = {name: at for name, at in said.items() if isinstance(at, int)}
        if run.status not in OVER:
            times.pop("finished_at", None)
        elif "finished_at" in times and run.started_at is not None:
            times.setdefault("started_at", min(run.started_at, times["finished_at"]))
        if times:
            tx.set_run(run_id, **times)

    # attaching

    def create(self, draft: RunDraft, path: Path, codec_name: str, stands: Picture | None = None) -> Run:
        """Create a run and its file in one transaction, and keep the two alike from now on.

        Args:
            draft: Its name is the document's; where the store has it already, the run gets -2, -3 … behind it.
            stands: Where run and tasks stand; None is where new ones do.

        Raises:
            BadInput: As for `Ledger.create_run`, or the document would have too many tasks.
            Conflict: The file exists.
            StoreError: It cannot be written.
        """
        check_run_id(draft.name)
        check_tasks(draft.tasks)
        file = DocumentFile(path)

        def work(tx: Transaction) -> Run:
            if file.signature() is not None:
                raise Conflict(f"{file.path} exists already", hint="choose another run id")
            document = self._attach(tx, file, codec_name)
            run = self._make(tx, document, draft, stands)
            picture = replace(self._pictures.of(tx, run), name=draft.name)
            writing = codec(codec_name).write(None, picture, str(file.path))
            self.documents.save(tx, document.seen(file.replace(writing.text, None), writing.picture.to_json()))
            return run

        with file.lock(self._store.busy_s):
            return self._store.write(work)

    def open(self, path: Path, codec_name: str, kind: Kind) -> Run | None:
        """Return the run of a file, up to date with it; a file that no run knows yet gets one. None: there is no file.

        Raises:
            BadInput: The file cannot be read; nothing is changed then.
        """
        file = DocumentFile(path)
        document = self._store.read(lambda tx: self.documents.at(tx, file.path))
        run = self._store.read(lambda tx: self._run(tx, document.id)) if document else None
        if run is not None:
            run = self.sync(run)
            return run if file.signature() is not None else None
        if file.signature() is None:
            return None
        with file.lock(self._store.busy_s):
            return self._import(file, codec_name, kind)

    def parse(self, path: Path, codec_name: str, kind: Kind) -> Run | None:
        """Return the run of a file in a store that nobody else sees: no lock is taken. None: there is no file.

        Raises:
            BadInput: The file cannot be read.
        """
        file = DocumentFile(path)
        return self._import(file, codec_name, kind) if file.signature() is not None else None

    def drop(self, run: Run) -> None:
        """Remove a run for good, with its history and its document. The file goes first, as in any other write."""
        document = self._document(run.document_id) if run.document_id is not None else None
        if document is None or not Path(document.path).parent.is_dir():
            self._ledger.drop_run(run.id)
            return
        path = Path(document.path)

        def work(tx: Transaction) -> None:
            drop_in(tx, run.id)
            try:
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
            except OSError as error:
                raise StoreError(f"{path} cannot be removed: {error.strerror or error}") from None

        with document.file.lock(self._store.busy_s):
            self._store.write(work)
            with suppress(OSError):  # while it is ours: who waits for it then notices that it is gone
                Path(f"{path}.lock").unlink(missing_ok=True)

    def _import(self, file: DocumentFile, codec_name: str, kind: Kind) -> Run:
        reading = file.read()
        if reading is None:
            raise NotFound(f"{file.path} is gone")
        picture = self._pictures.clean(codec(codec_name).load(reading.text, str(file.path)))

        def work(tx: Transaction) -> Run:
            document = self.documents.at(tx, file.path)
            existing = self._run(tx, document.id) if document else None
            if existing is not None:
                return existing
            document = self._attach(tx, file, codec_name).seen(reading.look, picture.to_json())
            tasks = tuple(map(_draft, picture.tasks))
            draft = RunDraft(kind, picture.name, picture.workflow, tasks, metadata=picture.metadata)
            run = self._make(tx, document, draft, codec(codec_name).standing(picture))
            self.documents.save(tx, document)
            return run

        return self._store.write(work)

    def _attach(self, tx: Transaction, file: DocumentFile, codec_name: str) -> Document:
        """Return the document of a file that is to be another run's from now on."""
        document = self.documents.at(tx, file.path)
        if document is None:
            return self.documents.attach(tx, file.path, codec_name)
        former = self._run(tx, document.id)
        if former is not None:  # its file was removed, and this is another one
            tx.set_run(former.id, document_id=None)
        return Document(document.id, document.path, codec_name)

    def _make(self, tx: Transaction, document: Document, draft: RunDraft, stands: Picture | None) -> Run:
        """Create a run that stands where its document says."""
        now = self._ledger.clock.now()
        draft = replace(draft, name=free_name(tx, draft.kind, check_run_id(draft.name)))
        run = self._ledger.create_in(tx, draft, now, created_at=stands.created_at if stands else None)
        tx.set_run(run.id, document_id=document.id)
        if stands is not None:
            self._take_over(tx, run.id, stands.tasks)
            if stands.status or stands.error:
                self._declare(tx, run.id, document, stands)
            self._keep_times(tx, run.id, {name: getattr(stands, name) for name in (*_RUN_TIMES, "updated_at")})
        tx.settle()
        return tx.settled(run.id)

    # rows

    def _document(self, document_id: int) -> Document | None:
        return self._store.read(lambda tx: self.documents.by_id(tx, document_id))

    def _save(self, document: Document) -> Document:
        self._store.write(lambda tx: self.documents.save(tx, document))
        return document

    @staticmethod
    def _run(tx: Transaction, document_id: int) -> Run | None:
        runs = tx.runs("run_of_document", document_id=document_id)
        return runs[0] if runs else None


def _named(picture: Picture, said: Picture) -> Picture:
    """Keep words that a document has of its own, which the store does not take over."""
    return replace(picture, name=said.name, created_at=said.created_at or picture.created_at)


def _meant(words: Codec, old: Picture, new: Picture) -> Differences:
    """Return what somebody changed in a document: what only stands there as it did is no change, whatever is shown so.

    A run that somebody sets going again by one word has its never-started steps still shown as they were.
    """
    found, before, after = differences(words.standing(old), words.standing(new)), old.by_key(), new.by_key()
    changed = (change for change in found.changed if before[change.key] != after[change.key])
    return replace(found, changed=tuple(changed))


def _edit(task: Task, status: Status, said: Mapping[str, Value], metadata: str | None = None) -> TaskEdit:
    """Return what brings a task to where its document says it stands; nothing where it stands there already."""
    values = {name: _UNSAID.get(name) if value is None else value for name, value in said.items()}
    payload = NOTHING
    if "output" in values:
        payload = encode_text(_text(values["output"]))
        values["output"] = payload.column
    values = {name: value for name, value in values.items() if value != getattr(task, name)}
    definition: dict[str, Value] = {name: values.pop(name) for name in _DEFINITION if name in values}
    moved = status != task.status or bool(values)
    return TaskEdit(task.id, task.version, status if moved else None, values, definition, metadata, payload)


def _changed(task: Task, change: TaskChange) -> TaskEdit:
    """A column that the document did not change stays, also where a task that moves would lose it."""
    metadata = (change.new.metadata or "{}") if change.metadata_changed else None
    edit = _edit(task, change.new.status if change.moved else task.status, change.values, metadata)
    if edit.status is None:
        return edit
    kept: Mapping[str, Value] = {name: getattr(task, name) for name in _STANDING}
    if change.moved:
        kept = {name: value for name, value in change.new.values.items() if name in _STANDING}
    return replace(edit, values={**kept, **edit.values})


def _returned(task: Task, picture: TaskPicture) -> TaskEdit:
    return _edit(task, picture.status, {**_FRESH, **picture.values}, picture.metadata or "{}")


def _removed(task: Task) -> TaskEdit:
    return TaskEdit(task.id, task.version, "skipped", {"reason": REMOVED})


def _draft(picture: TaskPicture) -> TaskDraft:
    max_retries = picture.values.get("max_retries")
    return TaskDraft(
        picture.key,
        critical=picture.values.get("critical") != 0,
        max_retries=max_retries if isinstance(max_retries, int) else 3,
        metadata=picture.metadata,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _tells_more(look: Look, known: Look | None) -> bool:
    """Whether the next look is cheaper when this one is remembered: the file was touched, or is young no more."""
    return known is None or look.signature != known.signature or look.was_young != known.was_young
