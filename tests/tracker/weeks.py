"""A week's file as the document has it, with what people write beside, and how to look at what became of it."""

from __future__ import annotations

from pathlib import Path

from tasktrail.engine.verification import verify
from tasktrail.testing.document_contract import assert_agree
from tasktrail.tracker import YAMLTrackerBackend, get_tracker

SAMPLE = """\
# Week A: who is late?
items:
  ProjectA:  # the first one
    tasks:
      research:
        status: completed
        started_at: "2026-02-01T10:00:00"
        completed_at: "2026-02-01T10:05:00"
        output_file: research/projecta.yaml
        agent: researcher
      content:
        status: pending
        agent: writer  # Ann, really
    removed: false
  ProjectB:
    tasks:
      research:
        status: in_progress
        started_at: "2026-02-01T10:10:00"
        agent: researcher
    removed: false

week_tasks:
  tasks:
    blog_post:
      status: pending
      agent: writer

metadata:
  created_at: "2026-02-01T09:00:00"
  week_letter: A
  last_synced: "2026-02-01T10:00:00"
  etl_item_count: 2
# the end
"""


def file_of(week: str = "00-A", name: str = "tracker.yaml") -> Path:
    """The file of a week in the folder of a test."""
    path = Path("data/weeks", week, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def written(text: str = SAMPLE) -> YAMLTrackerBackend:
    """Write a file of week A, and return a tracker of its folder."""
    file_of().write_bytes(text.encode())
    tracker = get_tracker()
    assert isinstance(tracker, YAMLTrackerBackend)
    return tracker


def known(text: str = SAMPLE) -> YAMLTrackerBackend:
    """Return a tracker whose store knows the file already, which stays as it was written."""
    tracker = written(text)
    tracker.sync_with_etl("Z", [])  # the store is made
    tracker.load_tracker("A")
    assert file_of().read_bytes().decode() == text
    return tracker


def text_now() -> str:
    return file_of().read_bytes().decode()


def edit(old: str, new: str) -> None:
    """Change the file as an editor does."""
    text = text_now()
    assert text.count(old) == 1, old
    part = file_of().with_name("tracker.yaml.editor")
    part.write_bytes(text.replace(old, new).encode())
    part.replace(file_of())


def sound(tracker: YAMLTrackerBackend) -> None:
    """Fail unless the store's history folds to its rows, and file and store say the same."""
    ledger = tracker.opened("A").ledger
    assert verify(ledger.store) == []
    assert_agree(ledger, file_of())
