"""The benchmarks run: every subject answers with one line of JSON, what is missing is named. Nothing is timed here."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PEERS = {
    "dbos": ("dbos",),
    "langgraph": ("langgraph", "langgraph-checkpoint-sqlite"),
    "burr": ("burr",),
    "luigi": ("luigi",),
}
OURS = [
    "raw-chain",
    "tasktrail-chain-inline",
    "tasktrail-chain-threads",
    "tasktrail-fan-inline",
    "tasktrail-fan-threads",
    "tasktrail-import",
    "tasktrail-list-runs",
    "tasktrail-long",
    "tasktrail-many-runs",
    "tasktrail-resume",
    "tasktrail-resume-long",
    "tasktrail-run-file",
    "tasktrail-run-file-large",
    "tasktrail-runs",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one quick run of the raw limit and Tasktrail wrote."""
    folder = tmp_path_factory.mktemp("bench")
    done = bench(folder, "--only", "raw", "--only", "tasktrail")
    assert done.returncode == 0, done.stderr
    return written(folder)


@pytest.mark.parametrize("subject", OURS)
def test_subject_is_measured(report: dict[str, Any], subject: str) -> None:
    (reading,) = report["readings"][subject]
    assert reading["n"] >= 1
    assert reading["seconds"] > 0
    assert reading["per_second"] == pytest.approx(reading["n"] / reading["seconds"])
    assert reading["peak_rss_mb"] > 1


def test_every_subject_of_ours_is_listed_here(report: dict[str, Any]) -> None:
    assert sorted(report["readings"]) == OURS


@pytest.mark.requirement("BL-066")
def test_the_write_of_a_run_file_is_judged(report: dict[str, Any]) -> None:
    figure = figures(report)["run file of 20 steps: one write"]
    assert figure["verdict"] == ("ok" if figure["value"] <= 0.010 else "short")


def test_raw_limit_is_synchronous_full(report: dict[str, Any]) -> None:
    (reading,) = report["readings"]["raw-chain"]
    assert reading["settings"] == "wal, synchronous=full"


def test_ratio_is_of_the_same_run(report: dict[str, Any]) -> None:
    rate = {name: readings[0]["per_second"] for name, readings in report["readings"].items()}
    figure = figures(report)["chain inline ÷ raw"]
    assert figure["value"] == pytest.approx(rate["tasktrail-chain-inline"] / rate["raw-chain"])
    assert figure["verdict"] == ("ok" if figure["value"] >= 0.6 else "short")


def test_figure_of_a_peer_that_was_left_out_says_so(report: dict[str, Any]) -> None:
    figure = figures(report)["chain inline ÷ DBOS"]
    assert (figure["value"], figure["verdict"]) == (None, "dbos-chain not measured")


def test_readme_explains_every_figure(report: dict[str, Any]) -> None:
    readme = (BENCHMARKS / "README.md").read_text("utf-8")
    assert [says for says in figures(report) if says not in readme] == []


def test_subject_prints_one_line_of_json(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "subject.py"), "raw-chain", "50", str(tmp_path)]
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert line.count("\n") == 1
    assert {"n", "seconds", "per_second", "peak_rss_mb"} <= json.loads(line).keys()


@pytest.mark.parametrize("peer", PEERS)
def test_peer_is_measured_where_installed_and_named_where_not(tmp_path: Path, peer: str) -> None:
    done = bench(tmp_path, "--only", peer)
    absent = [name for name in PEERS[peer] if not is_installed(name)]
    assert done.returncode == 0, done.stderr
    if absent:
        assert written(tmp_path)["readings"] == {}
        assert all(reason.endswith("not installed") for reason in written(tmp_path)["missing"].values())
        assert f"{peer}-chain" in done.stdout
    else:
        assert f"{peer}-chain" in written(tmp_path)["readings"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    bench(tmp_path, "--only", "raw")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "chian")
    assert done.returncode == 2
    assert "no such scenario, family or subject: chian; there are: burr, burr-chain" in done.stderr


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--folder", str(folder / "scratch")]
    return subprocess.run([*command, "--json", str(folder / "report.json"), *arguments], capture_output=True, text=True)


def written(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return report


def figures(report: dict[str, Any]) -> dict[str, Any]:
    return {figure["says"]: figure for figure in report["figures"]}


def is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
