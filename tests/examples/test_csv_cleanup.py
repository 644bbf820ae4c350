"""The example `csv-cleanup`, by the command line: through the gate, refused, edited by hand, and with another table."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "csv-cleanup"
FLOW = EXAMPLE / "csv-cleanup.yaml"
OUT = Path("example-out", "csv-cleanup", "r1")

pytestmark = pytest.mark.requirement("BL-105")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def statuses(spawn: Call) -> dict[str, Any]:
    tasks = spawn("run", "dag", "--status", "r1", "--json").data["tasks"]
    return {task["key"]: task["status"] for task in tasks}


@pytest.fixture
def asked(spawn: Call) -> list[dict[str, str]]:
    """A run that stands at the gate; what it proposes."""
    done = spawn("run", "dag", str(FLOW), "--run-id", "r1", "--no-wait")
    assert done.code == 0, done.err
    assert "corrections, 3 open questions" in done.err
    assert "tasktrail complete r1:approve\nthen: tasktrail resume r1" in done.err
    assert not (OUT / "cleaned.csv").exists()
    return rows(OUT / "corrections.csv")


def test_what_a_person_approved_is_applied_and_the_totals_hold(asked: list[dict[str, str]], spawn: Call) -> None:
    assert spawn("complete", "r1:approve").code == 0
    done = spawn("resume", "r1")

    assert done.code == 0, done.err
    assert set(statuses(spawn).values()) == {"completed"}
    before, after = rows(EXAMPLE / "timezones.csv"), rows(OUT / "cleaned.csv")
    assert (len(before), len(after)) == (168, 164)
    assert {row["area"] for row in after} == {"Africa", "America", "Australia", "Europe"}
    assert all(row["city"] == row["city"].strip() and row["country"].isupper() for row in after)
    assert "Windhoek,NA,-22.57" in (OUT / "cleaned.csv").read_text("utf-8")
    assert sum(float(row["latitude"]) for row in after) == pytest.approx(4120.92)
    assert f"Done: {len(asked) - 3 - 4} cells changed, 4 rows dropped" in (OUT / "report.md").read_text("utf-8")
    assert "-America,Asuncion,py,-25.27" in (OUT / "changes.patch").read_text("utf-8")
    assert spawn("doctor", "--verify").code == 0


@pytest.mark.parametrize("answer", ['"no"', "false"])
def test_what_a_person_refused_is_not_applied(asked: list[dict[str, str]], spawn: Call, answer: str) -> None:
    assert spawn("complete", "r1:approve", "--value", answer).code == 0
    done = spawn("resume", "r1")

    assert done.code == 0, done.err
    found = statuses(spawn)
    assert {key for key, status in found.items() if status == "skipped"} == {"apply", "verify", "patch"}
    assert not (OUT / "cleaned.csv").exists()
    assert "They were refused; nothing was changed." in (OUT / "report.md").read_text("utf-8")


def test_a_person_may_leave_out_corrections_and_answer_questions(asked: list[dict[str, str]], spawn: Call) -> None:
    edited = [row for row in asked if row["column"] != "country"]
    question = next(row for row in edited if row["was"] == "01/02/1895")
    question["becomes"] = "1895-02-01"
    write(edited)

    spawn("complete", "r1:approve")
    done = spawn("resume", "r1")

    assert done.code == 0, done.err
    cleaned = (OUT / "cleaned.csv").read_text("utf-8")
    assert "\nAmerica,Asuncion,py," in cleaned
    assert "\nAustralia,Broken Hill,AU,-31.95,141.45,33948,1895-02-01\n" in cleaned


def test_a_slip_of_the_person_is_named_and_can_be_mended(asked: list[dict[str, str]], spawn: Call) -> None:
    write([{**asked[0], "was": "Asia"}, *asked[1:]])
    spawn("complete", "r1:approve")

    failed = spawn("resume", "r1")

    assert failed.code == 5
    assert "line 10: corrections.csv says that area was 'Asia', but it is 'AFRICA'" in spawn("explain", "r1").out
    write(asked)
    again = spawn("retry", "r1:apply")
    assert again.code == 0, again.err
    assert set(statuses(spawn).values()) == {"completed"}


def test_a_table_that_is_clean_asks_nobody(spawn: Call) -> None:
    Path("own.csv").write_text("name,size,note\na,1.5,\nb,2,x\n", "utf-8")

    done = spawn(
        "run", "dag", str(FLOW), "--run-id", "r1", "--no-wait", "-p", "file=own.csv", "-p", 'columns={"size": "number"}'
    )

    assert done.code == 0, done.err
    assert statuses(spawn)["approve"] == "skipped"
    assert (OUT / "cleaned.csv").read_bytes() == Path("own.csv").read_bytes()
    assert "Verified sums: size 3.5." in (OUT / "report.md").read_text("utf-8")


def test_numbers_that_got_lost_fail_the_verification(asked: list[dict[str, str]], spawn: Call) -> None:
    spawn("complete", "r1:approve")
    assert spawn("resume", "r1").code == 0
    cleaned = OUT / "cleaned.csv"
    cleaned.write_text(cleaned.read_text("utf-8").replace("-968", "-967"), "utf-8")

    assert spawn("reopen", "r1:verify").code == 0
    failed = spawn("resume", "r1")

    assert failed.code == 5
    assert "the sum of mean_time is" in spawn("explain", "r1").out


def test_the_samples_in_its_docstrings_are_true() -> None:
    done = subprocess.run([sys.executable, "-m", "doctest", "-v", str(EXAMPLE / "cleanup.py")], capture_output=True)

    assert (done.returncode, b"2 passed and 0 failed" in done.stdout) == (0, True)


def write(corrections: list[dict[str, str]]) -> None:
    """Write corrections.csv as a person would have left it."""
    with (OUT / "corrections.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(corrections[0]))
        table.writeheader()
        table.writerows(corrections)
