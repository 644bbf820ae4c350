"""Hints as a client without a shell can follow them: commands become calls of tools that do the same."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from tasktrail.tools import Words

__all__ = ["followable", "hint_for"]

_COMMAND: Final = re.compile(r"(?P<colon>: )?\btasktrail (?P<line>[^;,]+)")
_FORCE: Final = re.compile(r"[,;] or(?::| use) (?:--)?(?:force\b|tasktrail [^;,]* --force)")
_VERBS: Final = re.compile(r"possible now: (?P<verbs>[a-z]+(?:, [a-z]+)*)")
_PLACE: Final = re.compile(r"(?:[A-Z]+|DIR)\b")
_STATUSES: Final[Mapping[str, str]] = MappingProxyType({
    "start": "in_progress", "complete": "completed", "fail": "failed",
    "retry": "pending", "reopen": "pending", "release": "pending",
})  # fmt: skip
"""What mark_task_status is called with, by the verbs of commands; the others are a person's."""
_CALLS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType({
    "cancel": ("run_cancel", "run"),
    "history": ("task_history", "task_id"),
    "last-failed": ("tasks_last_failed", ""),
    "list-errors": ("errors_top", ""),
    "list-executions": ("tasks_list", ""),
    "list-runs": ("run_status", ""),
    "list-tasks": ("get_tasks", ""),
    "matrix progress": ("matrix_progress", ""),
    "matrix ready": ("matrix_ready", ""),
    "next": ("get_next_task", ""),
    "retry": ("run_retry", "run"),
    "run dag --status": ("run_status", "run"),
    "search": ("search_tasks", "query"),
    "trace": ("tasks_by_trace", "trace_id"),
    "undo": ("undo", "event"),
    "write-tasks": ("write_task_list", ""),
})  # fmt: skip
"""The tool that does what a command does, and the argument that the command's first word is; empty is none."""


def followable(answer: Words, called: str, offered: Collection[str]) -> Words:
    """Return an answer with its hint as the client can follow it.

    Args:
        called: The tool that answers.
        offered: Those that the client has.
    """
    if answer["status"] != "error" or "hint" not in answer:
        return answer
    return {**answer, "hint": hint_for(answer["hint"], called, offered)}


def hint_for(hint: str, called: str, offered: Collection[str]) -> str:
    """Return a hint without commands, but for those that no tool stands for: they are said to be such.

    >>> hint_for("wait for it, or: tasktrail cancel r1", "run_retry", ["run_cancel"])
    'wait for it, or: run_cancel(run="r1")'
    >>> hint_for("a person lifts that: tasktrail resume r1", "run_retry", ["run_cancel"])
    'a person lifts that on a command line: tasktrail resume r1'
    """

    def told(found: re.Match[str]) -> str:
        colon, line = found["colon"] or "", found["line"]
        call = _call(line, called)
        if call.partition("(")[0].partition(" ")[0] in offered:
            return f"{colon}{call}"
        return f"{' ' if colon else ''}on a command line: tasktrail {line}"

    hint = _VERBS.sub(_marks, _FORCE.sub("", hint)) if "mark_task_status" in offered else _FORCE.sub("", hint)
    return _COMMAND.sub(told, hint).replace("--param NAME=VALUE", "params are given by name")


def _marks(found: re.Match[str]) -> str:
    statuses = dict.fromkeys(_STATUSES[verb] for verb in found["verbs"].split(", ") if verb in _STATUSES)
    return f"possible now: mark_task_status with {' or '.join(statuses)}" if statuses else "a person has to act"


def _call(line: str, called: str) -> str:
    """Return the call that does what a command does, and what is said behind it; empty where there is none."""
    if line == "next --claim":
        return "get_next_task(claim=true)"
    name = next((name for name in _CALLS if line == name or line.startswith(f"{name} ")), line.split()[0])
    words = _words(line.removeprefix(name))
    if name != "write-tasks" and any(word.startswith("-") for word in words):
        return ""
    if words and not _PLACE.fullmatch(words[0]):
        return _about(name, words[0], called)
    tool = _CALLS.get(name, ("", ""))[0]
    return " ".join([tool, *words[1:]]) if name != "write-tasks" else tool


def _about(name: str, word: str, called: str) -> str:
    """A word with a colon is a task, by its run."""
    run, is_task, key = word.partition(":")
    if name == "explain":
        by_run = called.startswith("run_") or not is_task
        return _said("run_status", "run", run) if by_run else _said("explain_task", "task_id", key)
    if is_task and name in _STATUSES:
        return f"{_said('mark_task_status', 'task_id', key)[:-1]}, status={json.dumps(_STATUSES[name])})"
    tool, argument = _CALLS.get(name, ("", ""))
    if is_task and tool.startswith("run_"):
        return ""
    value = key if is_task else word
    return _said(tool, argument, value) if argument else tool


def _said(tool: str, argument: str, value: str) -> str:
    return f"{tool}({argument}={value if value.isdecimal() else json.dumps(value, ensure_ascii=False)})"


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
