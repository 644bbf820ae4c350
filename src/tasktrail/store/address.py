"""The URL of a PostgreSQL store: what libpq gets of it, what messages show, and what its own tools are told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from tasktrail.model.errors import BadInput, NotAStore

_SCHEMA: Final = "tasktrail"
_OURS: Final = frozenset({"schema", "pooler"})
_SECRET: Final = frozenset({"password", "sslpassword"})
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")
_LINK: Final = {
    "application_name": "tasktrail",
    "client_encoding": "UTF8",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""How a connection is watched, where the URL says nothing else: a link that is cut is noticed within 25 seconds."""
_HINT: Final = "write /, @, :, ?, # and % of a user or password as %2F %40 %3A %3F %23 %25"

_POOLER_HINT: Final = "leave pooler out where each connection keeps its session (PgBouncer: pool_mode = session)"


class Address(NamedTuple):
    """Where a PostgreSQL store lies.

    Attributes:
        conninfo: What libpq connects with; it may hold a password.
        where: How messages name it; without one.
        is_pooled: Whether a pooler may give each transaction another session.
    """

    schema: str
    conninfo: str
    where: str
    is_pooled: bool


def address(url: str) -> Address:
    """Return what a URL says.

    Raises:
        NotAStore: It cannot be understood. Nothing of it is shown: what stands in a wrong place may be a password.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    ours, rest = _apart(url)
    schema, pooler = ours["schema"], ours["pooler"]
    if pooler not in ("", "transaction"):
        raise NotAStore("expected pooler in the URL of a PostgreSQL database to be transaction", hint=_POOLER_HINT)
    try:
        values = conninfo_to_dict(_joined(rest))
    except psycopg.Error as error:
        words = str(error).strip()
        shown = f": {words}" if words.startswith("invalid URI query parameter") else ""
        raise NotAStore(f"no URL of a PostgreSQL database{shown}", hint=_HINT) from None
    said = {**_LINK, **{name: str(value) for name, value in values.items() if value is not None}}
    place = ":".join(said[name] for name in ("host", "port") if name in said)
    more = {"service": said.get("service"), "schema": schema if schema != _SCHEMA else None, "pooler": pooler}
    query = "&".join(f"{name}={value}" for name, value in more.items() if value)
    where = f"postgresql://{place}/{said.get('dbname', '')}{'?' if query else ''}{query}"
    return Address(schema, make_conninfo("", **said), where, bool(pooler))


def with_schema(url: str, schema: str) -> str:
    """Return the URL of another schema of the same database.

    >>> with_schema("postgresql://db/work?schema=s&pooler=transaction", "other")
    'postgresql://db/work?pooler=transaction&schema=other'
    """
    parts = urlsplit(url)
    said = [pair for pair in parts.query.split("&") if pair and not pair.startswith("schema=")]
    return _joined(parts._replace(query="&".join([*said, f"schema={schema}"])))


def refuse_backup(url: str, file: Path) -> BadInput:
    """Return the refusal to copy a store on a server, with the command that does; a password is no part of it.

    >>> print(refuse_backup("postgresql://ann:secret@db/work?schema=s", Path("b.dump")).hint)
    pg_dump --format=custom --schema=s --file=b.dump --dbname=postgresql://ann@db/work
    """
    schema, target, past = _for_tools(url)
    words = ["pg_dump", "--format=custom", f"--schema={schema}", f"--file={file}", f"--dbname={target}"]
    return BadInput(f"{target} is on a server; the server's own tools copy it{past}", hint=_command(words))


def refuse_restore(url: str, file: Path) -> BadInput:
    """Return the refusal to put a backup in the place of a store on a server, with the command that does."""
    _, target, past = _for_tools(url)
    words = ["pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={target}"]
    said = f"{target} is on a server; the server's own tools put a copy back{past}"
    return BadInput(said, hint=_command([*words, str(file)]))


def _command(words: list[str]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" if value else shlex.quote(name) for name, value in map(_pair, words))


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
    return name, value


def _for_tools(url: str) -> tuple[str, str, str]:
    """Return the schema as a pattern of these tools, a URL that libpq takes, without passwords, and what else to do."""
    ours, parts = _apart(url)
    schema, past = ours["schema"], ", past the pooler: put host and port of the server there" if ours["pooler"] else ""
    user, at, hosts = parts.netloc.rpartition("@")
    said = [pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _SECRET]
    target = parts._replace(netloc=f"{user.partition(':')[0]}{at}{hosts}", query="&".join(said))
    return schema if _PLAIN.fullmatch(schema) else quoted(schema), _joined(target), past


def _joined(parts: SplitResult) -> str:
    """urlunsplit leaves the two slashes out where there is no host."""
    text = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return f"{text}?{parts.query}" if parts.query else text


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it has in it."""
    return '"' + name.replace('"', '""') + '"'


def _apart(url: str) -> tuple[dict[str, str], SplitResult]:
    """Return what the URL says to us, and the URL without that."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = SplitResult("", "", "@", "", "")
    hosts = parts.netloc.rpartition("@")[2].split(",")
    said = [pair for pair in parts.query.split("&") if pair]
    odd = parts.fragment or "@" in parts.path or not all("=" in pair for pair in said)
    if odd or not all(map(_HOST.fullmatch, hosts)):
        raise NotAStore("no URL of a PostgreSQL database", hint=_HINT)
    pairs = [pair.partition("=")[::2] for pair in said]
    ours = {"schema": _SCHEMA, "pooler": "", **{name: unquote(value) for name, value in pairs if name in _OURS}}
    rest = "&".join(pair for pair in said if pair.partition("=")[0] not in _OURS)
    return ours, parts._replace(query=rest)
