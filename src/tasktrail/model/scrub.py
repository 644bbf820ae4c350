"""Scrubbing: private values in free text become typed placeholders; everything else stays as it was.

A rule is one kind of private value, a profile a tuple of rules in the order in which they are applied. Rules that know
a value by what stands around it (a key, a header, a URL) come first and take the whole value; rules that know it by its
looks come after. What holds for every pattern, and what breaks otherwise:

- It starts with a literal or a small set of characters, look-behind after it: then the search jumps over ordinary text.
- Linear time: a repetition is possessive, or bounded, or its parts have no character in common; and it cannot start
  again inside a run that it has already refused.
- Scrubbing twice is scrubbing once: no value starts with ``[``, and a match ends where its run of characters ends, so
  that a placeholder never opens the way to a match that was not there before.

Source: DESIGN §6 P9; research/security.md §4.2 item 12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

__all__ = ["PROFILES", "TEXT", "Profile", "Rule", "scrub", "scrub_text"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of private value: what gives it away, what it looks like, what stands there afterwards.

    Args:
        name: Of the rule, unique in its profile.
        label: The word in the placeholder: ``email`` gives ``[email]``.
        pattern: A regular expression; its last group that matched is the value, without a group the whole match is.
            What it matches has a digit or one of ``@ : = / \\ _ -``: a text without them is not looked at.
        signs: Lower-case words, one of which every text has that the pattern matches; the empty word is in every text.
        folded: The pattern is in lower case and reads the text in lower case.
        reach: Characters that lengthen the value to the left, as letters and digits then do; empty: nothing does.
        numbered: Several distinct values get numbers, ``[email:1]`` and ``[email:2]``; equal ones the same.
        normal: Values are equal when this makes them equal.
        accepts: Has the last word on a value in its normal form; None accepts all.
    """

    name: str
    label: str
    pattern: str
    signs: tuple[str, ...] = ("",)
    folded: bool = False
    reach: str = ""
    numbered: bool = False
    normal: Callable[[str], str] = str.lower
    accepts: Callable[[str], bool] | None = None


Profile: TypeAlias = tuple[Rule, ...]
_Span: TypeAlias = tuple[int, int]


def scrub_text(text: str, *, allow: Collection[str] = ()) -> str:
    """Return the text with secrets, credentials, e-mail addresses, cards, IBANs and home folders' names replaced.

    Args:
        allow: Values that stay, exactly as they are written: an address, a card number, the name of a home folder.

    >>> scrub_text("mail ann@example.org, log in /home/ann/run.log")
    'mail [email], log in /home/[user]/run.log'
    """
    return scrub(text, TEXT, allow=allow)


def scrub(text: str, profile: Profile, *, allow: Collection[str] = ()) -> str:
    """Return the text with every value that a rule of the profile finds replaced by its placeholder.

    A value of a numbered rule gets a number only when its text has several distinct ones; numbers go on after those
    that the text already holds, so two placeholders never claim to be equal without being so.

    Args:
        allow: Values that stay, exactly as they are written.

    >>> scrub("a@example.org, b@example.org, A@example.org", TEXT)
    '[email:1], [email:2], [email:1]'
    """
    if not _first_sign()(text):
        return text
    folded, allowed = _fold(text), frozenset(allow)
    for rule in _due(profile, folded):
        spans = _find(rule, text, folded, allowed)
        if spans:
            text = _replace(rule, text, spans)
            folded = _fold(text)
    return text


@cache
def _first_sign() -> Callable[[str], object]:
    """Return the search for the least that a value of any profile has; nearly free on words alone."""
    return re.compile(r"[0-9@:=/\\_-]|A[KS]IA|AIza|eyJ").search


def _fold(text: str) -> str:
    """Return the text in lower case, every character where it was (only U+0130 has a longer lower case)."""
    folded = text.lower()
    return folded if len(folded) == len(text) else text.replace("\u0130", "I").lower()


def _due(profile: Profile, folded: str) -> Iterator[Rule]:
    """Yield the rules that have a sign in the text. A placeholder brings no new value, so one look is enough."""
    for rule in profile:
        for sign in rule.signs:  # a plain loop: any() with a generator costs ten times as much here
            if sign in folded:
                yield rule
                break


