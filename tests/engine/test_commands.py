"""Commands: what goes in and comes out, how they fail, and that nothing of them is left, whatever they do."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasktrail.engine import strays
from tasktrail.engine.calls import PlainContext
from tasktrail.engine.commands import LARGEST_RESULT_BYTES, Command, CommandFailed, check, command_step, execute
from tasktrail.engine.failures import StepLost, names_of
from tasktrail.engine.lookup import Found
from tasktrail.engine.plan import Plan
from tasktrail.engine.reading import OutputReader
from tasktrail.engine.runner import Runner
from tasktrail.engine.watchdog import watchdog
from tasktrail.model.draft import TaskDraft
from tasktrail.model.errors import BadInput
from tasktrail.model.retry import RetryPolicy
from tasktrail.model.run import Run
from tests.engine.executing import SOON_S, Engine, until

CALL = PlainContext(
    "r1", "a", "r1:a", 2, "1" * 32, "2" * 16, "t" * 32, "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    results={"fetch": {"items": [1, 2, "ü"]}},
)  # fmt: skip
LONG_S = 60
"""What a command sleeps that is to be ended; a test that waits for it fails by its own time-out."""


class Said:
    """What a command printed."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, str]] = []

    def __call__(self, stream: int, text: str) -> None:
        self.parts.append((stream, text))

    def text(self, stream: int = 1) -> str:
        return "".join(text for number, text in self.parts if number == stream)


async def done(arguments: tuple[str, ...] | str, said: Callable[[int, str], object] = Said(), **how: float) -> object:  # noqa: B008
    """Execute a command as far as it goes, and return its result."""
    async with asyncio.timeout(SOON_S):
        return await execute(Command(arguments), CALL, said, **how)


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", script)


def tidy(folder: Path) -> tuple[str, ...]:
    """A program that tidies up when it is told to end. No shell: between fork and exec those lose a signal."""
    return python(f"""
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
open({str(folder / "pid")!r}, "w").write(f"{{os.getpid()}}\\n")
signal.sigwait([signal.SIGTERM])
time.sleep(0.05)
open({str(folder / "tidied")!r}, "w")
""")


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie that its parent does not reap does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def pid_in(path: Path) -> int:
    """Wait for a command to write its number."""
    await until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())  # noqa: ASYNC240 - it is there


