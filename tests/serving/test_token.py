"""The token of a server: made once, kept where nobody else reads it."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

import pytest

from tasktrail.config import load, user_file
from tasktrail.model.errors import BadInput, StoreError
from tasktrail.serving.token import find_token

MINE = Path(".tasktrail/token")


def found() -> str:
    return find_token(load()).text


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(text: str, mode: int = 0o600) -> None:
    MINE.parent.mkdir(exist_ok=True)
    MINE.write_text(text)
    MINE.chmod(mode)


def test_a_token_is_made_once_beside_the_store():
    before = os.umask(0)
    try:
        token = find_token(load())
    finally:
        os.umask(before)

    assert len(base64.urlsafe_b64decode(token.text + "=")) == 32
    assert token.origin == str(MINE.absolute())
    assert token.text not in repr(token)
    assert (mode(MINE), mode(MINE.parent)) == (0o600, 0o700)
    assert find_token(load()) == token
    assert {path.name for path in MINE.parent.iterdir()} == {".gitignore", "token"}


def test_another_project_has_another_token(tmp_path: Path):
    assert find_token(load(tmp_path / "a")).text != find_token(load(tmp_path / "b")).text


@pytest.mark.parametrize("url", ["memory:", "postgresql://db.example.org/tasks", "other/tasks.db"])
def test_a_store_without_a_folder_of_its_own_has_the_users_token(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    token = find_token(load(environ={"TASKTRAIL_STORE": url}))

    users = user_file()
    assert users is not None
    assert token.origin == str(users.parent / "token")
    assert (mode(users.parent / "token"), mode(users.parent)) == (0o600, 0o700)
    assert not Path("other").exists()


def test_without_a_home_the_setting_is_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    with pytest.raises(BadInput, match="no home to keep a token in"):
        find_token(load(environ={"TASKTRAIL_STORE": "memory:"}))


def test_the_setting_goes_before_the_file():
    write("x" * 43)
    token = find_token(load(environ={"TASKTRAIL_TOKEN": "a-token-of-many-letters"}))

    assert (token.text, token.origin) == ("a-token-of-many-letters", "serve.token")


@pytest.mark.parametrize("text", ["has blanks in the middle", "schlüssel-mit-umlaut", "with-a-comma,with-a-comma"])
def test_a_setting_that_no_header_can_carry_is_refused_and_not_shown(text: str):
    with pytest.raises(BadInput, match=r"expected serve.token to be letters, digits and") as refused:
        find_token(load(environ={"TASKTRAIL_TOKEN": text}))
    assert text not in str(refused.value)


def test_a_short_setting_is_refused():
    with pytest.raises(BadInput, match=r"expected serve.token to be 16 characters or more, or none, got: '\*\*\*'"):
        load(environ={"TASKTRAIL_TOKEN": "short"})


@pytest.mark.parametrize("given", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_read_or_write_is_refused(given: int):
    write("x" * 43, given)
    with pytest.raises(BadInput, match=rf"\(mode {given:03o}\)") as refused:
        found()
    assert "rm " in str(refused.value.hint)

    MINE.unlink()
    assert found() != "x" * 43


@pytest.mark.parametrize("text", ["", "short", "x" * 20 + "\n" + "y" * 20, "x" * 600, "a token with blanks in it"])
def test_a_file_that_holds_no_token_is_refused(text: str):
    write(text)
    with pytest.raises(BadInput, match="holds no token"):
        found()


def test_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "other").write_text("x" * 43)
    (tmp_path / "other").chmod(0o600)
    MINE.parent.mkdir()
    MINE.symlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="cannot read or make"):
        found()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(make: object):
    MINE.parent.mkdir()
    make(MINE)  # type: ignore[operator]  # each takes a path
    with pytest.raises((BadInput, StoreError), match=r"to be a file|cannot read or make"):
        found()


def test_the_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch):
    found()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BadInput, match="belongs to another user"):
        found()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with pytest.raises(StoreError, match="cannot read or make") as refused:
        find_token(load(environ={"TASKTRAIL_STORE": "memory:"}))
    assert refused.value.hint == "set TASKTRAIL_TOKEN"


def test_of_two_servers_that_start_at_once_both_have_the_token_that_was_there_first(monkeypatch: pytest.MonkeyPatch):
    def other_is_faster(_: int) -> str:
        write("x" * 43)
        return "y" * 43

    monkeypatch.setattr(secrets, "token_urlsafe", other_is_faster)

    assert found() == "x" * 43
    assert {path.name for path in MINE.parent.iterdir()} == {".gitignore", "token"}
