"""The official conformance suite finds nothing wrong with our server, in both eras of the protocol."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.mcp import node, serving

EXPECTED: Final = Path(__file__).parent / "conformance-expected.yaml"


@pytest.fixture(scope="session")
def suite() -> list[str]:
    return node.program("@modelcontextprotocol/conformance/dist/index.js")


@pytest.mark.parametrize(
    ("revision", "scenarios"), [("2025-11-25", 33), ("2026-07-28", 50)], ids=["handshake", "stateless"]
)
def test_the_conformance_suite_passes_but_for_what_is_expected(suite: list[str], revision: str, scenarios: int):
    arguments = ["server", "--requirements", revision, "--expected-failures", str(EXPECTED), "-o", "found"]
    with serving.served("--conformance-fixtures") as server:
        url = server.url
        command = [*suite, *arguments, "--url", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    # It judges what the revision requires, and runs more.
    assert done.returncode == 0, done.stdout.partition("=== SUMMARY ===")[2] + done.stderr
    found = findings(Path("found"))
    assert len(found) == scenarios
    assert {name for name, statuses in found.items() if statuses & {"FAILURE", "WARNING"}} == expected() & found.keys()


def findings(folder: Path) -> dict[str, set[str]]:
    """Return the statuses of the checks of each scenario: its folder is named for the scenario and the time."""
    return {
        re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", path.parent.name): {
            check["status"] for check in json.loads(path.read_text())
        }
        for path in folder.glob("*/checks.json")
    }


def expected() -> set[str]:
    return set(yaml.safe_load(EXPECTED.read_text())["server"])
