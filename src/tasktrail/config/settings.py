"""Settings and where they were said, and the project's store; the only file that reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tasktrail.config.files import PROJECT_FILE, absolute, is_ours, key_lines, leaves, nearest, parse, read, shortened
from tasktrail.config.tables import TABLES
from tasktrail.model.errors import BadInput, StoreError

Texts = Mapping[str, str]
Value = str | int | float | tuple[str, ...]
_Layer = dict[str, tuple[Value, str]]  # by setting name: the value and where it was said


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; flags, variables, file keys, the template and `config show` are derived from it.

    A `name` is section and key in tasktrail.toml. Without a `default` the value is worked out (the store by discovery,
    the actor as user@host) and the template shows the `example`. Without a `flag` there is none: a command line is seen
    by everybody on the machine.
    """

    name: str
    env: str
    flag: str
    kind: str
    default: Value | None
    help: str
    choices: tuple[str, ...] = ()
    example: Value = ""


# Names without a section come first: in TOML they must stand above the first header.
SETTINGS = (
    Setting("actor", "TASKTRAIL_ACTOR", "--as", "actor", None,
            "Who the history names for changes made here; user@host when not set.", example="ann@desk"),
    Setting("color", "TASKTRAIL_COLOR", "--color", "choice", "auto",
            "Colours, auto: on a terminal; NO_COLOR and FORCE_COLOR are honoured.", ("auto", "always", "never")),
    Setting("executions.record", "TASKTRAIL_RECORD", "--record", "choice", "on",
            "Whether record() and @recorded write what they see; off lets the program run as if they were not there.",
            ("on", "off")),
    Setting("log.format", "TASKTRAIL_LOG", "--log-format", "choice", "text",
            "What commands log to stderr: text for people, json for machines.", ("text", "json")),
    Setting("log.level", "TASKTRAIL_LOG_LEVEL", "--log-level", "choice", "warning",
            "The least severe message that is logged.", ("debug", "info", "warning", "error")),
    Setting("mcp.calls_per_s", "TASKTRAIL_MCP_CALLS_PER_S", "", "seconds", 100,
            "Calls that the MCP server takes in a second; those that are too many wait. 0 is no limit."),
    Setting("mcp.read_only", "TASKTRAIL_MCP_READ_ONLY", "", "choice", "off",
            "on: the MCP server offers no tool that changes something.", ("on", "off")),
    Setting("mcp.timeout_s", "TASKTRAIL_MCP_TIMEOUT_S", "", "seconds", 30,
            "Seconds after which the MCP server says of a call that it took too long."),
    Setting("mcp.toolsets", "TASKTRAIL_MCP_TOOLSETS", "", "values", ("plan", "executions"),
            "What the MCP server offers: plan, plan-more, executions, matrix, runs, or all."),
    Setting("run.max_parallel", "TASKTRAIL_MAX_PARALLEL", "--max-parallel", "whole", 5,
            "Steps of a run that may execute at once; a number in a runner's code wins over it, the flag over both."),
    Setting("scrub.allow", "TASKTRAIL_SCRUB_ALLOW", "", "values", (),
            "Values that scrubbing leaves as they are: an address, a number, the name of a home folder."),
    Setting("scrub.key", "TASKTRAIL_SCRUB_KEY", "", "secret", "",
            "Makes placeholders that are alike for equal values everywhere; a secret, best set by the variable."),
    Setting("serve.token", "TASKTRAIL_TOKEN", "", "secret", "",
            "What clients of a server must send; a secret, best set by the variable. Without it a file keeps one."),
    Setting("store.url", "TASKTRAIL_STORE", "--store", "url", None,
            "Where the store lies; a relative path starts at this file.", example="sqlite:///.tasktrail/tasktrail.db"),
    Setting("store.synchronous", "TASKTRAIL_SYNCHRONOUS", "--synchronous", "choice", "full",
            "full survives power loss; normal is faster and survives a crash of programs only.", ("full", "normal")),
    Setting("store.busy_timeout_s", "TASKTRAIL_BUSY_TIMEOUT_S", "--busy-timeout", "seconds", 30,
            "Seconds to wait while another process writes, before giving up as busy."),
    Setting("tracker.backend", "TASKTRAIL_TRACKER", "--tracker", "tracker", "yaml",
            "Where trackers lie: yaml and json are files; a store's URL; or a backend that a package offers."),
)  # fmt: skip  # a table of one setting in two lines

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_SECTIONS = {setting.name.partition(".")[0] for setting in SETTINGS if "." in setting.name}


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Where the store lies.

    Args:
        url: `sqlite:///` and an absolute path, `memory:`, or a PostgreSQL URL. Not in the repr: it may hold a password.
        path: The SQLite file; None for memory and servers.
        origin: Where that was said, or how it was found.
        root: The project's folder: of the nearest tasktrail.toml, else of the nearest `.tasktrail`, else the start.
    """

    url: str = field(repr=False)
    path: Path | None
    origin: str
    root: Path

    def __str__(self) -> str:
        return _without_password(self.url)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, named as in `SETTINGS` with `_` for the dot, and where the store lies."""

    actor: str
    color: str
    executions_record: str
    log_format: str
    log_level: str
    mcp_calls_per_s: float
    mcp_read_only: str
    mcp_timeout_s: float
    mcp_toolsets: tuple[str, ...]
    run_max_parallel: int
    scrub_allow: tuple[str, ...] = field(repr=False)
    scrub_key: str = field(repr=False)
    serve_token: str = field(repr=False)
    tracker_backend: str = field(repr=False)
    store_busy_timeout_s: float
    store_synchronous: str
    store_url: str = field(repr=False)
    store: StoreLocation
    _rows: tuple[tuple[str, Value, str], ...] = field(repr=False)

    def origins(self) -> list[tuple[str, Value, str]]:
        """Rows of (name, value, origin) in the order of `SETTINGS`; a password in a URL is not shown."""
        return list(self._rows)


