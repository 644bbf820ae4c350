"""Tells clients what changed: reads the log while somebody has subscribed, and names the resources it is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)

from tasktrail.engine.ledger import Ledger
from tasktrail.engine.readers import Logged, Reader, log_end
from tasktrail.logs import logger
from tasktrail.mcp.asking import Context
from tasktrail.mcp.resources import uri_of, usual
from tasktrail.model.reference import format_task

__all__ = ["Updates"]

_EVERY_S: Final = 0.5
_MOST_SESSIONS: Final = 256
_PATIENCE_S: Final = 5.0


class Updates(InMemorySubscriptionBus):
    """What clients of both eras have subscribed to, and what they are told.

    Args:
        ledger: Returns the project's ledger, None while there is no store.
        every_s: Seconds between two looks.
    """

    def __init__(self, ledger: Callable[[], Ledger | None], every_s: float = _EVERY_S) -> None:
        super().__init__()
        self._ledger, self._every_s = ledger, every_s
        self._listen = ListenHandler(self)
        self._reader: Reader | None = None
        self._token: object = None
        self._n_listening = 0
        self._spelled: Counter[str] = Counter()
        self._is_down = False
        self._sessions: dict[int, tuple[Any, ServerSession, dict[str, str]]] = {}

    # 2026-07-28: a stream that asks for events

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Tell a client of events until it leaves."""
        await self._prepare()
        spelled = Counter(uri for uri in params.notifications.resource_subscriptions or () if usual(uri) != uri)
        self._spelled += spelled
        try:
            return await self._listen(ctx, params)
        finally:
            self._spelled -= spelled

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Let somebody hear of events; return what ends that."""
        leave = super().subscribe(listener)
        self._n_listening += 1
        left: list[bool] = []

        def unsubscribe() -> None:
            if not left:
                left.append(True)
                self._n_listening -= 1
            leave()

        return unsubscribe

    # before: a connection that is told of URIs

    async def subscribe_resource(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Let a connection hear of a resource."""
        await self._prepare()
        while len(self._sessions) >= _MOST_SESSIONS:  # nobody says when a connection has ended
            self._sessions.pop(next(iter(self._sessions)))
        told = ctx.session.client_params  # one object for each connection
        _, _, uris = self._sessions.setdefault(id(told), (told, ctx.session, {}))
        uris[str(params.uri)] = usual(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe_resource(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Let a connection hear no more of a resource."""
        key = id(ctx.session.client_params)
        if key in self._sessions:
            uris = self._sessions[key][2]
            uris.pop(str(params.uri), None)
            if not uris:
                del self._sessions[key]
        return types.EmptyResult()

    # the log

    async def watch(self) -> None:
        """Tell of what is appended to the log, as long as this runs."""
        while True:
            if self._has_listeners:
                await self._try(self._look)
            await anyio.sleep(self._every_s)

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """A store that cannot be reached may be back at the next look; the log says once that it is not there."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a worker's loop; the server must not end with it
            if not self._is_down:
                logger(__name__).warning("nobody can be told of changes for now: %s", error)
            self._is_down = True
        else:
            self._is_down = False

    @property
    def _has_listeners(self) -> bool:
        return bool(self._n_listening or self._sessions)

    async def _prepare(self) -> None:
        """Know where the log ends before a client is told that it will hear of what comes."""
        if not self._has_listeners:
            await self._try(self._begin)

    async def _begin(self) -> None:
        self._reader = None
        self._reader = await anyio.to_thread.run_sync(self._begun)

    async def _look(self) -> None:
        if self._reader is None:
            await self._begin()
            return
        for event in _events(await anyio.to_thread.run_sync(self._news, self._reader)):
            await self._tell(event)

    def _begun(self) -> Reader | None:
        ledger = self._ledger()
        return None if ledger is None else Reader(ledger, log_end(ledger).seq)

    def _news(self, reader: Reader) -> list[Logged]:
        ledger = self._ledger()
        now = None if ledger is None else ledger.store.changed_token()
        if now == self._token and not reader.is_behind:
            return []
        self._token = now
        return reader.page()

    async def _tell(self, event: ServerEvent) -> None:
        await self.publish(event)
        if isinstance(event, ResourceUpdated):
            for uri in [one for one in self._spelled if usual(one) == event.uri]:
                await self.publish(ResourceUpdated(uri))
        for key, (_, session, uris) in list(self._sessions.items()):
            with anyio.move_on_after(_PATIENCE_S) as patience:
                await _tell_session(session, uris, event)
            if patience.cancelled_caught:  # who does not read must not keep the news from the others
                self._sessions.pop(key, None)


async def _tell_session(session: ServerSession, uris: Mapping[str, str], event: ServerEvent) -> None:
    if not isinstance(event, ResourceUpdated):
        await session.send_notification(types.ResourceListChangedNotification(params=None))
        return
    for uri in [spelled for spelled, one in uris.items() if one == event.uri]:
        await session.send_resource_updated(uri)


def _events(found: Iterable[Logged]) -> Iterator[ServerEvent]:
    """Each resource once, however much happened to it; a new run changes the list."""
    uris: dict[str, None] = {}
    is_new = False
    for one in found:
        if one.run is not None:
            uris.update(dict.fromkeys(_uris(one, one.run)))
            is_new = is_new or (one.event.key is None and one.event.verb == "created")
    yield from map(ResourceUpdated, uris)
    if is_new:
        yield ResourcesListChanged()


def _uris(one: Logged, run: str) -> Iterator[str]:
    yield uri_of("run", run)
    yield uri_of("plan", run)
    if one.event.key is not None:
        index = -1 if one.event.map_index is None else one.event.map_index
        yield uri_of("task", format_task(run, one.event.key, one.event.item or "", index))
