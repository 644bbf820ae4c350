"""`@recorded`: each call of a function is one attempt, whatever kind of function it is."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Final, TypeVar, overload

from tasktrail.executions.recording import Recorder, record
from tasktrail.model.plain import Plain, plain

__all__ = ["recorded"]

F = TypeVar("F", bound=Callable[..., Any])
_Recording = Callable[[tuple[Any, ...], Mapping[str, Any]], record]

_SECRET_NAME: Final = (
    r"password|passwd|passphrase|passcode|secret|authorization|credential"
    r"|(?:api|access|account|private|signing|encryption)[_-]?key"
    r"|(?<![a-z])(?:auth|cookie|pwd|token)(?![a-z])|(?<![a-z])pass$"
)
"""What arguments, and members of them, are called that are not recorded; in lower case."""


@overload
def recorded(function: F, /) -> F: ...
@overload
def recorded(
    task_id: str | None = None, /, *, inputs: bool = True, output: bool = True, **options: Any
) -> Callable[[F], F]: ...


def recorded(target: Any = None, /, *, inputs: bool = True, output: bool = True, **options: Any) -> Any:
    """Record each call of a function as one attempt; `@recorded`, or `@recorded("task", …)` with options of `record`.

    The function may be sync or async, or a generator of either kind: then the attempt is as long as it is read, and who
    stops reading has had enough, which is a success.

    Args:
        target: The task's id; without one it is the function's module and name.
        inputs: Whether the arguments are recorded; those that are named like a secret never are.
        output: Whether what is returned is recorded.
    """

    def decorate(function: Any) -> Any:
        if isinstance(function, classmethod | staticmethod):
            return type(function)(decorate(function.__func__))
        task_id = target if isinstance(target, str) else _name(function)
        signature = _signature(function) if inputs else None

        def recording(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> record:
            return record(task_id, inputs=_arguments(signature, args, kwargs), **options)

        return functools.wraps(function)(_wrapper(function, recording, output=output))

    is_function = callable(target) or isinstance(target, classmethod | staticmethod)
    return decorate(target) if is_function else decorate


def _name(function: Any) -> str:
    """Return module and name; of an object that can be called those of its class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _wrapper(function: Callable[..., Any], recording: _Recording, *, output: bool) -> Callable[..., Any]:
    if _is(inspect.iscoroutinefunction, function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            async with recording(args, kwargs) as attempt:
                return _returned(attempt, await function(*args, **kwargs), output=output)

        return call_async
    if _is(inspect.isasyncgenfunction, function):
        return _async_generator(function, recording)
    if _is(inspect.isgeneratorfunction, function):
        return _generator(function, recording, output=output)

    def call(*args: Any, **kwargs: Any) -> Any:
        with recording(args, kwargs) as attempt:
            return _returned(attempt, function(*args, **kwargs), output=output)

    return call


def _is(test: Callable[[object], bool], function: Any) -> bool:
    """Whether a function, or what an object does when it is called, is of a kind."""
    return test(function) or (not inspect.isroutine(function) and test(vars(type(function)).get("__call__")))


def _generator(function: Callable[..., Any], recording: _Recording, *, output: bool) -> Callable[..., Any]:
    """Between two items whoever reads is no part of the attempt, and need not be in the same context."""

    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        recorder = recording(args, kwargs).begun()
        error: BaseException | None = None
        try:
            inner = function(*args, **kwargs)
            step, given = inner.send, None
            while True:
                try:
                    with recorder.around():
                        item = step(given)
                except StopIteration as stop:
                    return _returned(recorder, stop.value, output=output)
                try:
                    given, step = (yield item), inner.send
                except GeneratorExit:
                    with recorder.around():
                        inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it is for the function
                    given, step = thrown, inner.throw
        except BaseException as raised:
            error = raised
            raise
        finally:
            recorder.end(error)

    return generate


def _async_generator(function: Callable[..., Any], recording: _Recording) -> Callable[..., Any]:
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        recorder = recording(args, kwargs).begun()
        error: BaseException | None = None
        try:
            inner = function(*args, **kwargs)
            step, given = inner.asend, None
            while True:
                try:
                    with recorder.around():
                        item = await step(given)
                except StopAsyncIteration:
                    return
                try:
                    given, step = (yield item), inner.asend
                except GeneratorExit:
                    with recorder.around():
                        await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it is for the function
                    given, step = thrown, inner.athrow
        except BaseException as raised:
            error = raised
            raise
        finally:
            await recorder.end_elsewhere(error)

    return generate


def _returned(attempt: Recorder, value: Any, *, output: bool) -> Any:
    if output and attempt.output is None:
        attempt.output = plain(value)
    return value


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _arguments(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Plain:
    """Return arguments by name as they are when the call begins; later they may be others."""
    if signature is None:
        return None
    try:
        named = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call will say so itself
        return None
    told = plain({name: value for name, value in named.items() if name not in ("self", "cls")})
    return _without_secrets(told) or None


def _without_secrets(value: Plain) -> Plain:
    """Return a value without the members that are named like a secret."""
    if isinstance(value, dict):
        return {
            name: "[secret]" if re.search(_SECRET_NAME, name.lower()) else _without_secrets(one)
            for name, one in value.items()
        }
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value
