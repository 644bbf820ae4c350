"""Runs and their documents: the file is the truth of what it has words for, the store holds the rest and a mirror.

Reading adopts what somebody changed in a file. Writing takes the file's lock, adopts, and replaces the file inside the
transaction, just before COMMIT: so the store is never ahead, and after a crash in between the file is adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar, cast

from tasktrail.engine.drafts import RunEdit, TaskEdit, save_in
from tasktrail.engine.ledger import Documented, Ledger, free_name
from tasktrail.engine.values import NOTHING, encode_text, text_of
from tasktrail.formats import codec
from tasktrail.formats.picture import Differences, Picture, TaskPicture, differences
from tasktrail.model.draft import RunDraft, TaskDraft
from tasktrail.model.errors import Conflict, NotFound
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import Kind, Run, RunStatus
from tasktrail.model.task import Task, Value
from tasktrail.store import documents
from tasktrail.store.documents import Document, Look
from tasktrail.store.transaction import Transaction

REMOVED: Final = "removed from its document"
_DEFINITION: Final = ("priority", "critical", "max_retries")
_TRIES: Final = 5

T = TypeVar("T")


class Attachments:
    """Keeps the documents of a store's runs and the runs alike."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._store = ledger.store

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
                    return self._store.write(lambda tx: self._write(tx, work, files), patience_s=patience_s)  # noqa: B023
            except Documented as found:
                ids |= set(found.ids)
            except Conflict as conflict:
                last = conflict
        raise last

    @contextmanager
    def _locked(self, ids: Collection[int]) -> Iterator[dict[int, tuple[Document, documents.DocumentFile]]]:
        """Lock the files in the order of their paths, so that two processes never wait for each other."""
        found = [one for one in (self._document(id_) for id_ in ids) if one]
        files: dict[int, tuple[Document, documents.DocumentFile]] = {}
        with ExitStack() as stack:
            for document in sorted(found, key=lambda one: one.path):
                file = document.file
                if Path(document.path).parent.is_dir():
                    stack.enter_context(file.lock(self._store.busy_s))
                    files[document.id] = (self._adopt(document, file), file)
            yield files

    def _write(
        self, tx: Transaction, work: Callable[[Transaction], T], files: dict[int, tuple[Document, documents.DocumentFile]]
    ) -> T:
        result = work(tx)
        tx.settle()
        runs = tx.documented_runs()
        attached = {run.document_id for run in runs if run.document_id is not None}
        if missing := attached - set(files) - self._gone(tx, attached):
            raise Documented(missing)
        for run in runs:
            if run.document_id in files:
                document, file = files[run.document_id]
                self._replace(tx, run, document, file)
        return result

    @staticmethod
    def _gone(tx: Transaction, ids: Collection[int]) -> set[int]:
        """Documents whose folder is gone cannot be locked, nor written; their runs go on without them."""
        found = {id_: documents.document_by_id(tx, id_) for id_ in ids}
        return {id_ for id_, one in found.items() if one is None or not Path(one.path).parent.is_dir()}

    def _replace(self, tx: Transaction, run: Run, document: Document, file: documents.DocumentFile) -> None:
        if document.detached_at is not None:
            return
        reading = file.read()
        text, look = (reading.text, reading.look) if reading else (None, None)
        writing = codec(document.codec).write(text, self._picture(tx, run, document), document.path)
        if writing.text is not text or look is None:
            look = file.replace(writing.text, look)
        documents.save(tx, document.seen(look, writing.picture.to_json()))

    def _picture(self, tx: Transaction, run: Run, document: Document) -> Picture:
        metadata = {row[0]: row[2] for row in tx.rows("details_of_run", run_id=run.id)}
        tasks = [
            TaskPicture.of(task, text_of(task.output, tx), _text(metadata.get(task.id)))
            for task in tx.tasks("tasks_of_run", run_id=run.id)
            if task.reason != REMOVED
        ]
        picture = Picture.of(run, tasks)
        return _named(picture, Picture.from_json(document.written).name) if document.written else picture

    # reading

    def sync(self, run: Run) -> Run:
        """Adopt what somebody changed in a run's document, and return the run as it then stands."""
        if run.document_id is None:
            return run
        document = self._document(run.document_id)
        if document is None:
            return run
        file = document.file
        look = file.recognise(document.look)
        if look == document.look and document.detached_at is None:
            return run
        if file.signature() is None and document.detached_at is not None:
            return run
        if not Path(document.path).parent.is_dir():
            self._save(document.gone(self._ledger.clock.now()))
        else:
            with file.lock(self._store.busy_s):
                self._adopt(document, file)
        return self._store.read(lambda tx: tx.run(run.id))

    def _adopt(self, document: Document, file: documents.DocumentFile) -> Document:
        """Under the file's lock: bring the run to what the file says, where that is not what we last saw it say."""
        document = self._document(document.id) or document
        seen = document.look
        if seen is not None and document.detached_at is None and (look := file.recognise(seen)):
            return self._save(document.seen(look)) if look != seen else document
        reading = file.read()
        if reading is None:
            return self._save(document.gone(self._ledger.clock.now())) if seen is not None else document
        picture = codec(document.codec).load(reading.text, document.path)
        known = document.seen(reading.look, picture.to_json())
        old = Picture.from_json(document.written) if document.written else Picture(picture.name, picture.workflow)
        found = differences(old, picture)

        def work(tx: Transaction) -> None:
            self._apply(tx, document.id, found, reading.look)
            documents.save(tx, known)

        self._store.write(work)
        return known

    def _apply(self, tx: Transaction, document_id: int, found: Differences, look: Look) -> None:
        run = self._run(tx, document_id)
        if run is None or not found:
            return
        tasks = {task.key: task for task in tx.tasks("tasks_of_run", run_id=run.id)}
        edits = [_edit(tasks[change.key], change.new, change.values) for change in found.changed if change.key in tasks]
        edits += [_removal(tasks[task.key]) for task in found.removed if task.key in tasks]
        edit = RunEdit(
            run.id,
            edits,
            tuple(_draft(task) for task in found.added if task.key not in tasks),
            _declared(found),
            str(found.run["metadata"]) if found.run.get("metadata") is not None else None,
            f"document changed at {look.signature.mtime_ns // 1_000_000_000} s",
        )
        save_in(tx, self._ledger, edit, self._ledger.clock.now())
        self._take_over(tx, run.id, found.added)

    def _take_over(self, tx: Transaction, run_id: int, added: Sequence[TaskPicture]) -> None:
        """Tasks that came with the file stand where it says."""
        edits = []
        for picture in added:
            task = tx.task("task_by_key", key=picture.key, run_id=run_id, item="", map_index=-1)
            if task and (picture.status != "pending" or picture.values or picture.metadata):
                edits.append(_edit(task, picture, picture.values))
        if edits:
            save_in(tx, self._ledger, RunEdit(run_id, edits, source="document"), self._ledger.clock.now())

    # attaching

    def attach(self, run: Run, path: Path, codec_name: str, name: str) -> Run:
        """Make a new file that says what the run says, and keep the two alike from now on.

        Raises:
            Conflict: The file exists.
            StoreError: It cannot be written; the run then stays without.
        """
        file = documents.DocumentFile(path)

        def work(tx: Transaction) -> Run:
            if file.signature() is not None:
                raise Conflict(f"{file.path} exists already", hint="choose another run id")
            document = documents.document_at(tx, file.path) or documents.attach(tx, file.path, codec_name)
            document = document.seen(document.look, Picture(name, run.workflow).to_json()) if document.look else document
            tx.set_run(run.id, document_id=document.id)
            tx.settle()
            attached = tx.settled(run.id)
            picture = _named(self._picture(tx, attached, document), name)
            writing = codec(codec_name).write(None, picture, str(file.path))
            documents.save(tx, document.seen(file.replace(writing.text, None), writing.picture.to_json()))
            return attached

        with file.lock(self._store.busy_s):
            return self._store.write(work)

    def open(self, path: Path, codec_name: str, kind: Kind) -> Run | None:
        """Return the run of a file, up to date with it; a file that no run knows yet gets one. None: there is no file.

        Raises:
            BadInput: The file cannot be read; nothing is changed then.
        """
        file = documents.DocumentFile(path)
        document = self._store.read(lambda tx: documents.document_at(tx, file.path))
        run = self._store.read(lambda tx: self._run(tx, document.id)) if document else None
        if run is not None:
            run = self.sync(run)
            return run if file.signature() is not None else None
        if file.signature() is None:
            return None
        with file.lock(self._store.busy_s):
            return self._import(file, codec_name, kind)

    def _import(self, file: documents.DocumentFile, codec_name: str, kind: Kind) -> Run:
        reading = file.read()
        if reading is None:
            raise NotFound(f"{file.path} is gone")
        picture = codec(codec_name).load(reading.text, str(file.path))

        def work(tx: Transaction) -> Run:
            document = documents.document_at(tx, file.path) or documents.attach(tx, file.path, codec_name)
            existing = self._run(tx, document.id)
            if existing is not None:
                return existing
            name = free_name(tx, kind, check_run_id(picture.name))
            tasks = tuple(_draft(task) for task in picture.tasks)
            now = self._ledger.clock.now()
            draft = RunDraft(kind, name, picture.workflow, tasks, metadata=picture.metadata)
            run = self._ledger.create_in(tx, draft, now, created_at=picture.created_at)
            tx.set_run(run.id, document_id=document.id)
            self._take_over(tx, run.id, picture.tasks)
            tx.settle()
            if picture.status and tx.run(run.id).status != picture.status:
                self._ledger.declare_in(tx, run.id, picture.status, picture.error, now)
            documents.save(tx, document.seen(reading.look, picture.to_json()))
            tx.settle()
            return tx.settled(run.id)

        return self._store.write(work)

    # rows

    def _document(self, document_id: int) -> Document | None:
        return self._store.read(lambda tx: documents.document_by_id(tx, document_id))

    def _save(self, document: Document) -> Document:
        self._store.write(lambda tx: documents.save(tx, document))
        return document

    @staticmethod
    def _run(tx: Transaction, document_id: int) -> Run | None:
        runs = tx.runs("run_of_document", document_id=document_id)
        return runs[0] if runs else None


