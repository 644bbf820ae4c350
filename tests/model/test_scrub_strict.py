"""Scrubbing, profile strict: addresses, ids and telephone numbers; what they are taken for and what not."""

from __future__ import annotations

import ipaddress
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktrail.model.scrub import STRICT, TEXT, Record, scrub, scrub_together

SHA_1, SHA_256 = "4bf92f3577b34da6a3ce929d0e0e47364bf92f35", "4bf92f3577b34da6a3ce929d0e0e4736" * 2
UUID, BARE = "550e8400-e29b-41d4-a716-446655440000", "550e8400e29b41d4a716446655440000"

GOES = [
    # IPv4
    ("connect to 10.0.0.1 refused", "connect to [ip] refused"),
    ("192.168.1.1:8080", "[ip]:8080"),
    ("http://192.168.1.1/x", "http://[ip]/x"),
    ("root@10.0.0.1", "root@[ip]"),
    ("db/10.0.0.1:5432", "db/[ip]:5432"),
    ("10.0.0.0/8 and 10.0.0.0", "[ip]/8 and [ip]"),
    ("10.0.0.1-10.0.0.9", "[ip:1]-[ip:2]"),
    ('(10.0.0.1), "10.0.0.1", host=10.0.0.1.', '([ip]), "[ip]", host=[ip].'),
    ("10.0.0.1.nip.io", "[ip].nip.io"),
    ("1.0.0.10.in-addr.arpa", "[ip].in-addr.arpa"),
    # IPv6
    ("ping ::1", "ping [ip]"),
    ("fe80::1%eth0", "[ip]"),
    ("::ffff:192.0.2.1", "[ip]"),
    ("[2001:db8::1]:8080", "[[ip]]:8080"),
    ("http://[2001:DB8::1]/x", "http://[[ip]]/x"),
    ("net 1:: is", "net [ip] is"),
    ("2001:db8::1, 2001:DB8:0::1 and 2001:db8:0:0:0:0:0:1", "[ip], [ip] and [ip]"),
    ("from 2001:db8::1: refused", "from [ip]: refused"),
    ("node:2001:db8::7", "node:[ip]"),
    ("2001:db8::/32", "[ip]/32"),
    ("1:2:3:4:5:6:192.0.2.1", "[ip]"),
    # UUIDs and hexadecimal ids
    (f"user {UUID} left", "user [id] left"),
    (f"{UUID} {UUID.upper()} {BARE}", "[id] [id] [id]"),
    (f"{{{UUID}}} urn:uuid:{UUID} task_{UUID}.json", "{[id]} urn:uuid:[id] task_[id].json"),
    (f"/users/{UUID}/x", "/users/[id]/x"),
    (f"{UUID} 4bf92f3577b34da6a3ce929d0e0e4736", "[id] [id:2]"),
    ("0x4bf92f3577b34da6a3ce929d0e0e4736", "0x[id]"),
    ("session_4BF92F3577B34DA6A3CE929D0E0E4736", "session_[id]"),
    (f"id {SHA_1}, {SHA_256}", "id [id:1], [id:2]"),
    (f"{SHA_1}ff", "[id]"),
    # telephone numbers
    ("call +49 30 1234567.", "call [phone]."),
    ("+4915112345678", "[phone]"),
    ("+1 (555) 123-4567 or +1-555-123-4567", "[phone] or [phone]"),
    ("+44 (0)20 7946 0958", "[phone]"),
    ("tel:+1.5551234567", "tel:[phone]"),
    ("0049 30 1234567", "[phone]"),
    ("030 1234567", "[phone]"),
    ("030/1234567, 0151-23456789", "[phone:1], [phone:2]"),
    ("(030) 123 45 67", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("06 12 34 56 78 or 06.12.34.56.78", "[phone] or [phone]"),
    ("03-1234-5678", "[phone]"),
    ("555-123-4567", "[phone]"),
    ("(555) 123-4567", "[phone]"),
    ("1-800-555-0199", "[phone]"),
    ("555.123.4567", "[phone]"),
    ("212 555 0123", "[phone]"),
    ("at 12:30:45 555-123-4567 rang", "at 12:30:45 [phone] rang"),
    ("ann,555-123-4567,030 1234567;(030) 1234567:home", "ann,[phone:2],[phone];[phone]:home"),
    ("phone: 5551234567", "phone: [phone]"),
    ('{"mobile": "1234567"}', '{"mobile": "[phone]"}'),
    ("Tel. 123 4567", "Tel. [phone]"),
    # with what the profile text knows
    (f"ann@example.org at 10.0.0.1 is {UUID}", "[email] at [ip] is [id]"),
    ("password=10.0.0.1", "password=[secret]"),
    (f"{BARE}@example.org", "[email]"),
    ("[IP] [ip:4] 10.0.0.1", "[IP] [ip:4] [ip:5]"),
]

STAYS = [
    # versions
    "v1.2.3.4 version 1.2.3.4 Version: 1.2.3.4 version='1.2.3.4' release 1.2.3.4",
    "pkg-1.2.3.4 pkg-1.2.3.4.tar.gz pkg==1.2.3.4 pkg>=1.2.3.4 libx.so.1.2.3.4 pkg_1.2.3.4",
    "1.2.3.4-beta 1.2.3.4-rc1 1.2.3.4rc1 1.2.3.4-1ubuntu2 1.2.3.4.5 1.2.3 1.2",
    "Chrome/120.0.0.0 Safari/537.36",
    "999.1.1.1 256.0.0.1 01.02.03.04 1.3.6.1.4.1",
    # times, dates, numbers
    "12:30:45 2026-03-01T12:30:45.123456+00:00 2026-03-01 12:30:45,123 +0100 +10:30",
    "01.02.2026 03/01/2026 12:30 03-01-2026 12 01 02 2026 20260301 2026-03-01 2026.03.01",
    "1700000000000 1234567890 1,234,567.89 $1,234.56 +12.5 1e+10000000 0.12345678 +1.2345678",
    "12 of 3450 rows, 0.5 of 1000, 100 200 300, 0 0 0",
    "01234567890 order 555-1234 7-800",
    # hardware addresses, names of C++ and Rust, slices, resources
    "01:23:45:67:89:ab 01-23-45-67-89-AB 01-23-45-67-89-01 0123.4567.89ab 01:23:45:67:89:ab:cd:ef",
    "std::vector<int> a::b C::D aa::bb::cc dead::beef ::foo std::u8::MAX f64::consts x::1y :: ::",
    "rows[1::2] rows[::2] f(x)[::1] rows[a][1::2]",
    "arn:aws:iam::123456789012:user/ann",
    # hashes that say so
    f"commit {SHA_1}",
    f"\ncommit: {SHA_1}\n",
    f"commit: {SHA_1} Commit '{SHA_1}'",
    f"sha256:{SHA_256} sha1={SHA_1} SHA-256: {SHA_256} git_sha={SHA_1} sha256sum {SHA_256}",
    f"image@sha256:{SHA_256} repository@{SHA_1} name@{SHA_256}",
    "4bf92f3577b34da6 00f067aa0ba902b7 deadbeef 4bf92f3577b34da6a3ce929d0e0e473",
    "550e8400-e29b-41d4-a716 e29b-41d4",
    # placeholders
    "[ip] [ip:2] [id] [id:2] [phone] [phone:7] [[ip]]:8080 [IP:1] [ip:7f3a12345678] +[phone]",
]


@pytest.mark.requirement("AX-025", "AX-026", "AX-027", "AX-028")
@pytest.mark.parametrize(("text", "scrubbed"), GOES)
def test_a_private_value_becomes_its_placeholder(text: str, scrubbed: str) -> None:
    assert scrub(text, STRICT) == scrubbed
    assert scrub(scrubbed, STRICT) == scrubbed


@pytest.mark.requirement("AX-029")
@pytest.mark.parametrize("text", STAYS)
def test_what_is_not_private_stays_to_the_character(text: str) -> None:
    assert scrub(text, STRICT) == text


@pytest.mark.parametrize("value", ["10.0.0.1", UUID, "+49 30 1234567", "::1"])
def test_the_profile_text_leaves_it(value: str) -> None:
    assert scrub(value, TEXT) == value


def test_an_allowed_value_stays_also_as_it_reads() -> None:
    assert scrub("127.0.0.1 10.0.0.1", STRICT, allow=["127.0.0.1"]) == "127.0.0.1 [ip]"
    assert scrub(f"{UUID} 0:0:0:0:0:0:0:1", STRICT, allow=[BARE, "::1"]) == f"{UUID} 0:0:0:0:0:0:0:1"


# ------------------------------------------------------------------------------------------------------------- records


@pytest.mark.requirement("AX-016")
def test_texts_of_one_record_name_equal_values_alike() -> None:
    response, message, stack = (
        "sent to a@example.org",
        "10.0.0.1 refused b@example.org",
        "a@example.org at ::1, 10.0.0.1",
    )

    assert scrub_together([response, message, stack], STRICT) == (
        "sent to [email]",
        "[ip] refused [email:2]",
        "[email] at [ip:2], [ip]",
    )


def test_numbers_go_on_after_those_of_every_text_of_a_record() -> None:
    assert scrub_together(["a@example.org", "[email:4]"], TEXT) == ("[email:5]", "[email:4]")


def test_a_record_goes_on_with_texts_that_come_later() -> None:
    record = Record()
    lines = ["a@example.org", "b@example.org", "a@example.org", "[email:7] c@example.org", "b@example.org"]

    assert [record.scrubbed(line, TEXT) for line in lines] == [
        "[email]", "[email:2]", "[email]", "[email:7] [email:8]", "[email:2]",
    ]  # fmt: skip


def test_with_a_key_equal_values_are_alike_in_all_records() -> None:
    first = scrub("ann@example.org at 10.0.0.1", STRICT, key=b"k1")
    email, _, ip = first.split()

    assert scrub("10.0.0.1: ANN@example.org, bob@example.org", STRICT, key=b"k1").startswith(f"{ip}: {email}, [email:")
    assert email[:7] == "[email:"
    assert len(email) == len("[email:]") + 12
    assert scrub("ann@example.org", STRICT, key=b"k2") != email
    assert scrub("password=ann", STRICT, key=b"k1") == "password=[secret]"
    assert scrub(first, STRICT, key=b"k1") == first


# ---------------------------------------------------------------------------------------------- what holds for any text

PIECES = st.sampled_from(
    [text for row in GOES for text in row] + STAYS
    + [*".:-+/()[]%@ 0129af", "::", "1.", ".1", "0", "+4", "(0", "555", "-", "10.0.0.1", "::1", UUID, BARE, SHA_1]
    + ["version ", "v", "commit ", "sha256:", "@", "phone", "tel ", "ann@example.org", "4111 1111 1111 1111", "[ip]"]
    + ["DE89370400440532013000", "/home/ann/x", "password=", "+49 30 1234567", "555-123-4567", "(030) 1234567"]
    + ["\n", "İ", "é", SHA_256]
)  # fmt: skip
TANGLED = st.lists(PIECES, max_size=12).map("".join)
KEYS = st.sampled_from([b"", b"key"])


@given(TANGLED | st.text(st.sampled_from("0123456789abcdef.:-+/()[]% @gv"), max_size=80), KEYS)
def test_scrubbing_twice_is_scrubbing_once(text: str, key: bytes) -> None:
    once = scrub(text, STRICT, key=key)
    assert scrub(once, STRICT, key=key) == once


@given(TANGLED)
def test_the_strict_profile_leaves_nothing_that_text_would_find(text: str) -> None:
    strict = scrub(text, STRICT)
    assert scrub(strict, TEXT) == strict


@given(st.lists(TANGLED, max_size=4), KEYS)
def test_a_text_of_a_record_loses_what_it_would_lose_alone(texts: list[str], key: bytes) -> None:
    together = scrub_together(texts, STRICT, key=key)
    assert [_unnumbered(text) for text in together] == [_unnumbered(scrub(text, STRICT, key=key)) for text in texts]


def _unnumbered(text: str) -> str:
    import re

    return re.sub(r"(?i)\[(email|user|card|iban|ip|id|phone):\w+\]", r"[\1]", text)


@pytest.mark.parametrize("around", [" {} ", "({})", '"{}"', "a={}, b", "<{}>", "at {}: x", "{}\n", "is {}."])
@given(st.data())
def test_no_value_of_any_kind_survives(around: str, data: st.DataObject) -> None:
    value = data.draw(VALUES)
    assert value not in scrub(around.format(value), STRICT)


def _digits(number: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=number, max_size=number)


def _numbers(draw: st.DrawFn) -> str:
    separator = draw(st.sampled_from("- "))
    area, rest = draw(st.sampled_from(["30", "151", "20", "212"])), draw(_digits(3)) + separator + draw(_digits(4))
    begin = draw(st.sampled_from(["+49 {} ", "+1{}-", "0{} ", "(0{}) ", "0{}-", "+44-{}-"]))
    return begin.format(area) + rest


VALUES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).filter(lambda one: one.exploded.count("0000") < 7).map(str),
    st.ip_addresses(v=6).map(lambda one: one.exploded),
    st.uuids().map(str),
    st.uuids().map(lambda one: one.hex.upper()),
    st.integers(16**31, 16**39 - 1).map(lambda number: f"{number:x}").filter(lambda digits: not digits.isalpha()),
    st.composite(_numbers)(),
)


