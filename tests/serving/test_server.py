"""A server over real sockets: its deadline, its streams, its port, its TLS, and how it ends."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasktrail import logs
from tasktrail.model.errors import BadInput, StoreError, TasktrailError
from tasktrail.serving.address import Address
from tasktrail.serving.asgi import Receive, Scope, Send
from tasktrail.serving.server import Limits, Server
from tests import processes
from tests.serving.running import PATIENCE_S, Echo, Running, Stream, answer_of, running

SHORT = Limits(deadline_s=0.5)


def is_gone(connection: socket.socket) -> bool:
    """Wait until the server closes a connection on which it says nothing."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def connections(server: Running, starts: list[bytes], stack: contextlib.ExitStack) -> list[socket.socket]:
    opened = [stack.enter_context(server.connect()) for _ in starts]
    for connection, start in zip(opened, starts, strict=True):
        connection.sendall(start)
    return opened


# --------------------------------------------------------------------------------------------------------- the deadline


def test_slow_connections_are_gone_after_the_deadline_and_others_are_served():
    with running(limits=SHORT) as server, contextlib.ExitStack() as stack:
        host = f"POST / HTTP/1.1\r\nHost: {server.host}\r\n".encode()
        silent, half, whole = b"", host, host + b"Content-Length: 10\r\n\r\n12345"
        chunked = host + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"
        slow = connections(server, [silent, half, whole, chunked] * 5, stack)

        assert server.ask("GET / HTTP/1.1\nHost: HOST").status == 200
        assert all(map(is_gone, slow))
        assert server.ask("GET / HTTP/1.1\nHost: HOST").status == 200
        assert len(server.app.calls) == 2


