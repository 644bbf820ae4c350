"""The files of `deploy/`: they parse, name only what there is, agree with each other, and hold no secret."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tasktrail.cli.health import doctor_command
from tasktrail.cli.worker import worker_command
from tasktrail.config import SETTINGS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "tasktrail-worker@.service"
IMAGE = DEPLOY / "Containerfile"
COMMANDS: dict[str, click.Command] = {"worker": worker_command, "doctor": doctor_command}


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read_string(UNIT.read_text())
    return parser


def of_image(word: str) -> list[str]:
    """Return what follows a word of the container file, of its last stage."""
    last = IMAGE.read_text().replace("\\\n", " ").rpartition("\nFROM ")[2]
    return re.findall(rf"^{word} +(.+)$", last, re.MULTILINE)


def pod() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (only,) = pod()["containers"]
    assert isinstance(only, dict)
    return only


def commands() -> dict[str, list[str]]:
    """Return every command of these files, as it is executed for the queue `default`."""
    (entry,), (arguments,) = of_image("ENTRYPOINT"), of_image("CMD")
    return {
        "unit": shlex.split(unit()["Service"]["ExecStart"].replace("%i", "default")),
        "image": [*json.loads(entry), *json.loads(arguments)],
        "manifest": [*json.loads(entry), *container()["args"]],
        "probe": container()["readinessProbe"]["exec"]["command"],
    }


@pytest.mark.parametrize("where", ["unit", "image", "manifest", "probe"])
def test_each_command_and_option_is_one_of_ours(where: str) -> None:
    _, name, *options = commands()[where]
    COMMANDS[name].make_context(name, options)


def test_unit_image_and_manifest_start_the_same_worker() -> None:
    found = commands()
    assert found["unit"] == found["image"] == found["manifest"]
    assert found["probe"][0] == found["unit"][0]


def test_a_worker_is_killed_only_after_its_grace_and_a_write_that_waits() -> None:
    options = commands()["unit"]
    busy_s = next(one.default for one in SETTINGS if one.name == "store.busy_timeout_s")
    longest_s = float(options[options.index("--grace") + 1]) + float(str(busy_s))
    assert pod()["terminationGracePeriodSeconds"] == int(unit()["Service"]["TimeoutStopSec"]) > longest_s


def test_the_signal_reaches_the_worker_and_not_its_steps() -> None:
    service = unit()["Service"]
    assert (service["KillSignal"], service["KillMode"]) == ("SIGTERM", "mixed")
    assert of_image("STOPSIGNAL") == ["SIGTERM"]


def test_nothing_runs_as_root() -> None:
    (user,) = of_image("USER")
    security = pod()["securityContext"]
    assert unit()["Service"]["User"] == "tasktrail"
    assert security["runAsNonRoot"] is True
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}" == "10001:10001"
    assert container()["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_image_is_made_of_what_there_is_each_file_against_its_hash() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", IMAGE.read_text(), re.MULTILINE)
    assert [name for line in copied for name in line.split() if not (ROOT / name).exists()] == []
    (lock,) = re.findall(r"--require-hashes .*-r (\S+)", IMAGE.read_text())
    pinned = re.findall(r"^([\w.-]+)==.*(?:\n +--hash=sha256:.+)+", (ROOT / lock).read_text(), re.MULTILINE)
    assert {"apsw", "hatchling", "psycopg", "psycopg-binary"} <= set(pinned)
    assert len(pinned) == len(re.findall(r"^\w", (ROOT / lock).read_text(), re.MULTILINE))


def test_no_file_holds_a_secret_or_a_place_for_one() -> None:
    for path in DEPLOY.iterdir():
        assert not re.search(r"password|passwd|changeme|postgres(ql)?://|^\s*(ARG|ENV) ", path.read_text(), re.I | re.M)
    (variable,) = container()["env"]
    assert variable == {
        "name": "TASKTRAIL_STORE",
        "valueFrom": {"secretKeyRef": {"name": "tasktrail-store", "key": "url"}},
    }


@pytest.mark.platform_only("systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze (Debian: systemd)")
    program = shlex.split(unit()["Service"]["ExecStart"])[0]
    Path("tasktrail-worker@default.service").write_text(UNIT.read_text().replace(program, sys.executable))
    command = ["systemd-analyze", "verify", "./tasktrail-worker@default.service"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
