"""dev.py: what it prints and when it installs; the commands themselves are what runs these tests."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

import dev


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with lock files and nothing installed."""
    (tmp_path / "requirements").mkdir()
    for name in ("run", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"{name}-package==1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def installed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lock files that were installed, in order; nothing is really installed."""
    locks: list[str] = []
    monkeypatch.setattr(dev, "make_venv", lambda venv, *, fix: venv.mkdir(exist_ok=True))
    monkeypatch.setattr(dev, "install", lambda python, lock, *, fix: locks.append(lock))
    return locks


def test_nothing_is_installed_twice(clone: Path, installed: list[str]):
    dev.set_up("run", clone / "venv")
    dev.set_up("run", clone / "venv")

    assert installed == ["run"]


def test_the_environment_of_tests_serves_the_demo_as_well(clone: Path, installed: list[str]):
    dev.set_up("dev", clone / "venv")
    dev.set_up("run", clone / "venv")

    assert installed == ["dev"]


@pytest.mark.parametrize("changed", ["requirements/run.txt", "pyproject.toml"])
def test_a_change_of_what_is_asked_for_installs_again(clone: Path, installed: list[str], changed: str):
    dev.set_up("run", clone / "venv")
    (clone / changed).write_text("other")
    dev.set_up("run", clone / "venv")

    assert installed == ["run", "run"]


def test_an_installation_that_broke_off_is_done_again(
    clone: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
):
    dev.set_up("run", clone / "venv")
    (clone / "pyproject.toml").write_text("newer")
    with monkeypatch.context() as patch:
        patch.setattr(dev, "install", break_off)
        with pytest.raises(dev.Failed):
            dev.set_up("run", clone / "venv")
    (clone / "pyproject.toml").write_text("[project]\n")
    dev.set_up("run", clone / "venv")

    assert installed == ["run", "run"]


def break_off(python: Path, lock: str, *, fix: str) -> None:
    raise dev.Failed("no network", fix)


def test_a_virtual_environment_of_somebody_else_is_left_alone(clone: Path):
    (clone / ".venv").mkdir()

    with pytest.raises(dev.Failed, match=r"not made by dev\.py") as error:
        dev.make_venv(clone / ".venv", fix="python3 dev.py test")

    assert error.value.fix == "rm -r .venv; python3 dev.py test"


def test_a_python_without_ensurepip_is_told_what_to_install(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(dev.Failed) as error:
        dev.make_venv(clone / ".venv", fix="python3 dev.py test")

    assert error.value.fix.removeprefix("sudo ") == "apt-get install python3-venv; python3 dev.py test"


def test_the_first_failing_stage_ends_the_run_and_the_table_shows_all(
    installed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dev, "VENV", dev.ROOT / ".venv")
    monkeypatch.setattr(dev, "set_up", lambda lock, *, fix: Path(sys.executable))
    monkeypatch.setattr(
        dev, "STAGES", (stage("lint", "print(7)"), stage("types", "exit(3)"), stage("tests", "exit(4)"))
    )

    assert dev.main(["test"]) == 3

    printed = capsys.readouterr()
    words = [line.split() for line in printed.out.splitlines()[-6:]]
    assert [(row[0], row[2:]) for row in words] == [
        ("stage", ["result"]),
        ("set-up", ["ready"]),
        ("lint", ["7"]),
        ("types", ["FAILED"]),
        ("tests", ["not", "run"]),
        ("total", []),
    ]
    assert printed.err.endswith("to fix or repeat: python3 dev.py test types\n")


def stage(name: str, code: str) -> dev.Stage:
    return dev.Stage(name, "", lambda python: dev.run_copying([python, "-c", code]))


def test_ctrl_c_waits_for_what_runs_and_ends_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    code = "import os, signal, sys; os.kill(os.getppid(), signal.SIGINT); sys.stdin.read(); print('tidied'); exit(2)"
    monkeypatch.setitem(dev.COMMANDS, "demo", lambda arguments: print(dev.run_copying([sys.executable, "-c", code])))

    assert dev.main(["demo"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


def test_an_unknown_stage_or_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert dev.main(["test", "typos"]) == 2
    assert dev.main(["tets"]) == 2
    assert dev.main(["clean", "all"]) == 2
    assert "no such stage: typos" in capsys.readouterr().err


def test_every_command_is_in_the_list_and_in_the_makefile(capsys: pytest.CaptureFixture[str]):
    makefile = (Path(dev.__file__).parent / "Makefile").read_text()

    assert dev.main([]) == 0

    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert listed == dev.COMMANDS.keys()
    assert [name for name in dev.COMMANDS if f" {name} " not in makefile.replace("\n", " ")] == []


def test_what_a_wheel_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "src" / "tasktrail").mkdir(parents=True)
    (tmp_path / "src" / "tasktrail" / "py.typed").touch()
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    with zipfile.ZipFile(tmp_path / "x.whl", "w"):
        pass

    with pytest.raises(dev.Failed, match=r"the wheel lacks tasktrail/py\.typed"):
        dev.check_contents(tmp_path / "x.whl")
