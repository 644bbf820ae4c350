"""Documents that are objects of a cloud's store: S3 and what speaks like it, and by the same client GCS and Azure.

No lock can exist there. Other machines are kept out by a conditional put, which is refused unless the object still is
what was read; a lock between the threads of one process only saves them tries that would be wasted.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from tasktrail.model.errors import BadInput, Busy, StoreError, TasktrailError, Unreachable
from tasktrail.store.places import MAX_BYTES, Look, Overtaken, Reading, Signature, text_of

if TYPE_CHECKING:
    from obstore import Attributes, ObjectMeta, PutMode
    from obstore.store import ObjectStore, RetryConfig

_URL: Final = re.compile(r"((s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*)(?:/([^?#\x00-\x1f\x7f]*))?")
_MARK: Final = "tasktrailput"
"""What we say of an object beside its content: which put it was, so that one without an answer is known again."""
_RETRY: Final[RetryConfig] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_TRIES: Final = 40
"""Each time somebody wins, so n writers that begin together need about n rounds."""
LONGEST_PAUSE_S: Final = 1.0

_clients: Final[dict[tuple[int, str], ObjectStore]] = {}
_locks: Final[dict[str, threading.Lock]] = {}


class _Found(NamedTuple):
    """An object as a service gave it."""

    raw: bytes
    look: Look
    attributes: Attributes


class ObjectPlace:
    """One document's object.

    Args:
        url: `s3://bucket/key`, the key as the service has it: nothing in it is an escape.

    Raises:
        BadInput: It is none. Nothing of it is shown: what stands in a wrong place may be a password.
    """

    def __init__(self, url: str) -> None:
        _require_obstore()
        self._bucket, self._key = _parts(url)
        if not self._key:
            raise _no_url()
        self.where = f"{self._bucket}/{self._key}"
        self._is_locked = False
        self._attributes: Attributes = {}

    # looking

    def has_folder(self) -> bool:
        """Yes: a bucket has no folders."""
        return True

    def signature(self) -> Signature | None:
        """Return size and time of the object, None when there is none, nor when its bucket is gone.

        Raises:
            StoreError: It cannot be looked at.
        """
        found = self._head()
        return _signature(found) if found else None

    def recognise(self, look: Look | None) -> Look | None:
        """Return `look` when the object still is what it was; None when it is another, or gone. That takes one request.

        Raises:
            StoreError: It cannot be looked at.
        """
        found = self._head() if look is not None else None
        return look if look is not None and found and self._digest(found) == look.digest else None

    def read(self) -> Reading | None:
        """Return what stands in the object; None when there is none.

        Raises:
            StoreError: It cannot be read.
            BadInput: It is no UTF-8 text, or larger than 64 MiB.
        """
        found = self._get()
        if found is None:
            return None
        self._attributes = found.attributes
        return Reading(text_of(found.raw, self.where), found.look)

    def _head(self) -> ObjectMeta | None:
        import obstore

        with _told(self.where, "cannot be looked at"):
            try:
                return obstore.head(_client(self._bucket), self._key)
            except FileNotFoundError:
                return None

    def _get(self) -> _Found | None:
        import obstore

        with _told(self.where, "cannot be read"):
            try:
                found = obstore.get(_client(self._bucket), self._key)
            except FileNotFoundError as error:
                if _NO_BUCKET.search(str(error)):
                    raise
                return None
            size = found.meta["size"]
            if size > MAX_BYTES:
                raise BadInput(f"{self.where}: expected at most {MAX_BYTES:,} bytes, got: {size:,}")
            return _Found(bytes(found.bytes()), self._look(found.meta), found.attributes)

    # writing

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        """Keep the other threads of this process from trying to change the object.

        Raises:
            Busy: They did all that time.
        """
        lock = _locks.setdefault(self.where, threading.Lock())
        if not lock.acquire(timeout=timeout_s):
            raise Busy(f"{self.where} was being changed for {timeout_s:g} s by other threads", hint="run it again")
        self._is_locked = True
        try:
            yield
        finally:
            self._is_locked = False
            lock.release()

    def replace(self, text: str, was: Look | None) -> Look:
        """Put `text` in the place of the object that was read, if it still is that one. What others said of it beside
        its content (its type, their metadata), as it was last read, stays. To be called under `lock`.

        Args:
            was: The object as it was read; None when there was none.

        Raises:
            Overtaken: It is another one now.
            Unreachable: The service does not answer; whether it was written shows at the next look.
            StoreError: It cannot be written.
        """
        if not self._is_locked:
            raise RuntimeError(f"{self.where} is replaced without its lock")
        raw, mark = text.encode(), secrets.token_hex(8)
        try:
            return self._put(raw, was, mark)
        except Exception as error:  # noqa: BLE001 - what went wrong matters less than what came of it
            return self._look_again(error, mark)

    def _put(self, raw: bytes, was: Look | None, mark: str) -> Look:
        import obstore

        mode = self._expected(was) if was else "create"
        attributes = {**(self._attributes if was else {}), _MARK: mark}
        # In one piece: the condition would not hold for parts.
        done = obstore.put(
            _client(self._bucket), self._key, raw, mode=mode, attributes=attributes, use_multipart=False
        )  # fmt: skip
        now = time.time_ns()
        return Look(Signature(len(raw), now, 0, 0), self._version(done["e_tag"], done["version"]), now // 1000)

    def _look_again(self, error: Exception, mark: str) -> Look:
        """A put that failed may have happened: its answer was lost, or a second try of the client met what its first
        had written."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        found = None
        with suppress(StoreError):
            found = self._get()
        if found and found.attributes.get(_MARK) == mark:
            return found.look
        if isinstance(error, (AlreadyExistsError, PreconditionError)):
            raise Overtaken(self) from None
        with _told(self.where, "cannot be written"):
            raise error

    def remove(self) -> None:
        """Remove the object, whatever it has become.

        Raises:
            StoreError: It cannot be removed.
        """
        import obstore

        with _told(self.where, "cannot be removed"):
            obstore.delete(_client(self._bucket), self._key)

    def try_again(self, tries: int) -> bool:
        """Many writers on one object are usual, so many times, each after a pause of a random length."""
        if tries >= _TRIES:
            return False
        time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.01 * 2**tries)))
        return True

    # which one it is

    def _look(self, found: ObjectMeta) -> Look:
        return Look(_signature(found), self._digest(found), time.time_ns() // 1000)

    def _digest(self, found: ObjectMeta) -> str:
        return self._version(found["e_tag"], found["version"])

    def _version(self, e_tag: str | None, version: str | None) -> str:
        """Return what a conditional put names: the ETag; GCS asks for the generation, which only it counts."""
        name = version if self._bucket.startswith("gs:") else e_tag
        if not name:
            raise StoreError(f"the service of {self._bucket} does not tell one content from another (ETag)")
        return name

    def _expected(self, was: Look) -> PutMode:
        return {"version": was.digest} if self._bucket.startswith("gs:") else {"e_tag": was.digest}


def list_objects(url: str) -> list[str]:
    """Return the names of all objects below a URL, from there, sorted.

    Raises:
        BadInput: It is no URL of a bucket, or of a part of it.
        StoreError: They cannot be listed.
    """
    _require_obstore()
    import obstore

    bucket, prefix = _parts(url.removesuffix("/"))
    start = f"{prefix}/" if prefix else ""
    with _told(url, "cannot be listed"):
        pages = obstore.list(_client(bucket), prefix=prefix or None)
        return sorted(one["path"].removeprefix(start) for page in pages for one in page)


def _parts(url: str) -> tuple[str, str]:
    """Return the URL of the bucket, and the key."""
    found = _URL.fullmatch(url)
    key = (found[3] or "") if found else ""
    if found is None or (key and not {"", ".", ".."}.isdisjoint(key.split("/"))):
        raise _no_url()
    return found[1], key


def _no_url() -> BadInput:
    return BadInput("expected the URL of an object, as s3://bucket/folder/name, without user, password, ? and #")


def _signature(found: ObjectMeta) -> Signature:
    return Signature(found["size"], int(found["last_modified"].timestamp()) * 10**9, 0, 0)


# --------------------------------------------------------------------------------------------------------- the service


def _client(bucket: str) -> ObjectStore:
    """Return the client of a bucket. Where it lies and who asks, it reads from the environment by itself."""
    me = os.getpid()
    if any(pid != me for pid, _ in list(_clients)):  # its threads are not here, and every request would wait for them
        raise StoreError(
            f"{bucket} cannot be reached from a process that was forked after objects had been used",
            hint='multiprocessing.set_start_method("spawn")',
        )
    client = _clients.get((me, bucket))
    if client is None:
        from obstore.store import from_url

        client = _clients.setdefault((me, bucket), from_url(bucket, retry_config=_RETRY))
    return client


def _require_obstore() -> None:
    try:
        import obstore  # noqa: F401  # heavy, and not everybody's
    except ImportError as error:
        raise StoreError(
            f"documents in object storage need obstore, which cannot be imported: {error}",
            hint="pip install 'tasktrail[object]'",
        ) from None


class _Cause(NamedTuple):
    """What an error of the client means.

    Attributes:
        signs: What stands in its text then.
    """

    signs: re.Pattern[str]
    kind: type[StoreError]
    words: str
    hint: str


_NO_BUCKET: Final = re.compile(r"NoSuchBucket|bucket does not exist|ContainerNotFound")
_CREDENTIALS: Final = {
    "s3": "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_CAUSES: Final = (
    _Cause(_NO_BUCKET, StoreError, "its bucket does not exist", "make the bucket, or mend the URL"),
    _Cause(
        re.compile(r"/latest/(api|meta-data)/|169\.254\.\d|metadata\.google|Account must be"), StoreError,
        "no credentials were found", "{credentials}",
    ),
    _Cause(
        re.compile("builder error"), StoreError, "its endpoint cannot be used",
        "mend AWS_ENDPOINT_URL; AWS_ALLOW_HTTP=true allows http, without TLS",
    ),
    _Cause(
        re.compile("status code: 40[13]"), StoreError,
        "its service refuses these credentials", "{credentials} of somebody who may read, write and list",
    ),
    _Cause(
        re.compile("HTTP error|status code: (5|429)"), Unreachable,
        "its service does not answer", "run it again; look at the network, and at AWS_ENDPOINT_URL where it is set",
    ),
    _Cause(re.compile(""), StoreError, "its service refuses that", "look at AWS_REGION and AWS_ENDPOINT_URL"),
)  # fmt: skip
_HOST: Final = re.compile(r"performing \w+ (https?://[\w.:-]+)[/?\s]")
_STATUS: Final = re.compile(r"status code: (\d+)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")


@contextmanager
def _told(where: str, what: str) -> Iterator[None]:
    """Say an error of the client in our words, which hold no secret: its own may show headers and queries."""
    try:
        yield
    except TasktrailError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign client's errors have no common root
        text = str(error).partition("Debug source")[0]
        cause = next(cause for cause in _CAUSES if cause.signs.search(text))
        facts = [found[1] for pattern in (_HOST, _STATUS, _CODE) if (found := pattern.search(text))]
        more = f" ({' '.join(facts)})" if facts else f" ({type(error).__name__})"
        hint = cause.hint.format(credentials=_CREDENTIALS[where[:2]])
        raise cause.kind(f"{where} {what}: {cause.words}{more}", hint=hint) from None
