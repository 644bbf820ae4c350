"""The command by streamable HTTP: both eras, several clients, and nobody who should not be there."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import Client
from mcp_types import ElicitResult

from tasktrail.plan import PlanTools
from tests.mcp.clients import NAMED, call, names
from tests.mcp.serving import Served, served
from tests.mcp.test_offer import DEFAULT

HTTP_ERAS = ("legacy", "auto")
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}},
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[Served]:
    """All tools of the working directory's project."""
    with served("--toolsets", "all") as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for all whose requests change nothing."""
    with served("--toolsets", "all", folder=tmp_path_factory.mktemp("served")) as found:
        yield found


def ask(
    server: Served, body: bytes | None, headers: dict[str, str], *, method: str = "POST", path: str = "/mcp"
) -> Any:
    """Return the answer to a request that has these headers and no others."""
    place = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": place.netloc, **headers}.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read_text = answer.read().decode()  # type: ignore[attr-defined]  # before the connection is closed
    connection.close()
    return answer


@pytest.mark.parametrize("era", HTTP_ERAS)
@pytest.mark.requirement("AX-090", "AX-101", "AX-107")
async def test_clients_of_both_eras_are_served(server: Served, era: str):
    async with Client(server.url, mode=era, client_info=NAMED) as client:
        listed = names((await client.list_tools()).tools)
        written = await call(client, "write_task_list", tasks=[{"id": "T1", "description": "Draw the schema"}])
        claimed = await call(client, "get_next_task", claim=True)
        resource = (await client.read_resource("plan://main")).contents[0]

    assert set(DEFAULT) < set(listed)
    assert (written["status"], claimed["task"]["id"]) == ("success", "T1")
    assert "T1: Draw the schema" in resource.text  # type: ignore[union-attr]  # it is a text
    assert {one["actor"] for one in PlanTools(Path.cwd(), "main").task_history("T1")["history"]} == {"tester"}


async def test_clients_at_once_claim_each_task_once(server: Served):
    tasks = [{"id": f"T{n}", "description": "Draw the schema"} for n in range(20)]
    claimed: list[str] = []

    async def work() -> None:
        async with Client(server.url, mode="auto") as client:
            while (found := (await call(client, "get_next_task", claim=True)))["task"]:
                claimed.append(found["task"]["id"])
                await call(client, "finish_task", task_id=found["task"]["id"], token=found["token"], result="done")

    PlanTools(Path.cwd(), "main").write_task_list(tasks)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(work)

    assert sorted(claimed) == sorted(one["id"] for one in tasks)
    assert PlanTools(Path.cwd(), "main").read_task_breakdown()["completed_count"] == 20


@pytest.mark.parametrize("era", HTTP_ERAS)
async def test_a_person_is_asked_over_http_too(server: Served, era: str):
    PlanTools(Path.cwd(), "main").write_task_list([{"id": "T1", "description": "Draw the schema"}])
    asked: list[str] = []

    async def person(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": True})

    async with Client(server.url, mode=era, elicitation_callback=person) as client:
        answer = await call(client, "write_task_list", tasks=[{"id": "T2", "description": "Write it"}])

    assert asked == ["write_task_list: 1 task would be taken out of the plan: T1. Go on?"]
    assert answer["changes"] == {"added": ["T2"], "changed": [], "removed": ["T1"]}


FOREIGN = {
    "a web page elsewhere": {"Origin": "https://evil.example"},
    "another port of this machine": {"Origin": "http://127.0.0.1:1"},
    "a page in a file": {"Origin": "null"},
    "a name that was bound to this machine": {"Host": "evil.example"},
    "that name, with the port": {"Host": "evil.example:8001"},
    "a request across sites": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_origin_or_host_is_forbidden(shared: Served, headers: dict[str, str]):
    answer = ask(shared, json.dumps(HELLO).encode(), {**HEADERS, **headers})

    assert answer.status == 403
    assert json.loads(answer.read_text)["error"]["message"]


def test_our_own_origin_is_not(shared: Served):
    place = urlsplit(shared.url)

    answer = ask(shared, json.dumps(HELLO).encode(), {**HEADERS, "Origin": f"http://{place.netloc}"})

    assert answer.status == 200
    assert "tasktrail" in answer.read_text


BROKEN = {
    "no JSON": b"{hello",
    "no UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "6,000 digits": b'{"jsonrpc":"2.0","id":' + b"9" * 6_000 + b',"method":"ping"}',
    "half a character": b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    "two members of one name": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "NaN": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_a_body_that_is_no_message_is_refused_and_the_next_is_served(shared: Served, body: bytes):
    assert ask(shared, body, HEADERS).status == 400
    assert ask(shared, json.dumps(HELLO).encode(), HEADERS).status == 200


def test_a_body_that_is_too_large_is_refused(shared: Served):
    assert ask(shared, b" " * 1_048_577, HEADERS).status == 413


def test_other_paths_have_nothing_but_the_metrics(shared: Served):
    ask(shared, json.dumps(HELLO).encode(), HEADERS)

    assert ask(shared, None, {}, method="GET", path="/").status == 404
    metrics = ask(shared, None, {}, method="GET", path="/metrics")
    assert (metrics.status, metrics.read_text.splitlines()[0]) == (200, "# TYPE mcp_calls_total counter")
    assert ask(shared, None, {"Host": "evil.example"}, method="GET", path="/metrics").status == 403


async def test_a_token_is_asked_for_where_one_is_set():
    with served("--token", env={"TASKTRAIL_TOKEN": "a-token-that-is-long-enough-for-this"}) as server:
        body = json.dumps(HELLO).encode()
        refused = ask(server, body, HEADERS)
        wrong = ask(server, body, {**HEADERS, "Authorization": "Bearer another-token-that-is-long-enough"})
        right = ask(server, body, {**HEADERS, "Authorization": "Bearer a-token-that-is-long-enough-for-this"})
        code, err = server.end()

    assert (refused.status, wrong.status, right.status) == (401, 401, 200)
    assert "long-enough-for-this" not in "".join([*server.said, err])
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "expected TLS"),
        (["--tls-cert", "only.pem"], "expected a certificate and its key"),
    ],
)
def test_an_address_that_others_reach_needs_more(arguments: list[str], words: str):
    argv = [sys.executable, "-m", "tasktrail", "mcp", "--transport", "http", "--port", "0", *arguments]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert words in done.stderr


def test_a_port_that_is_taken_is_told(shared: Served):
    argv = [sys.executable, "-m", "tasktrail", "mcp", "--transport", "http", "--port", str(urlsplit(shared.url).port)]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "in use" in done.stderr
    assert "hint: take another port" in done.stderr


async def test_the_server_ends_when_it_is_told_to_though_clients_are_there(server: Served):
    async with Client(server.url, mode="auto") as client:
        await call(client, "tasks_list")
        code, err = await anyio.to_thread.run_sync(server.end)

    assert code == 0
    assert "Traceback" not in err


async def test_a_trace_that_a_client_brings_is_that_of_what_it_begins(server: Served):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    meta: Any = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}

    async with Client(server.url, mode="auto") as client:
        await client.call_tool("write_task_list", {"tasks": [{"id": "T1", "description": "Draw"}]}, meta=meta)
        unread: Any = {"traceparent": "nonsense"}
        await client.call_tool("get_next_task", {"claim": True}, meta=unread)
        found = await call(client, "tasks_by_trace", trace_id=trace_id)

    assert [one["task_id"] for one in found["executions"]] == ["main:T1"]


def test_nothing_is_served_before_it_is_asked_for(tmp_path: Path):
    """Asking for help, or for what a client is to be told, listens nowhere and makes nothing."""
    argv = [sys.executable, "-m", "tasktrail", "mcp", "config", "claude-desktop"]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ))

    assert json.loads(done.stdout)["mcpServers"]["tasktrail"]["args"][:3] == ["-m", "tasktrail", "-C"]
    assert list(tmp_path.iterdir()) == []
