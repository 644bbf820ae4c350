"""The tests of the MCP server execute every line of it; what serves a transport is executed in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import SOURCES, environment

HERE = Path(__file__).resolve().parent
FILES = ("agents", "asking", "client_config", "executions", "hints", "limits", "offer", "rare", "resources", "updates")
SLOW = ("no_page_has", "of_the_sources", "shipped", "environment", "can_be_read", "can_be_had", "pasted")
"""They execute nothing that others do not, or in another process."""
ELSEWHERE = {"conformance.py", "http.py", "stdio.py"}
SETTINGS = """\
[run]
source = {sources}/tasktrail/mcp,{sources}/tasktrail/executions
data_file = coverage
core = ctrace
[report]
exclude_also =
    if TYPE_CHECKING:
"""


@pytest.mark.requirement("AX-104")
def test_every_line_of_the_server_is_executed():
    Path("settings").write_text(SETTINGS.format(sources=SOURCES), encoding="utf-8")
    coverage = [sys.executable, "-m", "coverage"]
    chosen = [str(HERE / f"test_{name}.py") for name in FILES]
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", " and ".join(f"not {one}" for one in SLOW), *chosen]
    root = HERE.parent.parent
    done = subprocess.run(
        [*coverage, "run", f"--rcfile={Path.cwd() / 'settings'}", f"--data-file={Path.cwd() / 'coverage'}", *tests],
        cwd=root, env=environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    subprocess.run([*coverage, "json", "-q", "--rcfile=settings", "-o", "found.json"], check=True, timeout=60)

    files = json.loads(Path("found.json").read_text(encoding="utf-8"))["files"]
    missing = {
        Path(name).name: found["missing_lines"]
        for name, found in files.items()
        if found["missing_lines"] and _is_of_the_server(Path(name))
    }
    assert missing == {}


def _is_of_the_server(path: Path) -> bool:
    if path.parent.name == "executions":
        return path.name in ("answers.py", "tools.py")
    return path.parent.name == "mcp" and path.name not in ELSEWHERE