_compiled = cache(re.compile)


def _find(rule: Rule, text: str, folded: str, allowed: frozenset[str]) -> list[_Span]:
    """Return where the rule's values stand, from left to right, none touching another."""
    search = _compiled(rule.pattern).search
    subject = folded if rule.folded else text
    spans: list[_Span] = []
    at = 0
    while match := search(subject, at):
        start, end = match.span(match.lastindex or 0)
        if rule.reach:
            start = _reach_back(text, start, spans[-1][1] if spans else 0, rule.reach)
        if _stays(rule, text[start:end], allowed):
            at = match.start() + 1  # what was refused may hide a value: 2026 4111 1111 1111 1111
        else:
            spans.append((start, end))
            at = end
    return spans


def _reach_back(text: str, start: int, floor: int, characters: str) -> int:
    """Return where the run of letters, digits and these characters begins that ends at the start."""
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in characters):
        start -= 1
    return start


def _stays(rule: Rule, value: str, allowed: frozenset[str]) -> bool:
    return value in allowed or (rule.accepts is not None and not rule.accepts(rule.normal(value)))


def _replace(rule: Rule, text: str, spans: list[_Span]) -> str:
    """Return the text with a placeholder in each of the spans."""
    placeholders = _placeholders(rule, text, spans)
    parts: list[str] = []
    at = 0
    for start, end in spans:
        parts += text[at:start], placeholders[rule.normal(text[start:end])]
        at = end
    return "".join((*parts, text[at:]))


def _placeholders(rule: Rule, text: str, spans: list[_Span]) -> dict[str, str]:
    """Return the placeholder of each distinct value, by its normal form."""
    values = dict.fromkeys(rule.normal(text[start:end]) for start, end in spans)
    first = _next_number(rule.label, text) if rule.numbered else 1
    if not rule.numbered or (first == 1 and len(values) == 1):
        return dict.fromkeys(values, f"[{rule.label}]")
    return {value: f"[{rule.label}:{number}]" for number, value in enumerate(values, first)}


def _next_number(label: str, text: str) -> int:
    """Return the number after the highest that the text's placeholders have; one without a number counts as 1.

    Those in capitals are in texts that an older version stored; they stay as they are, and count.
    """
    if "[" not in text:
        return 1
    held = _compiled(rf"(?i)\[{label}(?::([0-9]{{1,9}}))?\]").findall(text)
    return 1 + max((int(number or 1) for number in held), default=0)


# --- what decides where looks do not -------------------------------------------------------------------------------

_SEPARATORS = {ord(character): None for character in " .-\u00a0"}
_CARD_BRANDS = (
    r"4[0-9]{12}(?:[0-9]{3}){0,2}|(?:5[0-8]|2[2-7])[0-9]{14}|3[47][0-9]{13}|3[0689][0-9]{12}|(?:35|6[0-9])[0-9]{14,17}"
)
_DOUBLED = str.maketrans("0123456789", "0246813579")

# By length, so that the groups after an IBAN ("... BIC COBADEFF") are not taken for its own.
_IBAN_COUNTRIES_BY_LENGTH = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}

# name@2x.png and getty@tty1.service look like addresses; none of these is a top-level domain. Fewer than 16 characters:
# a longer one could hold a card number, and be an address as soon as that is a placeholder.
_NO_DOMAINS = (
    *(".bmp", ".conf", ".css", ".csv", ".gif", ".html", ".ico", ".jpeg", ".jpg", ".js", ".json", ".log", ".pdf"),
    *(".png", ".svg", ".tar", ".tgz", ".toml", ".ts", ".txt", ".webp", ".whl", ".xml", ".yaml", ".yml"),
    *(".mount", ".scope", ".service", ".slice", ".socket", ".target", ".timer"),
)


def _is_address(value: str) -> bool:
    """Tell an address from a short file name, a systemd unit and the user that every git remote has."""
    domain = value.rpartition("@")[2]
    return not (len(domain) < 16 and domain.endswith(_NO_DOMAINS)) and not value.startswith("git@")


