"""Codecs: one per kind of document, found by the name under which a document was attached."""

from __future__ import annotations

from typing import Final

from tasktrail.formats.picture import Codec
from tasktrail.model.errors import BadInput

__all__ = ["PLAN_CODEC", "TRACKER_CODECS", "TRACKER_JSON_CODEC", "TRACKER_YAML_CODEC", "codec"]

PLAN_CODEC: Final = "plan-json@1"
"""Of the files that people and agents edit between two commands."""
TRACKER_YAML_CODEC: Final = "tracker-yaml@1"
TRACKER_JSON_CODEC: Final = "tracker-json@1"
TRACKER_CODECS: Final = (TRACKER_YAML_CODEC, TRACKER_JSON_CODEC)
_NAMES: Final = ("run-json@1", PLAN_CODEC, *TRACKER_CODECS)


def codec(name: str) -> Codec:
    """Return the codec of this name; it is loaded at its first use.

    Raises:
        BadInput: This version of Tasktrail has no such codec.
    """
    if name == "run-json@1":
        from tasktrail.formats.run_json import RUN_JSON

        return RUN_JSON
    if name == PLAN_CODEC:
        from tasktrail.formats.plan_codec import PLAN_JSON

        return PLAN_JSON
    if name in TRACKER_CODECS:
        from tasktrail.formats.tracker_codec import TRACKER_JSON, TRACKER_YAML

        return TRACKER_YAML if name == TRACKER_YAML_CODEC else TRACKER_JSON
    raise BadInput(f"expected a codec to be {' or '.join(_NAMES)}, got: {name[:60]!r}", hint="upgrade Tasktrail")
