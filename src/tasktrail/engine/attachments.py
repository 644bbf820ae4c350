"""Runs and their documents: the file is the truth of what it has words for, the store holds the rest and a mirror.

Reading adopts what somebody changed in a file. Writing takes the file's lock, adopts, and replaces the file inside the
transaction, just before COMMIT: so the store is never ahead, and after a crash in between the file is adopted. What is
called a file here may be an object in a cloud: its place knows how it is locked and replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tasktrail.engine.additions import check_tasks
from tasktrail.engine.adopting import Adopting, drafts
from tasktrail.engine.grids import set_grid
from tasktrail.engine.ledger import Documented, Ledger, drop_in, free_name
from tasktrail.engine.pictures import Pictures, Written
from tasktrail.formats import codec
from tasktrail.formats.picture import Codec, Differences, Picture, differences
from tasktrail.model.draft import RunDraft
from tasktrail.model.errors import Busy, Conflict, NotFound, StoreError
from tasktrail.model.matrix import Grid
from tasktrail.model.reference import check_run_id
from tasktrail.model.run import Kind, Run
from tasktrail.store.documents import Document, Documents, place_of
from tasktrail.store.places import DocumentPlace, Look, Overtaken
from tasktrail.store.transaction import Transaction

T = TypeVar("T")
Locked = tuple[Document, DocumentPlace]


class Attachments:
    """Keeps the documents of a store's runs and the runs alike."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._store = ledger.store
        self._pictures = Pictures(ledger)
        self._adopting = Adopting(ledger, self._pictures)
        self.documents = Documents(ledger.store.path)

    # writing

    def commit(
        self, work: Callable[[Transaction], T], document_ids: Collection[int], patience_s: float | None = None
    ) -> T:
        """Run `work` in one transaction with the documents it touches locked, adopted, and then written.

        Raises:
            Overtaken: A program that does not ask for the lock keeps changing the file.
            Busy: Another process holds a file's lock for too long.
        """
        ids, tries = set(document_ids), 0
        while True:
            try:
                with self._locked(ids) as files:
                    return self._store.write(lambda tx: self._write(tx, work, ids, files), patience_s=patience_s)
            except Documented as found:
                ids.update(found.ids)
            except Overtaken as overtaken:
                tries += 1
                if not overtaken.place.try_again(tries):
                    raise

    @contextmanager
    def _locked(self, ids: Collection[int]) -> Iterator[dict[int, Locked]]:
        """Lock the files in the order of their paths, so that two processes never wait for each other."""
        found = [one for one in (self._document(id_) for id_ in ids) if one]
        files: dict[int, Locked] = {}
        with ExitStack() as stack:
            for document in sorted(found, key=lambda one: one.path):
                file = document.file
                if file.has_folder():
                    stack.enter_context(file.lock(self._store.busy_s))
                    files[document.id] = (self._adopt(document, file), file)
            yield files

    def _write(
        self, tx: Transaction, work: Callable[[Transaction], T], ids: Collection[int], files: dict[int, Locked]
    ) -> T:
        tx.adopted = ids
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
        gone = {id_: one for id_, one in found.items() if one is None or not one.file.has_folder()}
        for one in gone.values():
            if one is not None:
                self.documents.save(tx, one.gone(self._ledger.clock.now()))
        return set(gone)

    def _replace(self, tx: Transaction, run: Run, document: Document, file: DocumentPlace) -> None:
        if document.detached_at is not None:
            return
        reading, words = file.read(), codec(document.codec)
        text, look = (reading.text, reading.look) if reading else (None, None)
        if look is not None and look.digest != document.digest:  # not what was adopted: it would be written over
            raise Overtaken(file)
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
        known = {one[0]: one[2] for one in versions}
        seq = int(str(tx.rows("last_event")[0][0]))
        self._pictures.remember(document.id, Written(look.digest, run.status, writing.picture, kept, known, seq))

    # reading

    def sync(self, run: Run) -> Run:
        """Adopt what somebody changed in a run's document, and return the run as it then stands."""
        return self._synced(run)[0]

    def unchanged_below(self, folder: Path) -> dict[str, Run]:
        """Return the runs of files below a folder that are as they were when last looked at, by path.

        One read for all of them, and a look at each file's signature; of others `open` finds out more.
        """

        def work(tx: Transaction) -> list[tuple[Document, Run | None]]:
            return [(document, self._run(tx, document.id)) for document in self.documents.below(tx, folder)]

        found = ((one, run) for one, run in self._store.read(work) if run is not None and one.detached_at is None)
        return {
            one.path: run for one, run in found if one.look is not None and one.file.recognise(one.look) == one.look
        }

    def _synced(self, run: Run) -> tuple[Run, bool]:
        """Return the run, and whether its document is there."""
        document = self._document(run.document_id) if run.document_id is not None else None
        if document is None:
            return run, False
        file = document.file
        look = file.recognise(document.look) if document.detached_at is None else None
        if look is not None:
            self._remember(document, file, look)
            return run, True
        if document.detached_at is not None and file.signature() is None:
            return run, False
        if not file.has_folder():
            document = self._save(document.gone(self._ledger.clock.now()))
        else:
            with file.lock(self._store.busy_s):
                document = self._adopt(document, file)
        is_there = document.look is not None and document.detached_at is None
        return self._store.read(lambda tx: tx.run(run.id)), is_there

    def _remember(self, document: Document, file: DocumentPlace, look: Look) -> None:
        """Make the next look at an unchanged file cheap; where that cannot be written, it costs what this one did."""
        if _tells_more(look, document.look):
            with suppress(Busy, StoreError), file.lock(0):
                self._adopt(document, file)

    def _adopt(self, document: Document, file: DocumentPlace) -> Document:
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
                self._adopting.apply(tx, run.id, known, found, picture)
            self.documents.save(tx, known)
            if run is not None and was_gone:
                self._bring_up(tx, run.id, known, file)

        self._store.write(work)
        return known

    def _bring_up(self, tx: Transaction, run_id: int, document: Document, file: DocumentPlace) -> None:
        """A file that came back may not know what its run did without it."""
        tx.settle()
        self._replace(tx, tx.settled(run_id), document, file)

    # attaching

    def create(
        self,
        draft: RunDraft,
        path: Path | str,
        codec_name: str,
        stands: Picture | None = None,
        grid: Grid | None = None,
    ) -> Run:
        """Create a run and its file in one transaction, and keep the two alike from now on.

        Args:
            draft: Its name is the document's; where the store has it already, the run gets -2, -3 … behind it.
            stands: Where run and tasks stand; None is where new ones do.
            grid: What a matrix is made of.

        Raises:
            BadInput: As for `Ledger.create_run`, or the document would have too many tasks.
            Conflict: The file exists.
            StoreError: It cannot be written.
        """
        check_run_id(draft.name)
        check_tasks(draft.tasks)
        file, stands = place_of(path), self._pictures.clean(stands) if stands else None

        def work(tx: Transaction) -> Run:
            if file.signature() is not None:
                raise Conflict(f"{file.where} exists already", hint="choose another run id")
            document = self._attach(tx, file, codec_name)
            run = self._make(tx, document, draft, stands, grid)
            picture = replace(self._pictures.of(tx, run), name=draft.name)
            writing = codec(codec_name).write(None, picture, file.where)
            self.documents.save(tx, document.seen(file.replace(writing.text, None), writing.picture.to_json()))
            return run

        with file.lock(self._store.busy_s):
            return self._store.write(work)

    def open(
        self, path: Path | str, codec_name: str, kind: Kind, name: str | None = None, grid: Grid | None = None
    ) -> Run | None:
        """Return the run of a file, up to date with it; a file that no run knows yet gets one. None: there is no file.

        Args:
            name: What a new run is called whose file does not say it.
            grid: What a new matrix is made of.

        Raises:
            BadInput: The file cannot be read; nothing is changed then.
        """
        file = place_of(path)
        run = self.known(file.where)
        if run is not None:
            run, is_there = self._synced(run)
            return run if is_there else None
        if file.signature() is None:
            return None
        with file.lock(self._store.busy_s):
            return self._import(file, codec_name, kind, name, grid)

    def known(self, path: Path | str) -> Run | None:
        """Return the run of a file as the store has it, None when the file is new to it."""

        def work(tx: Transaction) -> Run | None:
            document = self.documents.at(tx, path)
            return self._run(tx, document.id) if document else None

        return self._store.read(work)

    def parse(
        self, path: Path | str, codec_name: str, kind: Kind, name: str | None = None, grid: Grid | None = None
    ) -> Run | None:
        """Return the run of a file in a store that nobody else sees: no lock is taken. None: there is no file.

        Raises:
            BadInput: The file cannot be read.
        """
        file = place_of(path)
        return self._import(file, codec_name, kind, name, grid) if file.signature() is not None else None

    def drop(self, run: Run) -> None:
        """Remove a run for good, with its history and its document. The file goes first, as in any other write."""
        document = self._document(run.document_id) if run.document_id is not None else None
        if document is None or not (file := document.file).has_folder():
            self._ledger.drop_run(run.id)
            return

        def work(tx: Transaction) -> None:
            drop_in(tx, run.id)
            file.remove()

        with file.lock(self._store.busy_s):
            self._store.write(work)

    def _import(self, file: DocumentPlace, codec_name: str, kind: Kind, name: str | None, grid: Grid | None) -> Run:
        reading = file.read()
        if reading is None:
            raise NotFound(f"{file.where} is gone")
        picture = self._pictures.clean(codec(codec_name).load(reading.text, file.where))

        def work(tx: Transaction) -> Run:
            document = self.documents.at(tx, file.where)
            existing = self._run(tx, document.id) if document else None
            if existing is not None:
                return existing
            document = self._attach(tx, file, codec_name).seen(reading.look, picture.to_json())
            known_as = name or picture.name or kind
            workflow = picture.workflow or known_as
            draft = RunDraft(kind, known_as, workflow, drafts(picture, grid), metadata=picture.metadata)
            run = self._make(tx, document, draft, codec(codec_name).standing(picture), grid)
            self.documents.save(tx, document)
            return run

        return self._store.write(work)

    def _attach(self, tx: Transaction, file: DocumentPlace, codec_name: str) -> Document:
        """Return the document of a file that is to be another run's from now on."""
        document = self.documents.at(tx, file.where)
        if document is None:
            return self.documents.attach(tx, file.where, codec_name)
        former = self._run(tx, document.id)
        if former is not None:  # its file was removed, and this is another one
            tx.set_run(former.id, document_id=None)
        return Document(document.id, document.path, codec_name)

    def _make(
        self, tx: Transaction, document: Document, draft: RunDraft, stands: Picture | None, grid: Grid | None
    ) -> Run:
        """Create a run that stands where its document says."""
        now = self._ledger.clock.now()
        draft = replace(draft, name=free_name(tx, draft.kind, check_run_id(draft.name)))
        run = self._ledger.create_in(tx, draft, now, created_at=stands.created_at if stands else None)
        tx.set_run(run.id, document_id=document.id)
        if grid is not None:
            set_grid(tx, self._ledger, run, grid)
        if stands is not None:
            self._adopting.stand(tx, run.id, document, stands)
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
    found, before, after = differences(words.standing(old), words.standing(new)), old.by_name(), new.by_name()
    changed = (change for change in found.changed if before[change.name] != after[change.name])
    return replace(found, changed=tuple(changed))


def _tells_more(look: Look, known: Look | None) -> bool:
    """Whether the next look is cheaper when this one is remembered: the file was touched, or is young no more."""
    return known is None or look.signature != known.signature or look.was_young != known.was_young