def _compact(value: str) -> str:
    return value.translate(_SEPARATORS)


def _is_card(digits: str) -> bool:
    """Tell a card number by its check digit, and by its brand's prefix and length."""
    return _luhn(digits) == 0 and _compiled(_CARD_BRANDS).fullmatch(digits) is not None


def _luhn(digits: str) -> int:
    """Return the Luhn sum modulo 10; 0 is right. Source: ISO/IEC 7812-1, annex B."""
    every_other = digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)
    return (sum(every_other.encode()) - 48 * len(digits)) % 10  # 48 is ord("0")


def _is_iban(value: str) -> bool:
    """Tell an IBAN by its check digits. Source: ISO 13616, ISO/IEC 7064 MOD 97-10."""
    return int("".join(str(int(character, 36)) for character in value[4:] + value[:4])) % 97 == 1


# --- what values look like -----------------------------------------------------------------------------------------


def _iban_pattern() -> str:
    """Return the pattern of every country's IBAN, in one piece or in groups of four."""

    def one_length(length: int, countries: str) -> str:
        groups, rest = divmod(length - 4, 4)
        tail = rf"[ \u00a0-]?[0-9A-Z]{{{rest}}}" if rest else ""
        return rf"(?<=(?:{countries.replace(' ', '|')})[0-9]{{2}})(?:[ \u00a0-]?[0-9A-Z]{{4}}){{{groups}}}{tail}"

    bodies = "|".join(one_length(*row) for row in _IBAN_COUNTRIES_BY_LENGTH.items())
    return rf"([A-Z](?<![0-9A-Za-z].)[A-Z][0-9]{{2}}(?:{bodies}))(?![0-9A-Za-z])"


_CARD = (
    r"([2-6](?<![\w.].)(?:[0-9]{12,18}+|[0-9]{3}([ .\u00a0-])[0-9]{4}\2[0-9]{4}\2[0-9]{4}"
    r"|[0-9]{3}([ .\u00a0-])[0-9]{6}\3[0-9]{4,5}))(?!\w)(?!\.[0-9])"
)
# A rule apart, because after sixteen digits the next three are more often a security code than the card's own.
_CARD_IN_ODD_GROUPS = (
    r"([2-6](?<![\w.].)[0-9]{3}([ .\u00a0-])[0-9]{4}\2[0-9]{4}\2(?:[0-9]{4}\2[0-9]{3}|[0-9]))(?!\w)(?!\.[0-9])"
)
_EMAIL = (  # from the @ on; reach adds what is in front of it
    r"(?:@(?<=[\w.+-]@)|%40(?<=[\w.+-]%40))(?!v?[0-9]++\.[0-9])"  # not a version: package@1.2.3-beta.one
    r"(?:[\w-]++\.){1,20}[^\W\d_]{2}[\w-]*+"
)
_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]*+(?:-(?!-)[^-]*+)*+-----END [A-Z0-9 ]{0,60}-----|[0-9A-Za-z+/=\s\\]*+)"  # the second: cut off before END
)
_USERINFO = r"://(?!\[)([^][\s/:@?#\"'<>]*+:[^][\s/\"'<>]+(?=@)|[^][\s/:@?#\"'<>]{16,}+(?=@))"

_NAME = r"(?!(?:Shared|Public|Default|All Users)\b)(\w[\w-]*+(?:\.[\w-]++){0,8}+)"
_NAME_OF_WORDS = r"(\w[\w-]*+(?:[ .][\w-]++){1,3}+)(?=\\)"  # C:\Users\Ann Lee\...
_ROOT = r"(?:(?<![]\w.~-]/)|(?<=-[IL]/))"  # neither in a relative path nor in a scrubbed one
_HOME = (
    rf"[/\\](?:{_ROOT}(?:(?:export|mnt|nfs|srv|var)/)?home/{_NAME}|(?:{_ROOT}|(?<=/[A-Za-z]/))Users/{_NAME}"
    rf"|(?<=\\)\\{{0,3}}(?:Users|users|USERS)\\{{1,4}}(?:{_NAME_OF_WORDS}|{_NAME}))"
)

