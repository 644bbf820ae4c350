"""Objects as places of documents: told apart by ETags, written only over what was read, and clear in what fails."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest
from obstore.store import AzureStore, GCSStore

from tasktrail.model.errors import BadInput, Busy, StoreError, TasktrailError, Unreachable
from tasktrail.store import objects as places
from tasktrail.store.documents import Documents, found_below, place_of
from tasktrail.store.objects import ObjectPlace
from tasktrail.store.opening import open_store
from tasktrail.store.places import Look, Overtaken
from tests import objects, processes
from tests.objects import SECRET, ObjectServer
from tests.proxy import Proxy

pytestmark = pytest.mark.requirement("CN-018")


@pytest.fixture
def url(bucket: str) -> str:
    """Of an object that says old."""
    objects.put(f"{bucket}/weeks/00-A/tracker.yaml", "old")
    return f"{bucket}/weeks/00-A/tracker.yaml"


def look_at(place: ObjectPlace) -> Look:
    reading = place.read()
    assert reading is not None
    return reading.look


def replaced(url: str, text: str) -> Look:
    place = ObjectPlace(url)
    with place.lock(5):
        reading = place.read()
        return place.replace(text, reading.look if reading else None)


def attributes(url: str) -> dict[str, str]:
    return dict(obstore.get(*objects.client(url)).attributes)


# ------------------------------------------------------------------------------------------------------------- looking


def test_an_object_that_did_not_change_is_recognised_without_being_read(url: str, monkeypatch: pytest.MonkeyPatch):
    place = ObjectPlace(url)
    look = look_at(place)
    monkeypatch.setattr(ObjectPlace, "_get", lambda self: pytest.fail("one look is enough"))

    assert place.recognise(look) is look
    objects.put(url, "new")
    assert place.recognise(look) is None


def test_an_object_that_is_gone_or_was_never_seen_is_not_recognised(url: str):
    place = ObjectPlace(url)
    look = look_at(place)

    assert place.recognise(None) is None
    objects.delete(url)
    assert (place.recognise(look), place.signature(), place.read()) == (None, None, None)


def test_line_ends_and_a_byte_order_mark_are_read_as_they_are(url: str):
    objects.put(url, "\ufeffä\r\nb")

    reading = ObjectPlace(url).read()

    assert reading is not None
    assert reading.text == "\ufeffä\r\nb"


def test_an_object_that_is_no_utf8_or_too_large_is_refused(url: str, monkeypatch: pytest.MonkeyPatch):
    store, key = objects.client(url)
    obstore.put(store, key, b"a\nb\xff")
    with pytest.raises(BadInput, match=r"tracker\.yaml:2:2: expected UTF-8 text"):
        ObjectPlace(url).read()

    monkeypatch.setattr(places, "MAX_BYTES", 2)
    with pytest.raises(BadInput, match=r"tracker\.yaml: expected at most 2 bytes, got: 4"):
        ObjectPlace(url).read()


# ----------------------------------------------------------------------------------------------------------- replacing


def test_an_object_is_replaced_and_recognised(url: str):
    look = replaced(url, "ä\r\n")

    assert objects.get(url) == "ä\r\n"
    assert ObjectPlace(url).recognise(look) is look


def test_an_object_is_created_where_there_is_none_and_nowhere_else(bucket: str):
    place = ObjectPlace(f"{bucket}/new")
    with place.lock(5):
        place.replace("ours", None)
        with pytest.raises(Overtaken):
            place.replace("again", None)

    assert objects.get(f"{bucket}/new") == "ours"


def write_by_hand(url: str) -> None:
    objects.put(url, "by hand")


@pytest.mark.parametrize("change", [write_by_hand, objects.delete])
def test_what_another_program_did_since_the_reading_is_not_overwritten(url: str, change: Callable[[str], None]):
    place = ObjectPlace(url)
    with place.lock(5):
        look = look_at(place)
        change(url)
        with pytest.raises(Overtaken, match=r"tracker\.yaml was changed by another program meanwhile"):
            place.replace("ours", look)

    reading = place.read()
    assert (reading.text if reading else None) == ("by hand" if change is write_by_hand else None)


def test_of_many_who_write_at_once_over_the_same_content_one_wins(url: str):
    """Also when all of them write the very same."""
    together = threading.Barrier(8)

    def write(_number: int) -> bool:
        place = ObjectPlace(url)
        look = look_at(place)
        place._is_locked = True  # as on another machine, where a lock of ours is worth nothing
        together.wait(30)
        try:
            place.replace("the same", look)
        except Overtaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(write, range(8))) == [False] * 7 + [True]


def test_what_others_said_of_an_object_beside_its_content_stays(url: str):
    store, key = objects.client(url)
    obstore.put(store, key, b"old", attributes={"Content-Type": "application/yaml", "owner": "content"})

    replaced(url, "new")

    found = attributes(url)
    assert (found["Content-Type"], found["owner"]) == ("application/yaml", "content")


def test_an_object_is_never_replaced_without_its_lock(url: str):
    place = ObjectPlace(url)
    with pytest.raises(RuntimeError, match="replaced without its lock"):
        place.replace("new", look_at(place))


def test_a_lock_that_another_thread_holds_is_waited_for_and_then_said(url: str):
    with ObjectPlace(url).lock(1), pytest.raises(Busy, match=r"was being changed for 0\.02 s by other threads"):
        ObjectPlace(url).lock(0.02).__enter__()
    with ObjectPlace(url).lock(0):
        pass


def test_an_object_is_removed_whatever_it_has_become(url: str):
    for _ in range(2):
        ObjectPlace(url).remove()

    assert ObjectPlace(url).signature() is None


# --------------------------------------------------------------------------------------------------- answers get lost


@pytest.fixture
def proxy(object_server: ObjectServer) -> Iterator[Proxy]:
    proxy = Proxy.of_port(object_server.port, b"PUT /")
    yield proxy
    proxy.close()


@pytest.mark.parametrize("fate", ["lose the request", "lose the answer"])
def test_a_put_whose_answer_is_lost_is_known_again(url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, fate: str):
    """Whether the client tried again, and was refused for what it had written itself, or gave up."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setattr(places, "_clients", {})
    place = ObjectPlace(url)
    with place.lock(5):
        look = look_at(place)
        proxy.fate = fate
        try:
            written = place.replace("new", look)
        except Unreachable:
            assert fate == "lose the request"
            written = place.replace("new", look)

    assert proxy.fate == "pass", "it happened"
    assert objects.get(url) == "new"
    assert ObjectPlace(url).recognise(written) is written