def load(start: Path | None = None, flags: Texts | None = None, environ: Texts | None = None) -> Config:
    """Read all settings: flag, then environment, nearest tasktrail.toml, the user's file, default.

    Args:
        start: Where the search for tasktrail.toml begins; None is the working directory.
        flags: Text by setting name (`store.url`), only of the flags that were given.
        environ: None is the environment of the process. A variable that is empty counts as not set.

    Raises:
        BadInput: For values that cannot be; all that one file, or flags and environment together, have wrong.
    """
    environ = os.environ if environ is None else environ
    folder = absolute(start or Path())
    given = _given(flags or {}, environ)
    project, user = _file_layer(nearest(folder, PROJECT_FILE), TABLES), _file_layer(user_file(environ))
    store = _choose_store(folder, folder, given, project, user)
    layer = {**_defaults(environ), **user, **project, **given, "store.url": (store.url, store.origin)}
    rows = tuple((name, _shown(setting, layer[name][0]), layer[name][1]) for name, setting in _BY_NAME.items())
    values = {name.replace(".", "_"): value for name, (value, _) in layer.items()}
    return Config(**values, store=store, _rows=rows)  # type: ignore[arg-type]  # each value was checked by its kind


def environment(settings: Texts | None = None) -> dict[str, str]:
    """Return a copy of the process's environment, for a command that inherits it; no command needs a server's token.

    Args:
        settings: What it finds there instead, text by setting name: a command line would be seen by everybody.
    """
    inherited = {name: text for name, text in os.environ.items() if name != _BY_NAME["serve.token"].env}
    return {**inherited, **{_BY_NAME[name].env: text for name, text in (settings or {}).items()}}


def inherited_trace(environ: Texts | None = None) -> str | None:
    """Return the `TRACEPARENT` of the environment; None where there is none."""
    return (os.environ if environ is None else environ).get("TRACEPARENT") or None


def user_file(environ: Texts | None = None, windows: bool = os.name == "nt") -> Path | None:
    """Where the user's own config.toml would be; None without a home. XDG has relative folders ignored."""
    environ = os.environ if environ is None else environ
    xdg = environ.get("XDG_CONFIG_HOME", "")
    home = xdg if xdg.startswith("/") else f"{environ['HOME']}/.config" if environ.get("HOME") else None
    folder = environ.get("APPDATA") if windows else home
    return Path(folder) / "tasktrail" / "config.toml" if folder else None


