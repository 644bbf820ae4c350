#!/usr/bin/env python3
"""Everything one does with a clone of Tasktrail: set it up, look at it, check it. Needs nothing but Python.

usage: python3 dev.py COMMAND [ARGUMENTS]
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import IO, NamedTuple

if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this file may well have an older one
    sys.exit(
        "Tasktrail needs Python 3.11 or newer; this is " + sys.version.split()[0] + "\n"
        "to fix: apt-get install python3 (Debian 12 or newer), then run dev.py with that python3"
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BENCH_VENV = ROOT / ".venv-bench"
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
# Each lock file holds all of those named here, at the same versions: who installed it has them too.
COVERS = {"run": ("run",), "dev": ("dev", "run"), "bench": ("bench",)}
LOCK_CONTENTS = {
    "run": ("--group", "build"),
    "postgres": ("--group", "build", "--extra", "postgres"),
    "mcp": ("--group", "build", "--extra", "mcp"),
    "dev": ("--group", "dev", "--extra", "mcp", "--extra", "postgres", "--extra", "object"),
    "bench": ("--extra", "bench", "--group", "build"),
}
CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", ".import_linter_cache", "__pycache__")
RUBBISH = (".venv", ".venv-bench", ".node", "build", "dist", *CACHES)


class Failed(Exception):
    """A command cannot go on; the message says what happened, `fix` what to type next."""

    def __init__(self, message: str, fix: str, code: int = 1) -> None:
        super().__init__(message)
        self.fix = fix
        self.code = code


# ----------------------------------------------------------------------------------------------- running other programs


def child_environment() -> dict[str, str]:
    """Return the environment for everything started here, without what would lead an interpreter or pip astray."""
    astray = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONUNBUFFERED": "1"}


def shown(argv: Sequence[str | Path]) -> str:
    """Return the command as a person would type it in the project's folder."""
    return shlex.join(str(part).removeprefix(f"{ROOT}{os.sep}") for part in argv)


@contextmanager
def interrupts_noted() -> Iterator[list[int]]:
    """Note every Ctrl-C instead of ending: the program we wait for gets it too, and a run cancels its steps first."""
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def judge(argv: Sequence[str | Path], code: int, fix: str, *, interrupted: bool) -> None:
    """Raise what an exit code means; 0 means nothing, even after a Ctrl-C that came too late."""
    if code and interrupted:
        raise KeyboardInterrupt
    if code:
        raise Failed(f"failed: {shown(argv)}", fix, code)


def run(argv: Sequence[str | Path], *, fix: str = "", cwd: Path = ROOT) -> None:
    """Run a command with the terminal as it is.

    Raises:
        Failed: It ended with another code than 0; it has said why, and `fix` is what to type next.
    """
    with interrupts_noted() as noted:
        done = subprocess.run([str(part) for part in argv], cwd=cwd, env=child_environment(), check=False)
    judge(argv, done.returncode, fix, interrupted=bool(noted))


def run_copying(argv: Sequence[str | Path], *, fix: str = "", cwd: Path = ROOT) -> str:
    """Run a command, show its output while it comes, and return the last line of it."""
    tail = b""
    command, env = [str(part) for part in argv], child_environment()
    with interrupts_noted() as noted, Popen(command, cwd=cwd, env=env, stdout=PIPE, stderr=STDOUT) as process:
        for chunk in pieces(process.stdout):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            tail = (tail + chunk)[-4096:]
    judge(argv, process.returncode, fix, interrupted=bool(noted))
    return closing_line(tail.decode(errors="replace"))


def pieces(output: IO[bytes] | None) -> Iterator[bytes]:
    """Return output as it comes: a line of dots shall grow before the eyes, not appear when it is full."""
    assert isinstance(output, io.BufferedReader)
    return iter(lambda: output.read1(65536), b"")


