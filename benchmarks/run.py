"""Measure Tasktrail against the raw limit and its peers: `python benchmarks/run.py`; see README.md beside it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from plan import FAMILIES, SCENARIOS, chosen
from processes import measure
from reporting import as_json, as_text


def main() -> int:
    options = _parser().parse_args()
    try:
        subjects = chosen(options.only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    repeats = 1 if options.quick else options.repeats
    results = measure(subjects, options.folder, repeats=repeats, quick=options.quick, tell=_tell)
    print(as_text(results, repeats=repeats, quick=options.quick))
    if options.json:
        record = as_json(results, repeats=repeats, quick=options.quick)
        options.json.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 1 if results.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure Tasktrail against the raw limit and its peers.")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a scenario ({', '.join(SCENARIOS)}), a family ({', '.join(FAMILIES)}) or a subject; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, once: only to see that it runs")
    parser.add_argument("--repeats", type=int, default=3, help="how often each subject is measured (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured as JSON")
    parser.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="where subjects write (default .bench); must be a real disk"
    )
    return parser


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