def test_a_service_that_goes_away_is_said_and_nothing_is_half_written(
    url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setattr(places, "_clients", {})
    place = ObjectPlace(url)
    with place.lock(5):
        look = look_at(place)
        proxy.cut()
        with pytest.raises(Unreachable, match=r"tracker\.yaml cannot be written: its service does not answer"):
            place.replace("new", look)
        proxy.mend()
        assert place.recognise(look) is look


# ------------------------------------------------------------------------------------------------------ what goes wrong


def failures(url: str) -> list[TasktrailError]:
    """What everything that one can do to an object says, without what each does."""
    found = []
    place = ObjectPlace(url)
    for work in (place.read, lambda: place.replace("new", None), lambda: list(places.list_objects(url))):
        with place.lock(5), pytest.raises(TasktrailError) as caught:
            work()
        found.append(caught.value)
    for error in found:
        assert SECRET not in f"{error} {error.hint}"
        assert error.hint
        assert error.message.startswith(url)
    return found


def test_a_bucket_that_does_not_exist_is_said(bucket: str):
    for error in failures("s3://no-such-bucket-0/x"):
        assert "its bucket does not exist (" in error.message
        assert error.hint == "make the bucket, or mend the URL"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody listens, and nobody else will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def test_a_service_that_is_not_there_is_unreachable(bucket: str, closed_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")

    for error in failures("s3://somewhere-else/x"):
        assert isinstance(error, Unreachable)
        assert f"its service does not answer (http://127.0.0.1:{closed_port})" in error.message


def test_a_service_that_never_answers_is_unreachable_after_its_time(bucket: str, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_TIMEOUT", "50 ms")
        for error in failures("s3://silent/x"):
            assert isinstance(error, Unreachable)


def test_an_endpoint_without_tls_must_be_allowed(bucket: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ALLOW_HTTP")

    for error in failures("s3://plain/x"):
        assert "its endpoint cannot be used" in error.message
        assert "AWS_ALLOW_HTTP" in str(error.hint)


class Refusing(threading.Thread):
    """Answers every request with the same status, and words that hold a secret."""

    def __init__(self, status: str) -> None:
        super().__init__(daemon=True)
        self._status = status
        self.listening = socket.create_server(("127.0.0.1", 0))

    def run(self) -> None:
        body = f"<Error><Code>Refused</Code><Message>key {SECRET}</Message></Error>"
        while True:
            try:
                end, _ = self.listening.accept()
            except OSError:
                return
            with end:
                end.recv(65536)
                head = f"HTTP/1.1 {self._status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                end.sendall((head + body).encode())


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ("403 Forbidden", StoreError, "its service refuses these credentials"),
        ("401 Unauthorized", StoreError, "its service refuses these credentials"),
        ("400 Bad Request", StoreError, "its service refuses that"),
        ("503 Slow Down", Unreachable, "its service does not answer"),
    ],
)
def test_what_a_service_answers_is_said_without_its_words(
    bucket: str, monkeypatch: pytest.MonkeyPatch, status: str, kind: type, words: str
):
    refusing = Refusing(status)
    refusing.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{refusing.listening.getsockname()[1]}")
    monkeypatch.setattr(places, "_RETRY", {"max_retries": 0})

    for error in failures(f"s3://refusing-{status[:3]}/x"):
        assert type(error) is kind
        assert words in error.message
        assert f"{status[:3]} Refused)" in error.message
    refusing.listening.close()


NO_CREDENTIALS = """
import os, sys
for name in list(os.environ):
    if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
        del os.environ[name]
os.environ["AWS_METADATA_ENDPOINT"] = os.environ["AWS_ENDPOINT_URL"] = sys.argv[1]
from tasktrail.store.objects import ObjectPlace
for url in ("s3://b/x", "az://b/x"):
    try:
        ObjectPlace(url).read()
    except Exception as error:
        print(f"{error} | {error.hint}")
"""


def test_credentials_that_are_not_there_are_said_and_how_they_are_given(closed_port: int):
    said = processes.run(NO_CREDENTIALS, f"http://127.0.0.1:{closed_port}")

    assert said.splitlines() == [
        f"s3://b/x cannot be read: no credentials were found (http://127.0.0.1:{closed_port})"
        " | set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        "az://b/x cannot be read: no credentials were found (GenericError)"
        " | set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "s3://", "s3://bucket", "s3://bucket/", "s3://bucket/a/", "s3://bucket//a", "s3://bucket/../a", "s3://bucket/a\nb",
        f"s3://ann:{SECRET}@bucket/a", f"s3://bucket/a?X-Amz-Signature={SECRET}", f"s3://bucket/a#{SECRET}",
    ],
)  # fmt: skip
def test_what_is_no_url_of_an_object_is_refused_and_not_shown(url: str):
    with pytest.raises(BadInput, match="expected the URL of an object") as caught:
        place_of(url)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "ä", "a%20b", "a*b~c:d+e=f&g"])
