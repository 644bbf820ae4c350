"""Texts that make a scrubber slow when its patterns are not linear, by the rule that they are meant for."""

from __future__ import annotations

from typing import Final

# Put together here, so that no scanner of secrets takes this file for a leak.
AWS = "AK" + "IA" + "IOSFODNN7EXAMPLE"
GITHUB = "gh" + "p_" + "A1b2" * 9
GITHUB_FINE = "github" + "_pat_" + "A1b2_" * 12
GITLAB = "gl" + "pat-" + "A1b2-" * 4
GITLAB_RUNNER = "gl" + "rt-" + "A1b2-" * 4
SLACK = "xo" + "xb-" + "123456789012-A1b2"
SLACK_APP = "xa" + "pp-" + "1-A0123456789-A1b2"
GOOGLE = "AI" + "za" + "A1b2_" * 7
GOOGLE_OAUTH = "ya" + "29." + "A1b2_" * 12
STRIPE = "sk" + "_live_" + "A1b2" * 6
ANTHROPIC = "sk-" + "ant-api03-" + "A1b2_" * 6
OPENAI = "sk-" + "A1b2" * 12
OPENAI_PROJECT = "sk-" + "proj-" + "A1b2-" * 12
NPM = "np" + "m_" + "A1b2" * 9
HUGGINGFACE = "h" + "f_" + "AbCd" * 8 + "Ef"
SENDGRID = "S" + "G." + "A1b2_-" * 4 + "." + "A1b2_-" * 7
PYPI = "py" + "pi-" + "AgEIcHlwaS5vcmc" * 4
JWT = "ey" + "JhbGciOiJIUzI1NiJ9." + "ey" + "JzdWIiOiIxMjMifQ." + "abc-DEF_123"
BEGIN, END = "-----BEGIN RSA PRIVATE" + " KEY-----", "-----END RSA PRIVATE" + " KEY-----"

# For each rule: what begins it again and again, and what is refused only at its end.
HOSTILE: Final = {
    "private_key": [BEGIN, BEGIN + "a-", BEGIN + "\n", BEGIN + "A" * 20 + "--"],
    "url": ["://", "://a:", "://a:b", "://:@", "://" + "a" * 15],
    "authorization": ["authorization:", "authorization: none ", "authorization  "],
    "bearer": ["bearer ", "bearer aaaaaaaaaaaaaaaaaaa ", "basic\t", "basic aaaaaaaaaaaaaaaaaaa "],
    "pair": ["('cookie','", "('authorization', 'basic ", "[b'x-api-key',b'a", "('cookie', 'a' ", "('", "('api-key'"],
    "cookie": ["cookie:", "cookie: a; ", "cookie: none;", "cookie:;"],
    "key": [
        "password=",
        "secret:",
        "passw",
        "password  ",
        "password=)",
        "password=$a",
        "password=a.",
        "api_key='",
        'password="\\',
        "password='a\\'",
        "db_pass",
    ],
    "token": ["token=", "token=a", "token=a[", "token=self.", "token: aaaaa ", "token='"],
    "flag": ["--", "--a-", "--password ", "--token a ", "-"],
    "key_aws": ["AK" + "IA", "AK" + "IA" + "A" * 15],
    "key_github": ["gh" + "p_", " gh" + "p_" + "a" * 35, "github_pat_"],
    "key_gitlab": ["gl" + "pat-", "gl" + "pat-a ", "gl" + "rt-", "gl" + "rt-a "],
    "key_slack": ["xo" + "xb-", "xo" + "xb-a ", "xa" + "pp-1-", "xa" + "pp-1-a "],
    "key_google": ["AI" + "za", "AI" + "za-"],
    "key_google_oauth": ["ya" + "29.", "ya" + "29.a "],
    "key_huggingface": ["h" + "f_", "h" + "f_a", " h" + "f_" + "a" * 29],
    "key_sendgrid": ["S" + "G.", "S" + "G." + "a" * 22 + ".", "S" + "G." + "a" * 22 + ".a ", "-S" + "G."],
    "key_stripe": ["sk_", "sk_" + "live_", "rk_test_a "],
    "key_anthropic": ["sk-ant-", "sk-ant-a "],
    "key_openai": ["sk-", "sk-a-", " sk-proj-", "-sk-"],
    "key_npm": ["npm_", "npm_a"],
    "key_pypi": ["pypi-", " pypi-a"],
    "key_jwt": ["ey" + "J", "-ey" + "J", ".ey" + "J", " ey" + "Jaaaaaaaa.", "ey" + "Jaaaaaaaa.a"],
    "email": ["@", "a@", "a@a.", "a.", "a@b.png", "a@a.a.1", "a%40", "git@a.bc"],
    "iban": ["DE89", "DE89 ", "DE89 3704 0044 0532 0130 01 ", "A1"],
    "card": ["4", "4444 ", "4444-", "4444444444444442 ", "4444.", "4444 444444 "],
    "card_odd": ["4444 4444 4444 4444 444 ", "4444 4444 4444 4 "],
    "home": ["/home/", "/home/a.", "/home/a", "\\", "\\users\\", "\\users\\a ", "/Users/a-"],
    "uuid": ["-", "550e8400-", "550e8400-e29b-41d4-a716-", "550e8400-e29b-41d4-a716-44665544000 "],
    "hash": ["a", "a" * 39 + " ", "a" * 65 + " ", "commit " + "a" * 40 + " ", "@" + "f" * 64],
    "hex": ["a" * 31 + " ", "a" * 41 + " ", "0" * 33],
    "ipv6": ["::", "a::", "a:", "::1", "a::b ", "::1:1:1:1:1:1:1:1", "1::1%", "[::1]", "x[::1]", "1:1:1:1:1:1::"],
    "ipv6_whole": [":1", "1:1:1:1:1:1:1:1:", "1:1:1:1:1:1:1:1 ", "01:23:45:67:89:ab:cd:ef ", "1:1:1:1:1:1:1.1.1.1 "],
    "ipv4": [".", "1.", "1.1.1.1", "1.1.1.1 ", "999.1.1.1 ", "v1.1.1.1 ", "1.1.1.1.1 ", "1.1.1.1-beta "],
    "phone_plus": ["+", "+1", "+1 ", "+1(", "+12345678a", "+1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6"],
    "phone_named": ["phone", "phone: ", "tel 1", "fax 1(((((", "mobile 2026-03-01 ", "tel: 1111111"],
    "phone_zero": ["0", " 01", " 01 ", " 01-1", " 01 2026-03-", " 01.23.45.67.8", " 01-23-45-67-89-01", " 001 1"],
    "phone_zero_area": ["(0", "(01)", "(01) 1", "(01) 1111111a"],
    "phone_groups": ["555-", "555-555-", "555-555-5555", "100 100 1000 ", "555-555-5555-"],
    "phone_dots": ["555.", "555.555.", "555.555.5555", "100.100.1000 "],
    "phone_area": ["(", "(555)", "(555) 555-", "(555) 555-5555a", "(555)555-5555"],
}
OPENING: Final = (
    "private key :// authorization bearer cookie password= token -- akia gh glpat- xox aiza sk_ sk-ant- npm_ pypi- eyj "
    r"ya29. hf_ sg. ' @ %40 home/ users\ :: phone (0 + AA00 0.0 :::::: 000-000-0000 000.000.0000 0000000000000 "
    + "w" * 32 + " "
)  # fmt: skip
"""Has what makes every rule look at a text."""
