"""Workflow files for tests: some that are fine, and some with what is wrong with them."""

from __future__ import annotations

from typing import Final, NamedTuple

ATLAS: Final = """\
name: atlas
version: 1.10
description: A page for each day
params:
  day: {type: string, default: "2026-01-01", description: Which day}
  dry: false
  pages: [1, 2]
  token:
env: {DAY: "{params.day}", MODE: 1}
on_failure: continue
max_parallel: 4
steps:
  - id: fetch
    name: Fetch the pages
    run: ["python3", "fetch.py", "{params.day}", 5, "{{}}"]
    retries: 3
    timeout: 90s
    critical: true
    priority: HIGH
    queue: net
    labels: [gpu, "host:a", gpu]
    limits: {api: 2}
    env: {RUN: "{run.id}"}
    effect: at_most_once
    deadline: 2h
  - id: enrich
    run: echo "$DAY" | awk '{print $1}' > ${HOME}/x
    shell: true
    retries: {max: 3, delay: 500ms, backoff: linear, max_delay: 60, jitter: 0.1, on: [ConnectionError, 75]}
  - id: parse-all
    call: steps:parse
    executor: process
    depends_on: [fetch, {step: enrich, optional: true}]
    for_each: "{fetch.items}"
    when: "fetch.count > 0 and not params.dry and item != null"
    cache: 7d
  - id: approve
    manual: Look at the pages
    depends_on: parse-all
  - id: publish
    run: [publish, "{parse-all.0.url}", "{fetch.count}"]
    depends_on: [approve]
"""

VALID: Final = {
    "atlas": ATLAS,
    "smallest": "name: a\nsteps: [{id: a, run: [x]}]",
    "json": '{"$schema": "x.json", "name": "a", "tasks": [{"id": "a", "call": "m:f.g", "timeout": 1.5, "when": true}]}',
    "nothing said": "name: a\nmax_parallel: null\nsteps: [{id: a, run: [x], timeout: null, depends_on: [], env: {}}]",
    "a list of items": "name: a\nsteps: [{id: a, manual: x, for_each: [1, {b: 2}], when: 'index in [0, 1]'}]",
    "older YAML's words": "name: no\nsteps: [{id: on, run: [yes, 012, 1:30, 2026-01-01], retries: {on: [Off]}}]",
}


class Wrong(NamedTuple):
    """A file that is refused.

    Args:
        text: Its lines.
        faults: `line:column: what`, in order.
        schema: Whether the published JSON Schema refuses it too.
    """

    text: str
    faults: list[str]
    schema: bool = True


def steps(*lines: str) -> str:
    """Return a file of these lines below `name` and `steps`; they begin in line 3."""
    return "name: a\nsteps:\n" + "\n".join(lines)


A: Final = "  - {id: a, run: [x]}"
SHELL: Final = "a line for a shell gets values by environment variables, never by substitution: write env: {VALUE: "