def _given(flags: Texts, environ: Texts) -> _Layer:
    """What flags and environment say; a relative path in them starts at the working directory."""
    problems = [f"flags: {_unknown(name)}" for name in flags if name not in _BY_NAME]
    said = {name: (text, origin) for name, text, origin in _environment(environ)}
    said |= {name: (flags[name], f"flag {s.flag}") for name, s in _BY_NAME.items() if name in flags}
    layer: _Layer = {}
    for name, (text, origin) in said.items():
        setting = _BY_NAME[name]
        try:
            layer[name] = (_checked(setting, _from_text(setting, text), Path()), origin)
        except BadInput as error:
            problems.append(f"{origin}: {error.message}")
    _refuse("settings cannot be used", problems)
    return layer


def _environment(environ: Texts) -> Iterator[tuple[str, str, str]]:
    """What is set, as (name, text, origin).

    Source: no-color.org, force-color.org: any text counts but the empty one; of both the quiet one wins.
    """
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        yield "color", "always", "environment FORCE_COLOR"
    if environ.get("NO_COLOR"):
        yield "color", "never", "environment NO_COLOR"
    for setting in SETTINGS:
        if text := environ.get(setting.env):
            yield setting.name, text, f"environment {setting.env}"


def _defaults(environ: Texts) -> _Layer:
    layer: _Layer = {s.name: (s.default, "default") for s in SETTINGS if s.default is not None}
    return {**layer, "actor": (_user_at_host(environ), "default")}


def _user_at_host(environ: Texts) -> str:
    """A name in every case: a container may run under a number that has no passwd entry."""
    user = next((environ[name] for name in ("LOGNAME", "USER", "LNAME", "USERNAME") if environ.get(name)), "")
    host = os.uname().nodename if hasattr(os, "uname") else environ.get("COMPUTERNAME", "")
    name = f"{user or _login_name()}@{host or 'localhost'}"
    return "".join(c for c in name if c.isprintable() and c != " ")[:200]


def _login_name() -> str:
    number = getattr(os, "getuid", int)()
    try:
        import pwd  # not on Windows

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"uid{number}"


_KINDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "actor": ("1-200 printable characters without a blank at either end", lambda v: _is_text(v) and len(str(v)) <= 200),
    "secret": ("16 characters or more, or none", lambda v: v == "" or (isinstance(v, str) and len(v) >= 16)),
    "seconds": ("a number of seconds from 0 to 86400", lambda v: _is_number(v) and 0 <= float(str(v)) <= 86_400),
    "tracker": ("yaml, json, memory:, sqlite:///PATH, postgresql://… or what a package offers", lambda v: _is_text(v)),
    "values": ("a list of texts", lambda v: isinstance(v, (list, tuple)) and all(isinstance(one, str) for one in v)),
    "url": ("a path, sqlite:///PATH, memory: or postgresql://…", lambda v: _is_text(v)),
    "whole": ("a whole number, 1 or more", lambda v: _is_number(v) and isinstance(v, int) and v >= 1),
}
_NUMBERS = ("seconds", "whole")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() == value != ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)  # true is an int to Python


def _from_text(setting: Setting, text: str) -> object:
    """What a flag or a variable says; values stand between commas."""
    if setting.kind == "values":
        return [one.strip() for one in text.split(",") if one.strip()]
    return _number(text) if setting.kind in _NUMBERS else text


def _number(text: str) -> object:
    """Flags and variables are text; what is no number stays text and is then refused as such."""
    try:
        return int(text) if text.strip().lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text


def _checked(setting: Setting, value: object, base: Path) -> Value:
    """The value as it will be used, or BadInput. `base` is where a relative path starts."""
    if setting.kind == "choice":
        if isinstance(value, str) and value.lower() in setting.choices:
            return value.lower()
        raise _wrong(setting, " or ".join(setting.choices), value)
    expected, fits = _KINDS[setting.kind]
    if fits(value) and isinstance(value, list):
        return tuple(value)
    if not fits(value) or not isinstance(value, (str, int, float)):
        raise _wrong(setting, expected, value)
    if setting.kind == "tracker":
        return _canonical_backend(str(value), base)
    return _canonical_url(str(value), base) if setting.kind == "url" else value


