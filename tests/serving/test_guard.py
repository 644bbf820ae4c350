"""What the guard lets through, and what it refuses before an application sees it: over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model.errors import BadInput
from tasktrail.serving.asgi import Message, Scope
from tasktrail.serving.guard import Guard
from tasktrail.serving.json_body import check
from tests.serving.running import Echo, Running, answer_of, post, running

TOKEN = "a-token-of-many-letters"
RIGHT = f"Authorization: Bearer {TOKEN}"


@pytest.fixture(scope="module")
def open_server() -> Iterator[Running]:
    with running(checks_json=True) as found:
        yield found


@pytest.fixture(scope="module")
def locked_server() -> Iterator[Running]:
    with running(token=TOKEN) as found:
        yield found


@pytest.fixture
def server(open_server: Running) -> Running:
    open_server.app.calls.clear()
    return open_server


@pytest.fixture
def locked(locked_server: Running) -> Running:
    locked_server.app.calls.clear()
    return locked_server


# ---------------------------------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize("host", ["HOST", "localhost:PORT", "LocalHost:PORT", "[::1]:PORT"])
def test_a_right_request_passes(server: Running, host: str):
    lines = f"POST /mcp?x=1 HTTP/1.1\nHost: {host}\nOrigin: http://localhost:PORT\nSec-Fetch-Site: same-origin"

    answer = server.ask(f"{lines}\nContent-Length: 8", b'{"a": 1}')

    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    assert [(call["path"], call["query_string"]) for call in server.app.calls] == [("/mcp", b"x=1")]
    assert "server" not in answer.headers


HOSTILE = [
    ("Host: evil.example", 403, "foreign_host"),
    ("Host: evil.example:PORT", 403, "foreign_host"),
    ("Host: 127.0.0.1:1", 403, "foreign_host"),
    ("Host: 127.0.0.1", 403, "foreign_host"),
    ("Host: localhost", 403, "foreign_host"),
    ("Host: localhost.:PORT", 403, "foreign_host"),
    ("Host: localhost:PORT.evil.example", 403, "foreign_host"),
    ("Host: localhost:0PORT", 403, "foreign_host"),
    ("Host: user@localhost:PORT", 403, "foreign_host"),
    ("Host: ", 403, "foreign_host"),
    ("Host: HOST\nOrigin: null", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: ", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost:1", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: https://localhost:PORT", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://user@localhost:PORT", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost:PORT@evil.example", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost:PORT.evil.example", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost:PORT/", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: http://localhost:PORT http://evil.example", 403, "foreign_origin"),
    ("Host: HOST\nOrigin: https://evil.example", 403, "foreign_origin"),
    ("Host: HOST\nSec-Fetch-Site: cross-site", 403, "foreign_site"),
    ("Host: HOST\nSec-Fetch-Site: same-site", 403, "foreign_site"),
    ("Host: HOST\nSec-Fetch-Site: ", 403, "foreign_site"),
    ("Host: HOST\nOrigin: http://localhost:PORT\nOrigin: http://localhost:PORT", 400, "bad_request"),
    ("Host: HOST\nSec-Fetch-Site: none\nSec-Fetch-Site: cross-site", 400, "bad_request"),
    ("Host: HOST\nAuthorization: a\nAuthorization: b", 400, "bad_request"),
]


@pytest.mark.parametrize(("lines", "status", "code"), HOSTILE, ids=[line.replace("\n", ", ") for line, _, _ in HOSTILE])
def test_a_request_that_another_page_could_make_is_refused(server: Running, lines: str, status: int, code: str):
    answer = server.ask(f"GET / HTTP/1.1\n{lines}")

    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.error["message"]
    assert answer.error["hint"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert server.app.calls == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("GET / HTTP/1.1", 400),
        ("GET / HTTP/1.0", 400),
        ("GET / HTTP/1.1\nHost: HOST\nHost: HOST", 400),
        ("GET / HTTP/1.0\nHost: HOST\nHost: evil.example", 400),
        ("GET http://evil.example/ HTTP/1.1\nHost: HOST", 400),
        ("OPTIONS * HTTP/1.1\nHost: HOST", 400),
        ("POST / HTTP/1.1\nHost: HOST\nContent-Length: 1\nContent-Length: 2", 400),
        ("POST / HTTP/1.1\nHost: HOST\nContent-Length: -1", 400),
        (f"POST / HTTP/1.1\nHost: HOST\nContent-Length: {2**20 + 1}", 413),
        ("POST / HTTP/1.1\nHost: HOST\nContent-Length: 99999999999999999999", 413),
    ],
)
def test_a_request_that_is_none_is_refused(server: Running, lines: str, status: int):
    assert server.ask(lines).status == status
    assert server.app.calls == []


@pytest.mark.parametrize("lines", ["Host: evil.example", "Host: HOST\nHost: HOST", "Host: HOST\nOrigin: null"])
def test_a_refusal_of_a_websocket_is_a_close_before_it_is_accepted(lines: str):
    headers = [line.split(": ") for line in lines.replace("HOST", "127.0.0.1:80").split("\n")]
    app, sent = Echo(), []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    def scope(found: list[list[str]]) -> Scope:
        raw = [(name.lower().encode(), value.encode()) for name, value in found]
        return {"type": "websocket", "path": "/", "headers": raw}

    async def answer(scope: Scope, *_: object) -> None:
        app.calls.append(scope)

    guard = Guard(answer, ["127.0.0.1:80"], ["http://127.0.0.1:80"])
    asyncio.run(guard(scope(headers), receive, send))
    assert (sent, app.calls) == ([{"type": "websocket.close", "code": 1008}], [])

    asyncio.run(guard(scope([["Host", "127.0.0.1:80"]]), receive, send))
    assert len(app.calls) == 1


def test_a_scope_that_nobody_knows_does_not_pass():
    guard = Guard(Echo(), ["127.0.0.1:80"], [])

    with pytest.raises(RuntimeError, match="http, websocket or lifespan, got: webtransport"):
        asyncio.run(guard({"type": "webtransport"}, None, None))  # type: ignore[arg-type]  # it asks neither


# ------------------------------------------------------------------------------------------------------------ the token


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_opens(locked: Running, scheme: str):
    assert locked.ask(f"GET / HTTP/1.1\nHost: HOST\nAuthorization: {scheme} {TOKEN}").status == 200


@pytest.mark.parametrize(
    "line",
    [
        "Accept: */*",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        f"Authorization: {TOKEN}",
        f"Authorization: Basic {TOKEN}",
        f"Authorization: Bearer {TOKEN}x",
        f"Authorization: Bearer {TOKEN[:-1]}",
        f"Authorization: Bearer {TOKEN.upper()}",
        "Authorization: Bearer \xff\xfe",
        f"Cookie: token={TOKEN}; Authorization=Bearer {TOKEN}",
        f"Proxy-Authorization: Bearer {TOKEN}",
    ],
)
def test_without_the_right_token_nothing_opens(locked: Running, line: str):
    answer = locked.ask(f"GET /?token={TOKEN}&access_token={TOKEN} HTTP/1.1\nHost: HOST\n{line}")

    assert (answer.status, answer.error["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="tasktrail"'
    assert TOKEN.encode() not in answer.body
    assert locked.app.calls == []


def test_the_token_does_not_help_a_foreign_page(locked: Running):
    assert locked.ask(f"GET / HTTP/1.1\nHost: HOST\n{RIGHT}\nOrigin: http://localhost:1").status == 403
    assert locked.app.calls == []


def test_a_refusal_is_one_line_of_the_log_without_what_was_sent(locked: Running, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "tasktrail")

    locked.ask("GET /secret-path?q=secret-query HTTP/1.1\nHost: HOST\nAuthorization: Bearer secret-token")

    assert [record.getMessage() for record in caplog.records] == ["refused a request of 127.0.0.1: unauthorized (401)"]


# ------------------------------------------------------------------------------------------------------------- the body


def test_a_body_up_to_the_limit_passes_whole(server: Running):
    body = b'"' + b"x" * (2**20 - 2) + b'"'

    assert server.ask(post(body), body).body == body
    assert server.ask("POST / HTTP/1.1\nHost: HOST\nContent-Length: 0").status == 200


def test_a_body_in_pieces_passes_and_one_over_the_limit_does_not(server: Running):
    chunked = "POST / HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked"
    piece = b"10000\r\n" + b"1" * 65536 + b"\r\n"

    assert server.ask(chunked, b"2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n").body == b"[1,2]"
    server.app.calls.clear()
    assert server.ask(chunked, piece * 17).error["code"] == "too_large"
    assert server.app.calls == []


def test_a_connection_goes_on_after_a_body_that_was_too_large(server: Running):
    body = b"[" + b"1," * 2**20 + b"1]"
    lines = post(body).replace("HOST", server.host).replace("\n", "\r\n").encode() + b"\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(lines + body)
        assert answer_of(connection).status == 413
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert answer_of(connection).status == 200


BAD_BODIES = {
    b'{"a": "\xff"}': "body: expected UTF-8, got the byte 0xff at 7",
    '{"a": 1}'.encode("utf-16"): "body: expected UTF-8, got the byte 0xff at 0",
    '{"a": 1}'.encode("utf-16-le"): "body:1:2: ",
    b"{": "body:1:2: the text ends too early",
    b"{} {}": "body:1:4: extra data",
    b"[" * 100_000: "body:1:101: expected at most 100 levels of nesting",
    b"[" * 101 + b"]" * 101: "body:1:101: expected at most 100 levels of nesting",
    b'{"id": ' + b"9" * 6000 + b"}": "body:1:8: expected a number of fewer digits, got: 6,000",
    b'{"a": [9223372036854775808]}': "body:1:8: expected a[0] to fit 64 bits",
    b"-9223372036854775809": "body:1:1: expected the number to fit 64 bits",
    b'{"a": NaN}': "body:1:7: expected a number, got: NaN",
    b"[-Infinity]": "body:1:2: expected a number, got: -Infinity",
    b"[1e999]": "body:1:2: expected a number that fits 64 bits, got: 1e999",
    b'{"a": "\\ud800"}': "body:1:7: expected text, got: half of a surrogate pair",
    b'{"\\udfff": 1}': "body:1:2: expected text, got: half of a surrogate pair",
    b'{"a": 1,\n "\\u0061": 2}': 'body:2:2: expected each key once, got: "a" again',
    b'{"a": {"b": "x\\u0000y"}}': "body:1:13: expected text without NUL",
    b'{"a\\u0000": 1}': "body:1:13: expected a key without NUL",
    b'"a\0b"': "body:1:3: ",
}


@pytest.mark.parametrize("body", BAD_BODIES, ids=[repr(body[:30]) for body in BAD_BODIES])
def test_json_that_applications_stumble_over_is_refused(server: Running, body: bytes):
    answer = server.ask(post(body, "Content-Type: application/json"), body)

    assert (answer.status, answer.error["code"]) == (400, "bad_json")
    assert answer.error["message"].startswith(BAD_BODIES[body])
    assert server.app.calls == []


def test_a_body_without_length_is_refused_as_well(server: Running):
    answer = server.ask("POST / HTTP/1.1\nHost: HOST\nTransfer-Encoding: chunked", b"3\r\nNaN\r\n0\r\n\r\n")

    assert (answer.status, server.app.calls) == (400, [])


def test_what_is_at_the_limits_passes(server: Running):
    deep = b"[" * 99 + b'{"\\ud83d\\ude00": "\\\\u0000"}' + b"]" * 99
    for body in (deep, b"[9223372036854775807, -9223372036854775808, 1.5e300, 0.1234567890123456789012]"):
        assert server.ask(post(body), body).body == body


def test_many_faults_are_answered_with_the_first_ones(server: Running):
    body = b"[" + b"99999999999999999999," * 40_000 + b"1]"

    message = server.ask(post(body), body).error["message"]

    assert message.count("fit 64 bits") == 20


def test_where_json_is_not_asked_for_any_bytes_pass(locked: Running):
    assert locked.ask(post(b"\xff{", RIGHT), b"\xff{").body == b"\xff{"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("\0") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_what_passes_is_what_everybody_reads_alike(value: object, is_ascii: bool):
    """The oracle looks at the value as it was made, not at the text."""
    text = json.dumps(value, ensure_ascii=is_ascii)
    try:
        check(text.encode("utf-8", "surrogatepass"))
    except BadInput:
        assert not fits(value)
    else:
        assert fits(value)


def fits(value: object) -> bool:
    if isinstance(value, dict):
        return all(fits(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return all(map(fits, value))
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, float):
        return abs(value) < float("inf")
    return value is None or isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**63)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_json(body: bytes):
    with contextlib.suppress(BadInput):
        check(body)
        json.loads(body)


@given(st.binary(max_size=40), st.sampled_from(["host", "origin", "sec-fetch-site"]))
def test_only_exact_values_of_headers_pass(value: bytes, name: str):
    right = {"host": b"h:1", "origin": b"http://h:1", "sec-fetch-site": b"none"}
    headers = [(other.encode(), value if other == name else own) for other, own in right.items()]
    called: list[Scope] = []

    async def app(scope: Scope, *_: object) -> None:
        called.append(scope)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None: ...

    scope = {"type": "http", "path": "/", "headers": headers}
    asyncio.run(Guard(app, ["h:1"], ["http://h:1"])(scope, receive, send))
    assert bool(called) == (value.lower() in (right[name], *([b"same-origin"] if name == "sec-fetch-site" else [])))
