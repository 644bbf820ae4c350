"""Plans with everything that a task can have, for the formats that lose nothing."""

from __future__ import annotations

from hypothesis import strategies as st

from tasktrail.model.errors import BadInput
from tasktrail.model.plan import Move, Note, PlanTask
from tasktrail.model.reference import check_key
from tasktrail.model.task import STATUSES

EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999


def _is_key(text: str) -> bool:
    try:
        return bool(check_key(text))
    except BadInput:
        return False


MARKUP = st.text("`\"\\'[]xT1:-_ #*>\n\r\t\u2028\xa0é=+@,;{}", min_size=1, max_size=12)
keys = (MARKUP | st.text(min_size=1, max_size=12)).filter(_is_key)
texts = MARKUP | st.text(min_size=1, max_size=20)
maybe = st.none() | texts
times = st.integers(EARLIEST, LATEST)
maybe_times = st.none() | times
statuses = st.sampled_from(STATUSES)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | MARKUP,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
tasks = st.builds(
    PlanTask,
    key=keys,
    title=texts,
    status=statuses,
    priority=st.integers(-(2**31) + 1, 2**31 - 1),
    needs=st.lists(MARKUP | st.text(max_size=8), max_size=3).map(tuple),
    result=maybe,
    error=maybe,
    reason=maybe,
    attempts=st.integers(0, 2**31 - 1),
    created_at=maybe_times,
    updated_at=maybe_times,
    started_at=maybe_times,
    completed_at=maybe_times,
    status_updated_at=maybe_times,
    notes=st.lists(st.builds(Note, MARKUP | st.text(max_size=8), maybe_times, maybe), max_size=2).map(tuple),
    history=st.lists(st.builds(Move, times, statuses, statuses, maybe), max_size=2).map(tuple),
    extra=st.dictionaries(MARKUP | st.text(max_size=8), json_values, max_size=3),
)
plans = st.lists(tasks, max_size=4, unique_by=lambda task: task.key)
