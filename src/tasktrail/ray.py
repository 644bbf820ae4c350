"""The executor `ray`: a function is executed somewhere on a Ray cluster. Ray is imported when a workflow names it.

The cluster decides nothing. It is asked once per attempt to call a function; what becomes of the answer, or of there
being none, the store and the runner know. So Ray is told to try nothing again by itself.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from importlib import import_module
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from tasktrail.engine.calls import Call, Write
from tasktrail.engine.child import perform
from tasktrail.engine.failures import StepLost
from tasktrail.engine.isolation import value_of
from tasktrail.engine.threads import Threads

Said = tuple[int, object]
"""What comes from the far side: 1 for stdout or 2 for stderr, and text; at last 0 and the answer."""

_ANSWER: Final = 0
_LOST: Final = (
    "WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "OutOfMemoryError", "ObjectLostError",
    "TaskCancelledError",
)  # fmt: skip
"""Errors of Ray after which nobody knows whether the function would have failed. Cancelled: by others than us."""

_CONNECTS_WITHIN_S: Final = 30
"""Ray itself tries for minutes."""

_threads: Final = Threads("ray")
_connecting: Final = threading.Lock()


class OnRay:
    """Executes functions on the cluster that RAY_ADDRESS names, else on the one that runs on this machine."""

    takes: Final = frozenset({"num_cpus", "num_gpus"})

    async def __call__(self, call: Call) -> object:
        """Execute a call; until there is room for it on the cluster it waits.

        Raises:
            StepFailed: The function raised, or gave what is no JSON.
            StepLost: The process or the machine that executed it is gone.
        """
        try:
            await asyncio.wait_for(_on_thread(_connect), _CONNECTS_WITHIN_S)
        except TimeoutError:
            what = f"no Ray cluster answers within {_CONNECTS_WITHIN_S} s"
            raise ConnectionError(f"{what}; RAY_ADDRESS says where it is") from None
        placement = _far_side().options(name=call.context.reference, **call.resources).remote(call.document)
        hearing = asyncio.ensure_future(_answer(placement, call.write))
        try:
            return value_of(await asyncio.shield(hearing))
        except asyncio.CancelledError:
            _ray().cancel(placement, force=True)
            hearing.add_done_callback(lambda one: one.cancelled() or one.exception())  # that it ended is enough
            await asyncio.wait([hearing])
            raise
        except _lost() as error:
            raise StepLost(f"{type(error).__name__}: {error}") from None


def __getattr__(name: str) -> Any:
    """Return the executor: not before it is asked for, since it is none without Ray."""
    if name != "execute":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        _ray()
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}; to fix: pip install 'tasktrail[ray]'") from None
    return OnRay()


# ------------------------------------------------------------------------------------------------------ the near side


def _ray() -> Any:
    return import_module("ray")


def _lost() -> tuple[type[Exception], ...]:
    return tuple(getattr(_ray().exceptions, name) for name in _LOST)


def _connect() -> None:
    """Be known to the cluster, once per process. Ray starts none of its own: `auto` is one that is there."""
    with _connecting:
        if not _ray().is_initialized():
            logging.getLogger("ray").setLevel(logging.ERROR)  # it warns of the thread that it is called on
            _ray().init(address="auto", log_to_driver=False, configure_logging=False)


@cache
def _far_side() -> Any:
    return _ray().remote(num_returns="streaming", max_retries=0)(far_side)


async def _answer(placement: AsyncIterator[Awaitable[Said]], write: Write) -> object:
    answer: object = None
    async for coming in placement:
        kind, said = await coming
        if kind == _ANSWER:
            answer = said
        else:
            write(kind, str(said))
    return answer


async def _on_thread(work: Any) -> None:
    """Do what blocks on a thread that keeps no process alive: Ray waits long for a cluster that is not there."""
    done: Future[None] = Future()
    _threads.run(partial(_fulfil, done, work))
    await asyncio.wrap_future(done)


def _fulfil(done: Future[None], work: Any) -> None:
    if done.set_running_or_notify_cancel():
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - Ray's; who waits is told
            done.set_exception(error)


# ------------------------------------------------------------------------------------------------------- the far side


def far_side(document: Mapping[str, Any]) -> Iterator[Said]:
    """Perform a call in a process of the cluster, and tell what is printed meanwhile."""
    with _Ears() as ears, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(perform, document)
        answer.add_done_callback(lambda _: ears.close())
        yield from ears.hear()
        yield _ANSWER, answer.result()


class _Ears:
    """Hears what this process and those that it starts print, by standing in for descriptors 1 and 2."""

    def __enter__(self) -> _Ears:
        self._own = {number: os.dup(number) for number in (1, 2)}
        self._selector = DefaultSelector()
        self._closed, self._close = os.pipe()
        self._selector.register(self._closed, EVENT_READ)
        for number in self._own:
            end, start = os.pipe()
            os.dup2(start, number)
            os.close(start)
            self._selector.register(end, EVENT_READ, (number, codecs.getincrementaldecoder("utf-8")("replace")))
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        for descriptor in (*self._own.values(), self._close):
            os.close(descriptor)
        self._selector.close()

    def close(self) -> None:
        """Give the descriptors back: what was printed till now is still heard."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, own in self._own.items():
            os.dup2(own, number)
        os.write(self._close, b"\0")

    def hear(self) -> Iterator[Said]:
        """Yield what is printed until `close`. Who prints later, as a process left behind, is not waited for."""
        while True:
            ready = [key for key, _ in self._selector.select() if key.data is not None]
            if not ready:
                return
            for key in ready:
                number, decoder = key.data
                data = os.read(key.fd, 65_536)
                if not data:
                    self._selector.unregister(key.fd)
                    os.close(key.fd)
                elif text := decoder.decode(data):
                    yield number, text