def test_a_key_is_what_other_programs_call_it(bucket: str, name: str):
    replaced(f"{bucket}/{name}/x", "ours")

    assert places.list_objects(bucket) == [f"{name}/x"]
    assert objects.get(f"{bucket}/{name}/x") == "ours"


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of what is tried here
from tasktrail.store.objects import ObjectPlace
place = ObjectPlace(sys.argv[1])
place.read()
pid = os.fork()
if not pid:
    try:
        place.read()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.platform_only("there may be no fork")
def test_a_child_that_was_forked_too_late_is_told_so_and_does_not_wait_for_ever(url: str):
    assert processes.run(FORKING, url).startswith("StoreError: s3://")


WITHOUT = """
import sys
sys.modules["obstore"] = None
from tasktrail.store.documents import place_of
try:
    place_of("s3://b/x")
except Exception as error:
    print(f"{error} | {error.hint}")
"""


def test_without_the_client_the_command_that_installs_it_is_said():
    said = processes.run(WITHOUT)

    assert said.startswith("documents in object storage need obstore")
    assert said.strip().endswith("| pip install 'tasktrail[object]'")


def test_files_are_looked_at_without_the_client():
    script = "import sys; from tasktrail.engine import attachments; print('obstore' in sys.modules)"

    assert processes.run(script).strip() == "False"


@pytest.mark.parametrize(("scheme", "kind"), [("gs", GCSStore), ("az", AzureStore)])
def test_other_clouds_are_reached_by_the_same_client(scheme: str, kind: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "nobody")
    place = place_of(f"{scheme}://bucket/x")

    assert place.where == f"{scheme}://bucket/x"
    assert isinstance(places._client(f"{scheme}://bucket"), kind)


# ---------------------------------------------------------------------------------------------------- lists and rows


def test_documents_of_a_name_are_found_as_they_are_in_folders(bucket: str, tmp_path: Path):
    names = ("b/x.json", "a/x.json", "a/y.json", "x.json", "a/deep/x.json")
    for name in names:
        objects.put(f"{bucket}/here/{name}", "{}")
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    objects.put(f"{bucket}/here-not/x.json", "{}")

    assert places.list_objects(f"{bucket}/here/") == sorted(names)
    assert (
        found_below(f"{bucket}/here", "x.json") == found_below(tmp_path, "x.json") == ["a/x.json", "b/x.json", "x.json"]
    )
    assert found_below(f"{bucket}/none", "x.json") == []
    assert "here/x.json" in found_below(bucket, "x.json")


@pytest.mark.parametrize("home", [None, "p/.tasktrail/tasktrail.db"])
def test_an_object_is_stored_by_its_url_wherever_the_store_lies(tmp_path: Path, home: str | None):
    store, rows = open_store("memory:"), Documents(tmp_path / home if home else None)

    found = store.write(lambda tx: rows.attach(tx, "s3://bucket/a/x.json", "run-json@1"))

    assert store.read(lambda tx: rows.at(tx, "s3://bucket/a/x.json")) == found
    assert store.read(lambda tx: rows.by_id(tx, found.id)) == found
    assert (
        found.path
        == found.file.where
        == rows.path_in(Documents(tmp_path / "q.db"), found.path)
        == "s3://bucket/a/x.json"
    )
    assert store.read(lambda tx: rows.at(tx, tmp_path / "s3:/bucket/a/x.json")) is None
