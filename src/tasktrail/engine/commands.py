"""Commands as steps: what goes in by environment and file, what comes out by file or as text, and what failed."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import shlex
import shutil
import signal
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tasktrail.config import environment
from tasktrail.engine.calls import PlainContext, Write
from tasktrail.engine.context import StepContext, plain
from tasktrail.engine.failures import StepFailed, StepLost
from tasktrail.engine.printed import STDERR, STDOUT, printing
from tasktrail.engine.processes import run
from tasktrail.engine.steps import Step
from tasktrail.engine.watchdog import watchdog
from tasktrail.model.errors import BadInput
from tasktrail.model.fingerprint import fingerprint_of_text
from tasktrail.model.lifecycle import Failure
from tasktrail.model.retry import error_names_of

GRACE_S: Final = 5.0
"""Seconds that a command has between SIGTERM and SIGKILL."""
KEPT_STDOUT_BYTES: Final = 8 * 1024
"""How much of the end of stdout is the result of a command that writes none."""
LARGEST_RESULT_BYTES: Final = 16 * 1024 * 1024

_KEPT_STDERR_BYTES: Final = 4 * 1024
_STDERR_LINES: Final = 20
_LONGEST_NAME: Final = 200
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as every shell has them


@dataclass(frozen=True, slots=True)
class Command:
    """What is executed.

    Args:
        arguments: An argument list, or one text: a line for `/bin/sh`.
        env: Variables on top of our own environment.
        folder: Where it works.
        title: How errors name it; None is the command itself.

    Raises:
        BadInput: It names no program.
    """

    arguments: tuple[str, ...] | str
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    title: str | None = None

    def __post_init__(self) -> None:
        program = self.arguments if isinstance(self.arguments, str) else "".join(self.arguments[:1])
        if not program.strip():
            raise BadInput("expected a command to name a program, got none")

    @property
    def argument_list(self) -> tuple[str, ...]:
        """What the system is given to execute."""
        return ("/bin/sh", "-c", self.arguments) if isinstance(self.arguments, str) else self.arguments

    @property
    def name(self) -> str:
        """The command in one line, as errors name it."""
        if self.title is not None:
            return self.title
        text = self.arguments if isinstance(self.arguments, str) else shlex.join(self.arguments)
        line = " ".join(text.split())
        return line if len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME]}…"


class CommandFailed(StepFailed):
    """A command ended with something else than exit code 0, or without the result that it promised."""

    def __init__(self, message: str, *codes: int, stderr: str = "") -> None:
        names = (*error_names_of(self), *map(str, codes))
        kind = " ".join(["CommandFailed", *map(str, codes)])
        fingerprint = fingerprint_of_text(stderr, kind, message.partition("\n")[0])
        super().__init__(Failure("CommandFailed", message, fingerprint=fingerprint), names)


def command_step(key: str, command: Command, grace_s: float = GRACE_S) -> Step:
    """Return the step of a command; its output is that of the attempt."""

    async def work(ctx: StepContext) -> object:
        return await execute(command, plain(ctx, ctx.results), output_of_attempt(), grace_s=grace_s)

    text = json.dumps([command.arguments, dict(command.env)])
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Step(key, work, True, {}, True, version, ends_when_told=True)


def output_of_attempt() -> Write:
    """Return what takes the output of the attempt that the present code belongs to."""
    printed = printing.get()
    return printed.write if printed else _drop


def _drop(_stream: int, _text: str) -> None:
    """Nobody wants to know."""


def check(command: Command) -> None:
    """Refuse a command that cannot be started, as far as that is known before it is.

    Raises:
        BadInput: Its folder or its program is not there, or the program cannot be executed.
    """
    if os.name != "posix":
        raise BadInput("commands need a POSIX system", hint="write the step as a Python function")
    if not command.folder.is_dir():
        raise BadInput(f"command {command.name} is to work in {command.folder}, which is no folder")
    if isinstance(command.arguments, str):
        return
    program = command.arguments[0]
    if "/" in program:
        if fault := _fault_of_file(command.folder / program):
            raise BadInput(f"cannot execute {program}: {fault}")
    elif shutil.which(program, path=command.env.get("PATH")) is None:
        raise BadInput(f"cannot execute {program}: no such program in PATH", hint=f"type: command -v {program}")


def _fault_of_file(path: Path) -> str | None:
    if not path.exists():
        return "it does not exist"
    if not path.is_file():
        return "it is no file"
    return None if os.access(path, os.X_OK) else "it is not executable (chmod +x)"


async def execute(command: Command, context: PlainContext, output: Write, *, grace_s: float = GRACE_S) -> object:
    """Execute a command and return its result: what it wrote to `TASKTRAIL_RESULT`, else exit code and last stdout.

    When this is cancelled the command ends, with all processes of its group.

    Args:
        context: Its results are the JSON object in the file `TASKTRAIL_INPUT`.
        output: Gets what it prints, as it comes.
        grace_s: Seconds between SIGTERM and SIGKILL.

    Raises:
        CommandFailed: It did not end with exit code 0, its result is no JSON or too large, or it cannot be started.
        StepLost: It was killed by SIGKILL, which was not us.
    """
    folder = watchdog().new_folder()
    try:
        ended = await _run_in(folder, command, context, output, grace_s)
        if ended.exit_code:
            raise _failure(command, ended)
        return _result(command, ended, folder / "result.json")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class _Ended:
    """How a command ended, and the last bytes of its streams."""

    exit_code: int = 0
    stdout: bytes = b""
    stderr: bytes = b""


async def _run_in(folder: Path, command: Command, context: PlainContext, output: Write, grace_s: float) -> _Ended:
    (folder / "input.json").write_text(json.dumps(context.results, ensure_ascii=False), encoding="utf-8")
    files = {"TASKTRAIL_INPUT": str(folder / "input.json"), "TASKTRAIL_RESULT": str(folder / "result.json")}
    env = {**environment(), **command.env, **_told(context), **files}
    ended = _Ended()
    decoders = {number: codecs.getincrementaldecoder("utf-8")("backslashreplace") for number in (STDOUT, STDERR)}

    def take(number: int, data: bytes) -> None:
        if number == STDOUT:
            ended.stdout = (ended.stdout + data)[-KEPT_STDOUT_BYTES:]
        else:
            ended.stderr = (ended.stderr + data)[-_KEPT_STDERR_BYTES:]
        output(number, decoders[number].decode(data))

    try:
        ended.exit_code = await run(command.argument_list, env, command.folder, take, grace_s)
    except (OSError, ValueError) as error:
        raise _cannot_start(command, error) from None
    for number, decoder in decoders.items():
        if rest := decoder.decode(b"", final=True):
            output(number, rest)
    return ended


def _told(context: PlainContext) -> dict[str, str]:
    return {
        "TASKTRAIL_RUN": context.run_id,
        "TASKTRAIL_TASK": context.reference,
        "TASKTRAIL_ATTEMPT": str(context.attempt),
        "TASKTRAIL_TOKEN": context.token,
        "TRACEPARENT": context.traceparent,
    }


def _cannot_start(command: Command, error: OSError | ValueError) -> CommandFailed:
    code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
    try:
        check(command)
    except BadInput as fault:
        return CommandFailed(fault.message, code)
    why = error.strerror if isinstance(error, OSError) else str(error)
    return CommandFailed(f"cannot start {command.name}: {why}", code)


# how it ended


def _failure(command: Command, ended: _Ended) -> StepFailed:
    code, number = ended.exit_code, _signal_of(command, ended.exit_code)
    how = f"ended with exit code {code}" if number is None else f"was killed by {_signal_name(number)}"
    stderr = _stderr(ended)
    message = _with_stderr(f"{command.name} {how}", stderr)
    if number == signal.SIGKILL:
        return StepLost(message)
    return CommandFailed(message, *((code,) if number is None else (-number, 128 + number)), stderr=stderr)


def _signal_of(command: Command, exit_code: int) -> int | None:
    """A shell says with 128 and more that its own command was killed."""
    if exit_code < 0:
        return -exit_code
    is_told = isinstance(command.arguments, str) and exit_code - 128 in set(signal.Signals)
    return exit_code - 128 if is_told else None


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name} (out of memory?)" if number == signal.SIGKILL else name


def _stderr(ended: _Ended) -> str:
    text = ended.stderr.decode("utf-8", "replace")
    return text.partition("\n")[2] if len(ended.stderr) == _KEPT_STDERR_BYTES else text  # its first line is half a line


def _with_stderr(words: str, stderr: str) -> str:
    """The last line is what most programs end with when they fail: it stands in the first line of the message."""
    lines = [line.rstrip() for line in stderr.splitlines() if line.strip()][-_STDERR_LINES:]
    if not lines:
        return words
    return "\n".join([f"{words}: {lines[-1].strip()}", *(lines if len(lines) > 1 else ())])


def _result(command: Command, ended: _Ended, path: Path) -> object:
    data = _read_result(command, path)
    if data is None:
        return {"exit_code": 0, "stdout": _text_of(ended.stdout)}
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"{command.name} wrote a result that is no JSON: {_why(error)}") from None


def _read_result(command: Command, path: Path) -> bytes | None:
    """Read no link, and nothing that would let us wait: the command may have put anything there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CommandFailed(f"the result of {command.name} cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise CommandFailed(f"the result of {command.name} is no file")
        if found.st_size > LARGEST_RESULT_BYTES:
            size = f"{found.st_size:,} bytes; at most {LARGEST_RESULT_BYTES:,} are taken"
            raise CommandFailed(f"the result of {command.name} is too large: {size}. Write a file and return its name")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error) or "it is empty"


def _text_of(stdout: bytes) -> str:
    """Return the end of stdout; where it was cut in the middle of a character, without the half."""
    start = 0
    if len(stdout) == KEPT_STDOUT_BYTES:
        start = next((at for at in range(4) if stdout[at] & 0xC0 != 0x80), 0)
    return stdout[start:].decode("utf-8", "replace")
