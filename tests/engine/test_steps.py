"""How a function becomes a step: what it asks for, where it runs, which version of it this is."""

from __future__ import annotations

import asyncio
import functools
import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

from tasktrail.engine.steps import identifier, step
from tasktrail.model.errors import BadInput
from tests.crash.processes import environment


def plain(a: int, b: int = 2) -> int:
    return a + b


async def coroutine(a: int) -> int:
    return a


async def generator(a: int) -> Any:
    yield a


class Callables:
    def __call__(self, a: int) -> int:
        return a

    def method(self, a: int) -> int:
        return a

    async def async_method(self, a: int) -> int:
        return a

    @classmethod
    def class_method(cls, a: int) -> int:
        return a

    @staticmethod
    def static_method(a: int) -> int:
        return a


class AsyncCallable:
    async def __call__(self, a: int) -> int:
        return a


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def async_logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def made_synchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `async_to_sync` of several libraries does it: the wrapper is an ordinary function."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        work = function(*args, **kwargs)
        try:
            return asyncio.run(work)
        finally:
            work.close()

    return wrapper


# ---------------------------------------------------------------------------------------------------- what it asks for


@pytest.mark.parametrize(
    "function",
    [
        plain, coroutine, Callables(), Callables().method, Callables().async_method, Callables.class_method,
        Callables.static_method, AsyncCallable(), logged(plain), logged(coroutine), lambda a: a,
        functools.partial(plain, b=3), functools.partial(coroutine), functools.lru_cache(plain), generator,
    ],
    ids=lambda function: getattr(function, "__qualname__", type(function).__qualname__),
)  # fmt: skip
def test_every_kind_of_callable_is_read(function: Callable[..., Any]) -> None:
    made = step("s", function, ["a", "z"])

    assert (dict(made.wants), made.wants_context) == ({"a": "a"}, False)


@pytest.mark.parametrize(
    "function",
    [Mock(), MagicMock(), AsyncMock(), print, dict, functools.partial(print)],
    ids=lambda function: type(function).__name__,
)
def test_what_takes_anything_asks_for_nothing(function: Callable[..., Any]) -> None:
    made = step("s", function, ["a"])

    assert (dict(made.wants), made.wants_context) == ({}, False)


def test_ctx_is_the_context_even_where_a_step_has_that_name() -> None:
    made = step("s", lambda ctx: ctx, ["ctx"])

    assert (dict(made.wants), made.wants_context) == ({}, True)


def test_a_parameter_with_a_default_is_filled_where_a_step_has_its_name() -> None:
    assert step("s", lambda a=1, b=2: (a, b), ["b"]).call({"b": 5}, None) == (1, 5)


def test_what_was_bound_before_is_no_longer_asked_for() -> None:
    made = step("s", functools.partial(plain, 1), ["b"])

    assert made.call({"b": 4}, None) == 5


@pytest.mark.parametrize("function", [lambda q: q, lambda *, q: q, functools.partial(lambda p, q: q, 1)])
def test_a_parameter_that_nobody_gives_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(BadInput, match="step 's' has a parameter 'q'"):
        step("s", function, ["a"])


def test_all_parameters_that_nobody_gives_are_named() -> None:
    with pytest.raises(BadInput) as error:
        step("s", lambda p, q: None, ["a"])

    assert "'p'" in str(error.value)
    assert "'q'" in str(error.value)


def test_positional_only_parameters_are_filled() -> None:
    def function(a: int, /, b: int) -> tuple[int, int]:
        return a, b

    assert step("s", function, ["a", "b"]).call({"a": 1, "b": 2}, None) == (1, 2)


@pytest.mark.parametrize("value", ["text", None, 5, object()])
def test_what_cannot_be_called_is_refused(value: Any) -> None:
    with pytest.raises(BadInput, match="to be callable"):
        step("s", value)


@pytest.mark.parametrize(
    ("key", "name"),
    [("fetch", "fetch"), ("fetch-data", "fetch_data"), ("a b#1", "a_b_1"), ("größe", "größe"), ("🚀", "_")],
)
def test_a_key_as_a_parameter_can_be_named(key: str, name: str) -> None:
    assert identifier(key) == name
    assert identifier(key).isidentifier()


# -------------------------------------------------------------------------------------------------------- where it runs


@pytest.mark.parametrize(
    ("function", "asynchronous"),
    [
        (plain, False), (coroutine, True), (Callables(), False), (Callables().method, False),
        (Callables().async_method, True), (AsyncCallable(), True), (functools.partial(coroutine), True),
        (functools.partial(functools.partial(coroutine)), True), (functools.partial(AsyncCallable()), True),
        (functools.partial(plain), False), (lambda a: coroutine(a), False), (AsyncMock(), True), (Mock(), False),
        (generator, False),
    ],
    ids=lambda value: getattr(value, "__qualname__", type(value).__qualname__) if callable(value) else str(value),
)  # fmt: skip
def test_what_is_awaited_runs_on_the_loop(function: Callable[..., Any], asynchronous: bool) -> None:
    assert step("s", function, ["a"]).asynchronous is asynchronous


@pytest.mark.parametrize("function", [made_synchronous(coroutine), logged(plain), async_logged(plain)])
def test_a_wrapper_runs_where_it_must_itself_whatever_it_wraps(function: Callable[..., Any]) -> None:
    """What it does when it is called decides: `wraps` makes it look like what it wraps."""
    made = step("s", function, ["a"])

    async def on_the_loop() -> Any:
        return await made.call({"a": 1}, None)

    if made.asynchronous:
        assert asyncio.run(on_the_loop()) in (1, 3)
    else:
        value = made.call({"a": 1}, None)
        assert (asyncio.run(awaited(value)) if inspect.isawaitable(value) else value) in (1, 3)


async def awaited(value: Any) -> Any:
    return await value


# -------------------------------------------------------------------------------------------------------- which version


def test_the_version_is_that_of_the_code() -> None:
    def other(a: int, b: int = 2) -> int:
        return a - b

    assert step("s", plain, ["a"]).code_version == step("t", plain, ["a"]).code_version
    assert step("s", plain, ["a"]).code_version != step("s", other, ["a"]).code_version
    assert step("s", functools.partial(plain, b=3), ["a"]).code_version == step("s", plain, ["a"]).code_version


def test_the_version_is_the_same_in_every_process() -> None:
    script = (
        "from tasktrail.engine.steps import step\n"
        "def f(x='a'):\n"
        "    def inner(): return {'p', 'q', 'r'} | {x}\n"
        "    return x in {'a', 'b', 'c', 'd'} and inner()\n"
        "print(step('s', f).code_version)\n"
    )
    versions = {
        subprocess.run(
            [sys.executable, "-c", script], env={**environment(), "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip

    assert len(versions) == 1
    assert len(versions.pop().strip()) == 12
