"""Measure one subject in this process and print one line of JSON: `subject.py NAME N FOLDER`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(name: str, n: str, folder: str) -> None:
    family = name.partition("-")[0]
    subjects = importlib.import_module(f"subjects_{family}").SUBJECTS
    print(json.dumps(subjects[name](int(n), Path(folder)).to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
