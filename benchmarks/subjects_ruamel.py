"""The same update as `tracker-update`, by ruamel.yaml, which keeps comments too: load, change, dump, durably."""

from __future__ import annotations

import io
import statistics
from pathlib import Path

from measuring import Reading, peak_rss_mb, timed
from shapes import tracker_text
from subjects_planfile import replace_durably

UPDATES = 6


def update(n: int, folder: Path) -> Reading:
    from ruamel.yaml import YAML

    file = folder / "tracker.yaml"
    file.write_text(tracker_text(n), "utf-8")
    yaml, seconds = YAML(), []
    for index in range(UPDATES):
        with timed() as watch:
            tracker = yaml.load(file.read_text("utf-8"))
            tracker["items"][f"Project{index}"]["tasks"]["research"]["status"] = "in_progress"
            text = io.StringIO()
            yaml.dump(tracker, text)
            replace_durably(file, text.getvalue())
        seconds.append(watch.seconds)
    return Reading(1, statistics.median(seconds), peak_rss_mb(), f"file and folder synced; {n:,} items")


SUBJECTS = {"ruamel-update": update}
