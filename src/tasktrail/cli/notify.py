"""`notify`: tells the commands of `[[notify]]` of events, as they come or once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.session import Session
from tasktrail.json_records import event_record
from tasktrail.model.errors import BadInput

if TYPE_CHECKING:
    from tasktrail.engine.ledger import Ledger
    from tasktrail.engine.notifying import Notifier
    from tasktrail.engine.readers import Logged

_LOOK_EVERY_S: Final = 0.25


@click.command("notify", cls=SessionCommand)
@click.option("--once", is_flag=True, help="Tell of what there is, and end.")
def notify_command(session: Session, once: bool) -> None:
    """Run the commands that [[notify]] in tasktrail.toml names for events that happened since the last time.

    Each gets the event as JSON on stdin, and TASKTRAIL_EVENT, _RUN, _TASK, _VERB and _STATUS. An event is told at least
    once; a command that fails three times is passed over, which is logged. The very first call only notes where the
    history ends. Ctrl-C ends it.
    """
    from tasktrail.engine.notices import load_notices
    from tasktrail.engine.notifying import Notifier

    notices = load_notices(_encoded)
    if not notices:
        raise BadInput("nobody is to be told of anything", hint="[[notify]] in tasktrail.toml says who and of what")
    session.log()
    ledger = session.ledger(create=True)
    notifier = Notifier(ledger, notices)
    try:
        _once(notifier) if once else _always(ledger, notifier)
    finally:
        notifier.reader.close()


def _once(notifier: Notifier) -> None:
    while notifier.tell() or notifier.reader.is_behind:
        pass


def _always(ledger: Ledger, notifier: Notifier) -> None:
    seen: object = None
    while True:
        token = ledger.store.changed_token()
        if token != seen or notifier.reader.is_behind:
            seen = token
            if notifier.tell():
                continue
        time.sleep(_LOOK_EVERY_S)


def _encoded(one: Logged) -> str:
    return json.dumps(event_record(one.event, one.run), ensure_ascii=False)
