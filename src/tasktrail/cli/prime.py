"""`prime`: what an agent needs to go on, in one text that it reads before it begins."""

from __future__ import annotations

import sys

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.plan import begin
from tasktrail.cli.session import Session
from tasktrail.engine.plans import NoPlan
from tasktrail.engine.prime import BUDGET, prime
from tasktrail.model.plan import STANDING_PLAN


@click.command("prime", cls=SessionCommand)
@click.option("--plan", default=STANDING_PLAN, show_default=True, metavar="NAME", help="Which plan.")
@click.option(
    "--budget", default=BUDGET, show_default=True, metavar="N", type=click.IntRange(1), help="Tokens it may take."
)
def prime_command(session: Session, plan: str, budget: int) -> None:
    """Say what an agent needs to go on with a plan, within a number of tokens.

    How to work with it, what is in progress, what comes next, what is blocked and why, what failed last, and the latest
    notes: the first of each before the second of any, and what does not fit is counted. As long as nothing happens, the
    text stays the same.
    """
    try:
        text = prime(session.ledger(), plan, budget)
    except NoPlan as error:
        raise NoPlan(error.message, hint=begin(session, plan, "prime")) from None
    if session.json:
        emit("prime@1", {"id": plan, "text": text})
        return
    sys.stdout.write(text)
