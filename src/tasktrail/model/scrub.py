"""Scrubbing: private values in free text become typed placeholders; everything else stays as it was.

Rules that know a value by what stands around it (a key, a header, a URL) come first and take the whole value; rules
that know it by its looks come after.

Source: DESIGN §6 P9; research/security.md §4.2 item 12.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from tasktrail.model.scrub_looks import ADDRESSES, IDS, MAIL, NAMED, NUMBERS, PHONES
from tasktrail.model.scrub_rule import Profile, Rule
from tasktrail.model.scrub_secrets import SECRETS

__all__ = ["PROFILES", "STRICT", "TEXT", "Profile", "Record", "Rule", "scrub", "scrub_text", "scrub_together"]

TEXT: Final = Profile((*SECRETS, *MAIL, *NUMBERS, *NAMED))
"""Secrets, credentials, e-mail addresses, cards, IBANs, home folders' names."""
STRICT: Final = Profile((*SECRETS, *MAIL, *IDS, *NUMBERS, *NAMED, *ADDRESSES, *PHONES))
"""Also IP addresses, UUIDs, long hexadecimal ids, telephone numbers."""
PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({"text": TEXT, "strict": STRICT})

_Found = tuple[int, int, str]  # from, to, what the value says
_DIGITS_AS_0: Final = bytes.maketrans(b"123456789", b"0" * 9)
_HEX_AS_0: Final = bytes.maketrans(b"123456789abcdef", b"0" * 15)
_FRONT_CHARS: Final = 40
_KEYED_DIGITS: Final = 12
"""Among ten million values hardly two get the same; a number in a placeholder has nine digits at most."""


def scrub_text(text: str, *, allow: Collection[str] = ()) -> str:
    """Return the text with secrets, credentials, e-mail addresses, cards, IBANs and home folders' names replaced.

    Args:
        allow: Values that stay: an address, a card number, the name of a home folder.

    >>> scrub_text("mail ann@example.org, log in /home/ann/run.log")
    'mail [email], log in /home/[user]/run.log'
    """
    return scrub(text, TEXT, allow=allow)


def scrub(text: str, profile: Profile, *, allow: Collection[str] = (), key: bytes = b"") -> str:
    """Return the text with every value that a rule of the profile finds replaced by its placeholder.

    A value of a numbered rule gets a number only when its text has several distinct ones; numbers go on after those
    that the text already holds, so two placeholders never claim to be equal without being so.

    Args:
        allow: Values that stay, as they are written, or as they read: an address in lower case, a number's digits.
        key: With it a value of a numbered rule gets, for its number, twelve digits that only this key gives it:
            equal values are alike everywhere. Empty: numbers.

    >>> scrub("a@example.org, b@example.org, A@example.org", TEXT)
    '[email:1], [email:2], [email:1]'
    >>> scrub("at 10.0.0.1", STRICT, key=b"secret")
    'at [ip:b6187dd2bdfd]'
    """
    if not _first_sign()(text):
        return text
    folded = _fold(text)
    due = profile.due(text, folded)
    return Record((text,), key).replaced(text, folded, due, frozenset(allow)) if due else text


def scrub_together(
    texts: Iterable[str], profile: Profile, *, allow: Collection[str] = (), key: bytes = b""
) -> tuple[str, ...]:
    """Return texts of one record scrubbed: what is equal in them is alike in them.

    >>> scrub_together(["a@example.org failed", "b@example.org told a@example.org"], TEXT)
    ('[email] failed', '[email:2] told [email]')
    """
    together = tuple(texts)
    record, allowed = Record(together, key), frozenset(allow)
    return tuple(record.scrubbed(text, profile, allowed) for text in together)


