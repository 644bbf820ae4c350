"""Which addresses may be served, and by which names a server may be called there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasktrail.model.errors import BadInput
from tasktrail.serving.address import Address, check

TLS: dict[str, Any] = {"certificate": Path("cert.pem"), "key": Path("key.pem")}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.0.0.2"])
def test_this_machine_alone_needs_no_token(host: str):
    check(Address(host), has_token=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "tasks.example.org", "localhost.", "127.1", "0", ""])
def test_what_others_can_reach_needs_a_token_and_tls(host: str):
    urls = ("https://tasks.example.org",)
    with pytest.raises(BadInput, match="can be reached from other machines: expected a token") as refused:
        check(Address(host, urls=urls, **TLS), has_token=False)
    assert refused.value.hint == "set TASKTRAIL_TOKEN, or serve 127.0.0.1"
    with pytest.raises(BadInput, match="expected TLS, since the token could be read on the way") as refused:
        check(Address(host, urls=urls), has_token=True)
    assert "--behind-proxy" in str(refused.value.hint)

    check(Address(host, urls=urls, **TLS), has_token=True)
    check(Address(host, urls=urls, is_behind_proxy=True), has_token=True)


@pytest.mark.parametrize("address", [Address(is_behind_proxy=True), Address(urls=("https://tasks.example.org",))])
def test_behind_a_proxy_loopback_is_not_this_machine_alone(address: Address):
    with pytest.raises(BadInput, match="expected a token"):
        check(address, has_token=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_that_listens_everywhere_says_its_names(host: str):
    with pytest.raises(BadInput, match="is no name by which clients call it"):
        check(Address(host, **TLS), has_token=True)


@pytest.mark.parametrize("given", [{"certificate": Path("cert.pem")}, {"key": Path("key.pem")}])
def test_a_certificate_without_its_key_is_refused(given: dict[str, Any]):
    with pytest.raises(BadInput, match="expected a certificate and its key"):
        check(Address(**given), has_token=True)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port: int):
    with pytest.raises(BadInput, match=f"expected a port from 0 to 65535, got: {port}"):
        check(Address(port=port), has_token=True)


@pytest.mark.parametrize(
    "url",
    [
        "tasks.example.org",
        "ftp://tasks.example.org",
        "https://",
        "https://ann@tasks.example.org",
        "https://tasks.example.org/path",
        "https://tasks.example.org?q",
        "https://tasks.example.org#f",
        "https://tasks.example.org:0",
        "https://tasks.example.org:65536",
        "https://[::1",
    ],
)
def test_a_url_that_is_no_origin_is_refused(url: str):
    with pytest.raises(BadInput, match=r"expected a URL like https://tasks\.example\.org"):
        check(Address(urls=(url,), is_behind_proxy=True), has_token=True)


def test_the_names_of_loopback_have_the_port():
    found = Address("localhost", 8001)

    assert found.hosts(8001) == {"127.0.0.1:8001", "localhost:8001", "[::1]:8001"}
    assert found.origins(8001) == {"http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"}


@pytest.mark.parametrize(("tls", "port", "scheme"), [({}, 80, "http"), (TLS, 443, "https")])
def test_only_the_port_of_the_scheme_may_be_left_out(tls: dict[str, Any], port: int, scheme: str):
    found = Address("tasks.example.org", **tls)

    assert found.hosts(port) == {"tasks.example.org", f"tasks.example.org:{port}"}
    assert f"{scheme}://tasks.example.org" in found.origins(port)
    assert found.hosts(523 - port) == {f"tasks.example.org:{523 - port}"}


def test_what_a_proxy_is_called_counts_as_well():
    found = Address("127.0.0.1", urls=("https://Tasks.Example.org/", "http://[2001:db8::1]:8080"), is_behind_proxy=True)

    assert found.hosts(1) >= {"tasks.example.org", "tasks.example.org:443", "[2001:db8::1]:8080", "127.0.0.1:1"}
    assert found.origins(1) >= {"https://tasks.example.org", "http://[2001:db8::1]:8080"}
    assert "http://tasks.example.org" not in found.origins(1)
