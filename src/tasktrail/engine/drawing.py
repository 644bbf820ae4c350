"""From where a run stands to what is drawn of it: steps with their parts as one node."""

from __future__ import annotations

from tasktrail.engine.situation import Situation
from tasktrail.formats.drawing import Arrow, Drawing, Node
from tasktrail.model.parts import Group, grouped


def drawing_of(seen: Situation) -> Drawing:
    """Return what there is to draw of a run: a mapped step is one node with its parts counted."""
    groups = grouped(seen.tasks)
    nodes = [_node(seen, group) for group in groups]
    stands_for = {task.id: group.task.id for group in groups for task in (group.task, *group.parts)}
    arrows: dict[tuple[int, int], bool] = {}
    for task in seen.tasks:
        for edge in seen.needs.get(task.id, ()):
            since, to = stands_for.get(edge.needed_id or 0), stands_for[task.id]
            if since is not None and since != to:
                arrows[since, to] = arrows.get((since, to), True) and edge.optional
    status = f"{seen.run.status}, paused" if seen.run.paused else seen.run.status
    return Drawing(f"{seen.reference} ({status})", nodes, [Arrow(*pair, optional) for pair, optional in arrows.items()])


def _node(seen: Situation, group: Group) -> Node:
    task = group.task
    if group.parts:
        failed = sum(part.status == "failed" for part in group.parts)
        note = f"[{group.n_done}/{len(group.parts)}]" + (f" {failed} failed" if failed else "")
        return Node(task.id, seen.name(task), group.speaker.status, note)
    return Node(task.id, seen.name(task), task.status, f"try {task.tries + 1}" if task.retrying else "")
