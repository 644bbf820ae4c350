"""The benchmarks run: every subject answers with one line of JSON, what is missing is named. Nothing is timed here."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PEERS = {
    "dbos": ("dbos",),
    "langgraph": ("langgraph", "langgraph-checkpoint-sqlite"),
    "burr": ("burr",),
    "luigi": ("luigi",),
    "dbosserver": ("dbos",),
    "procrastinate": ("procrastinate",),
}
OURS = [
    "backfill-results",
    "backfillraw-results",
    "byhand-batches",
    "byhand-chain",
    "decorators-chain",
    "decorators-fan",
    "decorators-runs",
    "executions-create",
    "executions-lastfailed",
    "executions-list",
    "executions-one",
    "executions-trace",
    "executionsraw-create",
    "executionsraw-one",
    "mcp-claims",
    "mcp-clients",
    "mcp-errors",
    "mcp-lastfailed",
    "mcp-list",
    "mcp-start",
    "mcp-trace",
    "mcpbare-errors",
    "mcpbare-lastfailed",
    "mcpbare-list",
    "mcpbare-start",
    "mcpbare-trace",
    "mcpraw-errors",
    "mcpraw-lastfailed",
    "mcpraw-list",
    "mcpraw-trace",
    "plan-call",
    "plan-call-large",
    "plan-create",
    "plan-create-large",
    "plan-cycles",
    "plan-cycles-large",
    "plan-mark-file",
    "plan-next",
    "planfile-cycles",
    "planraw-cycles",
    "postgres-batches",
    "postgres-chain",
    "postgres-idle",
    "postgres-waiting",
    "postgres-workers",
    "raw-chain",
    "scrub-hostile",
    "scrub-lines",
    "scrub-log",
    "scrub-mail",
    "scrub-prose",
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
    "workers-sqlite",
    "workers-take-over",
    "workflow-command",
    "workflow-expansion",
    "workflow-watch",
    "yaml-chain",
    "yaml-fan",
    "yaml-load",
    "yaml-parse",
    "yaml-runs",
]
RATIOS = {
    "chain inline ÷ raw": ("tasktrail-chain-inline", "raw-chain", 0.6),
    "chain: file ÷ runner": ("yaml-chain", "tasktrail-chain-inline", 0.9),
    "chain: decorators ÷ runner": ("decorators-chain", "tasktrail-chain-inline", 0.9),
    "fan-out: file ÷ runner": ("yaml-fan", "tasktrail-fan-inline", 0.9),
    "fan-out: decorators ÷ runner": ("decorators-fan", "tasktrail-fan-inline", 0.9),
    "runs of 5: file ÷ runner": ("yaml-runs", "tasktrail-runs", 0.9),
    "runs of 5: decorators ÷ runner": ("decorators-runs", "tasktrail-runs", 0.9),
    "plan of 10,000: cycles ÷ raw": ("plan-cycles", "planraw-cycles", 0.55),
    "plan of 100,000: cycles ÷ raw": ("plan-cycles-large", "planraw-cycles", 0.55),
    "scrubbing a log ÷ one pattern of e-mail": ("scrub-log", "scrub-mail", 0.2),
    "scrubbing: slowest hostile text ÷ a log": ("scrub-hostile", "scrub-log", 0.1),
    "on PostgreSQL, chain ÷ by hand": ("postgres-chain", "byhand-chain", 0.6),
    "on PostgreSQL, 4 connections ÷ by hand": ("postgres-batches", "byhand-batches", 0.5),
    "on PostgreSQL, 8 workers ÷ by hand": ("postgres-workers", "byhand-batches", 0.4),
}
AT_MOST = {
    "command step, above a bare start": ("workflow-command", "seconds", 0.003),
    "for_each of 10,000: to expand": ("workflow-expansion", "seconds", 0.5),
    "for_each of 10,000: memory": ("workflow-expansion", "peak_rss_mb", 20),
    "watch of 5,000 steps: share of a core": ("workflow-watch", "seconds", 0.05),
    "on PostgreSQL, claim where 1,000,000 wait": ("postgres-waiting", "seconds", 0.020),
    "on PostgreSQL, 64 idle workers: share of a core": ("postgres-idle", "seconds", 0.02),
    "MCP, claim and finish, p95": ("mcp-claims", "seconds", 0.020),
    "MCP, start to first answer": ("mcp-start", "seconds", 1.5),
    "JSON file of 1,000: one mark": ("plan-mark-file", "seconds", 0.020),
    "plan of 10,000: slowest calls": ("plan-call", "seconds", 0.010),
    "plan of 100,000: slowest calls": ("plan-call-large", "seconds", 0.010),
    "plan of 100,000: to create": ("plan-create-large", "seconds", 5.0),
    "next on a plan of 10,000": ("plan-next", "seconds", 0.150),
    "on SQLite, a dead worker's step taken up": ("workers-take-over", "seconds", 1.0),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one quick run of the raw limit and Tasktrail wrote; one for all processes that execute tests together."""
    together = tmp_path_factory.getbasetemp()
    folder = (together.parent if "PYTEST_XDIST_WORKER" in os.environ else together) / "bench"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            run_all(folder)
            (folder / "done").touch()
    return written(folder)


