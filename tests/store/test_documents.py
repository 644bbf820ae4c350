"""The files of documents: recognised cheaply, locked against others, replaced whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasktrail.model.errors import BadInput, Busy, Conflict, StoreError
from tasktrail.store import documents
from tasktrail.store.documents import Document, DocumentFile, Documents, found_below, place_of
from tasktrail.store.opening import open_store
from tasktrail.store.places import Look

LONG_AGO_NS = 1_700_000_000 * 10**9


@pytest.fixture
def file(tmp_path: Path) -> DocumentFile:
    """A document's file that says old, and has not been touched for a long time."""
    path = tmp_path / "plan.json"
    path.write_bytes(b"old")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    return DocumentFile(path)


def look_at(file: DocumentFile) -> Look:
    reading = file.read()
    assert reading is not None
    return reading.look


def replaced(file: DocumentFile, text: str) -> Look:
    with file.lock(5):
        reading = file.read()
        return file.replace(text, reading.look if reading else None)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def never(*args: object) -> Any:
    raise AssertionError("the content is not needed")


def aged(look: Look) -> Look:
    """The same look, taken long after the file had changed."""
    return Look(look.signature, look.digest, look.looked_at + 3_000_000)


# ------------------------------------------------------------------------------------------------------------- looking


def test_an_old_file_with_the_same_signature_is_recognised_without_reading(
    file: DocumentFile, monkeypatch: pytest.MonkeyPatch
):
    look = aged(look_at(file))
    monkeypatch.setattr(DocumentFile, "_read_bytes", never)

    assert file.recognise(look) is look


def test_a_file_that_was_young_when_last_looked_at_is_told_by_its_content(file: DocumentFile):
    young = replaced(file, "now")
    other = Look(young.signature, "another digest", young.looked_at)

    assert young.was_young
    assert file.recognise(young) is not None
    assert file.recognise(other) is None
    # What the signature alone would have answered:
    assert file.recognise(aged(other)) is not None


def test_a_file_of_which_only_the_times_changed_is_recognised_and_gets_a_fresh_look(file: DocumentFile):
    look = aged(look_at(file))
    os.utime(file.path, ns=(LONG_AGO_NS, LONG_AGO_NS + 1))

    fresh = file.recognise(look)

    assert fresh is not None
    assert (fresh.digest, fresh.signature) == (look.digest, file.signature())
    assert fresh.signature != look.signature


def test_another_content_of_the_same_size_and_time_is_noticed(file: DocumentFile):
    look = aged(look_at(file))
    file.path.write_bytes(b"new")
    os.utime(file.path, ns=(LONG_AGO_NS, LONG_AGO_NS))

    assert file.recognise(look) is None


def test_a_file_of_another_size_is_not_read_to_be_told_apart(file: DocumentFile, monkeypatch: pytest.MonkeyPatch):
    look = look_at(file)
    file.path.write_bytes(b"longer")
    monkeypatch.setattr(DocumentFile, "_read_bytes", never)

    assert file.recognise(look) is None


def test_a_file_that_is_gone_or_was_never_seen_is_not_recognised(file: DocumentFile):
    look = look_at(file)

    assert file.recognise(None) is None
    file.path.unlink()
    assert (file.recognise(look), file.signature(), file.read()) == (None, None, None)


# ------------------------------------------------------------------------------------------------------------- reading


def test_line_ends_and_a_byte_order_mark_are_read_as_they_are(file: DocumentFile):
    file.path.write_bytes(b"\xef\xbb\xbfa\r\nb")

    reading = file.read()

    assert reading is not None
    assert reading.text == "\ufeffa\r\nb"


def test_a_file_that_is_no_utf8_is_refused_with_its_position(file: DocumentFile):
    file.path.write_bytes("ä\nöx".encode() + b"\xff")

    with pytest.raises(BadInput, match=r"plan\.json:2:3: expected UTF-8 text"):
        file.read()


def test_a_file_over_the_limit_is_refused(file: DocumentFile, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "MAX_BYTES", 2)

    with pytest.raises(BadInput, match=r"plan\.json: expected at most 2 bytes, got: 3"):
        file.read()


def test_a_path_with_a_nul_is_refused():
    with pytest.raises(BadInput, match="expected a file's path, got: 'a\\\\x00b'"):
        DocumentFile(Path("a\0b"))


@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", os.mkdir)])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(tmp_path: Path, make: Callable[[Path], None]):
    make(tmp_path / "x")

    with pytest.raises(StoreError, match="x is no regular file"):
        DocumentFile(tmp_path / "x").read()


