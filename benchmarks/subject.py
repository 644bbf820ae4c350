"""Measure one subject in this process and print one line of JSON: `subject.py NAME N FOLDER`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(name: str, n: str, folder: str) -> None:
    family = name.partition("-")[0]
    subjects = importlib.import_module(f"subjects_{family}").SUBJECTS
    print(subjects[name](int(n), Path(folder)).to_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