def closing_line(text: str) -> str:
    """Return the last line that says something, without its colours and frame.

    >>> closing_line("..F\\n\\x1b[31m=== 1 failed in 0.1s ===\\x1b[0m\\n\\n")
    '1 failed in 0.1s'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.strip("= ") for line in plain.splitlines() if line.strip("= ")]
    return lines[-1] if lines else ""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"- {what} ... ", end="", flush=True)
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


# --------------------------------------------------------------------------------------------------------------- set-up


def python_of(venv: Path) -> Path:
    """Return the path of the interpreter in a virtual environment."""
    return venv / SCRIPTS / ("python.exe" if os.name == "nt" else "python")


def digest_of(lock: str) -> str:
    """Return what changes whenever what is to be installed changes."""
    parts = (ROOT / "requirements" / f"{lock}.txt").read_bytes(), (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_venv(venv: Path, *, fix: str) -> None:
    """Make the virtual environment unless one of this interpreter, made by this file, is there.

    A folder that moved has scripts and links to its old place, so it is made anew as well.
    """
    origin = f"{sys.version}\n{sys.base_prefix}\n{venv}\n"
    mark = venv / "made-by-dev-py"
    if mark.exists() and mark.read_text() == origin and (venv / "pyvenv.cfg").exists() and python_of(venv).exists():
        return
    if venv.exists() and not mark.exists():
        raise Failed(f"{venv.name} is there, but was not made by dev.py", f"rm -r {venv.name}; {fix}")
    if importlib.util.find_spec("ensurepip") is None:
        sudo = "" if getattr(os, "geteuid", lambda: 1)() == 0 else "sudo "
        raise Failed("this Python cannot make virtual environments", f"{sudo}apt-get install python3-venv; {fix}")
    shutil.rmtree(venv, ignore_errors=True)
    venv.mkdir()
    mark.write_text(origin)
    with told(f"making {venv.name} with Python {sys.version.split()[0]}"):
        run([sys.executable, "-m", "venv", venv], fix=fix)


def install(python: Path, lock: str, *, fix: str) -> None:
    """Install what a lock file names, each file checked against its hash, and the project in place."""
    names = len(re.findall(r"^[\w.-]+==", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE))
    pip: list[str | Path] = [python, "-m", "pip", "install", "-qq"]
    with told(f"installing {names} packages (requirements/{lock}.txt)"):
        locked = ["--require-hashes", "--only-binary", ":all:", "-r", f"requirements/{lock}.txt"]
        run([*pip, *locked], fix=fix)
    with told("installing tasktrail"):
        run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], fix=fix)


def set_up(lock: str, venv: Path = VENV, *, fix: str = "python3 dev.py setup") -> Path:
    """Bring a virtual environment in line with a lock file and return its interpreter; instant when it is already."""
    make_venv(venv, fix=fix)
    stamp = venv / f"installed-{lock}"
    if not stamp.exists() or stamp.read_text() != digest_of(lock):
        stamp.unlink(missing_ok=True)
        install(python_of(venv), lock, fix=fix)
        for covered in COVERS[lock]:
            (venv / f"installed-{covered}").write_text(digest_of(covered))
    return python_of(venv)


# ----------------------------------------------------------------------------------------------------- stages of `test`


class Stage(NamedTuple):
    """One part of `test`: what it is called, what it looks at, and the work, which returns a closing line."""

    name: str
    about: str
    work: Callable[[Path], str]


def tool(*argv: str) -> Callable[[Path], str]:
    """Return the work of running a module with the environment's interpreter."""

    def work(python: Path) -> str:
        return run_copying([python, "-m", *argv])

    return work


def pytest(*argv: str) -> Callable[[Path], str]:
    """Return the work of running pytest, in colour where a person looks on."""
    return tool("pytest", f"--color={'yes' if sys.stdout.isatty() else 'no'}", *argv)


def lint(python: Path) -> str:
    """Run both halves of ruff; the first that complains ends it."""
    run_copying([python, "-m", "ruff", "check"], fix="python3 dev.py format")
    return run_copying([python, "-m", "ruff", "format", "--check"], fix="python3 dev.py format")


def check_layers(python: Path) -> str:
    """Run import-linter; its module form has no command, so the script is called."""
    return run_copying([python.parent / "lint-imports", "--no-logo"])


def check_package(python: Path) -> str:
    """Build the wheel, look into it, and use it from a new environment in another folder."""
    with tempfile.TemporaryDirectory(prefix="tasktrail-wheel-") as name:
        folder = Path(name)
        with told("building the wheel"):
            flags = ["-qq", "--no-deps", "--no-build-isolation"]
            run([python, "-m", "pip", "wheel", *flags, "--wheel-dir", folder, "."])
        (wheel,) = folder.glob("*.whl")
        check_contents(wheel)
        with told(f"installing {wheel.name} and requirements/run.txt"):
            run([sys.executable, "-m", "venv", folder / "venv"])
            pip: list[str | Path] = [python_of(folder / "venv"), "-m", "pip"]
            run([*pip, "install", "-qq", "--require-hashes", "-r", ROOT / "requirements" / "run.txt"])
            run([*pip, "install", "-qq", "--no-deps", wheel])
            run([*pip, "-qq", "check"])
        run([python_of(folder / "venv"), "-c", "import tasktrail"], cwd=folder)
        return run_copying([folder / "venv" / SCRIPTS / "tasktrail", "--version"], cwd=folder)


