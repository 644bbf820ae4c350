"""Where settings come from, where the store lies, and what a broken file or value is answered with."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from tasktrail.config import (
    SETTINGS,
    Config,
    StoreLocation,
    environment,
    find_store,
    find_store_for_folder,
    init_template,
    load,
    prepare_folder,
    user_file,
    write_init,
)
from tasktrail.model.errors import BadInput, StoreError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder that is the working directory, deep enough that no search reaches the real machine."""
    folder = tmp_path.joinpath("a", "b", "c", "d", "e", "project")
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def make_store(folder: Path) -> Path:
    return write(folder / ".tasktrail" / "tasktrail.db", "")


def home_with(tmp_path: Path, text: str) -> dict[str, str]:
    write(tmp_path / "home" / ".config" / "tasktrail" / "config.toml", text)
    return {"HOME": str(tmp_path / "home")}


def origins(found: Config) -> dict[str, str]:
    return {name: origin for name, _, origin in found.origins()}


# ------------------------------------------------------------------------------------------------------- precedence


def test_every_setting_has_a_default_and_a_typed_name(project: Path) -> None:
    found = load(environ={"USER": "ann"})
    assert {setting.name.replace(".", "_") for setting in SETTINGS} <= {field.name for field in fields(Config)}
    assert (found.color, found.log_format, found.log_level) == ("auto", "text", "warning")
    assert (found.run_max_parallel, found.store_synchronous, found.store_busy_timeout_s) == (5, "full", 30)
    assert set(origins(found).values()) == {"default"}


def test_flag_goes_before_environment_before_project_before_user_before_default(project: Path, tmp_path: Path) -> None:
    environ = home_with(tmp_path, "run.max_parallel = 6")
    assert load(environ={}).run_max_parallel == 5
    assert load(environ=environ).run_max_parallel == 6
    write(project / "tasktrail.toml", "[run]\nmax_parallel = 4")
    assert load(environ=environ).run_max_parallel == 4
    environ["TASKTRAIL_MAX_PARALLEL"] = "3"
    assert load(environ=environ).run_max_parallel == 3
    assert load(flags={"run.max_parallel": "2"}, environ=environ).run_max_parallel == 2


def test_each_value_says_where_it_came_from(project: Path, tmp_path: Path) -> None:
    environ = home_with(tmp_path, 'color = "never"') | {"TASKTRAIL_LOG": "json"}
    write(project / "tasktrail.toml", '# ours\n\nactor = "bob"\n[store]\nsynchronous = "normal"\n')
    assert origins(load(flags={"log.level": "debug"}, environ=environ)) == {
        "actor": f"{project}/tasktrail.toml line 3",
        "color": f"{tmp_path}/home/.config/tasktrail/config.toml line 1",
        "executions.record": "default",
        "log.format": "environment TASKTRAIL_LOG",
        "log.level": "flag --log-level",
        "mcp.calls_per_s": "default",
        "mcp.read_only": "default",
        "mcp.timeout_s": "default",
        "mcp.toolsets": "default",
        "run.max_parallel": "default",
        "scrub.allow": "default",
        "scrub.key": "default",
        "serve.token": "default",
        "store.url": "default",
        "store.synchronous": f"{project}/tasktrail.toml line 5",
        "store.busy_timeout_s": "default",
        "tracker.backend": "default",
    }


def test_an_empty_variable_counts_as_not_set(project: Path) -> None:
    assert load(environ={"TASKTRAIL_LOG": "", "TASKTRAIL_STORE": ""}).log_format == "text"


def test_only_the_nearest_file_counts(project: Path) -> None:
    write(project.parent / "tasktrail.toml", 'actor = "outer"\nlog.level = "debug"')
    write(project / "tasktrail.toml", 'actor = "inner"')
    found = load(environ={})
    assert (found.actor, found.log_level) == ("inner", "warning")


def test_a_file_is_searched_in_five_parents_and_no_further(tmp_path: Path) -> None:
    write(tmp_path / "tasktrail.toml", 'actor = "above"')
    deep = tmp_path.joinpath("1", "2", "3", "4", "5", "6")
    assert load(deep.parent, environ={}).actor == "above"
    assert load(deep, environ={"USER": "ann"}).actor != "above"


def test_the_file_of_a_stranger_in_a_folder_for_everybody_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    write(shared / "tasktrail.toml", 'actor = "mallory"')
    make_store(shared)
    shared.chmod(0o1777)
    assert load(shared / "mine", environ={}).actor == "mallory"
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert load(shared / "mine", environ={"USER": "ann"}).actor != "mallory"
    assert find_store(shared / "mine", environ={}).origin == "default"


