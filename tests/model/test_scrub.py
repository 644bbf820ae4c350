"""Scrubbing, profile text: a table of what goes and one of what stays, and what holds for any text at all."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hostile import (
    ANTHROPIC,
    AWS,
    BEGIN,
    END,
    GITHUB,
    GITHUB_FINE,
    GITLAB,
    GITLAB_RUNNER,
    GOOGLE,
    GOOGLE_OAUTH,
    HUGGINGFACE,
    JWT,
    NPM,
    OPENAI,
    OPENAI_PROJECT,
    PYPI,
    SENDGRID,
    SLACK,
    SLACK_APP,
    STRIPE,
)
from tasktrail.model import scrub as scrub_module
from tasktrail.model.scrub import PROFILES, STRICT, TEXT, Profile, Rule, scrub, scrub_text

SHA_1, SHA_256 = "4bf92f3577b34da6a3ce929d0e0e47364bf92f35", "4bf92f3577b34da6a3ce929d0e0e4736" * 2

GOES = [
    # e-mail addresses
    ("mail ann@example.org.", "mail [email]."),
    ("<ann.lee+x@mail.example.co.uk>", "<[email]>"),
    ("from='ann@example.org'", "from='[email]'"),
    ("[INFO]ann@example.org", "[INFO][email]"),
    ("jürgen@müller.de", "[email]"),
    ("?user=ann%40example.org&x=1", "?user=[email]&x=1"),
    ("ann@163.com", "[email]"),
    ("ann@example.org bob@example.org Ann@example.org", "[email:1] [email:2] [email:1]"),
    ("[email] and bob@example.org", "[email] and [email:2]"),
    ("[email:7] and bob@example.org", "[email:7] and [email:8]"),
    ("[EMAIL] and bob@example.org", "[EMAIL] and [email:2]"),  # what an older version stored
    ("[EMAIL:7] and [email:3] and bob@example.org", "[EMAIL:7] and [email:3] and [email:8]"),
    # keys of providers
    (f"key {AWS} refused", "key [secret:aws] refused"),
    (f"https://example.org/?k={GITHUB}&x=1", "https://example.org/?k=[secret:github]&x=1"),
    (GITHUB_FINE, "[secret:github]"),
    (f"'{GITLAB}'", "'[secret:gitlab]'"),
    (f"slack {SLACK}.", "slack [secret:slack]."),
    (f"({GOOGLE})", "([secret:google])"),
    (STRIPE, "[secret:stripe]"),
    (f"Incorrect key provided: {OPENAI}.", "Incorrect key provided: [secret:openai]."),
    (OPENAI_PROJECT, "[secret:openai]"),
    (f"x={ANTHROPIC}", "x=[secret:anthropic]"),
    (f"npm: {NPM}", "npm: [secret:npm]"),
    (PYPI, "[secret:pypi]"),
    (f"'{GITLAB_RUNNER}'", "'[secret:gitlab]'"),
    (f"slack {SLACK_APP}.", "slack [secret:slack]."),
    (f"({GOOGLE_OAUTH})", "([secret:google_oauth])"),
    (f"x={HUGGINGFACE}, y", "x=[secret:huggingface], y"),
    (f"mail by {SENDGRID}.", "mail by [secret:sendgrid]."),
    (f"expired: {JWT}", "expired: [secret:jwt]"),
    (f"{BEGIN}\nMIIEpAIB\nAAKC=\n{END}\nnext", "[secret:pem]\nnext"),
    (f"{BEGIN}\nProc-Type: 4,ENCRYPTED\n\nMIIE\n{END}", "[secret:pem]"),
    (f'"private_key": "{BEGIN}\\nMIIE\\n{END}\\n"', '"private_key": "[secret:pem]\\n"'),
    (f"cut off: {BEGIN}\nMIIEpAIB\nAAKC", "cut off: [secret:pem]"),
    # headers and URLs
    ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
    ("curl -H 'Authorization: Basic YW5uOnB3' x", "curl -H 'Authorization: Basic [secret]' x"),
    ("{'Authorization': 'token abc', 'x': 1}", "{'Authorization': 'token [secret]', 'x': 1}"),
    ("sent Bearer abcdefgh12345678", "sent Bearer [secret]"),
    ("[(b'authorization', b'Basic YW5uOnB3'), (b'a', b'b')]", "[(b'authorization', b'Basic [secret]'), (b'a', b'b')]"),
    ("('x-api-key','abcdef')", "('x-api-key','[secret]')"),
    ('["Set-Cookie", "sid=abc; Path=/"]', '["Set-Cookie", "[secret]"]'),
    ("Cookie: sid=abc; theme=dark status=200", "Cookie: [secret] status=200"),
    ("set-cookie: sid=abc; Path=/; HttpOnly", "set-cookie: [secret]"),
    ("postgres://app:pw@db.example.org:5432/x", "postgres://[secret]@db.example.org:5432/x"),
    ("https://ann:p@ss@example.org/x", "https://[secret]@example.org/x"),
    ("redis://:pw@cache/0", "redis://[secret]@cache/0"),
    ("https://A1b2A1b2A1b2A1b2@example.org/x.git", "https://[secret]@example.org/x.git"),
    # keys with values
    ("password=hunter2", "password=[secret]"),
    ("Password: hunter2, next", "Password: [secret], next"),
    ('{"password": "hun ter2"}', '{"password": "[secret]"}'),
    ('"{\\"passwd\\": \\"abc\\"}"', '"{\\"passwd\\": \\"[secret]\\"}"'),
    ('{"password":"hun\\"ter2", "x": 1}', '{"password":"[secret]", "x": 1}'),
    ("{'password': 'hun\\'ter2', 'x': 1}", "{'password': '[secret]', 'x': 1}"),
    ('{"password": "ends so\\\\", "x": "y"}', '{"password": "[secret]", "x": "y"}'),
    ("DB_PASS=hunter2", "DB_PASS=[secret]"),
    ("SMTP_PASS: hunter2", "SMTP_PASS: [secret]"),
    ("passwords=hunter2", "passwords=[secret]"),
    ("{'password': b'abc'}", "{'password': b'[secret]'}"),
    ("os.environ['DB_PASSWORD'] = 'abc'", "os.environ['DB_PASSWORD'] = '[secret]'"),
    ("connect(user='ann', password='abc')", "connect(user='ann', password='[secret]')"),
    ("export CLIENT_SECRET=abc", "export CLIENT_SECRET=[secret]"),
    ("secret_key: abc", "secret_key: [secret]"),
    ("apiKey := abc", "apiKey := [secret]"),
    ("X-Api-Key: abc", "X-Api-Key: [secret]"),
    ("aws_secret_access_key = wJalr/XUt", "aws_secret_access_key = [secret]"),
    ("Server=x;Uid=sa;Pwd=hunter2;", "Server=x;Uid=sa;Pwd=[secret];"),
    ("https://example.org/?access_token=abc123&x=1", "https://example.org/?access_token=[secret]&x=1"),
    ("GITHUB_TOKEN: abc123", "GITHUB_TOKEN: [secret]"),
    ("mysql --password hunter2 db", "mysql --password [secret] db"),
    ("mysql --password=hunter2 db", "mysql --password=[secret] db"),
    ("['mysql', '--db-password', 'hunter2']", "['mysql', '--db-password', '[secret]']"),
    ("--token abc123", "--token [secret]"),
    # cards
    ("4111 1111 1111 1111", "[card]"),
    ("card=4111-1111-1111-1111.", "card=[card]."),
    ("4111111111111111", "[card]"),
    ("4111 1111 1111 1111 123", "[card] 123"),
    ("2026 4111 1111 1111 1111", "2026 [card]"),
    ("3782 822463 10005", "[card]"),
    ("3056 930902 5904", "[card]"),
    ("4222222222222", "[card]"),
    ("6212 3456 7890 0000 003", "[card]"),
    ("4111111111111111 5555555555554444 4111 1111 1111 1111", "[card:1] [card:2] [card:1]"),
    # bank accounts
    ("DE89370400440532013000", "[iban]"),
    ("DE89 3704 0044 0532 0130 00 BIC COBADEFF", "[iban] BIC COBADEFF"),
    ("iban:GB82WEST12345698765432,", "iban:[iban],"),
    ("NO93 8601 1117 947", "[iban]"),
    # home folders
    ('File "/home/ann/src/x.py", line 1', 'File "/home/[user]/src/x.py", line 1'),
    ("no such file: /Users/ann.lee.", "no such file: /Users/[user]."),
    ("/home/ann/a /home/bob/b /home/ann", "/home/[user:1]/a /home/[user:2]/b /home/[user:1]"),
    ("C:\\Users\\Ann Lee\\x.txt", "C:\\Users\\[user]\\x.txt"),
    ("'C:\\\\Users\\\\ann\\\\x.txt'", "'C:\\\\Users\\\\[user]\\\\x.txt'"),
    ("/mnt/c/Users/ann/x", "/mnt/c/Users/[user]/x"),
    ("cc -I/home/ann/include", "cc -I/home/[user]/include"),
    ("file:///home/ann/x", "file:///home/[user]/x"),
    ("/srv/home/ann", "/srv/home/[user]"),
    ("PWD=/home/ann", "PWD=/home/[user]"),
]

STAYS = [
    # versions, times, numbers
    "tasktrail 1.2.3 on Python 3.11.7, schema v12, pydantic==2.14.3, 1.0.0-rc.1+build.5",
    "package@1.2.3-beta.one @scope/name@10.0.1 react@latest name@v1.2.next",
    f"commit {SHA_1}",
    f"sha256:{SHA_256} sha1={SHA_1}",
    f"repository@{SHA_1} image@sha256:{SHA_256}",
    f"secret: sha256:{SHA_256}",
    "2026-03-01T12:30:45.123456+00:00 12:30:45,123",
    "1700000000000 1700000000000000 1700000000000000000",
    "0.4111111111111111 4111111111111111.5",
    "4111111111111112 4111 1111 1111 1112 9999 9999 9999 9995",
    "step 3 of 12 took 4242 ms, 42 %",
    # what the profile strict will know
    "550e8400-e29b-41d4-a716-446655440000",
    "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7",
    "10.0.0.1 192.168.1.1:8080 ::1 2001:db8::1",
    "01:23:45:67:89:ab",
    # code
    "std::vector<token::Kind> secret::Box password::Hash",
    "password = getpass.getpass()",
    "token = get_token(request) if token else self.token",
    "def connect(user: str, password: str | None = None, token: bytes = b'')",
    "connect(password=settings.password, api_key=os.environ)",
    "A @ B; x@y; a@b.T",
    "KeyError: 'password'",
    "@pytest.mark.requirement",
    # words
    "max_tokens=4096, tokens: 12, eos_token: 2, fence token: 17",
    "unexpected token: name",
    "use --token to log in",
    "the password is wrong, the secret was not found",
    "basic understanding of things, bearer of news",
    "password: null, secret: ********, api_key=${API_KEY}, passwd = %s, token=$TOKEN",
    "password: <hidden>",
    "Enter password:\n",
    "access key: missing",
    "task-of-a-very-long-kebab-case-name risk-20-other-things",
    "sk-learn_pipeline_configuration_of_the_second_step",
    "first_pass: 12 ms, test_pass=3, by pass: x, passes: 3",
    "['authorization', 'content-type', 'cookie'] ('cookie', 7) ('cookie', none)",
    "hf_hub_download hf_transfer_enabled_for_all_of_the_models SG.module.of_names ya29.x xapp-of-many-names-here",
    "passed: 5, compass: north, keys: 3, monkey: 1",
    # files, URLs, services
    "icon@2x.png getty@tty1.service",
    "git@github.com:owner/name.git",
    "https://example.org:8080/home/index?q=a@b",
    "http://[::1]:8080/a@b",
    "backend/home/views.py ./home/x src/Users/list.tsx",
    "/root/.cache /Users/Shared/x C:\\Users\\Public\\x /home/ /home/$USER/x /home/{user}/x",
    "DE89370400440532013001 XX89370400440532013000 de89370400440532013000",
    "be71096123456769",
    "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    # our own placeholders and references
    "[email] [card:2] [secret:github] [secret]: x, [secret:pem]: x, password=[secret] /home/[user]/x",
    "[EMAIL] [CARD:2] [SECRET:github] [SECRET]: x, [SECRET:pem]: x, password=[SECRET] /home/[USER]/x",
    "plan/my-dag-123:fetch_data job/nightly#2 A:7/research T1",
    "",
    "ok",
    "\x00 \ud800 \udfff \u202e",
]


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(scrub_module).failed == 0


# ------------------------------------------------------------------------------------------------ what goes, what stays


@pytest.mark.requirement("AX-024")
@pytest.mark.parametrize(("text", "scrubbed"), GOES)
def test_a_private_value_becomes_its_placeholder(text: str, scrubbed: str) -> None:
    assert scrub_text(text) == scrubbed
    assert scrub_text(scrubbed) == scrubbed


@pytest.mark.requirement("AX-029")
@pytest.mark.parametrize("text", STAYS)
def test_what_is_not_private_stays_to_the_character(text: str) -> None:
    assert scrub_text(text) == text


def test_a_value_is_found_in_the_middle_of_a_stack() -> None:
    stack = (
        "Traceback (most recent call last):\n"
        '  File "/home/ann/app/fetch.py", line 12, in fetch\n'
        f"    connect('ann@example.org', key='{AWS}')\n"
        "ConnectionError: postgres://app:pw@db/x refused 4111 1111 1111 1111\n"
    )
    assert scrub_text(stack) == (
        "Traceback (most recent call last):\n"
        '  File "/home/[user]/app/fetch.py", line 12, in fetch\n'
        "    connect('[email]', key='[secret:aws]')\n"
        "ConnectionError: postgres://[secret]@db/x refused [card]\n"
    )


@pytest.mark.parametrize(
    ("text", "allow", "scrubbed"),
    [
        ("a@example.org b@example.org", ["a@example.org"], "a@example.org [email]"),
        ("/home/ci/x /home/ann/x", {"ci"}, "/home/ci/x /home/[user]/x"),
        ("4111 1111 1111 1111", ("4111 1111 1111 1111",), "4111 1111 1111 1111"),
        ("password=test password=live", {"test"}, "password=test password=[secret]"),
        ("a@example.org", "a@example.org and more", "[email]"),  # a str is a collection of letters, not of values
    ],
)
def test_an_allowed_value_stays(text: str, allow: list[str], scrubbed: str) -> None:
    assert scrub_text(text, allow=allow) == scrubbed


def test_a_longer_lower_case_moves_nothing() -> None:
    assert scrub_text("İİİ PASSWORD=hunter2 x") == "İİİ PASSWORD=[secret] x"


def test_a_profile_is_made_of_rules() -> None:
    ticket = Rule("ticket", "ticket", r"TICKET-[0-9]{1,9}", signs=("ticket-",), numbered=True)

    assert scrub("TICKET-12 a@example.org", Profile((ticket,))) == "[ticket] a@example.org"
    both = Profile((*TEXT.rules, ticket))
    assert scrub("TICKET-12 TICKET-13 a@example.org", both) == "[ticket:1] [ticket:2] [email]"
    assert PROFILES == {"text": TEXT, "strict": STRICT}
    assert len({rule.name for rule in STRICT.rules}) == len(STRICT.rules)
    assert [rule for rule in STRICT.rules if rule in TEXT.rules] == list(TEXT.rules)


# ---------------------------------------------------------------------------------------------- what holds for any text

# Pieces that begin, separate, nearly make and end values, so that they meet in every order.
PIECES = st.sampled_from(
    [text for row in GOES for text in row]
    + [*"@:=/\\.-_+%#'\"[](){}<>,; \n\t$*|&?4aAZİ\x00\ud800", "://", "--", ": ", " = ", "=>", "%40", "b'", '\\"', "]: "]
    + ["password", "secret", "token", "api_key", "pwd", "private_key", "authorization", "Bearer ", "Basic ", "Cookie: "]
    + ["home", "/home/", "/Users/", "C:\\Users\\", "ann", "self.x", "none", "str", "f(", "git@", ".png", "@x.io", "1.2"]
    + ["4111", "4111 1111 1111 1111", "DE89", "DE89370400440532013000", "[email]", "[USER:3]", "[secret:aws]", SHA_1]
    + [AWS, GITHUB, SLACK, GOOGLE, OPENAI, JWT, BEGIN, END, "gh" + "p_", "sk-", "ey" + "J", "AK" + "IA", "xo" + "xb-"]
)
TANGLED = st.lists(PIECES, max_size=12).map("".join)
ANY_TEXT = st.text(st.characters(codec=None), max_size=200)


@given(TANGLED | ANY_TEXT)
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    once = scrub_text(text)
    assert scrub_text(once) == once


@given(st.text(st.characters(categories=["L", "Z"]), max_size=200).filter(lambda text: "eyJ" not in text))
def test_words_alone_are_never_changed(text: str) -> None:
    assert scrub_text(text) == text or any(sign in text for sign in ("AKIA", "ASIA", "AIza"))


@given(st.sampled_from(["commit ", "sha1:", "sha256=", "sha-256: ", "name@", "commit="]), st.integers(0, 2**256 - 1))
def test_forty_or_sixty_four_hex_digits_after_their_word_are_a_version(word: str, number: int) -> None:
    for digits in (f"{number:064x}", f"{number:064x}"[:40]):
        assert scrub_text(f"at {word}{digits} now") == f"at {word}{digits} now"


@pytest.mark.parametrize(
    ("value", "placeholder"),
    [
        ("ann@example.org", "[email"),
        ("4111 1111 1111 1111", "[card"),
        ("DE89370400440532013000", "[iban"),
        (GITHUB, "[secret:github]"),
        ("/home/ann/x", "/home/[user"),
    ],
)
@given(before=TANGLED, after=TANGLED)
def test_a_value_between_other_texts_never_survives(value: str, placeholder: str, before: str, after: str) -> None:
    scrubbed = scrub_text(f"{before}\n. {value} .\n{after}")
    assert f". {value} ." not in scrubbed
    assert f". {placeholder}" in scrubbed or "[secret:pem]" in scrubbed  # a key that is cut off takes what follows


@pytest.mark.parametrize(
    "text", ["\x00" * 100_000, "\ud800@\udfff.\ud800" * 10_000, "x" * 10_000_000, "é@é.éé" * 10_000]
)
def test_no_text_is_too_odd_or_too_long(text: str) -> None:
    assert isinstance(scrub_text(text), str)