def check_contents(wheel: Path) -> None:
    """Refuse a wheel that lacks a file of the package: SQL and py.typed are lost without a word."""
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = sorted(wanted - set(zipfile.ZipFile(wheel).namelist()))
    if missing:
        raise Failed(f"the wheel lacks {', '.join(missing)}", "")


APART = ("tests/docs", "tests/examples")
UNIT = ("tests", *(f"--ignore={folder}" for folder in APART))
DOCTESTS = ("--doctest-modules", "src", "dev.py")
STAGES = (
    Stage("lint", "style and formatting (ruff)", lint),
    Stage("types", "types (mypy, strict)", tool("mypy")),
    Stage("layers", "which room may see which (import-linter)", check_layers),
    Stage("tests", "unit and contract tests", pytest("-n2", "-m", "not crash and not soak", *UNIT, *DOCTESTS)),
    Stage("crash", "kills, faults and races", pytest("-m", "crash and not soak", *UNIT)),
    Stage("docs", "documentation and examples", pytest("-m", "not soak", *APART, "examples")),
    Stage("requirements", "which requirements are shown", tool("tests.requirement_report", "--brief")),
    Stage("package", "the wheel, in an environment of its own", check_package),
)


class Row(NamedTuple):
    """One line of the summary; seconds is None for a stage that was not reached."""

    name: str
    seconds: float | None
    result: str


def summary(rows: Sequence[Row]) -> str:
    """Return the table of the stages.

    >>> print(summary([Row("lint", 0.84, "ok"), Row("types", None, "not run")]))
    stage         seconds  result
    lint              0.8  ok
    types               -  not run
    total             0.8
    """
    lines = [f"{'stage':<12}  {'seconds':>7}  result"]
    for name, seconds, result in rows:
        lines.append(f"{name:<12}  {'-' if seconds is None else f'{seconds:.1f}':>7}  {result}".rstrip())
    lines.append(f"{'total':<12}  {sum(row.seconds or 0 for row in rows):>7.1f}")
    return "\n".join(lines)


def run_stage(stage: Stage, python: Path) -> Row:
    """Run one stage and return its line of the summary.

    Raises:
        Failed: The stage failed; `fix` tells how to run it alone.
    """
    print(f"\n== {stage.name}: {stage.about}", flush=True)
    begun = time.monotonic()
    try:
        closing = stage.work(python)
    except Failed as failure:
        repeat = f"python3 dev.py test {stage.name}"
        failure.fix = f"{failure.fix}; {repeat}" if failure.fix else repeat
        raise
    seconds = time.monotonic() - begun
    print(f"== {stage.name}: ok, {seconds:.1f} s", flush=True)
    return Row(stage.name, seconds, closing)


def run_stages(stages: Sequence[Stage]) -> None:
    """Run stages in order, stop at the first that fails, and end with a table of all of them."""
    begun = time.monotonic()
    python = set_up("dev", fix="python3 dev.py test")
    rows = [Row("set-up", time.monotonic() - begun, "ready")]
    try:
        for stage in stages:
            begun = time.monotonic()
            rows.append(run_stage(stage, python))
    except (Failed, KeyboardInterrupt) as end:
        word = "FAILED" if isinstance(end, Failed) else "interrupted"
        rows.append(Row(stage.name, time.monotonic() - begun, word))
        rows.extend(Row(later.name, None, "not run") for later in stages[len(rows) - 1 :])
        raise
    finally:
        print(f"\n{summary(rows)}", flush=True)


# ------------------------------------------------------------------------------------------------------------- commands


def refuse(arguments: Sequence[str]) -> None:
    """Refuse arguments where a command takes none."""
    if arguments:
        raise Failed(f"this command takes no arguments, got: {shlex.join(arguments)}", "python3 dev.py help", 2)


def setup(arguments: Sequence[str]) -> None:
    """make .venv with everything needed to work on the project"""
    refuse(arguments)
    print(f"ready: {shown([set_up('dev')])}")


def demo(arguments: Sequence[str]) -> None:
    """run the main job on this machine's Python distributions, kill it in the middle, go on"""
    python = set_up("run", fix="python3 dev.py demo")
    run([python, "examples/atlas/demo.py", *arguments], fix="python3 dev.py demo")