@given(st.ip_addresses())
def test_an_address_is_the_same_however_it_is_written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    written = f"{address} {address.exploded.upper()}"
    if address.version == 4 or any(character.isdigit() for character in str(address)):
        assert scrub(written, STRICT) == "[ip] [ip]"


@given(st.lists(st.sampled_from(["0", "1", "a", "12", "ff00", "255", "256", ":", "::", "."]), max_size=20).map("".join))
def test_only_what_ipaddress_takes_is_an_address(text: str) -> None:
    if scrub(f" {text} ", STRICT) == " [ip] ":
        ipaddress.ip_address(text)  # raises where it is none


@given(st.uuids())
def test_a_uuid_is_the_same_with_and_without_hyphens(one: uuid.UUID) -> None:
    assert scrub(f"{one} {one.hex}", STRICT) == "[id] [id]"


@pytest.mark.requirement("AX-029")
@given(
    st.lists(st.integers(0, 255), min_size=4, max_size=4),
    st.sampled_from(["v{}", "version {}", "x-{}", "{}-beta", "{}.0"]),
)
def test_a_version_is_no_address(parts: list[int], written: str) -> None:
    version = written.format(".".join(map(str, parts)))
    assert scrub(f"tool {version} ran", STRICT) == f"tool {version} ran"


@given(st.binary(min_size=6, max_size=6), st.sampled_from(":-"))
def test_a_hardware_address_stays(address: bytes, separator: str) -> None:
    assert scrub(f"at {address.hex(separator)} now", STRICT) == f"at {address.hex(separator)} now"


@given(st.datetimes())
def test_a_time_stays(moment: object) -> None:
    assert scrub(f"{moment} ran", STRICT) == f"{moment} ran"