def _shown(setting: Setting, value: Value) -> Value:
    if setting.kind == "secret":
        return "***" if value else ""
    return _without_password(value) if isinstance(value, str) else value


def _wrong(setting: Setting, expected: str, value: object) -> BadInput:
    shown = _shown(setting, str(value)) if isinstance(value, str) or setting.kind == "secret" else value
    return BadInput(f"expected {setting.name} to be {expected}, got: {shortened(shown)}")


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    last = name.rpartition(".")[2]
    close = [known for known in _BY_NAME if known.rpartition(".")[2] == last]
    close = close or get_close_matches(name, _BY_NAME, 1) or get_close_matches(name.partition(".")[0], TABLES, 1)
    return f"unknown setting {shortened(name)}" + (f"; did you mean {close[0]}?" if close else "")


def _refuse(what: str, problems: list[str]) -> None:
    """Raise all problems at once; one alone is the message itself."""
    if len(problems) == 1:
        raise BadInput(problems[0], hint="tasktrail config show")
    if problems:
        raise BadInput(f"{len(problems)} {what}", hint="tasktrail config show", details=problems)


def _file_layer(path: Path | None, tables: Collection[str] = ()) -> _Layer:
    """What a tasktrail.toml says; nothing when there is none. Others read the tables that it may have."""
    if path is None or not is_ours(path.parent, path.name):
        return {}
    text = read(path)
    values, lines = parse(path, text), key_lines(text)
    layer: _Layer = {}
    problems: list[tuple[int, str]] = []
    for keys, value in leaves(values):
        name, line = ".".join(keys), lines.get(keys, 1)
        try:
            if name in _BY_NAME:
                layer[name] = (_checked(_BY_NAME[name], value, path.parent), f"{path} line {line}")
            elif keys[0] not in tables and not (name in _SECTIONS and value == {}):
                raise BadInput(_unknown(name))
        except BadInput as error:
            problems.append((line, f"{path}:{line}: {error.message}"))
    _refuse(f"errors in {path}", [problem for _, problem in sorted(problems)])
    return layer


def init_template() -> str:
    """A tasktrail.toml that sets nothing: every setting with its default, commented."""
    lines, section = ["# Settings of this project; `tasktrail config show` lists all and where each was said."], ""
    for setting in SETTINGS:
        table, _, key = setting.name.rpartition(".")
        lines += ["", f"[{table}]"] if table != section else [""]
        value = setting.example if setting.default is None else setting.default
        lines += [f"# {setting.help} ({', '.join(filter(None, (setting.flag, setting.env)))})"]
        lines += [f"# One of: {', '.join(setting.choices)}."] if setting.choices else []
        shown = list(value) if isinstance(value, tuple) else f'"{value}"' if isinstance(value, str) else value
        lines += [f"# {key} = {shown}"]
        section = table
    return "\n".join(lines) + "\n"


def write_init(folder: Path) -> Path:
    """Write the template as `folder`/tasktrail.toml; BadInput when there is one, or the folder cannot be written."""
    path = folder / PROJECT_FILE
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(init_template())
    except FileExistsError as error:
        raise BadInput(f"{path} exists already and was left as it is", hint="tasktrail config show") from error
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}", hint="tasktrail -C DIR init") from error
    return path


def find_store(start: Path | None = None, flag: str | None = None, environ: Texts | None = None) -> StoreLocation:
    """Find the project's store. Nothing is created.

    `--store`, `TASKTRAIL_STORE`, the url in the nearest tasktrail.toml (the start folder, then up to five parents), the
    nearest `.tasktrail/tasktrail.db` (likewise), the user's file; else `.tasktrail` in the start folder. A user's file
    comes after a store that is there, so that it never hides a project's own.

    Args:
        start: None is the working directory.
        flag: What `--store` said; None when it was not given.
    """
    folder = absolute(start or Path())
    return _find(folder, folder, flag, os.environ if environ is None else environ)