@pytest.mark.parametrize(
    "start", ["POST / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_connection_that_trickles_is_gone_as_well(start: str):
    with running(limits=SHORT) as server, server.connect() as connection:
        connection.sendall(start.replace("HOST", server.host).encode())
        connection.settimeout(0.02)
        assert any(is_gone_after_another(connection) for _ in range(3000))


def is_gone_after_another(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return is_gone(connection)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_the_second_request_of_a_connection_has_a_deadline_too():
    with running(limits=SHORT) as server, server.connect() as connection:
        line = f"POST / HTTP/1.1\r\nHost: {server.host}\r\n".encode()
        # Both in one piece: what comes after the first request is read when that is answered.
        connection.sendall(line + b"Content-Length: 2\r\n\r\n12" + line + b"Content-Length: 9\r\n\r\n12")
        assert answer_of(connection).body == b"12"
        assert is_gone(connection)
        assert len(server.app.calls) == 1


def test_the_deadline_does_not_cut_an_event_stream():
    """A silent connection that is opened after the stream began is the clock: it is closed after the deadline."""
    with running(Stream(), limits=SHORT) as server, server.connect() as stream:
        stream.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert heard(stream, b"data: 1")
        for _ in range(2):
            with server.connect() as clock:
                assert is_gone(clock)

        server.ask("POST / HTTP/1.1\nHost: HOST\nContent-Length: 0")
        assert heard(stream, b"data: 2")


def heard(stream: socket.socket, words: bytes) -> bool:
    """Wait for words; False when the server ends the stream without them."""
    text = b""
    with contextlib.suppress(ConnectionError):
        while words not in text and (piece := stream.recv(4096)):
            text += piece
    return words in text


def test_more_connections_than_are_borne_are_told_so():
    with running(limits=Limits(most_connections=4)) as server, contextlib.ExitStack() as stack:
        connections(server, [b""] * 4, stack)

        assert server.ask("GET / HTTP/1.1\nHost: HOST").status == 503
        assert server.app.calls == []


# ------------------------------------------------------------------------------------------------------- start and port


def test_a_port_in_use_is_named():
    with running() as server:
        port = server.server.port
        with pytest.raises(
            BadInput, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"
        ) as refused:
            Server(Echo(), Address(port=port))
        assert refused.value.hint == "take another port; 0 is any that is free"


def test_a_port_is_taken_before_the_server_runs():
    first = Server(Echo(), Address())
    with pytest.raises(BadInput, match="Address already in use"):
        Server(Echo(), Address(port=first.port))
    first.stop()
    first.run()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_an_address_that_is_not_ours_is_named(host: str):
    with pytest.raises(BadInput, match=f"cannot listen on {host} port 0: "):
        Server(Echo(), Address(host, is_behind_proxy=True), token="a-token-of-many-letters")


def test_an_address_that_others_reach_is_not_served_without_a_token():
    with pytest.raises(BadInput, match="expected a token"):
        Server(Echo(), Address("0.0.0.0"))


def test_uvicorn_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(TasktrailError, match="a server needs uvicorn") as refused:
        Server(Echo(), Address())
    assert refused.value.hint == "pip install 'tasktrail[mcp]'"


def test_an_application_lives_from_start_to_end():
    with running() as server:
        assert server.app.life == ["lifespan.startup"]
    assert server.app.life == ["lifespan.startup", "lifespan.shutdown"]


class NoStore(Echo):
    """An application that cannot start, or cannot end."""

    def __init__(self, phase: int, tells: bool) -> None:
        super().__init__()
        self.phase, self.tells = phase, tells

    async def live(self, receive: Receive, send: Send) -> None:
        for phase in range(2):
            message = await receive()
            if phase == self.phase:
                if self.tells:
                    await send({"type": f"{message['type']}.failed", "message": "a stack"})
                raise StoreError("no store here")
            await send({"type": f"{message['type']}.complete"})


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("phase", [0, 1])
def test_what_an_application_raises_at_its_start_or_end_comes_to_the_caller(
    phase: int, tells: bool, caplog: pytest.LogCaptureFixture
):
    server = Server(NoStore(phase, tells), Address())
    told: list[int] = []

    def stop(port: int) -> None:
        told.append(port)
        server.stop()

    with pytest.raises(StoreError, match="no store here"):
        server.run(stop)

    assert told == [server.port][:phase]
    assert not any("stack" in record.getMessage() or record.exc_info for record in caplog.records)


class Sulking(Echo):
    async def live(self, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed"})


def test_an_application_that_says_that_it_cannot_start_ends_the_server():
    with pytest.raises(TasktrailError, match="did not start"):
        Server(Sulking(), Address()).run()


class Failing(Echo):
    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("hunter2")


def test_what_an_application_raises_is_logged_scrubbed_and_not_told():
    lines = io.StringIO()
    logs.setup("info", "text", lambda text: text.replace("hunter2", "[secret]"), lines)
    try:
        with running(Failing()) as server:
            answer = server.ask("GET / HTTP/1.1\nHost: HOST")
    finally:
        logs.silence()

    assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "ValueError: [secret]" in lines.getvalue()
    assert lines.getvalue().count("ERROR") == 1


# -------------------------------------------------------------------------------------------------------------- the end

SERVER = """
import sys
from tasktrail import logs
from tasktrail.serving.address import Address
from tasktrail.serving.server import Limits, Server
from tests.serving.running import Stream

logs.setup("info", "text", str, sys.stdout)  # a line of the log would come before ours
app = Stream()
Server(app, Address(), limits=Limits(grace_s=0.2)).run(lambda port: print(port))
print(app.life, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("has_stream", [True, False])
def test_a_signal_ends_a_server_and_it_returns(
    number: signal.Signals, has_stream: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(processes, "environment", environment)
    with processes.started(SERVER) as process:
        port = int(processes.hear(process))
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as stream:
            if has_stream:
                stream.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                assert heard(stream, b"data: 1")
            process.send_signal(number)
            assert processes.hear(process) == "['lifespan.startup', 'lifespan.shutdown']"
            assert process.wait(PATIENCE_S) == 0
            assert not heard(stream, b"data: 2")


def environment() -> dict[str, str]:
    root = Path(__file__).parent.parent.parent
    return {**os.environ, "PYTHONPATH": f"{processes.SOURCES}{os.pathsep}{root}", "PYTHONUNBUFFERED": "1"}


def test_an_answer_that_is_under_way_is_finished():
    with running(Stream()) as server, server.connect() as stream:
        stream.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())
        assert heard(stream, b"data: 1")
        with server.connect() as other:
            other.sendall(f"POST / HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 0\r\n\r\n".encode())
            server.server.stop()
            assert heard(stream, b"data: 2")


# ------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return files


def test_a_server_with_a_certificate_speaks_tls(certificate: tuple[Path, Path]):
    trusting = ssl.create_default_context(cafile=certificate[0])
    with (
        running(address=Address(certificate=certificate[0], key=certificate[1])) as server,
        server.connect() as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        origin = f"https://localhost:{server.server.port}"
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\nOrigin: {origin}\r\n\r\n".encode())
        assert answer_of(connection).status == 200
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {server.host}\r\nOrigin: http{origin[5:]}\r\n\r\n".encode())
        assert answer_of(connection).status == 403


def test_a_certificate_that_cannot_be_read_is_named(certificate: tuple[Path, Path]):
    for broken in certificate:
        before = broken.read_bytes()
        broken.write_text("no PEM")
        with pytest.raises(BadInput, match="cannot use the certificate and key"):
            Server(Echo(), Address(certificate=certificate[0], key=certificate[1]))
        broken.write_bytes(before)
    with pytest.raises(BadInput, match="No such file"):
        Server(Echo(), Address(certificate=certificate[0], key=Path("none.pem")))