def _edit(task: Task, picture: TaskPicture, values: Mapping[str, Value]) -> TaskEdit:
    said = dict(values)
    definition = {name: said.pop(name) for name in _DEFINITION if said.get(name) is not None}
    payload = NOTHING
    if "output" in said:
        payload = encode_text(_text(said["output"]))
        said["output"] = payload.column
    moved = picture.status != task.status or bool(said)
    return TaskEdit(
        task.id, task.version, picture.status if moved else None, said, definition, picture.metadata, payload
    )


def _removal(task: Task) -> TaskEdit:
    return TaskEdit(task.id, task.version, "skipped", {"reason": REMOVED})


def _draft(picture: TaskPicture) -> TaskDraft:
    max_retries = picture.values.get("max_retries")
    return TaskDraft(
        picture.key,
        max_retries=max_retries if isinstance(max_retries, int) else 3,
        metadata=picture.metadata,
    )


def _declared(found: Differences) -> tuple[RunStatus, str | None] | None:
    status = found.run.get("status")
    return (cast(RunStatus, status), _text(found.run.get("error"))) if status else None  # the codec's words


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _named(picture: Picture, name: str) -> Picture:
    """The document has its own word for the run, whatever the store had to call it."""
    return picture if picture.name == name else replace(picture, name=name)
