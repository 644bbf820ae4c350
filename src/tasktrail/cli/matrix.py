"""`matrix`: items × task types as a table, what is ready of them, progress, and lists of items."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.matrix_text import bar, csv_of, lines_of, said, word_of
from tasktrail.cli.session import Group, Session, tell
from tasktrail.cli.text import columns, counted, plain, span
from tasktrail.cli.trackers import GROUP, groups_like, settings_of, tracker_of
from tasktrail.formats.moment import iso_utc as utc
from tasktrail.json_records import cell_record
from tasktrail.model.errors import BadInput, NotFound, TasktrailError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from click.shell_completion import CompletionItem

    from tasktrail.engine.matrix_metrics import Metrics
    from tasktrail.engine.matrix_views import CellView, ItemRow, ReadyCell
    from tasktrail.model.matrix import Synced
    from tasktrail.model.task import Status
    from tasktrail.tracker.backend import TrackerBackend
    from tasktrail.tracker.views import GroupProgress, Table

_SHOW: Final = "show"
_LIMIT: Final = click.IntRange(1, 10_000)
_CURSOR: Final = click.option("--cursor", metavar="CURSOR", help="Go on after the page that named it.")


class MatrixGroup(Group):
    """Commands on matrices; the name of a group alone shows it."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with."""
        known = args[0] in self.commands or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else [_SHOW, *args])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return commands and groups."""
        return [*super().shell_complete(ctx, incomplete), *groups_like(ctx, incomplete)]


@click.group("matrix", cls=MatrixGroup)
def matrix_command() -> None:
    """Show items × task types of a group: of week A `tasktrail matrix A`; and what is ready, and how far all are.

    One cell is a task: `tasktrail start A:ITEM/TYPE`, `complete`, `fail`, `skip`, `show` and `history` take it.
    """


# ------------------------------------------------------------------------------------------------------------ the table


@matrix_command.command(_SHOW, cls=SessionCommand)
@click.argument("group", type=GROUP)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, all items unless --limit is given.")
@click.option("--all", "removed", is_flag=True, help="Items that were removed, too.")
@click.option("--limit", type=_LIMIT, help="Items on a page; 100 when not said.")
@_CURSOR
def show_command(
    session: Session, group: str, as_csv: bool, removed: bool, limit: int | None, cursor: str | None
) -> None:
    """Show where each task of each item stands, and how much is done; `tasktrail matrix GROUP` does the same.

    A task that may start is shown as ready, and one that is completed but stands on what is another now as stale.
    """
    if as_csv and session.json:
        raise click.UsageError("give one of --csv and --json, not both")
    pages = _pages(session, group, limit or (10_000 if as_csv else 100), cursor, removed=removed)
    if as_csv:
        tables = [next(pages)] if limit else list(pages)
        sys.stdout.write(csv_of(tables))
        return
    table = next(pages)
    if session.json:
        emit("matrix@1", _matrix_record(table), table.page.cursor, paged=True)
        return
    sys.stdout.writelines(f"{line}\n" for line in lines_of(table, session.width, session.ink()))
    sys.stdout.flush()
    if not table.page.rows:
        tell(f"no items here; to have some: tasktrail matrix sync FILE --group {table.run.name}")
    _tell_more(f"tasktrail matrix {_SHOW} {table.run.name}{' --all' if removed else ''}", limit, table.page.cursor)


def _pages(session: Session, group: str, limit: int, cursor: str | None, *, removed: bool) -> Iterator[Table]:
    from tasktrail.tracker.exceptions import InvalidWeekError, WeekNotFoundError
    from tasktrail.tracker.views import table_of

    tracker, more = tracker_of(session), True
    while more:
        try:
            table = table_of(tracker, group, limit, cursor, removed=removed)
        except (InvalidWeekError, WeekNotFoundError) as error:
            raise _or_meant(error, group) from None
        yield table
        cursor, more = table.page.cursor, table.page.cursor is not None


def _or_meant(error: TasktrailError, group: str) -> TasktrailError:
    """Who mistypes a command has named a group."""
    close = get_close_matches(group, matrix_command.commands, 1)
    hint = f"tasktrail matrix {close[0]}" if close else f"tasktrail matrix sync FILE --group {group}"
    return type(error)(error.message, hint=hint if close or isinstance(error, NotFound) else error.hint)


def _matrix_record(table: Table) -> dict[str, Any]:
    run, totals = table.run, table.page.totals
    return {
        "id": table.reference, "run": table.reference, "types": list(table.page.types),
        "items": [_item_record(row, table) for row in (*table.page.rows, *table.removed)],
        "group": _cells(table.page.group, table),
        "totals": {key: dict(counts) for key, counts in totals.items()},
        "counts": dict(table.counts), "status": run.status,
    }  # fmt: skip


def _item_record(row: ItemRow, table: Table) -> dict[str, Any]:
    from tasktrail.engine.items import attributes_of

    item = row.item
    return {
        "id": item.name, "removed_at": utc(item.removed_at), "content_hash": item.content_hash,
        "attributes": attributes_of(item), "cells": _cells(row.cells, table),
    }  # fmt: skip


def _cells(views: Mapping[str, CellView], table: Table) -> dict[str, dict[str, Any]]:
    return {key: _cell(view, table) for key, view in views.items()}


def _cell(view: CellView, table: Table) -> dict[str, Any]:
    record = cell_record(view.task, table.run, table.reference, view.agent)
    return {**record, "ready": word_of(view, table.now) == "ready", "stale": view.stale}


def _tell_more(command: str, limit: int | None, cursor: str | None) -> None:
    if cursor is not None:
        import shlex

        tell(f"more: {command}{f' --limit {limit}' if limit else ''} --cursor {shlex.quote(cursor)}")


# ------------------------------------------------------------------------------------------------------- of all groups


@matrix_command.command("ready", cls=SessionCommand)
@click.option("--group", type=GROUP, help="Of this one alone.")
@click.option("--agent", metavar="NAME", help="Of this agent alone.")
@click.option("--limit", type=_LIMIT, default=50, show_default=True, help="Tasks on a page.")
@_CURSOR
def ready_command(session: Session, group: str | None, agent: str | None, limit: int, cursor: str | None) -> None:
    """List the tasks that may start now, of all groups, by group, type and item."""
    from tasktrail.tracker.views import ready_tasks

    page = ready_tasks(tracker_of(session), limit, group=group, agent=agent, after=cursor)
    if session.json:
        emit("ready-list@1", [_ready_record(cell) for cell in page.cells], page.cursor)
        return
    rows = [(plain(cell.reference), plain(cell.agent or "-")) for cell in page.cells]
    if rows:
        lines = columns(("TASK", "AGENT"), rows, limit=session.width, ink=session.ink(), style=lambda *_: None)
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    tell(f"{counted(page.total, 'task')} may start" if page.total else "nothing may start now")
    options = "".join(f" {name} {value}" for name, value in (("--group", group), ("--agent", agent)) if value)
    _tell_more(f"tasktrail matrix ready{options}", limit, page.cursor)


def _ready_record(cell: ReadyCell) -> dict[str, Any]:
    task = cell.task
    return {
        "id": cell.reference, "run": cell.group, "key": task.key, "item": task.item or None, "agent": cell.agent,
        "attempts": task.attempts, "priority": task.priority,
    }  # fmt: skip


@matrix_command.command("progress", cls=SessionCommand)
def progress_command(session: Session) -> None:
    """Show how far each group is, and all together."""
    from tasktrail.tracker.views import progress_of, total_of

    tracker = tracker_of(session)
    found = progress_of(tracker)
    if session.json:
        emit("matrix-progress-list@1", [_progress_record(one) for one in found])
        return
    if not found:
        _tell_none(tracker)
        return
    rows = [_progress_row(one) for one in found]
    header = (tracker.groups.word.upper(), "PROGRESS", "DONE", "PENDING", "IN PROGRESS", "FAILED", "SKIPPED")
    lines = columns(header, rows, limit=session.width, ink=session.ink(), style=_progress_style)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.write(f"{said(total_of(found))}\n")


def _tell_none(tracker: TrackerBackend) -> None:
    tell(f"no {tracker.groups.word}s here; to begin one: tasktrail matrix sync FILE --group NAME")


def _progress_row(one: GroupProgress) -> Sequence[str]:
    counts = one.counts
    words: tuple[Status, ...] = ("pending", "in_progress", "failed", "skipped")
    done = f"{counts['completed']:,}/{counts.total():,}"
    return (plain(one.group), f"{bar(counts)} {one.percent:g} %", done, *(f"{counts[word]:,}" for word in words))


def _progress_style(column: int, cell: str) -> str | None:
    if column == 1 and cell.startswith("█"):
        return "green"
    return "red" if column == 5 and cell != "0" else None


def _progress_record(one: GroupProgress) -> dict[str, Any]:
    by_type = {key: dict(counts) for key, counts in one.by_type.items()}
    total = one.counts.total()
    return {
        "id": one.group, "run": one.group, "counts": dict(one.counts), "n_tasks": total, "percent": one.percent,
        "types": by_type,
    }  # fmt: skip


@matrix_command.command("metrics", cls=SessionCommand)
@click.argument("group", type=GROUP, required=False)
@click.option("--by", type=click.Choice(("type", "agent")), default="type", show_default=True, help="What has a row.")
def metrics_command(session: Session, group: str | None, by: str) -> None:
    """Show what was tried, how much of it succeeded, and how long that took: by task type, or by agent."""
    from tasktrail.tracker.views import metrics_told

    found = metrics_told(tracker_of(session), group)
    rows = {**(found.by_type if by == "type" else found.by_agent), "all": found.all}
    if session.json:
        emit("matrix-metrics-list@1", [_metrics_record(name, one) for name, one in rows.items()])
        return
    header = (by.upper(), "ATTEMPTS", "RETRIES", "FAILED", "SUCCESS", "MEDIAN", "P90", "TOGETHER", "DIRECT")
    cells = [_metrics_row(name, one) for name, one in rows.items()]
    lines = columns(header, cells, limit=session.width, ink=session.ink(), style=lambda *_: None)
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _metrics_row(name: str, one: Metrics) -> Sequence[str]:
    rate = "-" if one.success_rate is None else f"{100 * one.success_rate:.3g} %"
    numbers = (one.attempts, one.retries, one.failures)
    spans = (span(one.percentile_us(50)), span(one.percentile_us(90)), span(one.total_us or None))
    return (plain(name), *(f"{number:,}" for number in numbers), rate, *spans, f"{one.direct:,}")


def _metrics_record(name: str, one: Metrics) -> dict[str, Any]:
    spans = {"median_ms": one.percentile_us(50), "p90_ms": one.percentile_us(90), "mean_ms": one.mean_us}
    return {
        "id": name, "attempts": one.attempts, "retries": one.retries, "successes": one.successes,
        "failures": one.failures, "success_rate": one.success_rate, "direct": one.direct,
        **{key: None if us is None else us // 1000 for key, us in spans.items()}, "total_ms": one.total_us // 1000,
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- changes


@matrix_command.command("sync", cls=SessionCommand)
@click.argument("file", metavar="FILE")
@click.option("--group", type=GROUP, help="Whose items FILE lists; where it has groups, the only one that is taken.")
@click.option("--yes", is_flag=True, help="Also where FILE has no items, so that all are removed.")
def sync_command(session: Session, file: str, group: str | None, yes: bool) -> None:
    """Let a group have the items that FILE lists; what is new is added, what is missing removed with its history kept.

    FILE has a name per line; or a list in JSON or YAML of names, or of mappings with name, content_hash and attributes;
    or CSV with a column name. A mapping of groups to such lists is for many. - is stdin.
    """
    tracker = tracker_of(session)
    lists: dict[str, list[Any]] = {}
    for name, items in _lists(file, group).items():
        if (checked := tracker.groups.check(name)) in lists:
            raise BadInput(f"{file} has two lists for {checked}", hint="let it have one, with the items of both")
        lists[checked] = items
    if not yes:
        _check_empty(tracker, lists, file)
    done = {name: tracker.sync(name, items) for name, items in lists.items()}
    if session.json:
        emit("matrix-sync-list@1", [_sync_record(name, one, len(lists[name])) for name, one in done.items()])
        return
    for name, one in done.items():
        words = [f"{len(names):,} {word}" for word, names in _told(one) if names]
        sys.stdout.write(f"{plain(name)}: {counted(len(lists[name]), 'item')}, {', '.join(words) or 'nothing new'}\n")


def _lists(file: str, group: str | None) -> dict[str, list[Any]]:
    from tasktrail.formats.item_list import load_items

    found = load_items(_read(file), "stdin" if file == "-" else file)
    if found.items is not None:
        if group is None:
            raise click.UsageError(f"{file} names no group; say --group")
        return {group: found.items}
    if group is None:
        return dict(found.groups)
    if group not in found.groups:
        raise BadInput(f"{file} has no group {group}", hint=f"it has {', '.join(found.groups) or 'none'}")
    return {group: found.groups[group]}


def _read(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        what = f"{file}: expected UTF-8 text, got byte 0x{data[error.start]:02x}"
        raise BadInput(what, hint="save it as UTF-8") from None


def _check_empty(tracker: TrackerBackend, lists: Mapping[str, Sequence[Any]], file: str) -> None:
    """A file that was cut short, or the wrong one, must not cost a group its items."""
    for name, items in lists.items():
        if not items and tracker.tracker_exists(name):
            there = [one for one in tracker.load_tracker(name).items.values() if not one.removed]
            if there:
                words = f"{file} has no items for {name}; {counted(len(there), 'item')} would be removed"
                raise BadInput(words, hint=f"tasktrail matrix sync {file} --group {name} --yes")


def _told(one: Synced) -> list[tuple[str, Sequence[str]]]:
    return [("added", one.added), ("removed", one.removed), ("restored", one.restored), ("changed", one.changed)]


def _sync_record(name: str, one: Synced, n_items: int) -> dict[str, Any]:
    return {"id": name, "run": name, "n_items": n_items, **{word: list(names) for word, names in _told(one)}}


@matrix_command.command("set", cls=SessionCommand)
@click.argument("cell", metavar="GROUP:ITEM/TYPE")
@click.argument("status", type=click.Choice(("pending", "in_progress", "completed", "failed", "skipped")))
@click.option("--output-file", metavar="PATH", help="Where its result lies.")
@click.option("--error", "error_message", metavar="TEXT", help="Why it failed.")
@click.option("--agent", metavar="NAME", help="Who does it, or did.")
def set_command(session: Session, cell: str, status: str, **said_of_it: str | None) -> None:
    """Let a task stand at a status, with what is said of it, as `update_task` does; GROUP:TYPE is the group's own.

    \b
    tasktrail matrix set A:ProjectA/content completed --output-file content/projecta.md
    """
    group, colon, rest = cell.partition(":")
    item, _, key = rest.rpartition("/")
    if not (colon and group and key):
        raise BadInput(f"expected GROUP:ITEM/TYPE, got: {cell[:80]!r}", hint="for example: A:ProjectA/content")
    tracker = tracker_of(session)
    given = {name: text for name, text in said_of_it.items() if text is not None}
    tracker.update_task(group, item or None, key, status, **given)
    run_name = tracker.groups.check(group)
    if session.json:
        emit("cell-status@1", {"id": f"{run_name}:{rest}", "run": run_name, "status": status, **given})
        return
    sys.stdout.write(f"{plain(run_name)}:{plain(rest)} {status}\n")


@matrix_command.command("run", cls=SessionCommand)
@click.argument("groups", type=GROUP, nargs=-1, metavar="GROUP...")
@click.option("--all", "everything", is_flag=True, help="All groups that there are.")
@click.option("--pooled", is_flag=True, help="Leave it to workers: tasktrail worker.")
@click.option("--type", "types", metavar="TYPE", multiple=True, help="These task types alone; may be given again.")
@click.option("--item", "items", metavar="ITEM", multiple=True, help="Of items these alone; may be given again.")
@click.option("--limit", type=_LIMIT, help="Of the items the first so many that have something to do.")
def run_command(
    session: Session,
    groups: tuple[str, ...],
    everything: bool,
    pooled: bool,
    types: tuple[str, ...],
    items: tuple[str, ...],
    limit: int | None,
) -> int:
    """Execute what is ready of groups, and what becomes so: the types whose settings say how.

    What failed before is tried again. Types that nobody said how to execute are left to agents and people.
    """
    if everything == bool(groups):
        raise click.UsageError("give GROUP, or --all" if not everything else "give one of GROUP and --all, not both")
    from tasktrail.cli.matrix_run import emit_runs, pool, run_here
    from tasktrail.engine.matrix_run import Part

    settings, tracker = settings_of(session), tracker_of(session)
    chosen = tracker.weeks() if everything else groups
    if not chosen:
        _tell_none(tracker)
        emit("run-list@1", []) if session.json else None
        return 0
    part = Part(types or None, items or None, limit)
    runs, code = (pool if pooled else run_here)(session, tracker, chosen, part, settings.folder)
    if session.json:
        emit_runs(runs, many=everything or len(groups) > 1)
    return code