def everything(arguments: Sequence[str]) -> None:
    """check everything, or only the stages named: lint types layers tests crash docs requirements package"""
    by_name = {stage.name: stage for stage in STAGES}
    unknown = [name for name in arguments if name not in by_name]
    if unknown:
        raise Failed(f"no such stage: {', '.join(unknown)}", f"one of: {' '.join(by_name)}", 2)
    run_stages([stage for stage in STAGES if not arguments or stage.name in arguments])


def only(name: str, about: str) -> Callable[[Sequence[str]], None]:
    """Return the command that runs one stage."""

    def command(arguments: Sequence[str]) -> None:
        refuse(arguments)
        everything([name])

    command.__doc__ = about
    return command


def tidy(arguments: Sequence[str]) -> None:
    """format the code and mend what ruff can mend"""
    python = set_up("dev")
    run([python, "-m", "ruff", "format", *arguments], fix="python3 dev.py format")
    run([python, "-m", "ruff", "check", "--fix", *arguments], fix="python3 dev.py format")


def bench(arguments: Sequence[str]) -> None:
    """measure against a hand-written loop and other engines, in .venv-bench"""
    python = set_up("bench", BENCH_VENV, fix="python3 dev.py bench")
    run([python, "benchmarks/run.py", *arguments], fix="python3 dev.py bench")


def soak(arguments: Sequence[str]) -> None:
    """kill it again and again for minutes (pytest -m soak)"""
    python = set_up("dev")
    # One such test may well run longer than the time after which a hanging test is ended.
    patient = ["-m", "soak", "-o", "faulthandler_timeout=0"]
    run([python, "-m", "pytest", *patient, *arguments], fix=shown(["python3", "dev.py", "soak", *arguments]))


def requirements(arguments: Sequence[str]) -> None:
    """print per seed which requirements tests show and which are open"""
    python = set_up("dev")
    run([python, "-m", "tests.requirement_report", *arguments], fix="python3 dev.py requirements")


def docs(arguments: Sequence[str]) -> None:
    """write the generated parts of the documentation anew (--check only compares)"""
    python = set_up("dev")
    run([python, "docs/generate.py", *arguments], fix="python3 dev.py docs")


def lock(arguments: Sequence[str]) -> None:
    """write requirements/*.txt anew with uv (--upgrade takes newer versions)"""
    if shutil.which("uv") is None:
        raise Failed("uv writes the lock files, and is not there", "python3 -m pip install uv; python3 dev.py lock")
    form = ["--universal", "--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--quiet"]
    for name, contents in LOCK_CONTENTS.items():
        target = f"requirements/{name}.txt"
        command = ["uv", "pip", "compile", "pyproject.toml", *contents, *form, "--python-version", "3.11"]
        with told(target):
            run([*command, *arguments, "--output-file", target], fix="python3 dev.py lock")


def clean(arguments: Sequence[str]) -> None:
    """remove the virtual environments and caches; stores (.tasktrail) are data and stay"""
    refuse(arguments)
    folders = ("src", "tests", "docs", "examples", "benchmarks")
    bytecode = [path for folder in folders for path in sorted((ROOT / folder).rglob("__pycache__"))]
    for path in [*(ROOT / name for name in RUBBISH), *bytecode]:
        if path.is_dir():
            shutil.rmtree(path)
            print(f"removed {shown([path])}")


def usage(arguments: Sequence[str] = ()) -> None:
    """print this list"""
    refuse(arguments)
    print(f"{(__doc__ or '').strip()}\n")
    for name, command in COMMANDS.items():
        print(f"  {name:<13} {command.__doc__}")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "demo": demo,
    "test": everything,
    "setup": setup,
    "lint": only("lint", "check style and formatting (ruff)"),
    "types": only("types", "check types (mypy)"),
    "layers": only("layers", "check which room sees which (import-linter)"),
    "format": tidy,
    "requirements": requirements,
    "docs": docs,
    "bench": bench,
    "soak": soak,
    "lock": lock,
    "clean": clean,
    "help": usage,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 not understood, 130 interrupted."""
    name, *rest = arguments or ["help"]
    command = COMMANDS.get("help" if name in ("-h", "--help") else name)
    if command is None:
        usage()
        print(f"\nerror: no such command: {name}", file=sys.stderr)
        return 2
    try:
        command(rest)
    except Failed as failure:
        print(f"\nerror: {failure}\nto fix or repeat: {failure.fix}", file=sys.stderr)
        return failure.code if 0 < failure.code < 126 else 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