class Record:
    """Texts in which equal values get the same placeholder, and different ones different placeholders.

    Args:
        texts: What is known of them beforehand: numbers go on after those of the placeholders in it.
        key: As for `scrub`.
    """

    __slots__ = ("_held", "_key", "_next", "_placeholders")

    def __init__(self, texts: tuple[str, ...] = (), key: bytes = b"") -> None:
        self._held, self._key = texts, key
        self._placeholders: dict[tuple[str, str], str] = {}
        self._next: dict[str, int] = {}

    def scrubbed(self, text: str, profile: Profile, allowed: frozenset[str] = frozenset()) -> str:
        """Return one of the texts, scrubbed."""
        folded = _fold(text)
        return self.replaced(text, folded, profile.due(text, folded), allowed)

    def kinds(self) -> dict[str, int]:
        """Return how many values of each kind were found so far, by the word in their placeholders."""
        return dict(sorted(Counter(label for label, _ in self._placeholders).items()))

    def replaced(self, text: str, folded: str, due: Iterable[Rule], allowed: frozenset[str]) -> str:
        """Return one of the texts with the values of these rules replaced."""
        for rule in due:
            found = _find(rule, text, folded, allowed)
            if found:
                text = self._replace(rule, text, found)
                folded = _fold(text)
        return text

    def _replace(self, rule: Rule, text: str, found: list[_Found]) -> str:
        """Return the text with a placeholder at each place."""
        self._name(rule, text, dict.fromkeys(value for _, _, value in found))
        parts: list[str] = []
        at = 0
        for start, end, value in found:
            parts += text[at:start], self._placeholders[rule.label, value]
            at = end
        return "".join((*parts, text[at:]))

    def _name(self, rule: Rule, text: str, values: Iterable[str]) -> None:
        """Give a placeholder to each value that has none."""
        label = rule.label
        new = [value for value in values if (label, value) not in self._placeholders]
        if not rule.numbered:
            self._placeholders |= {(label, value): f"[{label}]" for value in new}
        elif self._key:
            self._placeholders |= {(label, value): f"[{label}:{_keyed(self._key, label, value)}]" for value in new}
        elif new:
            first = self._first(label, text)
            alone = first == 1 and len(new) == 1
            for number, value in enumerate(new, first):
                self._placeholders[label, value] = f"[{label}]" if alone else f"[{label}:{number}]"
            self._next[label] = first + len(new)

    def _first(self, label: str, text: str) -> int:
        """Return the number of the next value: one more than any that was given, or stands in the texts already."""
        if label in self._next:
            return max(self._next[label], _next_number(label, text))
        return max(_next_number(label, one) for one in (*self._held, text))


def _keyed(key: bytes, label: str, value: str) -> str:
    import hmac  # few need it, and it loads a library

    return hmac.digest(key, f"{label}:{value}".encode("utf-8", "surrogatepass"), "sha256").hex()[:_KEYED_DIGITS]


def _next_number(label: str, text: str) -> int:
    """Return the number after the highest that the text's placeholders have; one without a number counts as 1.

    Those in capitals are in texts that an older version stored; they stay as they are, and count.
    """
    if "[" not in text:
        return 1
    held = _compiled(rf"(?i)\[{label}(?::([0-9]{{1,9}}))?\]").findall(text)
    return 1 + max((int(number or 1) for number in held), default=0)


@cache
def _first_sign() -> Callable[[str], object]:
    """Return the search for the least that a value of any profile has; nearly free on words alone."""
    return re.compile(r"[0-9@:=/\\_-]|A[KS]IA|AIza|eyJ").search


def _fold(text: str) -> str:
    """Return the text in lower case, every character where it was (only U+0130 has a longer lower case)."""
    folded = text.lower()
    return folded if len(folded) == len(text) else text.replace("\u0130", "I").lower()


_compiled = cache(re.compile)


def _find(rule: Rule, text: str, folded: str, allowed: frozenset[str]) -> list[_Found]:
    """Return where the rule's values stand, from left to right, none touching another."""
    search, subject = _compiled(rule.pattern).search, _seen(rule, text, folded)
    found: list[_Found] = []
    read: dict[str, str | None] = {}
    at = floor = 0
    while match := search(subject, at):
        start, end = match.span(match.lastindex or 0)
        if start == end:
            end = match.end()
        if rule.reach:
            start = _reach_back(text, start, floor, rule.reach)
        written = text[start:end]
        if written not in read:
            value = rule.reads(written)
            read[written] = None if written in allowed or value in allowed else value
        value = read[written]
        if value is None or (rule.spared and _stands_behind(rule.spared, folded, start)):
            at = match.start() + 1  # what was refused may hold a value: 2026 4111 1111 1111 1111
        else:
            found.append((start, end, value))
            at = floor = end
    return found


def _seen(rule: Rule, text: str, folded: str) -> str:
    if rule.view == "text":
        return text
    if rule.view == "folded":
        return folded
    table = _DIGITS_AS_0 if rule.view == "digits" else _HEX_AS_0
    return folded.encode("latin-1", "replace").translate(table).decode("latin-1")  # bytes: four times as fast


def _reach_back(text: str, start: int, floor: int, characters: str) -> int:
    """Return where the run of letters, digits and these characters begins that ends at the start."""
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in characters):
        start -= 1
    return start


def _stands_behind(pattern: str, folded: str, start: int) -> bool:
    return _compiled(pattern).search(folded[max(0, start - _FRONT_CHARS) : start]) is not None