def test_the_users_file_is_where_the_platform_keeps_such_files() -> None:
    assert user_file({"HOME": "/h"}, windows=False) == Path("/h/.config/tasktrail/config.toml")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, windows=False) == Path("/x/tasktrail/config.toml")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": "x"}, windows=False) == Path("/h/.config/tasktrail/config.toml")
    assert user_file({"APPDATA": "/a", "HOME": "/h"}, windows=True) == Path("/a/tasktrail/config.toml")
    assert user_file({}, windows=False) is None


@pytest.mark.parametrize(
    ("environ", "color"),
    [
        ({"NO_COLOR": "1"}, "never"),
        ({"NO_COLOR": ""}, "auto"),
        ({"FORCE_COLOR": "1"}, "always"),
        ({"FORCE_COLOR": "0"}, "auto"),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "never"),
        ({"NO_COLOR": "1", "TASKTRAIL_COLOR": "always"}, "always"),
    ],
)
def test_color_honours_the_variables_that_all_programs_share(
    project: Path, environ: dict[str, str], color: str
) -> None:
    assert load(environ=environ).color == color


# ------------------------------------------------------------------------------------------------------------- actor


def test_actor_is_user_at_host_when_nothing_is_said(project: Path) -> None:
    assert load(environ={"USER": "ann"}).actor == f"ann@{os.uname().nodename}"


def test_actor_is_named_without_a_passwd_entry(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    assert load(environ={}).actor == f"uid987654321@{os.uname().nodename}"


def test_actor_keeps_no_character_that_cannot_be_seen(project: Path) -> None:
    assert load(environ={"USER": "an\x1bn\n " + "x" * 300}).actor.startswith("annxxx")
    assert len(load(environ={"USER": "x" * 300}).actor) == 200


# ------------------------------------------------------------------------------------------------------------ errors


def test_all_errors_of_a_file_come_at_once_with_their_lines(project: Path) -> None:
    path = write(
        project / "tasktrail.toml",
        '[stroe]\n[store]\nulr = "x"\nsynchronous = "off"\n[run]\nmax_parallel = "8"\n[log]\nlevel = [\n  1,\n]\n',
    )
    with pytest.raises(BadInput) as refused:
        load(environ={})
    assert refused.value.message == f"5 errors in {path}"
    assert refused.value.details == (
        f"{path}:1: unknown setting 'stroe'",
        f"{path}:3: unknown setting 'store.ulr'; did you mean store.url?",
        f"{path}:4: expected store.synchronous to be full or normal, got: 'off'",
        f"{path}:6: expected run.max_parallel to be a whole number, 1 or more, got: '8'",
        f"{path}:8: expected log.level to be debug or info or warning or error, got: [1]",
    )


def test_a_key_outside_its_section_is_given_the_full_name(project: Path) -> None:
    path = write(project / "tasktrail.toml", "max_parallel = 3")
    with pytest.raises(BadInput) as refused:
        load(environ={})
    assert refused.value.message == f"{path}:1: unknown setting 'max_parallel'; did you mean run.max_parallel?"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = = 2\n", "2:5: invalid value"),
        ("a = 1\n[store\n", "2:7: expected ']' at the end of a table declaration"),
        ("a =", "1:4: invalid value"),
        ("a = 1\na = 2", "2:6: cannot overwrite a value"),
        ("a = " + "[" * 5_000, ""),
        ("a = " + "9" * 5_000, ""),
    ],
)
def test_broken_toml_is_refused_with_line_and_column(project: Path, text: str, place: str) -> None:
    path = write(project / "tasktrail.toml", text)
    with pytest.raises(BadInput) as refused:
        load(environ={})
    assert refused.value.message.startswith(f"{path}:{place}")


def test_a_file_that_is_not_utf8_is_refused_with_line_and_column(project: Path) -> None:
    (project / "tasktrail.toml").write_bytes(b'# fine\nactor = "\xff"')
    with pytest.raises(BadInput, match=r"tasktrail\.toml:2:10: expected UTF-8 text, got byte 0xff"):
        load(environ={})


def test_a_file_with_the_mark_and_line_ends_of_windows_is_read(project: Path) -> None:
    (project / "tasktrail.toml").write_bytes(b'\xef\xbb\xbfactor = "ann"\r\n[run]\r\nmax_parallel = 2\r\n')
    assert origins(load(environ={}))["run.max_parallel"].endswith("line 3")