# From here the patterns read lower case. A value ends at a blank, a quote or a delimiter; what closes around it stays.
_VALUE_END = r"[\s\"'`,;&)\]}>.]|\Z"
# What stands after a key and is no value: nothing, a type, a variable, a call, a mask, a placeholder, a word of a
# sentence; and a hash that names itself.
_NO_VALUE = (
    r"(?!(?:[bfru]{0,2}\\?[\"'])?(?:"
    r"(?:any|bool|bytes|empty|false|hidden|int|invalid|is|masked|missing|must|nil|none|not|null|object|option|optional"
    r"|redacted|required|str|string|the|to|true|undefined|was|wrong)(?![\w-])"
    r"|[$%]?[\[{(<]|\*{3}|%s|[|>][+-]?[ \t]*+(?:[\r\n]|\Z)|sha[0-9]{1,3}[:=-]?[0-9a-f]{40,64}+(?!\.*+[\w+@%-])"
    rf"|\$[{{(]?[a-z_][a-z0-9_]{{0,64}}+[}})]?(?={_VALUE_END})))"
)
# Only where no quote is: there a name may be code, as in password=getpass() or token = self.token.
_NO_CODE = (
    r"(?![a-z_.]{3,64}+\(|(?:args|cfg|cls|config|ctx|env|os|request|self|settings)\.[a-z_]"
    r"|[a-z_.]{1,64}+\[(?:card|email|iban|secret|user)[]:])"  # such a name that a later rule has shortened
)
_VALUE = (
    rf"{_NO_VALUE}(?:[bfru]{{0,2}}(?:\\\"([^\"\\\r\n]+)|\\'([^'\\\r\n]+)|\"([^\"\r\n]+)|'([^'\r\n]+))"
    rf"|{_NO_CODE}([^\s\"'`,;&]*[^\s\"'`,;&)\]}}>.\\]))"
)
# "token" is also a word of grammars, lexers and models: its value must look like one.
_RANDOM = (
    rf"{_NO_VALUE}(?:[bfru]{{0,2}}\\?[\"']|{_NO_CODE})(?![0-9]{{1,15}}+(?![\w.~+/=:|%-]))"
    r"((?=[\w.~+/=:|%-]{0,64}[0-9])[\w.~+/=:|%-]{6,}+|[\w.~+/=:|%-]{16,}+)(?!\[)"
)
_IS = (
    r"\\?[\"']?\]?[ \t]*+(?>:=|=>|={1,3}|:(?!:))[ \t]*+"  # key = value, "key": "value", ['key'] = value; not C++::names
)
_KEY = (  # "[secret" is the beginning of our own placeholder
    rf"(?:pass(?:word|wd|phrase|code)|pwd(?!{_IS}[\"']?[/~])|secret(?<!\[secret)(?:[ _-]?key)?"
    r"|api[ _-]?key|access[ _-]?key|account[ _-]?key|cryption[ _-]?key|private[ _-]?key|signing[ _-]?key)"
    rf"[0-9]?{_IS}{_VALUE}"
)
_TOKEN = rf"token{_IS}{_RANDOM}"
_FLAG = (  # --password value; ['--password', 'value']
    r"--(?<![\w\]-]--)[a-z0-9-]++(?:(?:(?<=password)|(?<=passwd)|(?<=passphrase)|(?<=secret)|(?<=api-key)|(?<=access-key)"
    rf"|(?<=secret-key))(?:[ \t]++|[\"'],[ \t]*+)(?!-){_VALUE}"
    rf"|(?<=token)(?:[ \t]++|[\"'],[ \t]*+)(?!-){_RANDOM})"
)
_AUTHORIZATION = (
    r"authorization\\?[\"']?[ \t]*+[:=][ \t]*+(?:\\?[\"'])?+(?:(?:apikey|basic|bearer|token)[ \t]++)?+"
    rf"{_NO_VALUE}{_NO_CODE}([^\s\"'`,;\\]++)"
)
_BEARER = r"b(?:earer[ \t]++(?=[a-z+/._~=-]*+[0-9])|asic[ \t]++(?=[a-z+/]*+[0-9=]))([\w+/.~=-]{16,}+)"
_COOKIE = rf"cookie\\?[\"']?[ \t]*+:[ \t]*+(?:\\?[\"'])?+{_NO_VALUE}([^\s;\"'`]++(?:;[ \t]*+[^\s;\"'`]++)*+)"

