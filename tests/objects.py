"""A real S3 API for tests, on loopback: moto's server, in a process of its own that ends with them."""

from __future__ import annotations

import http.client
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import obstore
import pytest
from obstore.store import ObjectStore, from_url

from tests import processes

SECRET: Final = "w6-very-secret-8c"
_SERVING: Final = """
import os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

WSGIRequestHandler.log = lambda *words: None
moto, one_at_a_time = DomainDispatcherApplication(create_backend_app), threading.Lock()

def serve(environ, start):
    with one_at_a_time:  # it looks at the condition of a put and puts in two steps, between which another may come
        return list(moto(environ, start))

server = make_server("127.0.0.1", 0, serve, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()  # its other end closes with whoever started this, however that ends
os._exit(0)
"""


class ObjectServer:
    """The server.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(processes.hear(process))

    @property
    def environment(self) -> dict[str, str]:
        """What its clients read from the environment."""
        return environment(self.port)

    def bucket(self) -> str:
        """Make a bucket that nobody else uses and return its URL."""
        name = f"t{secrets.token_hex(6)}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("PUT", f"/{name}")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()
        return f"s3://{name}"


def environment(port: int) -> dict[str, str]:
    """Return what a client reads from the environment to find an S3 service on this machine."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": SECRET,
    }  # fmt: skip


@contextmanager
def an_object_server() -> Iterator[ObjectServer]:
    """Give a server of our own."""
    command = [sys.executable, "-c", _SERVING]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield ObjectServer(process)
        finally:
            process.kill()


@contextmanager
def a_bucket(server: ObjectServer) -> Iterator[str]:
    """Give the URL of a bucket of one's own, and the environment in which it is found."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server.bucket()


def client(url: str) -> tuple[ObjectStore, str]:
    """Return what a program asks that knows nothing of us, and the key of an object."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return from_url(f"s3://{bucket}"), key


def put(url: str, text: str) -> None:
    """Write an object, whatever is there."""
    store, key = client(url)
    obstore.put(store, key, text.encode())


def get(url: str) -> str:
    """Return what stands in an object."""
    store, key = client(url)
    return bytes(obstore.get(store, key).bytes()).decode()


def delete(url: str) -> None:
    """Remove an object."""
    store, key = client(url)
    obstore.delete(store, key)
