"""Fingerprints: what does not change them, what does, and that nothing an exception does can stop them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tasktrail.model.fingerprint import (
    FINGERPRINT,
    fingerprint_of_exception,
    fingerprint_of_place,
    fingerprint_of_text,
)

SHOP = """
class NoMoney(Exception): ...

def charge(amount):
    if amount > 3:
        raise NoMoney(f"{amount} is too much at {id(amount):#x}")

def pay(amount):
    try:
        charge(amount)
    except NoMoney as error:
        raise RuntimeError("not paid") from error

def refund(amount):
    charge(amount)

def walk(depth, amount):
    if depth:
        walk(depth - 1, amount)
    charge(amount)

def walk_and_pay(depth, amount):
    try:
        walk_and_pay(depth - 1, amount) if depth else charge(amount)
    except Exception as error:
        raise RuntimeError(f"at {depth}") from error

def each(amounts):
    return [charge(amount) for amount in amounts]
"""
PROGRAM = """
import shop
from tasktrail.model.fingerprint import fingerprint_of_exception

failures = []
for function in (shop.pay, shop.refund, shop.charge, shop.each):
    try:
        function(12)
    except Exception as error:
        failures.append(error)
for error in (failures[0], ExceptionGroup("all", failures)):
    print(fingerprint_of_exception(error, str(error)))