def test_a_path_through_a_file_is_an_error_that_names_it(file: DocumentFile):
    with pytest.raises(StoreError, match=r"plan\.json/x cannot be read: Not a directory"):
        DocumentFile(file.path / "x").read()


@pytest.mark.parametrize("url", ["https://host/x.json", "ftp://ann:secret@host/x.json"])
def test_a_url_of_a_kind_that_holds_no_documents_is_refused_and_never_taken_for_a_path(url: str):
    with pytest.raises(BadInput, match="expected a path") as caught:
        place_of(url)

    assert "secret" not in str(caught.value)


def test_documents_of_a_name_are_found_in_a_folder_and_in_the_folders_in_it(tmp_path: Path):
    for name in ("b/x.json", "a/x.json", "a/y.json", "x.json", "a/deep/x.json", "c/x.json/z"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert found_below(tmp_path, "x.json") == ["a/x.json", "b/x.json", "x.json"]
    assert found_below(str(tmp_path), "y.json") == ["a/y.json"]
    assert found_below(tmp_path / "none", "x.json") == []
    with pytest.raises(StoreError, match=r"x\.json cannot be read: Not a directory"):
        found_below(tmp_path / "x.json", "x.json")


def test_a_file_that_is_removed_leaves_no_lock_behind(file: DocumentFile):
    with file.lock(1):
        file.remove()
        file.remove()

    assert names(file.path.parent) == set()


# ------------------------------------------------------------------------------------------------------------- locking


def test_a_lock_that_somebody_holds_is_waited_for_and_then_named(file: DocumentFile):
    with file.lock(1), pytest.raises(Busy) as caught, DocumentFile(file.path).lock(0.02):
        pass

    assert caught.value.message == f"{file.path} was locked for 0.02 s by another process"
    with DocumentFile(file.path).lock(0):
        assert (file.path.parent / "plan.json.lock").exists()


def test_a_lock_taken_on_one_thread_holds_for_another(file: DocumentFile):
    looks = []

    with file.lock(1):
        thread = threading.Thread(target=lambda: looks.append(file.replace("new", look_at(file))))
        thread.start()
        thread.join()

    assert (file.path.read_text(), len(looks)) == ("new", 1)


def test_a_lock_in_a_folder_that_does_not_exist_is_an_error_that_names_the_file(tmp_path: Path):
    file = DocumentFile(tmp_path / "no" / "x.json")

    with pytest.raises(StoreError, match=r"x\.json cannot be locked: its folder does not exist"), file.lock(1):
        pass

    assert names(tmp_path) == set()


# ----------------------------------------------------------------------------------------------------------- replacing


def test_a_file_is_replaced_and_recognised(file: DocumentFile):
    look = replaced(file, "ä\r\n")

    assert file.path.read_bytes() == "ä\r\n".encode()
    assert look.signature == file.signature()
    assert names(file.path.parent) == {"plan.json", "plan.json.lock"}


def test_a_file_keeps_its_mode_and_a_new_one_is_for_its_owner_alone(file: DocumentFile):
    file.path.chmod(0o640)
    new = DocumentFile(file.path.with_name("new.json"))

    for each in (file, new):
        replaced(each, "text")

    assert [stat.S_IMODE(each.path.stat().st_mode) for each in (file, new)] == [0o640, 0o600]


def test_a_link_stays_a_link(file: DocumentFile):
    link = file.path.with_name("link.json")
    link.symlink_to(file.path.name)

    replaced(DocumentFile(link), "new")

    assert link.is_symlink()
    assert file.path.read_text() == "new"


def test_a_file_is_never_replaced_without_its_lock(file: DocumentFile):
    with pytest.raises(RuntimeError, match="replaced without its lock"):
        file.replace("new", look_at(file))


def write_by_hand(file: DocumentFile) -> None:
    file.path.write_text("by hand")


def delete(file: DocumentFile) -> None:
    file.path.unlink()


@pytest.mark.parametrize("change", [write_by_hand, delete])
def test_what_an_editor_did_since_the_reading_is_not_overwritten(
    file: DocumentFile, change: Callable[[DocumentFile], None]
):
    with file.lock(1):
        look = look_at(file)
        change(file)
        with pytest.raises(Conflict, match=r"plan\.json was changed by another program meanwhile"):
            file.replace("new", look)

    assert names(file.path.parent) <= {"plan.json", "plan.json.lock"}
    assert change is delete or file.path.read_text() == "by hand"


def test_a_file_that_appeared_since_is_not_overwritten(tmp_path: Path):
    file = DocumentFile(tmp_path / "x.json")
    with file.lock(1):
        file.path.write_text("by hand")
        with pytest.raises(Conflict):
            file.replace("new", None)

    assert file.path.read_text() == "by hand"


STEPS = ("open", "fdopen", "chmod", "fsync", "replace", "stat")


def fail_at(n: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the n-th call of the system that a replacement makes fail with a full disk; returns the calls made."""
    calls: list[str] = []

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == n:
                raise OSError(28, "No space left on device")
            return real(*args, **options)

        return call

    for name in STEPS:
        monkeypatch.setattr(os, name, failing(name, getattr(os, name)))
    return calls


def failure_of(work: Callable[[], object]) -> StoreError | None:
    try:
        work()
    except StoreError as error:
        return error
    return None


@pytest.mark.crash
def test_a_failure_at_any_step_leaves_the_file_whole_and_says_so(file: DocumentFile):
    n, calls = 0, ["once"]
    while len(calls) >= n:
        n += 1
        file.path.write_text("old")
        with file.lock(1), pytest.MonkeyPatch.context() as patch:
            look = look_at(file)
            calls = fail_at(n, patch)
            error = failure_of(partial(file.replace, "new", look))
        failed = error is not None
        assert error is None or str(error).endswith(": No space left on device")
        assert failed == (len(calls) >= n)
        assert file.path.read_text() == ("old" if failed and "replace" not in calls[: n - 1] else "new")
        assert names(file.path.parent) == {"plan.json", "plan.json.lock"}

    assert n > len(STEPS)


CRASHING = """
import json, os, sys
from pathlib import Path
from tasktrail.store.documents import DocumentFile

file = DocumentFile(Path(sys.argv[1]))

def die_at(n):
    calls = 0
    def dying(real):
        def call(*args, **options):
            nonlocal calls
            calls += 1
            if calls == n:
                os._exit(9)
            return real(*args, **options)
        return call
    def half(real):
        def fdopen(*args, **options):
            opened = real(*args, **options)
            class Half:
                def __enter__(self): return self
                def __exit__(self, *error): opened.close()
                def write(self, raw):
                    opened.write(raw[:len(raw) // 2]); opened.flush()
                    dying(opened.write)(raw[len(raw) // 2:])
                def flush(self): opened.flush()
                def fileno(self): return opened.fileno()
            return Half()
        return fdopen
    os.fdopen = half(os.fdopen)
    for name in ("open", "chmod", "fsync", "replace", "stat", "unlink"):
        setattr(os, name, dying(getattr(os, name)))

n, code, seen = 0, 9, []
while code == 9:
    n += 1
    file.path.write_text("old")
    pid = os.fork()
    if pid == 0:
        with file.lock(5):
            look = file.read().look
            die_at(n)
            file.replace("new", look)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    left = sorted(path.name for path in file.path.parent.iterdir())
    text = file.path.read_text()
    with file.lock(5):
        file.replace("after", file.read().look)
    seen.append([code, text, left, file.path.read_text(), sorted(path.name for path in file.path.parent.iterdir())])
print(json.dumps(seen))
"""


@pytest.mark.crash
def test_a_crash_at_any_step_leaves_the_old_file_or_the_new_one_and_the_next_replacement_clears_up(file: DocumentFile):
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(file.path)], capture_output=True, text=True, check=True, timeout=60
    )
    seen = json.loads(done.stdout)

    texts = [text for _, text, *_ in seen]
    assert texts == sorted(texts, reverse=True), "old until the rename, new from then on"
    assert {"old", "new"} == set(texts)
    assert [code for code, *_ in seen] == [9] * (len(seen) - 1) + [0]
    assert any(".plan.json.part" in left for _, _, left, *_ in seen)
    assert {(text, tuple(left)) for *_, text, left in seen} == {("after", ("plan.json", "plan.json.lock"))}


EDITING = """
import json, sys
from pathlib import Path
from tasktrail.formats.json_edit import edit
from tasktrail.store.documents import DocumentFile

file = DocumentFile(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(25):
    with file.lock(60):
        text, look = file.read()
        count = json.loads(text)["count"]
        file.replace(edit(text, [(("by", f"{sys.argv[2]}-{n}"), n), (("count",), count + 1)]), look)
"""


@pytest.mark.crash
@pytest.mark.requirement("BL-063")
def test_four_processes_that_edit_one_file_lose_no_edit(file: DocumentFile):
    file.path.write_text('{"count": 0, "by": {}}')
    editors = [
        subprocess.Popen(
            [sys.executable, "-c", EDITING, str(file.path), str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for n in range(4)
    ]
    assert [editor.stdout and editor.stdout.readline() for editor in editors] == [b"ready\n"] * 4
    for editor in editors:
        assert editor.stdin is not None
        editor.stdin.write(b"go\n")
        editor.stdin.flush()

    assert [editor.communicate(timeout=120)[0] for editor in editors] == [b""] * 4
    assert [editor.returncode for editor in editors] == [0] * 4
    written = json.loads(file.path.read_text())
    assert written["count"] == 100
    assert written["by"] == {f"{editor}-{n}": n for editor in range(4) for n in range(25)}


@pytest.mark.crash
def test_whoever_reads_without_the_lock_sees_a_whole_file(file: DocumentFile):
    texts = [letter * 5000 for letter in "abc"]
    replaced(file, texts[0])
    stop = threading.Event()
    seen = set()

    def read_all_the_time() -> None:
        while not stop.is_set():
            reading = file.read()
            seen.add(reading.text if reading else "")

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    for n in range(60):
        replaced(file, texts[n % 3])
    stop.set()
    reader.join()

    assert seen <= set(texts)


# ---------------------------------------------------------------------------------------------------------------- rows


def test_a_document_is_attached_saved_and_found(file: DocumentFile):
    store, rows = open_store("memory:"), Documents(None)
    document = store.write(lambda tx: rows.attach(tx, file.path, "run-json@1"))
    assert document.look is None

    seen = document.seen(look_at(file), '{"run":[]}')
    store.write(lambda tx: rows.save(tx, seen))

    assert store.read(lambda tx: rows.at(tx, file.path)) == seen
    assert store.read(lambda tx: rows.by_id(tx, document.id)) == seen
    assert seen.file.recognise(seen.look) is not None


@pytest.mark.parametrize(
    "home", [None, ".tasktrail/tasktrail.db", "plan.json-s/tasks.db", "elsewhere/.tasktrail/tasktrail.db"], ids=str
)
def test_a_document_is_found_by_a_link_to_its_file_and_by_its_folder(
    file: DocumentFile, tmp_path: Path, home: str | None
):
    link = tmp_path / "link.json"
    link.symlink_to(file.path)
    inner = tmp_path / "plan.json-s" / "x.json"
    store, rows = open_store("memory:"), Documents(tmp_path / home if home else None)
    for path in (link, inner):
        store.write(partial(rows.attach, path=path, codec="run-json@1"))

    def paths(folder: Path) -> list[str]:
        return [document.path for document in store.read(lambda tx: rows.below(tx, folder))]

    assert store.read(lambda tx: rows.at(tx, file.path)) is not None
    assert store.read(lambda tx: rows.at(tx, tmp_path / "other.json")) is None
    assert store.read(lambda tx: rows.by_id(tx, 99)) is None
    assert paths(tmp_path) == [str(file.path), str(inner)]
    assert paths(inner.parent) == [str(inner)]
    assert paths(tmp_path / "plan.json") == []
    assert paths(tmp_path.parent) == [str(file.path), str(inner)]


@pytest.mark.parametrize(
    ("store_file", "document", "stored"),
    [
        ("p/.tasktrail/tasktrail.db", "p/runs/a.json", "runs/a.json"),
        ("p/work.db", "p/runs/a.json", "runs/a.json"),
        ("p/.tasktrail/tasktrail.db", "other/a.json", "{root}/other/a.json"),
        ("p/state/work.db", "p/runs/a.json", "{root}/p/runs/a.json"),
        ("p/.tasktrail/tasktrail.db", "p2/a.json", "{root}/p2/a.json"),
        (None, "p/runs/a.json", "{root}/p/runs/a.json"),
    ],
)
def test_a_path_is_stored_from_the_project_of_its_store_where_it_lies_below(
    tmp_path: Path, store_file: str | None, document: str, stored: str
):
    store, rows = open_store("memory:"), Documents(tmp_path / store_file if store_file else None)

    found = store.write(lambda tx: rows.attach(tx, tmp_path / document, "run-json@1"))

    row = store.read(lambda tx: tx.row("document_by_id", id=found.id))
    assert row is not None
    assert row[1] == stored.format(root=tmp_path)
    assert store.read(lambda tx: rows.by_id(tx, found.id)) == found
    assert found.path == str(tmp_path / document)


def test_a_document_that_is_gone_says_when_and_is_attached_again_once_it_is_seen(file: DocumentFile):
    document = Document(1, str(file.path), "run-json@1").seen(look_at(file), "{}")

    gone = document.gone(5)

    assert gone.detached_at == gone.gone(7).detached_at == 5
    assert gone.seen(look_at(file)).detached_at is None
    assert gone.seen(look_at(file)).written == "{}"