def pipes() -> set[str]:
    """Return our descriptors of pipes and processes."""
    found = {link.name: str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    return {f"{name} {what}" for name, what in found.items() if "pipe" in what or "pidfd" in what}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Every test leaves no file, no descriptor and no group behind."""
    dog, before = watchdog(), pipes()
    yield
    assert list(dog.folder.iterdir()) == []
    assert pipes() <= before
    assert dog._groups == set()


# ------------------------------------------------------------------------------------------------- what goes in and out


async def test_a_command_gets_results_and_identifiers_and_gives_its_own_result():
    script = """
import json, os
env = {name: value for name, value in os.environ.items() if name.startswith(("TASKTRAIL_", "TRACE"))}
given = json.load(open(env.pop("TASKTRAIL_INPUT"), encoding="utf-8"))
json.dump({"given": given, "env": {**env, "TASKTRAIL_RESULT": ""}}, open(env["TASKTRAIL_RESULT"], "w"))
"""
    assert await done(python(script)) == {
        "given": {"fetch": {"items": [1, 2, "ü"]}},
        "env": {
            "TASKTRAIL_RUN": "r1", "TASKTRAIL_TASK": "r1:a", "TASKTRAIL_ATTEMPT": "2", "TASKTRAIL_TOKEN": "t" * 32,
            "TASKTRAIL_RESULT": "", "TRACEPARENT": CALL.traceparent,
        },
    }  # fmt: skip


async def test_without_a_result_of_its_own_it_is_the_exit_code_and_the_end_of_stdout():
    assert await done(("echo", "hello")) == {"exit_code": 0, "stdout": "hello\n"}
    result = await done(python("print('é' * 9000, end='x')"))
    assert result == {"exit_code": 0, "stdout": "é" * 4095 + "x"}, "the last 8 KiB, no half of a character"


async def test_a_text_is_a_line_for_the_shell_and_a_list_never_is(tmp_path: Path):
    assert await done("echo $((1 + 2)) | tr 3 4") == {"exit_code": 0, "stdout": "4\n"}
    assert await done(("echo", "$HOME; ls")) == {"exit_code": 0, "stdout": "$HOME; ls\n"}


async def test_it_inherits_our_environment_with_its_own_on_top_and_works_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OURS", "inherited")
    monkeypatch.setenv("BOTH", "inherited")
    command = Command('echo "$OURS $BOTH" "$(pwd -P)"', {"BOTH": "own"}, tmp_path)

    assert await execute(command, CALL, Said()) == {"exit_code": 0, "stdout": f"inherited own {tmp_path}\n"}


@pytest.fixture
def our_input() -> Iterator[None]:
    """A standard input of ours that never brings anything."""
    ours, (reading, writing) = os.dup(0), os.pipe()
    os.dup2(reading, 0)
    yield
    os.dup2(ours, 0)
    for descriptor in (ours, reading, writing):
        os.close(descriptor)


@pytest.mark.usefixtures("our_input")
async def test_it_has_no_input_and_no_terminal():
    script = "import os, sys; print(repr(sys.stdin.read())); print(os.getpgrp() == os.getpid() == os.getsid(0))"
    assert await done(python(script)) == {"exit_code": 0, "stdout": "''\nTrue\n"}


async def test_what_it_prints_comes_as_it_is_printed_by_stream():
    said, go = Said(), Path("go")
    script = f"echo one; echo two >&2; while [ ! -e {go} ]; do sleep 0.01; done; printf '\\303\\251 \\377 three'"
    command = asyncio.create_task(done(script, said))
    await until(lambda: (said.text(1), said.text(2)) == ("one\n", "two\n"))
    go.touch()  # noqa: ASYNC240 - tests may
    await command

    assert said.text(1) == "one\né \\xff three"


# --------------------------------------------------------------------------------------------------------- how it fails


async def test_another_exit_code_is_a_failure_that_a_policy_knows_by_its_number():
    with pytest.raises(CommandFailed) as caught:
        await done("echo one >&2; echo two words >&2; exit 75")

    assert str(caught.value) == (
        "echo one >&2; echo two words >&2; exit 75 ended with exit code 75: two words\none\ntwo words"
    )
    assert RetryPolicy(on=("75",)).retries_on(names_of(caught.value))
    assert not RetryPolicy(on=("74",)).retries_on(names_of(caught.value))
    assert RetryPolicy(on=("CommandFailed",)).retries_on(names_of(caught.value))


@pytest.mark.parametrize(("number", "on"), [(signal.SIGSEGV, "-11"), (signal.SIGABRT, "134"), (signal.SIGTERM, "-15")])
@pytest.mark.parametrize("shell", [False, True])
async def test_a_signal_is_named(number: signal.Signals, on: str, shell: bool):
    kill = python(f"import os; os.kill(os.getpid(), {number:d})")
    with pytest.raises(CommandFailed, match=f"was killed by {number.name}") as caught:
        await done(f"{kill[0]} -S -c '{kill[3]}'; exit $?" if shell else kill)

    assert RetryPolicy(on=(on,)).retries_on(names_of(caught.value))


@pytest.mark.parametrize("arguments", [python("import os; os.kill(os.getpid(), 9)"), "sh -c 'kill -9 $$'; exit $?"])
async def test_killed_from_outside_is_a_loss(arguments: tuple[str, ...] | str):
    with pytest.raises(StepLost, match=r"was killed by SIGKILL \(out of memory\?\)"):
        await done(arguments)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('printf "{\\"a\\": 1" > "$TASKTRAIL_RESULT"', "no JSON: Expecting"),
        (': > "$TASKTRAIL_RESULT"', "no JSON: "),
        ('printf "\\377" > "$TASKTRAIL_RESULT"', "no JSON: "),
        ("head -c 200000 /dev/zero | tr '\\0' '[' > \"$TASKTRAIL_RESULT\"", "nested too deep"),
        (f'truncate -s {LARGEST_RESULT_BYTES + 1} "$TASKTRAIL_RESULT"', "too large: 16,777,217 bytes"),
        ('mkfifo "$TASKTRAIL_RESULT"', "is no file"),
        ('mkdir "$TASKTRAIL_RESULT"', "is no file"),
        ('ln -s /etc/hostname "$TASKTRAIL_RESULT"', "cannot be read"),
    ],
)
async def test_a_result_that_is_none_is_a_failure_with_the_reason(script: str, words: str):
    with pytest.raises(CommandFailed, match=words):
        await done(script)


async def test_a_program_that_cannot_be_executed_is_refused_before_and_fails_when_tried(tmp_path: Path):
    plain = tmp_path / "plain.sh"
    plain.write_text("echo")
    for command, words, code in [
        (Command(("no-such-program-xyz",)), "cannot execute no-such-program-xyz: no such program in PATH", "127"),
        (Command((str(plain),)), f"cannot execute {plain}: it is not executable", "126"),
        (Command(("./nowhere",), folder=tmp_path), "cannot execute ./nowhere: it does not exist", "127"),
        (Command((str(tmp_path),)), "it is no file", "126"),
        (Command(("true",), folder=tmp_path / "gone"), "is to work in .*gone, which is no folder", "127"),
    ]:
        with pytest.raises(BadInput, match=words):
            check(command)
        with pytest.raises(CommandFailed, match=words) as caught:
            await execute(command, CALL, Said())
        assert code in names_of(caught.value)
    for command in (Command("exit 0"), Command(("true",)), Command((sys.executable,))):
        check(command)


@pytest.mark.parametrize("arguments", [(), "", " \n", ("",)])
def test_a_command_names_a_program(arguments: tuple[str, ...] | str):
    with pytest.raises(BadInput, match="got none"):
        Command(arguments)


@pytest.mark.parametrize("arguments", [("true", "a\0b"), ("true", "x" * 3_000_000)])
async def test_arguments_that_the_system_does_not_take_are_a_failure(arguments: tuple[str, ...]):
    with pytest.raises(CommandFailed, match="cannot start true"):
        await done(arguments)


# ------------------------------------------------------------------------------------------------------ nothing is left


async def test_a_cancelled_command_is_told_to_end_and_may_tidy_up(tmp_path: Path):
    command = asyncio.create_task(done(tidy(tmp_path)))
    pid = await pid_in(tmp_path / "pid")
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert (tmp_path / "tidied").exists()
    assert not is_running(pid)


async def test_a_cancelled_command_that_does_not_listen_is_killed_with_all_of_its_group(tmp_path: Path):
    child = f"sh -c 'echo $$ > {tmp_path}/child; sleep {LONG_S}; sleep {LONG_S}'"
    deaf = f"trap '' TERM; {child} & echo $$ > {tmp_path}/pid; wait; wait"
    command = asyncio.create_task(done(deaf, grace_s=0.1))
    pids = [await pid_in(tmp_path / name) for name in ("pid", "child")]
    begun = time.monotonic()
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert time.monotonic() - begun >= 0.1
    assert not any(map(is_running, pids))


async def test_a_child_that_outlives_a_cancelled_command_is_killed_too(tmp_path: Path):
    deaf_child = f"sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; sleep {LONG_S}; sleep {LONG_S}'"
    command = asyncio.create_task(done(f"{deaf_child} & wait", grace_s=0.1))
    pid = await pid_in(tmp_path / "child")
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert not is_running(pid)


async def test_a_child_that_outlives_a_cancelled_command_may_tidy_up_too(tmp_path: Path):
    command = asyncio.create_task(done(f"{shlex.join(tidy(tmp_path))} & wait"))
    await pid_in(tmp_path / "pid")
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert (tmp_path / "tidied").exists()


async def test_the_dead_whom_nobody_buries_keep_nobody_waiting():
    """A zombie stays in its group for as long as its parent does not look at it, and here that has left the group."""
    script = """
import os, time
if not os.fork():
    if not os.fork():
        os._exit(0)
    os.setsid()
    os.closerange(0, 3)
    time.sleep(1)
    os._exit(0)
time.sleep(0.1)
"""
    begun = time.monotonic()
    await done(python(script), grace_s=LONG_S)

    assert time.monotonic() - begun < 1


async def test_a_second_cancellation_does_not_wait_for_the_grace(tmp_path: Path):
    command = asyncio.create_task(
        done(f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep {LONG_S}; sleep {LONG_S}", grace_s=LONG_S)
    )
    pid = await pid_in(tmp_path / "pid")
    command.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert not is_running(pid)


@pytest.mark.parametrize("where", ["", ">/dev/null 2>&1"])
async def test_children_that_a_command_leaves_behind_are_ended(tmp_path: Path, where: str):
    """With and without its pipes, which nobody waits for."""
    child = f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep {LONG_S}'"
    result = await done(f"{child} {where} & while [ ! -s {tmp_path}/pid ]; do :; done; echo bye")

    assert result == {"exit_code": 0, "stdout": "bye\n"}
    assert not is_running(int((tmp_path / "pid").read_text()))


async def test_what_was_left_behind_may_say_its_last_words():
    assert await done("(sleep 0.02; echo last) & echo first") == {"exit_code": 0, "stdout": "first\nlast\n"}


def fled(folder: Path, line: str = f"exec sleep {LONG_S}") -> str:
    """A line that starts something in a session of its own, without our pipes, and waits until it is there."""
    child = shlex.join(["setsid", "sh", "-c", f"echo $$ > {folder}/stray; {line}"])
    return f"{child} >/dev/null 2>&1 & while [ ! -s {folder}/stray ]; do :; done"


@pytest.mark.platform_only("/proc")
@pytest.mark.parametrize("line", [f"exec sleep {LONG_S}", f"trap '' TERM; sleep {LONG_S}; sleep {LONG_S}"])
async def test_who_fled_into_a_session_of_its_own_is_ended_with_its_command(tmp_path: Path, line: str):
    result = await done(f"{fled(tmp_path, line)}; echo bye", grace_s=0.1)

    assert result == {"exit_code": 0, "stdout": "bye\n"}
    assert not is_running(int((tmp_path / "stray").read_text()))


@pytest.mark.platform_only("/proc")
@pytest.mark.parametrize(("what", "value"), [("_FEW", 64), ("_last_number", lambda: 1)])
async def test_who_fled_is_found_however_many_processes_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, value: object
):
    """Also when the system has begun to count anew meanwhile."""
    monkeypatch.setattr(strays, what, value)
    await done(f"{fled(tmp_path)}; i=0; while [ $i -lt 100 ]; do i=$((i + 1)); (:); done", grace_s=0.1)

    assert not is_running(int((tmp_path / "stray").read_text()))


@pytest.mark.platform_only("/proc")
def test_a_stray_is_of_another_group_and_has_the_mark(monkeypatch: pytest.MonkeyPatch):
    """Who is of the group is told with it, and once. After a long time the last number tells nothing."""
    env = {**os.environ, strays.MARK: "/ours/1/input.json"}
    with (
        subprocess.Popen(["sleep", str(LONG_S)], env=env, start_new_session=True) as own,
        subprocess.Popen(["sleep", str(LONG_S)], env=env, start_new_session=True) as stray,
        subprocess.Popen(["sleep", str(LONG_S)], start_new_session=True) as other,
    ):
        try:
            monkeypatch.setattr(strays, "_last_number", lambda: own.pid)
            assert strays.Strays(own.pid, env[strays.MARK]).find() == []
            monkeypatch.setattr(strays, "_BRIEF_S", 0.0)
            assert strays.Strays(own.pid, env[strays.MARK]).find() == [stray.pid]
            assert strays.Strays(own.pid, "/ours/1").find() == []
        finally:
            for one in (own, stray, other):
                one.kill()


@pytest.mark.platform_only("/proc")
async def test_who_fled_may_tidy_up_when_its_command_is_cancelled(tmp_path: Path):
    command = asyncio.create_task(done(f"setsid {shlex.join(tidy(tmp_path))} & wait"))
    pid = await pid_in(tmp_path / "pid")
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    assert (tmp_path / "tidied").exists()
    assert not is_running(pid)


@pytest.mark.platform_only("/proc")
async def test_a_second_cancellation_spares_no_stray(tmp_path: Path):
    deaf = f"trap '' TERM; sleep {LONG_S}; sleep {LONG_S}"
    command = asyncio.create_task(done(f"{fled(tmp_path, deaf)}; exec {shlex.join(tidy(tmp_path))}", grace_s=LONG_S))
    pid, stray = [await pid_in(tmp_path / name) for name in ("pid", "stray")]
    command.cancel()
    await until(lambda: not Path(f"/proc/{pid}").exists())  # reaped: the stray alone is waited for
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command

    await until(lambda: not is_running(stray))
    assert not is_running(stray)


@pytest.mark.platform_only("/proc")
async def test_what_is_to_live_on_is_started_without_our_variable(tmp_path: Path):
    line = f"exec env -u TASKTRAIL_INPUT sleep {LONG_S}"
    await done(f"{fled(tmp_path, line)}; until ps -o comm= $(cat {tmp_path}/stray) | grep -q sleep; do :; done")

    pid = int((tmp_path / "stray").read_text())
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_flood_is_taken_in_without_end_and_without_being_kept():
    n_chars = 0

    def count(_: int, text: str) -> None:
        nonlocal n_chars
        n_chars += len(text)

    assert await done("yes | head -c 20000000", count) == {"exit_code": 0, "stdout": "y\n" * 4096}
    assert n_chars == 20_000_000


async def test_without_pidfd_a_thread_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delattr(os, "pidfd_open", raising=False)

    assert await done("echo hello") == {"exit_code": 0, "stdout": "hello\n"}
    command = asyncio.create_task(done(f"echo $$ > {tmp_path}/pid; sleep {LONG_S}"))
    pid = await pid_in(tmp_path / "pid")
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command
    assert not is_running(pid)


async def test_many_at_once(tmp_path: Path):
    results = await asyncio.gather(*(done(f"echo {number}") for number in range(40)))

    assert results == [{"exit_code": 0, "stdout": f"{number}\n"} for number in range(40)]


# ------------------------------------------------------------------------------------------------------- in a run


async def run_of(engine: Engine, run_id: int, **commands: str | tuple[str, ...]) -> Run:
    """Execute a run whose steps are commands."""
    steps = {key: command_step(key, Command(arguments), 0.2) for key, arguments in commands.items()}
    runner = Runner(engine.ledger, run_id, Plan(steps))
    return await asyncio.wait_for(runner.execute(), SOON_S)


def printed(engine: Engine, run_id: int, key: str, attempt: int = 1) -> list[tuple[str | None, str]]:
    found = Found(engine.run(run_id), engine.task(run_id, key))
    return [(line.stream, line.text) for line in OutputReader(engine.ledger, found, attempt).lines()]


async def test_a_run_of_commands_keeps_results_and_output(engine: Engine):
    run_id = engine.new(TaskDraft("a"), TaskDraft("b"))
    run = await run_of(
        engine, run_id, a='echo "[1, 2]" > "$TASKTRAIL_RESULT"; echo out; echo password=hunter2secret >&2', b="true"
    )

    assert run.status == "completed"
    assert engine.task(run_id, "a").output == "[1,2]"
    assert sorted(printed(engine, run_id, "a")) == [("stderr", "password=[secret]"), ("stdout", "out")]
    assert [attempt.code_version is not None for attempt in engine.attempts(run_id, "a")] == [True]


async def test_an_exit_code_that_the_policy_names_is_tried_again_and_another_is_not(engine: Engine):
    again = 'if [ "$TASKTRAIL_ATTEMPT" = 1 ]; then exit 75; fi; exit 3'
    run_id = engine.new(TaskDraft("a", max_retries=5, retry=RetryPolicy(max_retries=5, on=("75",)).to_json()))
    run = await run_of(engine, run_id, a=again)

    assert run.status == "failed"
    assert [attempt.error_type for attempt in engine.attempts(run_id, "a")] == ["CommandFailed", "CommandFailed"]
    assert str(engine.task(run_id, "a").error).endswith("ended with exit code 3")


async def test_a_command_that_the_kernel_kills_is_lost_and_starts_again(engine: Engine):
    run_id = engine.new(TaskDraft("a", max_retries=0))
    run = await run_of(engine, run_id, a='if [ "$TASKTRAIL_ATTEMPT" = 1 ]; then kill -9 $$; fi')

    assert run.status == "completed"
    assert [(one.outcome, one.error_type) for one in engine.attempts(run_id, "a")] == [
        ("lost", "StepLost"),
        ("ok", None),
    ]


async def test_a_try_after_a_time_out_never_meets_the_one_before(engine: Engine, tmp_path: Path):
    """A command gets time to end; only then its attempt is over."""
    script = f"""
mkdir {tmp_path}/lock || exit 9
trap 'sleep 0.05; echo ended; rmdir {tmp_path}/lock; exit 1' TERM
[ "$TASKTRAIL_ATTEMPT" = 1 ] || {{ rmdir {tmp_path}/lock; exit 0; }}
sleep {LONG_S} & wait
"""
    run_id = engine.new(TaskDraft("a", max_retries=1, timeout_ms=100))
    run = await run_of(engine, run_id, a=script)

    assert run.status == "completed"
    assert [attempt.outcome for attempt in engine.attempts(run_id, "a")] == ["timeout", "ok"]
    assert printed(engine, run_id, "a") == [("stdout", "ended")], "its last words belong to its attempt"
    assert engine.attempts(run_id, "a")[0].error == "step 'a' did not end within 0.1 s"


async def test_an_interrupted_run_ends_its_commands_and_gives_them_back(engine: Engine, tmp_path: Path):
    run_id = engine.new(TaskDraft("a"))
    execution = asyncio.create_task(run_of(engine, run_id, a=f"echo $$ > {tmp_path}/pid; sleep {LONG_S}"))
    pid = await pid_in(tmp_path / "pid")
    execution.cancel()
    await asyncio.gather(execution, return_exceptions=True)

    assert not is_running(pid)
    assert (engine.task(run_id, "a").status, engine.task(run_id, "a").tries) == ("pending", 0)


async def test_a_cancelled_run_ends_its_commands(engine: Engine, tmp_path: Path):
    run_id = engine.new(TaskDraft("a"))
    execution = asyncio.create_task(run_of(engine, run_id, a=f"echo $$ > {tmp_path}/pid; sleep {LONG_S}"))
    pid = await pid_in(tmp_path / "pid")
    engine.ledger.cancel_run(run_id)

    assert (await execution).status == "cancelled"
    assert not is_running(pid)