INVALID: Final = {
    "no mapping": Wrong("[]", ["1:1: expected a workflow file to be a mapping with name and steps, got: a list"]),
    "no name": Wrong("steps: [{id: a, run: [x]}]", ["1:1: expected a workflow to have a name"]),
    "an empty name": Wrong("name: ''\nsteps: [{id: a, run: [x]}]", ['1:7: expected name to be a text, got: ""']),
    "a name of two lines": Wrong(
        'name: "a\\nb"\nsteps: [{id: a, run: [x]}]',
        ["1:7: expected a name to be 1-200 printable characters without a blank at either end, got: 'a\\nb'"],
        schema=False,
    ),
    "no steps": Wrong("name: a", ["1:1: expected at least one step, got: none"]),
    "an empty list of steps": Wrong("name: a\nsteps: []", ["2:8: expected at least one step, got: none"]),
    "steps as a mapping": Wrong(
        "name: a\nsteps: {a: 1}",
        ["2:8: expected steps to be a list of steps, got: a mapping"],
    ),
    "steps twice": Wrong(
        "name: a\nsteps: [{id: a, run: [x]}]\ntasks: []", ["3:1: expected steps or tasks, got: both"]
    ),
    "unknown keys": Wrong(
        "name: a\nparamz: {}\njobs: []\nsteps:\n  - id: a\n    run: [x]\n    timeot: 5\n    needs: b\n    zzz: 1",
        [
            "2:1: unknown key paramz; did you mean params?",
            "3:1: unknown key jobs; did you mean steps?",
            "7:5: unknown key timeot; did you mean timeout?",
            "8:5: unknown key needs; did you mean depends_on?",
            "9:5: unknown key zzz",
        ],
    ),
    "wrong words at the top": Wrong(
        "name: a\non_failure: halt\nmax_parallel: 0\nversion: [1]\nenv: []\nparams: 5\nsteps: [{id: a, run: [x]}]",
        [
            "2:13: expected on_failure to be stop or continue, got: halt",
            "3:15: expected max_parallel to be a whole number from 1, got: 0",
            "4:10: expected version to be a text, got: a list",
            "5:6: expected env to be a mapping, got: a list",
            "6:9: expected params to be a mapping of names to {type, default}, or to defaults, got: 5",
        ],
    ),
    "wrong params": Wrong(
        "name: a\nparams:\n  a: {type: text}\n  b: {defalt: 1}\n  c: {type: integer, default: x}\n  d e: 1\n"
        "steps: [{id: a, run: [x]}]",
        [
            "3:13: expected a.type to be string or integer or number or boolean or list or object, got: text",
            "4:7: unknown key defalt; did you mean default?",
            "5:31: expected the default of param c to be of its type integer, got: a text",
            "6:3: expected a param's name to be like a step's id, got: 'd e'",
        ],
    ),
    "a step that is none": Wrong(
        steps(A, "  - 5", "  - {run: [x]}", "  - {id: , run: [x]}", "  - {id: [1], run: [x]}",
              "  - {id: z, run: [x], depends_on: nope}"),
        [
            "4:5: expected a step to be a mapping with id and one of run, call and manual, got: 5",
            "5:5: expected a step to have an id",
            "6:10: expected id to be a text, got: nothing",
            "7:10: expected id to be a text, got: a list",
            "8:35: there is no step nope",
        ],
    ),
    "wrong ids": Wrong(
        steps('  - {id: "2x", run: [x]}', "  - {id: params, run: [x]}", "  - {id: not, run: [x]}"),
        [
            "3:10: expected a step's id to be 1-64 characters of A-Z a-z 0-9 _ -, beginning with a letter or _, "
            "got: 2x",
            "4:10: expected another id, got: params, which means something else in paths and conditions",
            "5:10: expected another id, got: not, which means something else in paths and conditions",
        ],
    ),
    "an id twice": Wrong(steps(A, A), ["4:10: expected each step's id once, got: a again"], schema=False),
    "none and two of run, call, manual": Wrong(
        steps("  - {id: a}", "  - {id: b, run: [x], call: 'm:f'}"),
        [
            "3:5: expected exactly one of run, call and manual, got: none",
            "4:5: expected exactly one of run, call and manual, got: run and call",
        ],
    ),
    "wrong runs": Wrong(
        steps(
            "  - {id: a, run: []}",
            "  - {id: b, run: [[x]]}",
            "  - {id: c, run: python3 x.py}",
            "  - {id: d, run: 'a | b'}",
            "  - {id: e, run: [x], shell: true}",
            "  - {id: f, call: 'm:f', shell: true}",
            "  - {id: g, run: {a: b}}",
            '  - {id: h, run: ["\\0"]}',
        ),
        [
            "3:18: expected run to have at least one argument, got: none",
            "4:19: expected an argument of run to be a text, got: a list",
            '5:18: expected run to be a list of arguments, got: one text; write ["python3", "x.py"], or add '
            "shell: true to have a shell read it",
            "6:18: expected run to be a list of arguments, got: one text; add shell: true to have a shell read it",
            "7:30: expected shell only where run is one text, got: a list of arguments",
            "8:33: expected shell only where run is a line for it, got: no run",
            "9:18: expected run to be a list of arguments, got: a mapping",
            "10:19: expected an argument of run to be without NUL, which no command can be given",
        ],
    ),
    "wrong calls": Wrong(
        steps("  - {id: a, call: steps.py}", "  - {id: b, call: 'a b:c'}", "  - {id: c, call: 'm:f', env: {A: b}}"),
        [
            "3:19: expected call to be module:function, got: steps.py",
            "4:19: expected call to be module:function, got: 'a b:c'",
            "5:31: expected env only where a command is run; a function gets values by its parameters",
        ],
    ),
    "a step that is an alias": Wrong(
        steps("  - &a {id: a, run: [x]}", "  - *a"),
        [
            "3:5: expected no anchor, got: &a; write the value itself",
            "4:5: expected a step to be a mapping with id and one of run, call and manual, got: *a",
            "4:5: expected no alias, got: *a; write the value itself",
        ],
    ),
    "a command's executor": Wrong(
        steps("  - {id: a, run: [x], executor: process}"),
        ["3:33: expected executor only where a function is called; a command is its own process"],
    ),
    "how a person does it": Wrong(
        steps("  - {id: a, manual: x, retries: 2, timeout: 5, executor: thread, env: {A: b}, cache: 1d}"),
        [f"3:{column}: expected no {key} in a manual step, which a person does" for column, key in
         ((33, "retries"), (45, "timeout"), (58, "executor"), (71, "env"), (86, "cache"))],
    ),
    "wrong retries": Wrong(
        steps(
            "  - {id: a, run: [x], retries: -1}",
            "  - {id: b, run: [x], retries: true}",
            "  - {id: c, run: [x], retries: {max: x, delays: 1, delay: 5 years, jitter: 2, on: x, backoff: fast}}",
        ),
        [
            "3:32: expected retries to be a whole number from 0, got: -1",
            "4:32: expected retries to be a whole number from 0, got: true",
            "5:38: expected retries.max to be a whole number from 0 to 2147483647, got: 'x'",
            "5:41: unknown key delays; did you mean delay?",
            "5:59: expected retries.delay to be a number >= 0, or a text like 500ms, got: '5 years'",
            "5:76: expected retries.jitter to be a number from 0 to 1, got: 2",
            "5:83: expected retries.on to be a list of error names and exit codes, got: 'x'",
            "5:95: expected retries.backoff to be one of exponential, linear, constant, got: 'fast'",
        ],
    ),
    "wrong scalars": Wrong(
        steps(
            "  - id: a",
            "    run: [x]",
            "    timeout: 5 parsecs",
            "    deadline: 0",
            "    cache: 1500ms",
            "    critical: yes",
            "    priority: soon",
            "    effect: never",
            "    executor: a b",
            "    limits: {api: 0}",
            "    env: {A-B: c, D: [e]}",
            "    title:",
        ),
        [
            "5:14: expected timeout to be a number of seconds or a text like 500ms, 90s, 5m, 2h, 7d, got: '5 parsecs'",
            "6:15: expected deadline to be from 1ms to 3650d, got: 0",
            "7:12: expected cache to be whole seconds, got: 1500ms",
            "8:15: expected critical to be true or false, got: yes",
            "9:15: expected priority to be a whole number or one of CRITICAL, HIGH, MEDIUM, LOW, got: soon",
            "10:13: expected effect to be at_least_once or at_most_once, got: never",
            "11:15: expected executor to be a word, got: 'a b'",
            "12:19: expected limits.api to be a whole number from 1, got: 0",
            "13:11: expected a variable's name, A-Z a-z 0-9 _, got: A-B",
            "13:22: expected env.D to be a text, got: a list",
            "14:11: expected title to be a text, got: nothing",
        ],
    ),
    "name and title": Wrong(
        steps("  - {id: a, run: [x], name: n, title: t}"), ["3:32: expected name or title, got: both"]
    ),
    "needs that cannot be read": Wrong(
        steps(A, "  - id: b", "    run: [x]", "    depends_on: [{step: a, optional: maybe, x: 1}, {a}, 5, [a]]"),
        [
            "6:38: expected optional to be true or false, got: maybe",
            "6:45: unknown key x",
            '6:52: expected depends_on to name a step, got: a mapping without step; write it with quotes: "{a}"',
            "6:53: unknown key a",
            "6:57: there is no step 5",
            "6:60: expected a step in depends_on to be a text, got: a list",
        ],
    ),
    "needs that lead nowhere": Wrong(
        steps("  - {id: fetch, run: [x]}", "  - id: b", "    run: [x]",
              "    depends_on: [fech, b, fetch, {step: fetch}, {step: no}]"),
        [
            "6:18: there is no step fech; did you mean fetch?",
            "6:24: expected other steps, got: b, which would need itself",
            "6:41: expected each step once, got: fetch again",
            "6:56: there is no step no",
        ],
        schema=False,
    ),
    "cycles": Wrong(
        steps("  - {id: a, run: [x], depends_on: c}", "  - {id: b, run: [x], depends_on: [a]}",
              "  - {id: c, run: [x], depends_on: {step: b, optional: true}}"),
        ["3:35: tasks need each other in a cycle: a -> c -> b -> a"],
        schema=False,
    ),
    "limits that differ": Wrong(
        steps("  - {id: a, run: [x], limits: {api: 2}}", "  - {id: b, run: [x], limits: {api: 3}}"),
        ["4:37: expected limit api to be the same in all steps, got: 3, and 2 in a"],
        schema=False,
    ),
    "templates that cannot be read": Wrong(
        steps("  - {id: a, run: [x, '{', 'a{b', '{ c }', '}']}"),
        [
            "3:23: expected { to belong to a {path}, or to be doubled",
            "3:29: expected { to belong to a {path}, or to be doubled",
            "3:36: expected {c} without blanks inside",
            "3:44: expected } to belong to a {path}, or to be doubled",
        ],
        schema=False,
    ),
    "a brace without quotes": Wrong(
        steps("  - {id: a, run: [x, {params.day}]}"),
        ['3:22: expected an argument of run to be a text, got: a mapping; write it with quotes: "{params.day}"'],
    ),
    "a condition that cannot be read": Wrong(
        steps("  - {id: a, run: [x], when: 'params.x > and'}", "  - {id: b, run: [x], when: {params.x}}"),
        [
            "3:41: expected a value, got: and",
            '4:29: expected when to be a text, got: a mapping; write it with quotes: "{params.x}"',
        ],
    ),
    "paths that lead nowhere": Wrong(
        "name: a\nparams: {day: x, n: 1}\nenv: {A: '{fetch.x}', B: '{params.dya}'}\nsteps:\n"
        "  - {id: fetch, run: ['{params.dya} {day} {run.x} {run} {item} {index.x} {params.n.x} {fetch.y} {ghost}']}\n"
        "  - {id: late, run: ['{fetch.x}'], when: later.x}\n"
        "  - {id: later, run: [x], depends_on: late, for_each: '{params.day}'}\n"
        "  - {id: last, run: ['{late.x} {item}'], depends_on: later, for_each: '{item.x}'}\n"
        "  - {id: all, run: ['{params}'], for_each: '{fetch.x}'}\n",
        [
            "3:12: expected params or run, got: fetch.x; the results of steps are known inside steps only",
            "3:28: there is no param dya; did you mean day?",
            "5:25: there is no param dya; did you mean day?",
            "5:38: there is no step day; did you mean params.day?",
            "5:44: expected run.id or run.folder, got: run.x",
            "5:52: expected run.id or run.folder, got: run",
            "5:58: there is no item: the step has no for_each",
            "5:65: there is no index: the step has no for_each",
            "5:75: there is no params.n.x: param n is of type integer, which has no parts",
            "5:88: expected a result that is there before, got: that of fetch itself",
            "5:98: there is no step ghost",
            "6:24: late does not need fetch, so its result may not be there: add fetch to depends_on",
            "6:42: there is no result of later yet: later needs late",
            "7:57: expected a list, got: params.day, which is of type string",
            "8:73: expected a list that is there before the items, got: item.x",
            "9:46: all does not need fetch, so its result may not be there: add fetch to depends_on",
        ],
        schema=False,
    ),
    "values in a shell's line": Wrong(
        steps("  - id: a", "    run: 'echo {params.x} {a} {a.b} ${a} {print} {1}'", "    shell: true"),
        [
            f'4:16: {SHELL}"{{params.x}}"}} and $VALUE here',
            f'4:27: {SHELL}"{{a}}"}} and $VALUE here',
            f'4:31: {SHELL}"{{a.b}}"}} and $VALUE here',
        ],
        schema=False,
    ),
    "a for_each that is no list": Wrong(
        steps(A, "  - {id: b, run: [x], depends_on: a, for_each: a.x}", "  - {id: c, run: [x], for_each: 5}",
              "  - {id: d, run: [x], for_each: {a.x}}", "  - {id: e, run: [x], for_each: '{a.x}{a.y}'}",
              "  - {id: f, run: [x], for_each: '{a..x}'}"),
        [
            '4:48: expected for_each to be a list, or one path in braces: "{fetch.items}", got: a.x',
            '5:33: expected for_each to be a list, or the path of one: "{fetch.items}", got: 5',
            '6:33: expected for_each to be a list, or the path of one: "{fetch.items}", got: a mapping; '
            'write it with quotes: "{a.x}"',
            '7:33: expected for_each to be a list, or one path in braces: "{fetch.items}", got: "{a.x}{a.y}"',
            "8:37: expected a path like fetch.items, got: a..x; braces that are meant are doubled: {{ }}",
        ],
    ),
    "the older form": Wrong(
        "workflow: {name: x, version: 1}\nsteps:\n  - {id: a, name: A, agent: bob, input_file: x.md, config: {}}",
        ["1:11: this is the older form of workflow files (workflow:, agent:, input_file:, outputs:), "
         "which is not executed"],
    ),
    "the older form of steps": Wrong(
        steps("  - {id: a, agent: bob, input_from: b, outputs: [x]}"),
        ["3:13: this is the older form of workflow files (workflow:, agent:, input_file:, outputs:), "
         "which is not executed"],
    ),
    "a key of the older form": Wrong(
        steps("  - {id: a, agent: bob, run: [x]}"), ["3:13: unknown key agent"]
    ),
    "a key twice and an unknown one": Wrong(
        "name: a\nname: b\nfoo: 1\nsteps: [{id: a, run: [x]}]",
        ["2:1: expected each key once, got: name again, after line 1", "3:1: unknown key foo"],
    ),
}  # fmt: skip  # files and what is wrong with them
