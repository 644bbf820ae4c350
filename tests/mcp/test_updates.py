"""Clients hear of what others change: by subscriptions to resources, and by the stream of the stateless protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import ResourceListChangedNotification, ResourceUpdatedNotification

from tasktrail.plan import PlanTools
from tests.mcp.clients import each_era, inside, over_stdio, project

pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # clients still do it
PATIENCE_S = 30


def plan(name: str = "main") -> PlanTools:
    """Return a plan with a task; whoever holds it is another program to the server."""
    made = PlanTools(Path.cwd(), name)
    made.write_task_list([{"id": "T1", "description": "Draw the schema"}])
    return made


class Heard:
    """What a client of the older protocol was told."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.lists = 0
        self._news = anyio.Event()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.uris.append(str(message.params.uri))
        elif isinstance(message, ResourceListChangedNotification):
            self.lists += 1
        else:
            return
        self._news.set()
        self._news = anyio.Event()

    async def until(self, *uris: str, lists: int = 0) -> None:
        """Wait until all these were told of."""
        with anyio.fail_after(PATIENCE_S):
            while not (set(uris) <= set(self.uris) and self.lists >= lists):
                await self._news.wait()


async def test_a_subscription_is_told_of_the_task_the_plan_and_the_run():
    work, heard = plan(), Heard()

    async with over_stdio("legacy", message_handler=heard) as client:
        for uri in ("task://main%3AT1", "plan://main", "run://main"):
            await client.subscribe_resource(uri)
        work.mark_task_status("T1", "completed")
        await heard.until("task://main%3AT1", "plan://main", "run://main")
        plan("other")
        await heard.until(lists=1)

    assert set(heard.uris) == {"task://main%3AT1", "plan://main", "run://main"}


async def test_who_has_unsubscribed_hears_no_more():
    work, heard = plan(), Heard()

    async with inside(project(), "legacy", message_handler=heard) as client:
        await client.subscribe_resource("plan://main")
        await client.subscribe_resource("task://main%3AT1")
        await client.unsubscribe_resource("plan://main")
        work.mark_task_status("T1", "completed")
        await heard.until("task://main%3AT1")
        await client.unsubscribe_resource("task://main%3AT1")

    assert "plan://main" not in heard.uris


async def test_a_stream_has_what_was_asked_for_and_nothing_else():
    work = plan()

    async with over_stdio("auto") as client, client.listen(resource_subscriptions=["task://main%3AT1"]) as stream:
        work.add_note("T1", "begun")
        work.mark_task_status("T1", "completed")
        with anyio.fail_after(PATIENCE_S):
            async for event in stream:
                first = event
                break

    assert first == ResourceUpdated("task://main%3AT1")


async def test_a_store_that_is_made_later_is_heard_of():
    heard = Heard()

    async with inside(project(), "legacy", message_handler=heard) as client:
        await client.subscribe_resource("plan://main")
        work = plan()
        work.add_note("T1", "begun")
        while not heard.uris:
            work.add_note("T1", "again")
            with anyio.move_on_after(0.1):
                await heard.until("plan://main")

    assert set(heard.uris) == {"plan://main"}


@each_era
async def test_a_uri_may_be_spelled_as_a_client_likes(era: str):
    work = PlanTools(Path.cwd(), "main")
    work.write_task_list([{"id": "a/b", "description": "Draw the schema"}])
    spelled = "task://main:a%2Fb"

    async with inside(project(), era, message_handler=(heard := Heard())) as client:
        if era == "legacy":
            await client.subscribe_resource(spelled)
            work.mark_task_status("a/b", "completed")
            await heard.until(spelled)
            return
        async with client.listen(resource_subscriptions=[spelled]) as stream:
            work.mark_task_status("a/b", "completed")
            with anyio.fail_after(PATIENCE_S):
                assert await anext(aiter(stream)) == ResourceUpdated(spelled)


async def test_a_store_that_cannot_be_read_ends_no_updates():
    work, heard = plan(), Heard()
    served = project()
    whole, broken = served.updates._ledger, [True]

    def ledger() -> Any:
        if broken:
            raise OSError("no such store")
        return whole()

    served.updates._ledger = ledger
    async with inside(served, "legacy", message_handler=heard) as client:
        await client.subscribe_resource("plan://main")
        broken.clear()
        await served.updates._begin()
        work.mark_task_status("T1", "completed")
        await heard.until("plan://main")


async def test_a_client_of_the_older_protocol_is_promised_what_it_hears():
    async with inside(project(), "legacy") as client:
        told = client.server_capabilities

    assert told is not None
    assert told.resources is not None
    assert (told.resources.subscribe, told.resources.list_changed) == (True, True)