"""
LINES = "# a line\n\n\n"


def load(folder: Path, source: str = SHOP, name: str = "shop") -> ModuleType:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def shop(tmp_path: Path) -> ModuleType:
    return load(tmp_path / "here")


def raised(function: Callable[..., object], *arguments: object) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def of(function: Callable[..., object], *arguments: object) -> str:
    error = raised(function, *arguments)
    return fingerprint_of_exception(error, str(error))


def of_words(message: str, kind: str = "TaskFailed") -> str:
    return fingerprint_of_text(message, kind, message)


def told(error: BaseException) -> str:
    return fingerprint_of_text("".join(traceback.format_exception(error)), "TaskFailed", "?")


def program_in(folder: Path, more: str = "") -> str:
    """Return what a program prints that fails in a module beside it."""
    folder.mkdir()
    (folder / "buy.py").write_text(more + PROGRAM)
    (folder / "shop.py").write_text(more + SHOP)
    command = [sys.executable, str(folder / "buy.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.requirement("AX-014")
def test_the_same_failure_has_the_same_fingerprint_in_another_process_folder_and_line(tmp_path: Path) -> None:
    first = program_in(tmp_path / "one")

    assert program_in(tmp_path / "two", LINES) == first == program_in(tmp_path / "three")
    # On other machines and in other versions of Python, too.
    assert first == "fp1:03bf6925e420fbb9\nfp1:f2969d10b096b58e\n"


@pytest.mark.requirement("AX-014")
def test_a_fingerprint_does_not_change_with_what_differs_each_time(tmp_path: Path, shop: ModuleType) -> None:
    moved = load(tmp_path / "moved", LINES + SHOP)

    assert re.fullmatch(FINGERPRINT, of(shop.pay, 7))
    assert of(shop.pay, 7) == of(shop.pay, 8) == of(moved.pay, 8)
    assert of(shop.walk, 0, 7) == of(shop.walk, 1, 7) == of(shop.walk, 300, 7)
    assert of(shop.walk_and_pay, 1, 7) == of(shop.walk_and_pay, 200, 7)
    assert of(shop.each, [1, 7]) == of(shop.each, [1, 2, 7])


def test_of_functions_that_call_each_other_the_one_that_failed_counts_and_not_how_deep(tmp_path: Path) -> None:
    source = "def ping(n):\n    pong(n - 1) if n else 1 / 0\n\ndef pong(n):\n    ping(n - 1) if n else 1 / 0\n"
    ping = load(tmp_path / "game", source, "game").ping

    assert of(ping, 2) == of(ping, 20)
    assert of(ping, 3) == of(ping, 21)
    assert of(ping, 2) != of(ping, 3)


def test_a_module_is_told_by_its_name_and_not_by_its_file(tmp_path: Path, shop: ModuleType) -> None:
    moved = load(tmp_path / "moved")
    moved.__dict__["__name__"] = "market.shop"

    assert of(moved.pay, 7) != of(shop.pay, 7)


def test_other_functions_types_and_causes_have_other_fingerprints(tmp_path: Path, shop: ModuleType) -> None:
    renamed = load(tmp_path / "renamed", SHOP.replace("NoMoney", "Refused"))
    elsewhere = load(tmp_path / "elsewhere", name="market")
    without_cause = load(tmp_path / "bare", SHOP.replace("from error", "from None"))
    failures = [
        of(shop.pay, 7), of(shop.refund, 7), of(shop.charge, 7), of(shop.walk, 3, 7), of(shop.each, [7]),
        of(shop.pay, "seven"), of(renamed.pay, 7), of(elsewhere.pay, 7), of(without_cause.pay, 7),
    ]  # fmt: skip

    assert len(set(failures)) == len(failures)


def test_frames_that_some_versions_of_python_lack_do_not_count(tmp_path: Path) -> None:
    plain = "def charge():\n    1 / 0\n\ndef each():\n    {}\n"
    found = {
        of(load(tmp_path / str(number), plain.format(form)).each)
        for number, form in enumerate(
            ["[charge() for _ in 'a']", "{charge() for _ in 'a'}", "list(charge() for _ in 'a')"]
        )
    }

    assert len(found) == 1


def test_the_functions_of_libraries_count_only_where_there_is_nothing_else(tmp_path: Path) -> None:
    library = "def parse(text):\n    return int(text)\n"
    program = "import sys\ndef read(parse, text):\n    return parse(text)\n"
    old = load(_folder(tmp_path / "v1" / "site-packages"), library, "library")
    new = load(_folder(tmp_path / "v2" / "site-packages"), library.replace("parse", "parse_number"), "library")
    read = load(tmp_path / "program", program, "program").read

    assert of(read, old.parse, "x") == of(read, new.parse_number, "x")
    assert _alone(old.parse) != _alone(new.parse_number)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _alone(function: Callable[[str], object]) -> str:
    """Return the fingerprint without the frames of this file."""
    error = raised(function, "x")
    assert error.__traceback__ is not None
    return fingerprint_of_exception(error.with_traceback(error.__traceback__.tb_next), str(error))


def test_a_group_is_told_by_what_it_holds_in_whatever_order_and_number(shop: ModuleType) -> None:
    one, two = raised(shop.charge, 7), raised(shop.charge, "x")

    def group(*errors: BaseException) -> str:
        return fingerprint_of_exception(BaseExceptionGroup("some", errors), "some")

    assert group(one, two) == group(two, one) == group(two, one, raised(shop.charge, 8))
    assert group(one) != group(two) != group(one, two)
    assert group(BaseExceptionGroup("inner", [one])) != group(one)


def test_a_traceback_that_is_told_has_the_fingerprint_of_its_modules_functions(shop: ModuleType) -> None:
    error = raised(shop.pay, 7)

    assert told(error) == told(raised(shop.pay, 9)) == fingerprint_of_text(_indented(error), "Other", "?")
    assert len({told(error), told(raised(shop.refund, 7)), told(raised(shop.charge, "x"))}) == 3


def _indented(error: BaseException) -> str:
    """As an agent may quote it."""
    return "it said:\n" + "".join(f"    {line}\n" for line in "".join(traceback.format_exception(error)).splitlines())


def test_a_told_traceback_and_the_exception_itself_agree_where_the_file_is_the_module(tmp_path: Path) -> None:
    namespace = {"__name__": "shop"}
    exec(compile(SHOP, "/home/ann/shop.py", "exec"), namespace)
    error = raised(namespace["pay"], 7)  # type: ignore[arg-type]  # it is a function
    assert error.__traceback__ is not None
    error = error.with_traceback(error.__traceback__.tb_next)

    assert told(error) == fingerprint_of_exception(error, "")


def test_a_told_group_does_not_depend_on_the_order_of_what_it_holds(shop: ModuleType) -> None:
    one, two = raised(shop.charge, 7), raised(shop.charge, "x")

    assert told(BaseExceptionGroup("some", [one, two])) == told(BaseExceptionGroup("some", [two, one]))
    assert told(BaseExceptionGroup("some", [one])) != told(BaseExceptionGroup("some", [one, two]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("port 80 is taken", "port 8080 is taken"),
        ("took 1.5 s, limit 1,000", "took 22 s, limit 2"),
        ("<Job object at 0x7f3a90>", "<Job object at 0x55d1>"),
        ("no task 'build the house'", "no task 'x'"),
        ('expected "a", got "b c"', 'expected "", got "d"'),
        ("run 0f8fad5b-d9cb-469f-a165-70867728950e is gone", "run 7c9e6679-7425-40de-944b-e07fc1f90ae7 is gone"),
        ("checksum d41d8cd98f00b204 differs", "checksum 9e107d9d372bb6826bd81d differs"),
        ("cannot read /home/ann/a.csv", "cannot read C:\\data\\b.csv"),
        ("GET https://a.example/x?y=1 failed", "GET http://b.example/zz failed"),
        ("mail to ann@a.example bounced", "mail to bob.b@mail.b.example bounced"),
        ("since 2026-01-02T03:04:05.678Z", "since 2025-11-12 13:14:15+01:00"),
        ("line  one", "line one"),
    ],
)
def test_words_have_the_same_fingerprint_whatever_values_they_name(one: str, other: str) -> None:
    assert of_words(one) == of_words(other)


@pytest.mark.parametrize("other", ["no such table", "it can't be, it won't", ""])
def test_other_words_have_other_fingerprints(other: str) -> None:
    assert of_words("it can't, it won't") != of_words(other)
    assert of_words(other) != of_words(other, "Other")


def test_a_place_is_told_by_the_type_and_its_name() -> None:
    places = [("TimeoutError", "fetch"), ("TimeoutError", "load"), ("WorkerDied", "fetch")]

    assert len({fingerprint_of_place(*place) for place in places}) == 3


class Hostile(Exception):
    """Everything that may be asked of it raises."""

    def _refuse(self, *_: object) -> object:
        raise SystemExit("not to be asked")

    __cause__ = property(_refuse)
    __context__ = property(_refuse)
    __traceback__ = property(_refuse)
    __class__ = property(_refuse)
    __str__ = __repr__ = __hash__ = __eq__ = __getattribute__ = _refuse  # type: ignore[assignment]  # on purpose


def test_nothing_that_an_exception_does_stops_its_fingerprint() -> None:
    def fail() -> None:
        raise Hostile

    assert re.fullmatch(FINGERPRINT, fingerprint_of_exception(raised(fail), ""))
    assert re.fullmatch(FINGERPRINT, fingerprint_of_exception(Hostile(), ""))


def test_a_cycle_of_contexts_ends() -> None:
    one, two = ValueError("one"), KeyError("two")
    one.__context__, two.__context__ = two, one

    assert re.fullmatch(FINGERPRINT, fingerprint_of_exception(one, "one"))


def test_the_root_of_a_very_long_chain_counts() -> None:
    def chain(root: BaseException) -> str:
        error = root
        for number in range(1_000):
            above = type(f"Error{number}", (Exception,), {})()
            above.__cause__, error = error, above
        return fingerprint_of_exception(error, "")

    def fail() -> None:
        raise ValueError("root")

    assert chain(raised(fail)) != chain(raised(int, "x"))


def test_hostile_input_takes_no_more_than_its_length() -> None:
    """A hundred times the longest that counts would take minutes, were any of it more than linear."""
    spent = time.process_time()
    deep: BaseException = ValueError()
    for _ in range(500):
        deep = BaseExceptionGroup("", [deep, deep])
    inputs = ["a" * 10**6, "'" * 10**6, "a/" * 10**6, "a@" * 10**6, "9," * 10**6, " " * 10**6, 'File "' * 10**6]

    assert re.fullmatch(FINGERPRINT, fingerprint_of_exception(deep, ""))
    assert all(re.fullmatch(FINGERPRINT, of_words(text)) for text in inputs)
    assert all(re.fullmatch(FINGERPRINT, of_words(f"Traceback (most recent call last):\n{text}")) for text in inputs)
    assert time.process_time() - spent < 20


def test_odd_texts_have_fingerprints() -> None:
    assert all(
        re.fullmatch(FINGERPRINT, of_words(text))
        for text in ["", "\ud800", "\0", "\n", "Traceback (most recent call last):"]
    )