def test_a_huge_file_is_refused_and_a_long_value_is_read_quickly(project: Path) -> None:
    path = write(project / "tasktrail.toml", "#\n" * 40_000)
    with pytest.raises(BadInput, match="to be at most 65536 bytes, got: 80000"):
        load(environ={})
    write(path, 'x = """\n' + "a\n" * 20_000 + '"""\nactor = "ann"\n')
    with pytest.raises(BadInput, match=r"tasktrail\.toml:1: unknown setting 'x'"):
        load(environ={})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.max_parallel", "0"),
        ("run.max_parallel", "1.5"),
        ("run.max_parallel", "9" * 5_000 + "x"),
        ("store.busy_timeout_s", "-1"),
        ("store.busy_timeout_s", "nan"),
        ("store.busy_timeout_s", "inf"),
        ("store.busy_timeout_s", "9" * 5_000),
        ("store.busy_timeout_s", "soon"),
        ("log.format", "xml"),
        ("actor", "a\nb"),
        ("actor", "x" * 201),
        ("store.url", "mysql://host/db"),
        ("store.url", "postgresql+asyncpg://host/db"),
        ("store.url", "sqlite://two-slashes"),
        ("store.url", "sqlite:///"),
        ("store.url", "a\0b"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(project: Path, name: str, text: str) -> None:
    with pytest.raises(BadInput, match=f"flag --.*: expected {name} to be .*, got: ") as refused:
        load(flags={name: text}, environ={})
    assert len(refused.value.message) < 250


def test_true_is_no_number(project: Path) -> None:
    write(project / "tasktrail.toml", "run.max_parallel = true")
    with pytest.raises(BadInput, match="whole number, 1 or more, got: True"):
        load(environ={})


def test_bad_flags_and_variables_are_named_together(project: Path) -> None:
    with pytest.raises(BadInput) as refused:
        load(flags={"color": "pink", "lgo.level": "x"}, environ={"TASKTRAIL_LOG": "xml"})
    assert refused.value.message == "3 settings cannot be used"
    assert refused.value.details == (
        "flags: unknown setting 'lgo.level'; did you mean log.level?",
        "environment TASKTRAIL_LOG: expected log.format to be text or json, got: 'xml'",
        "flag --color: expected color to be auto or always or never, got: 'pink'",
    )


def test_a_password_is_never_shown(project: Path) -> None:
    url = "postgresql://ann:s3cret@db/x?sslpassword=s3cret"
    found = load(flags={"store.url": url}, environ={})
    assert found.store_url == found.store.url == url
    assert "s3cret" not in f"{found!r} {found.store} {found.store!r} {found.origins()}"
    with pytest.raises(BadInput) as refused:
        load(flags={"store.url": "mysql://ann:s3cret@db/x"}, environ={})
    assert "s3cret" not in str(refused.value)


# ---------------------------------------------------------------------------------------------------------- the store


def test_flag_goes_before_environment_before_file_before_folder_found(project: Path, tmp_path: Path) -> None:
    environ = home_with(tmp_path, 'store.url = "mine.db"')
    mine = tmp_path / "home" / ".config" / "tasktrail" / "mine.db"
    assert find_store(environ={}).path == project / ".tasktrail" / "tasktrail.db"
    assert find_store(environ=environ).path == mine
    made = make_store(project.parent)
    assert find_store(environ=environ).path == made
    write(project.parent.parent / "tasktrail.toml", '[store]\nurl = "var/x.db"')
    assert find_store(environ=environ).path == project.parent.parent / "var" / "x.db"
    environ["TASKTRAIL_STORE"] = "env.db"
    assert find_store(environ=environ).path == project / "env.db"
    assert find_store(flag="flag.db", environ=environ).path == project / "flag.db"


def test_the_store_says_how_it_was_found(project: Path) -> None:
    assert find_store(environ={}).origin == "default"
    make_store(project)
    assert find_store(project / "sub", environ={}).origin == f"found in {project}/.tasktrail"
    write(project / "tasktrail.toml", '\nstore.url = "x.db"')
    assert find_store(environ={}).origin == f"{project}/tasktrail.toml line 2"
    assert find_store(environ={"TASKTRAIL_STORE": "y"}).origin == "environment TASKTRAIL_STORE"
    assert find_store(flag="z", environ={}).origin == "flag --store"


def test_the_root_is_the_folder_of_the_nearest_file_else_of_the_store_else_the_start(project: Path) -> None:
    sub = project / "sub"
    assert find_store(sub, environ={}).root == sub
    make_store(project.parent)
    assert find_store(sub, environ={}).root == project.parent
    write(project / "tasktrail.toml", "")
    assert find_store(sub, flag="memory:", environ={}).root == project


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("x.db", "sqlite:///{here}/x.db"),
        ("./sub/../x.db", "sqlite:///{here}/x.db"),
        ("/var/x.db", "sqlite:////var/x.db"),
        ("sqlite:///x.db", "sqlite:///{here}/x.db"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("odd:name.db", "sqlite:///{here}/odd:name.db"),
        ("memory:", "memory:"),
        (":memory:", "memory:"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("postgres://db/x", "postgres://db/x"),
    ],
)
def test_a_store_is_named_by_path_or_url(project: Path, text: str, url: str) -> None:
    found = find_store(flag=text, environ={})
    assert found.url == url.format(here=project)
    assert found.path == (Path(found.url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else None)
    assert find_store(flag=found.url, environ={}) == found


def test_a_broken_file_does_not_stop_who_names_the_store(project: Path) -> None:
    write(project / "tasktrail.toml", "broken")
    assert find_store(environ={"TASKTRAIL_STORE": "memory:", "TASKTRAIL_LOG": "bad"}).url == "memory:"
    with pytest.raises(BadInput):
        find_store(environ={})


def test_the_search_starts_elsewhere_when_asked(project: Path) -> None:
    other = make_store(project.parent / "other")
    assert find_store(project.parent / "other" / "deep", environ={}).path == other


def test_nothing_is_created_by_looking(project: Path) -> None:
    load(environ={})
    find_store(project / "not" / "there", environ={})
    find_store_for_folder(project / "weeks", environ={})
    assert list(project.iterdir()) == []


def test_a_folder_below_the_working_directory_uses_the_working_directorys_store(project: Path) -> None:
    assert find_store_for_folder(project / "weeks", environ={}).path == project / ".tasktrail" / "tasktrail.db"
    assert find_store_for_folder(Path("weeks"), environ={}).path == project / ".tasktrail" / "tasktrail.db"


def test_a_folder_elsewhere_uses_its_own_store(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "weeks"
    assert find_store_for_folder(elsewhere, environ={}).path == elsewhere / ".tasktrail" / "tasktrail.db"


def test_a_folder_in_a_project_uses_the_projects_store(project: Path, tmp_path: Path) -> None:
    made = make_store(tmp_path / "elsewhere")
    assert find_store_for_folder(tmp_path / "elsewhere" / "weeks", environ={}).path == made
    assert find_store_for_folder(tmp_path / "elsewhere", environ={"TASKTRAIL_STORE": "memory:"}).url == "memory:"


def test_a_link_leads_to_the_one_name_of_a_store(project: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project)
    assert find_store(tmp_path / "link", environ={}) == find_store(environ={})


def test_a_working_directory_that_is_gone_is_named(project: Path) -> None:
    project.rmdir()
    with pytest.raises(BadInput, match="cannot use the path"):
        load(environ={})


# --------------------------------------------------------------------------------------------------------- the folder


def test_the_first_write_makes_a_private_folder_that_git_ignores(project: Path) -> None:
    prepare_folder(find_store(environ={}))
    folder = project / ".tasktrail"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert list(project.iterdir()) == [folder]


def test_a_folder_that_is_there_is_left_as_it_is(project: Path) -> None:
    (project / ".tasktrail").mkdir(mode=0o755)
    prepare_folder(find_store(environ={}))
    assert list((project / ".tasktrail").iterdir()) == []


@pytest.mark.parametrize("text", ["memory:", "postgresql://db/x", "var/x.db"])
def test_other_places_are_not_made(project: Path, text: str) -> None:
    prepare_folder(find_store(flag=text, environ={}))
    assert list(project.iterdir()) == []


def test_many_threads_make_one_whole_folder(project: Path) -> None:
    location, together = find_store(environ={}), threading.Barrier(16)

    def prepare(_: int) -> str:
        together.wait()
        prepare_folder(location)
        return (project / ".tasktrail" / ".gitignore").read_text()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(prepare, range(16))) == ["*\n"] * 16
    assert [path.name for path in project.iterdir()] == [".tasktrail"]


def test_who_comes_second_leaves_the_folder_of_who_was_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = tempfile.mkdtemp

    def make_and_be_overtaken(prefix: str, dir: Path) -> str:
        make_store(project)
        return make(prefix=prefix, dir=dir)

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_be_overtaken)
    prepare_folder(find_store(environ={}))
    assert [path.name for path in project.iterdir()] == [".tasktrail"]
    assert [path.name for path in (project / ".tasktrail").iterdir()] == ["tasktrail.db"]


def test_a_file_in_the_folders_place_is_named_and_nothing_is_left_behind(project: Path) -> None:
    write(project / ".tasktrail", "a file")
    with pytest.raises(StoreError, match=r"cannot make .*/\.tasktrail: "):
        prepare_folder(find_store(environ={}))
    assert [path.name for path in project.iterdir()] == [".tasktrail"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "file", "") / "sub" / ".tasktrail" / "tasktrail.db"
    with pytest.raises(StoreError, match="cannot make"):
        prepare_folder(StoreLocation(f"sqlite:///{path}", path, "default", tmp_path))


# -------------------------------------------------------------------------------------------------- lists and secrets


def test_a_list_stands_between_commas_in_the_environment_and_in_brackets_in_the_file(project: Path) -> None:
    write(project / "tasktrail.toml", '[scrub]\nallow = ["4111 1111 1111 1111", "ci"]')
    assert load(environ={}).scrub_allow == ("4111 1111 1111 1111", "ci")
    assert load(environ={"TASKTRAIL_SCRUB_ALLOW": " ci,, ann@example.org "}).scrub_allow == ("ci", "ann@example.org")

    write(project / "tasktrail.toml", '[scrub]\nallow = "ci"')
    with pytest.raises(BadInput, match=r"toml:2: expected scrub.allow to be a list of texts, got: 'ci'"):
        load(environ={})


@pytest.mark.parametrize("said", ['"short-secret"', "123456"])
def test_a_secret_is_shown_by_nobody(project: Path, said: str) -> None:
    found = load(environ={"TASKTRAIL_SCRUB_KEY": "a-secret-of-many-letters"})
    assert found.scrub_key == "a-secret-of-many-letters"
    assert "a-secret" not in repr(found) + repr(found.origins())

    write(project / "tasktrail.toml", f"[scrub]\nkey = {said}")
    with pytest.raises(BadInput) as refused:
        load(environ={})
    assert refused.value.message.endswith("expected scrub.key to be 16 characters or more, or none, got: '***'")


# ------------------------------------------------------------------------------------------------------- the template


def test_the_template_sets_nothing_as_it_is(project: Path) -> None:
    write_init(project)
    assert set(origins(load(environ={"USER": "ann"})).values()) == {"default"}
    sections = {"executions", "log", "mcp", "run", "scrub", "serve", "store", "tracker"}
    assert tomllib.loads(init_template()) == {section: {} for section in sections}


def test_the_template_without_its_comment_signs_sets_every_setting_to_its_default(project: Path) -> None:
    names = tuple(f"# {setting.name.rpartition('.')[2]} = " for setting in SETTINGS)
    lines = [line.removeprefix("# ") if line.startswith(names) else line for line in init_template().splitlines()]
    path = write(project / "tasktrail.toml", "\n".join(lines))
    found = load(environ={})
    assert all(origin.startswith(f"{path} line ") for origin in origins(found).values())
    assert found.actor == "ann@desk"
    (project / "tasktrail.toml").unlink()
    plain = load(flags={"actor": "ann@desk"}, environ={})
    assert [row[:2] for row in found.origins()] == [row[:2] for row in plain.origins()]


def test_init_refuses_to_overwrite(project: Path) -> None:
    path = write(project / "tasktrail.toml", "# mine")
    with pytest.raises(BadInput, match="exists already and was left as it is") as refused:
        write_init(project)
    assert refused.value.hint
    assert path.read_text() == "# mine"


def test_init_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot write"):
        write_init(tmp_path / "none")


def test_a_command_inherits_the_environment_but_for_a_servers_token(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TASKTRAIL_TOKEN", "a-token-that-is-long-enough")
    monkeypatch.setenv("TASKTRAIL_ACTOR", "ann")

    inherited = environment({"store.url": "memory:"})

    assert "TASKTRAIL_TOKEN" not in inherited
    assert (inherited["TASKTRAIL_ACTOR"], inherited["TASKTRAIL_STORE"]) == ("ann", "memory:")
