"""The generated parts of the reference: commands, exit codes, settings, errors, states, events. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from docs.markdown import code, codes, fence, table
from tasktrail.cli.app import ALIASES, COMMANDS, root
from tasktrail.cli.errors import EXIT_CODES, MEANINGS
from tasktrail.config import SETTINGS, Setting, init_template
from tasktrail.formats.run_json import RUN_WORDS, STEP_WORDS
from tasktrail.model import errors, lifecycle
from tasktrail.model.task import FINAL, OUTCOMES, STATUSES, Status
from tasktrail.tracker.schema import tracker_schema

# ------------------------------------------------------------------------------------------------------------ commands


def commands() -> str:
    """Return a section for each command: how it is called, what it does, its options."""
    return "\n\n".join(_command(one, context) for one, context in all_commands())


def all_commands() -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command that can be called, those below a group too, in the order of the help."""
    with click.Context(root, info_name="tasktrail", **root.context_settings) as context:
        for name in COMMANDS:
            found = root.get_command(context, name)
            if found is None:
                raise LookupError(f"the table of commands names {name}, which is not there")
            yield from _with_inner(found, click.Context(found, parent=context, info_name=name))


def _with_inner(one: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    if not isinstance(one, click.Group):
        yield one, context
        return
    for name in one.list_commands(context):
        inner = one.get_command(context, name)
        assert inner is not None
        yield from _with_inner(inner, click.Context(inner, parent=context, info_name=name))


def _command(one: click.Command, context: click.Context) -> str:
    options = [option for option in one.params if isinstance(option, click.Option) and not option.hidden]
    usage = " ".join([context.command_path, *one.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", fence("text", usage), _sentences(one.help or one.short_help or "")]
    parts.append(table(["option", "meaning"], [_option(option, context) for option in options]) if options else "")
    return "\n\n".join(part for part in parts if part)


def _sentences(text: str) -> str:
    """Help as paragraphs; the mark with which click keeps line ends becomes a block."""
    return "\n\n".join(map(_paragraph, cleandoc(text).split("\n\n")))


def _paragraph(text: str) -> str:
    return fence("text", text.removeprefix("\b")) if text.startswith("\b") else " ".join(text.split())


def _option(option: click.Option, context: click.Context) -> list[str]:
    """A row as click's own help has it, with defaults and ranges."""
    names, meaning = option.get_help_record(context) or ("", "")
    return [code(names), meaning]


def global_options() -> str:
    """Return the options that every command takes."""
    with click.Context(root, info_name="tasktrail", **root.context_settings) as context:
        options = [option for option in root.get_params(context) if isinstance(option, click.Option)]
        return table(["option", "meaning"], [_option(option, context) for option in options if not option.hidden])


def aliases() -> str:
    """Return the other names of commands."""
    return table(["alias", "means"], [[code(name), code(" ".join(words))] for name, words in ALIASES.items()])


def exit_codes() -> str:
    """Return what each exit code means, and which errors end with it."""
    rows = [
        [str(number), meaning, codes(word for word, its in EXIT_CODES.items() if its == number)]
        for number, meaning in MEANINGS.items()
    ]
    return table(["exit code", "meaning", "error codes"], rows)


# -------------------------------------------------------------------------------------------------- settings and errors


def settings() -> str:
    """Return a row for each setting."""
    head = ["setting", "flag", "variable", "default", "value", "meaning"]
    return table(head, [_setting(one) for one in SETTINGS])


def _setting(one: Setting) -> list[str]:
    value = codes(one.choices) if one.choices else _KINDS[one.kind]
    default = code(str(one.default)) if one.default else "none" if one.default is not None else "worked out"
    return [code(one.name), code(one.flag) if one.flag else "none", code(one.env), default, value, one.help]


_KINDS = {
    "actor": "1 to 200 printable characters",
    "secret": "16 characters or more",
    "seconds": "a number of seconds from 0 to 86,400",
    "tracker": "`yaml`, `json`, `memory:`, `sqlite:///PATH`, `postgresql://…`",
    "url": "a path, `sqlite:///PATH` or `memory:`",
    "values": "a list of texts; in the variable with commas between them",
    "whole": "a whole number, 1 or more",
}


def tracker_table() -> str:
    """Return a row for each key of the table of trackers, and of a task type in it."""
    schema = tracker_schema()
    keys = schema["properties"]["tracker"]["properties"]
    types = {f"types.NAME.{key}": one for key, one in schema["$defs"]["type"]["properties"].items()}
    return table(["key", "meaning"], [[code(key), one["description"]] for key, one in {**keys, **types}.items()])


def settings_file() -> str:
    """Return the file that `tasktrail init` writes."""
    return fence("toml", init_template())


def error_classes() -> list[type[errors.TasktrailError]]:
    """Return every error class, in the order of their file."""
    known = [value for value in vars(errors).values() if isinstance(value, type)]
    return [value for value in known if issubclass(value, errors.TasktrailError)]


def error_table() -> str:
    """Return a row for each error class."""
    return table(["class", "code", "exit code", "is also", "meaning"], map(_error, error_classes()))


def _error(one: type[errors.TasktrailError]) -> list[str]:
    meaning = (one.__doc__ or "").partition("\n")[0]
    return [code(one.__name__), code(one.code), str(EXIT_CODES.get(one.code, 1)), _bases(one), meaning]


def _bases(one: type[errors.TasktrailError]) -> str:
    return codes(base.__name__ for base in one.__bases__ if base not in (errors.TasktrailError, Exception))


# --------------------------------------------------------------------------------------------------------------- states


def verbs() -> str:
    """Return the table of moves."""
    return table(["verb", "from", "to", "says"], [_move(verb, rule) for verb, rule in lifecycle.RULES.items()])


def _move(verb: str, rule: lifecycle.Rule) -> list[str]:
    sources = "any" if rule.sources == STATUSES else codes(rule.sources)
    return [code(verb), sources, code(rule.target or "") or "any", rule.says]


def state_diagram() -> str:
    """Return the table of moves as a diagram, without `adopt` and `undo`, which lead from anywhere to anywhere."""
    lines = ["stateDiagram-v2", "  [*] --> pending"]
    edges: dict[tuple[str, str], list[str]] = {}
    for verb, rule in lifecycle.RULES.items():
        for source in rule.sources if rule.target else ():
            edges.setdefault((source, str(rule.target)), []).append(verb)
    lines += [f"  {source} --> {target}: {', '.join(words)}" for (source, target), words in edges.items()]
    return fence("mermaid", "\n".join(lines))


def allowed() -> str:
    """Return for each status the verbs that one may ask for."""
    rows = [[code(status), _final(status), codes(lifecycle.allowed(status))] for status in STATUSES]
    return table(["status", "final", "verbs"], rows)


def _final(status: Status) -> str:
    return "yes" if status in FINAL else "no"


def routes() -> str:
    """Return which verbs lead from one status to another."""
    rows = [[code(was), *(_route(was, now) for now in STATUSES)] for was in STATUSES]
    return table(["from \\ to", *(code(status) for status in STATUSES)], rows)


def _route(was: Status, now: Status) -> str:
    return ", ".join(lifecycle.route(was, now)) or "–"


def outcomes() -> str:
    """Return how an attempt may end."""
    return table(["outcome", "means"], [[code(outcome), _OUTCOMES[outcome]] for outcome in OUTCOMES])


_OUTCOMES = {
    "ok": "it returned a result",
    "error": "it raised an exception, or returned what is not JSON; a try",
    "timeout": "its time was up; a try",
    "lost": "its process died; a loss, not a try",
    "released": "it was given back unfinished, or its task was blocked; costs nothing",
    "superseded": "a new attempt took its place",
    "cancelled": "its task was skipped, cancelled or adopted meanwhile, or its start undone",
}


def words() -> str:
    """Return the words of run files and of `tasktrail.dag` for tasks and runs."""
    steps = table(["step", "task"], [[code(word), code(status)] for word, status in STEP_WORDS.items()])
    runs = table(["run file", "run"], [[code(word), code(status)] for word, status in RUN_WORDS.items()])
    return f"{steps}\n\n{runs}"


# --------------------------------------------------------------------------------------------------------------- events


def events() -> str:
    """Return every verb that the history may have: of tasks, of runs, and of neither."""
    tasks = [[code(verb), rule.says] for verb, rule in lifecycle.RULES.items()]
    of_tasks = table(["verb", "means"], tasks + [[code(verb), TASK_EVENTS[verb]] for verb in TASK_EVENTS])
    of_runs = table(["verb", "means"], [[code(verb), RUN_EVENTS[verb]] for verb in RUN_EVENTS])
    of_none = table(["verb", "means"], [[code(verb), OTHER_EVENTS[verb]] for verb in OTHER_EVENTS])
    return f"### Of a task\n\n{of_tasks}\n\n### Of a run\n\n{of_runs}\n\n### Of no run\n\n{of_none}"


TASK_EVENTS = {
    "edit": "what the task is was changed: `max_retries`, `critical`, metadata …; also a fresh budget of tries, "
    "or the undo of an edit or a note",
    "late": "an answer came after the attempt was over; it is kept here and changes nothing",
    "note": "somebody, or the step itself, left a note",
}
OTHER_EVENTS = {
    "error_resolved": "somebody said that an error is resolved; when it is seen again, it has regressed",
    "error_ignored": "nobody wants to hear of an error, or somebody does again",
    "recorded": "somebody told of executions, or of an observation: how many in one call, and their ids",
    "pruned": "what was old was removed: how many rows of what, the highest number of an event among them, the SHA-256 "
    "of these events, and a digest of all this with the one before, so that the digests are a chain",
    "erased": "a text was taken out of all that is stored: how many rows had it, by column, and a slow hash of it",
}
RUN_EVENTS = {
    "batch": "what one call changed, all events of it since the one before it; undo takes it back as one",
    "created": "the run was stored, with so many tasks",
    "added": "tasks were added",
    "items": "items of a matrix were added, changed, removed, brought back or taken out",
    "accept": "a run goes by another state of its workflow from here on",
    "resume": "somebody took the run up again",
    "cancel": "somebody called the run off",
    "pause": "nothing new was to start from then on",
    "unpause": "steps could start again",
    "declare": "a document or the engine said something of the run as a whole",
    "roll_up": "the status of the run changed because its tasks did; the actor is `tasktrail`",
}
