"""`help`: on a command, or on what no command is: exit codes."""

from __future__ import annotations

import click

from tasktrail.cli.arguments import SessionCommand
from tasktrail.cli.documents import emit
from tasktrail.cli.errors import EXIT_CODES, MEANINGS
from tasktrail.cli.session import Session


@click.command("help", cls=SessionCommand)
@click.argument("words", nargs=-1, metavar="[COMMAND… | exit-codes]")
@click.pass_context
def help_command(context: click.Context, session: Session, words: tuple[str, ...]) -> None:
    """Show help on a command, or on exit-codes."""
    if words == ("exit-codes",):
        _exit_codes(session)
        return
    command: click.Command = context.find_root().command
    place = context.find_root()
    for word in words:
        found = command.resolve_command(place, [word])[1] if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"no help on {word}", context)
        command, place = found, click.Context(found, info_name=found.name, parent=place)
    click.echo(command.get_help(place))


def _exit_codes(session: Session) -> None:
    codes_by_exit = {number: [code for code, own in EXIT_CODES.items() if own == number] for number in MEANINGS}
    if session.json:
        emit("exit-codes@1", [{"id": n, "means": words, "errors": codes_by_exit[n]} for n, words in MEANINGS.items()])
        return
    for number, words in MEANINGS.items():
        click.echo(f"{number:>3}  {words}")
        if codes_by_exit[number]:
            click.echo(f"     errors: {', '.join(codes_by_exit[number])}")