def find_store_for_folder(folder: Path, flag: str | None = None, environ: Texts | None = None) -> StoreLocation:
    """Find the store for a door that was given a folder, which need not exist: the search starts there.

    Finding none, it is `.tasktrail` of the working directory when the folder lies below it, else the folder's own.
    """
    here, start = absolute(Path()), absolute(folder)
    fresh = here if start.is_relative_to(here) else start
    return _find(start, fresh, flag, os.environ if environ is None else environ)


def prepare_folder(location: StoreLocation) -> None:
    """Make the store's `.tasktrail` folder before the first write: 0700, ignored by git, complete or not there.

    Other folders are the user's to make. Any number of threads and processes may call it at once. A folder that cannot
    be made is a StoreError.
    """
    folder = location.path.parent if location.path else None
    if folder is None or folder.name != ".tasktrail":
        return
    try:
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        _make_folder(folder)
        _sync_folder(folder.parent)  # else power loss takes the folder, and with it commits that were acknowledged
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}", hint="tasktrail --store PATH …") from error


def _find(start: Path, fresh: Path, flag: str | None, environ: Texts) -> StoreLocation:
    """Files are read only when flag and environment say nothing: a broken one must not stop who did not ask it."""
    env = _BY_NAME["store.url"].env
    given = _given({} if flag is None else {"store.url": flag}, {env: environ.get(env, "")})
    if given:
        return _choose_store(start, fresh, given, {}, {})
    project, user = _file_layer(nearest(start, PROJECT_FILE), TABLES), _file_layer(user_file(environ))
    return _choose_store(start, fresh, given, project, user)


def _choose_store(start: Path, fresh: Path, given: _Layer, project: _Layer, user: _Layer) -> StoreLocation:
    toml, found = nearest(start, PROJECT_FILE), nearest(start, ".tasktrail/tasktrail.db")
    there = {"store.url": (f"sqlite:///{found.as_posix()}", f"found in {found.parent}")} if found else {}
    fresh = toml.parent if toml else fresh
    default = {"store.url": (_canonical_url(".tasktrail/tasktrail.db", fresh), "default")}
    url, origin = next(layer["store.url"] for layer in (given, project, there, user, default) if "store.url" in layer)
    root = found.parent.parent if found and not toml else fresh
    path = str(url).removeprefix("sqlite:///")
    return StoreLocation(str(url), None if path == url else Path(path), origin, root)


def _canonical_url(text: str, base: Path) -> str:
    """A store's URL with an absolute path; `base` is where a relative one starts."""
    if text in ("memory:", ":memory:", "sqlite:///:memory:"):  # the others are habits; nobody wants a file of that name
        return "memory:"
    if text.startswith(("postgresql://", "postgres://")):
        return text
    path = text.removeprefix("sqlite:///")
    if not path or re.match(r"[A-Za-z][\w+.-]*://", path):
        raise _wrong(_BY_NAME["store.url"], _KINDS["url"][0], text)
    return f"sqlite:///{absolute(base / path).as_posix()}"


def _canonical_backend(text: str, base: Path) -> str:
    """A tracker's backend; where it names a folder or a SQLite file, an absolute one."""
    word, colon, rest = text.partition(":")
    if word in ("yaml", "json") and rest:
        return f"{word}:{absolute(base / rest)}"
    return _canonical_url(text, base) if word == "sqlite" and colon else text


def _without_password(url: str) -> str:
    url = re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", url)


def _make_folder(folder: Path) -> None:
    """Fill it under another name, then rename it: nobody ever sees it without its .gitignore."""
    import tempfile

    draft = Path(tempfile.mkdtemp(prefix=".tasktrail-", dir=folder.parent))
    try:
        with (draft / ".gitignore").open("w", encoding="utf-8", newline="\n") as file:
            file.write("*\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder)
    except OSError:
        (draft / ".gitignore").unlink(missing_ok=True)
        draft.rmdir()
        if not folder.is_dir():  # else another process was first, which is as good
            raise


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
