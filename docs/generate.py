"""Writes the generated parts of the documentation anew (`python3 dev.py docs`; with --check it only compares).

A generated part stands between two comments of a page; the first names the function that returns its text:

    <!-- generated: docs.parts:verbs -->
    …
    <!-- end generated -->
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PART = re.compile(
    r"(?P<head>^<!-- generated: (?P<module>[\w.]+):(?P<function>\w+) -->\n).*?(?P<foot>^<!-- end generated -->$)",
    re.MULTILINE | re.DOTALL,
)


def pages() -> list[Path]:
    """Return the pages that may hold generated parts."""
    return [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if path.exists()]


def renewed(text: str) -> str:
    """Return the text of a page with its generated parts as they should be now.

    Raises:
        ValueError: A part begins and does not end.
    """
    if text.count("\n<!-- generated: ") + text.startswith("<!-- generated: ") != len(PART.findall(text)):
        raise ValueError("a generated part has no end, or its first line is not `<!-- generated: module:function -->`")
    return PART.sub(lambda part: part["head"] + body(part["module"], part["function"]) + part["foot"], text)


def body(module: str, function: str) -> str:
    """Return what a function says now, with empty lines around it, as Markdown wants it between comments."""
    text = str(getattr(importlib.import_module(module), function)())
    return f"\n{text.strip()}\n\n"


def main(arguments: Sequence[str]) -> int:
    """Renew all pages; with --check change nothing, and return 1 when one is not current."""
    stale = 0
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = renewed(old)
        if new == old:
            continue
        stale += 1
        if "--check" not in arguments:
            page.write_text(new, encoding="utf-8")
        sys.stdout.write(f"{'stale' if '--check' in arguments else 'written'}: {page.relative_to(ROOT)}\n")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # parts live in docs/ and are named from the project's folder
    sys.exit(main(sys.argv[1:]))