# One row per provider: its name in the placeholder, the signs, the key's looks. A look-behind has the characters of the
# key's body, where that is scanned to its end before it can be refused.
_PROVIDERS = (
    ("aws", ("akia", "asia"), r"A[KS]IA(?<![0-9A-Za-z]....)[A-Z2-7]{16}(?!\w)"),
    ("github", ("gh", "github_pat_"), r"g(?:h[opsru]_(?<![0-9A-Za-z]....)|ithub_pat_(?<![0-9A-Za-z].{11}))\w{36,}+"),
    ("gitlab", ("glpat-",), r"glpat-(?<![0-9A-Za-z].{6})[\w-]{20,}+"),
    ("slack", ("xox",), r"xox[abeoprs]-(?<![0-9A-Za-z].{5})[\w-]{10,}+"),
    ("google", ("aiza",), r"AIza(?<![0-9A-Za-z]....)[\w-]{35,}+"),
    ("stripe", ("sk_", "rk_"), r"[rs]k_(?<![0-9A-Za-z]...)(?:live|test)_\w{10,}+"),
    ("anthropic", ("sk-ant-",), r"sk-ant-(?<![0-9A-Za-z].{7})[\w-]{16,}+"),
    ("openai", ("sk-",), r"sk-(?<![\w-]...)(?:(?:admin|proj|svcacct)-[\w-]{20,}+|[0-9A-Za-z]{20,}+[\w-]*+)"),
    ("npm", ("npm_",), r"npm_(?<![0-9A-Za-z]....)[0-9A-Za-z]{36,}+\w*+"),
    ("pypi", ("pypi-",), r"pypi-(?<![0-9A-Za-z].{5})[\w-]{50,}+"),
    ("jwt", ("eyj",), r"eyJ(?<![\w-]...)[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,3}+"),
)

# --- the profiles ---------------------------------------------------------------------------------------------------

_KEY_SIGNS = ("passw", "passphrase", "passcode", "pwd", "secret", "key")

# By what stands around the value, then by its looks. The whole PEM block first: a key in front of it would take
# its first word only. The URL before the key, or "redis://:secret=x@host" would lose its host.
TEXT: Profile = (
    Rule("private_key", "secret:pem", _PEM, signs=("private key",)),
    Rule("url", "secret", _USERINFO, signs=("://",)),
    Rule("authorization", "secret", _AUTHORIZATION, signs=("authorization",), folded=True),
    Rule("bearer", "secret", _BEARER, signs=("bearer", "basic"), folded=True),
    Rule("cookie", "secret", _COOKIE, signs=("cookie",), folded=True),
    Rule("key", "secret", _KEY, signs=_KEY_SIGNS, folded=True),
    Rule("token", "secret", _TOKEN, signs=("token",), folded=True),
    Rule("flag", "secret", _FLAG, signs=("--",), folded=True),
    *(Rule(f"key_{name}", f"secret:{name}", pattern, signs) for name, signs, pattern in _PROVIDERS),
    Rule("email", "email", _EMAIL, signs=("@", "%40"), reach="._+-", numbered=True, accepts=_is_address),
    Rule("iban", "iban", _iban_pattern(), numbered=True, normal=_compact, accepts=_is_iban),
    Rule("card", "card", _CARD, numbered=True, normal=_compact, accepts=_is_card),
    Rule("card_odd", "card", _CARD_IN_ODD_GROUPS, numbered=True, normal=_compact, accepts=_is_card),
    Rule("home", "user", _HOME, signs=("home/", "users/", "users\\"), numbered=True),
)
PROFILES: Mapping[str, Profile] = MappingProxyType({"text": TEXT})