def run_all(folder: Path) -> None:
    """Measure everything of ours, quickly."""
    ours = ("raw", "tasktrail", "yaml", "decorators", "workflow", "workers", "postgres", "byhand")
    more = (
        "backfill",
        "backfillraw",
        "executions",
        "executionsraw",
        "mcp",
        "mcpbare",
        "mcpraw",
        "plan",
        "planraw",
        "planfile",
        "scrub",
    )
    families = (*ours, *more)
    done = bench(folder, *(word for family in families for word in ("--only", family)))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("subject", OURS)
def test_subject_is_measured(report: dict[str, Any], subject: str) -> None:
    (reading,) = report["readings"][subject]
    assert reading["n"] >= 1
    assert reading["seconds"] > 0
    assert reading["per_second"] == pytest.approx(reading["n"] / reading["seconds"])
    assert subject == "workflow-expansion" or reading["peak_rss_mb"] > 1  # of a small list it may be nothing


def test_every_subject_of_ours_is_listed_here(report: dict[str, Any]) -> None:
    assert sorted(report["readings"]) == OURS


@pytest.mark.requirement("BL-066")
def test_the_write_of_a_run_file_is_judged(report: dict[str, Any]) -> None:
    figure = figures(report)["run file of 20 steps: one write"]
    assert figure["verdict"] == ("ok" if figure["value"] <= 0.010 else "short")


@pytest.mark.parametrize(
    ("says", "asked"),
    [
        pytest.param("1,000,000 executions: a list, p99", 0.005, marks=pytest.mark.requirement("AX-108")),
        pytest.param("1,000,000 executions: a trace, p99", 0.001, marks=pytest.mark.requirement("AX-109")),
        *(
            pytest.param(f"MCP, {says}, p95", 0.020, marks=pytest.mark.requirement("AX-103"))
            for says in ("a list", "a trace", "last failed", "top errors")
        ),
        pytest.param("backfill of 20,000 files", 5_000, marks=pytest.mark.requirement("AX-077")),
    ],
)
def test_figures_of_executions_are_judged(report: dict[str, Any], says: str, asked: float) -> None:
    figure = figures(report)[says]
    is_kept = figure["value"] <= asked if asked < 1 else figure["value"] >= asked
    assert figure["verdict"] == ("ok" if is_kept else "short")


def test_raw_limit_is_synchronous_full(report: dict[str, Any]) -> None:
    (reading,) = report["readings"]["raw-chain"]
    assert reading["settings"] == "wal, synchronous=full"


def test_server_of_the_benchmark_is_durable(report: dict[str, Any]) -> None:
    settings = [one["settings"] for name in ("postgres-chain", "byhand-batches") for one in report["readings"][name]]
    assert all("fsync=on, synchronous_commit=on" in one for one in settings)


def test_rate_of_workers_is_judged(report: dict[str, Any]) -> None:
    figure = figures(report)["on SQLite, 4 workers"]
    assert figure["value"] == report["readings"]["workers-sqlite"][0]["per_second"]
    assert figure["verdict"] == ("ok" if figure["value"] >= 2_500 else "short")


def test_where_no_server_is_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr("tests.postgres.binaries", without_server)
    family = importlib.import_module("plan").FAMILIES["byhand"]
    assert family.missing() == "no PostgreSQL server: apt-get install postgresql"


@pytest.mark.parametrize("says", RATIOS)
def test_ratio_is_of_the_same_run(report: dict[str, Any], says: str) -> None:
    subject, rival, asked = RATIOS[says]
    rate = {name: readings[0]["per_second"] for name, readings in report["readings"].items()}
    figure = figures(report)[says]
    assert figure["value"] == pytest.approx(rate[subject] / rate[rival])
    assert figure["verdict"] == ("ok" if figure["value"] >= asked else "short")


@pytest.mark.parametrize("says", AT_MOST)
def test_figure_of_a_workflow_is_judged(report: dict[str, Any], says: str) -> None:
    subject, column, asked = AT_MOST[says]
    figure = figures(report)[says]
    assert figure["value"] == report["readings"][subject][0][column]
    assert figure["verdict"] == ("ok" if figure["value"] <= asked else "short")


def test_what_is_not_timed_of_a_workflow_is_told(report: dict[str, Any]) -> None:
    settings = {name: readings[0]["settings"] for name, readings in report["readings"].items()}
    assert re.fullmatch(r"wal, synchronous=full; file read in \d+ ms", settings["yaml-chain"])
    assert re.fullmatch(r"wal, synchronous=full; drawn in \d+ ms", settings["decorators-chain"])
    assert re.fullmatch(r"wal, synchronous=full; bare start \d+\.\d ms", settings["workflow-command"])


def test_one_line_runs_alone(tmp_path: Path) -> None:
    done = bench(tmp_path, "--only", "watch")
    assert list(written(tmp_path)["readings"]) == ["workflow-watch"]
    assert re.search(r"share of a core +\d+\.\d%  +≤ 5\.0%  (ok|short)", done.stdout)


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
    assert "no such scenario, family or subject: chian; there are: backfill, backfill-results, " in done.stderr


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "--folder", str(folder / "scratch")]
    return subprocess.run([*command, "--json", str(folder / "report.json"), *arguments], capture_output=True, text=True)


def without_server() -> Path:
    raise FileNotFoundError("these tests need a PostgreSQL server: apt-get install postgresql")


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
