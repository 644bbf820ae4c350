"""Documents printed as people write YAML: in every style, with comments, blank lines and markers."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import yaml
from hypothesis import strategies as st

__all__ = ["DOCUMENTS", "KEYS", "SCALARS", "TEXTS", "VALUES", "printed"]

_WORDS = ["to do", "completed", "no", "1:30", "012", "2026-02-01", "null", "~", "a: b", "#x", "- x", "it's", 'say "x"',
          "", " a", "a ", "x #y", "[a]", "{", "*a", "&a", "!a", "%a", "@a", "`a", "ä", "😀", "a\nb", "a\nb\n", "a\n\n",
          "a,b", "?", "=", "<<", "...", "---", "1e5", ".inf", "0x1F", "1_000", "a\n  b\n", "\x85",
          "\u2028x", "\x07"]  # fmt: skip
TEXTS = st.sampled_from(_WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)  # fmt: skip
KEYS = st.sampled_from(["a", "b", "c"]) | TEXTS.filter(bool)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5) | st.lists(VALUES, max_size=4)


def printed(value: object, choice: random.Random) -> str:
    """Return a text of a value; what is open in YAML is left to the choice."""
    printer = _Printer(choice)
    printer.document(value)
    text = "\n".join(printer.lines)
    text = text.removesuffix("\n") if choice.random() < 0.2 and printer.may_end_open else text + "\n"
    if choice.random() < 0.2:
        text = re.sub("\n", "\r\n", text)
    return "\ufeff" + text if choice.random() < 0.1 else text


class _Printer:
    def __init__(self, choice: random.Random) -> None:
        self.lines: list[str] = []
        self.choice = choice
        self.unit = choice.choice([1, 2, 2, 4])
        self.may_end_open = True
        self._comments = 0
        self._deepest = 99  # how deep a comment may stand: behind a block scalar it would be part of it

    def odds(self, part: float) -> bool:
        return self.choice.random() < part

    def document(self, value: object) -> None:
        self.between(0)
        mark = self.choice.choice(["", "", "", "", "---"])
        if isinstance(value, dict | list) and value and self.odds(0.8):
            self.lines += [mark + self.comment()] if mark else []
            self.block(value, self.choice.choice([0, 0, 0, 2]), "")
        else:
            self.lines.append(f"{mark} ".lstrip() + self.inline(value, 0) + self.comment())
        self.between(0)
        if self.odds(0.1):
            self.lines.append("...")
            self._deepest = 99
            self.between(0)

    def comment(self) -> str:
        if not self.odds(0.25):
            return self.choice.choice(["", "", "", " "])
        self._comments += 1
        return self.choice.choice([" ", "  "]) + f"# c{self._comments}"

    def between(self, column: int) -> None:
        """Print blank lines and comments before a member."""
        while self.odds(0.2):
            if self.odds(0.4) and self._deepest == 99:
                self.lines.append(self.choice.choice(["", "", "  "]))
            else:
                self._comments += 1
                at = min(self.choice.choice([column, column, 0, column + 2]), self._deepest)
                self.lines.append(" " * at + f"# c{self._comments}")

    def block(self, value: Any, column: int, lead: str) -> None:
        """Print a list or a mapping; its first line continues what is there already, `lead`."""
        members: Any = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in members:
            if not lead:
                self.between(column)
            self._deepest = 99
            start = lead or " " * column
            lead = ""
            if isinstance(value, list):
                self.behind(f"{start}-", inner, column, compact=column + 2)
            elif self.odds(0.04):
                self.lines.append(f"{start}? {self.text(key, in_flow=False)}" + self.comment())
                if inner is None and self.odds(0.3):
                    continue
                self.behind(" " * column + ":", inner, column, compact=None)
            else:
                blank = " " if self.odds(0.05) else ""
                self.behind(f"{start}{self.text(key, in_flow=False)}{blank}:", inner, column, compact=None)

    def behind(self, start: str, value: object, column: int, compact: int | None) -> None:
        """Print a value behind its colon or dash."""
        if isinstance(value, dict | list) and value and self.odds(0.75):
            if compact is not None and self.odds(0.7):
                gap = self.choice.choice([1, 1, 1, 3])
                self.block(value, compact - 1 + gap, start + " " * gap)
                return
            self.lines.append(start + self.comment())
            below = isinstance(value, list) and compact is None and self.odds(0.3)
            self.block(value, column if below else column + self.unit, "")
            return
        if value is None and self.odds(0.4):
            self.lines.append(start + self.comment())
            return
        if isinstance(value, str) and self.odds(0.3) and self.literal(start, value, column):
            return
        if self.odds(0.1):
            self.lines.append(start + self.comment())
            self.between(column)
            self.lines.append(" " * (column + self.unit) + self.inline(value, column + self.unit) + self.comment())
            return
        blank = self.choice.choice([" ", " ", " ", "  ", "\t" if start.strip(" :") and compact is None else "   "])
        self.lines.append(start + blank + self.inline(value, column + 1) + self.comment())

    def literal(self, start: str, text: str, column: int) -> bool:
        """Print a text in lines of its own, if that is possible."""
        body = text.rstrip("\n")
        if not body or body[0] in " \n" or not re.fullmatch(r"[\x20-\x7eäß😀\n]*", body):
            return False
        kept = len(text) - len(body)
        chomp = "-" if kept == 0 else "" if kept == 1 else "+"
        if chomp == "" and self.odds(0.3):
            chomp = "+"
        indent = column + self.choice.choice([1, 2, 4])
        self.lines.append(f"{start} |{chomp}" + self.comment())
        self.lines += [" " * indent + line if line else "" for line in body.split("\n")]
        self.lines.extend([""] * (kept - 1))
        self._deepest = column
        if chomp != "+":
            self.lines.extend([""] * self.choice.choice([0, 0, 1, 2]))
        return True

    def inline(self, value: object, column: int) -> str:
        """Return a value that is not in block style; it may have line ends in it."""
        if isinstance(value, dict | list):
            return self.flow(value, column)
        if value is None:
            return self.choice.choice(["null", "~", "Null"])
        if isinstance(value, bool):
            return self.choice.choice([str(value), str(value).lower()])
        if not isinstance(value, str):
            return json.dumps(value)
        text = self.text(value, in_flow=False)
        if self.odds(0.3) and re.fullmatch(r"\S+ \S+", text) and " #" not in text:
            return text.replace(" ", f"\n{' ' * (column + 1)}")  # folded
        return text

    def flow(self, value: Any, column: int) -> str:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        if isinstance(value, dict):
            parts = [self.flow_member(key, inner, column, is_pair=False) for key, inner in value.items()]
        else:
            parts = [self.flow_item(inner, column) for inner in value]
        last = "," if parts and self.odds(0.1) else ""
        if not parts or self.odds(0.7):
            return opening + self.choice.choice([",", ", "]).join(parts) + last + closing
        lines = [*(f"{part}," for part in parts[:-1]), parts[-1] + last]
        gap = "\n" + " " * (column + self.choice.choice([0, 2]))
        return opening + self.comment() + "".join(gap + line + self.comment() for line in lines) + gap + closing

    def flow_item(self, value: object, column: int) -> str:
        if isinstance(value, dict) and len(value) == 1 and self.odds(0.5):
            ((key, inner),) = value.items()
            return self.flow_member(key, inner, column, is_pair=True)
        return self.text(value, in_flow=True) if isinstance(value, str) else self.inline(value, column)

    def flow_member(self, key: str, value: object, column: int, *, is_pair: bool) -> str:
        name = self.text(key, in_flow=True)
        if value is None and self.odds(0.4):
            return name + self.choice.choice([": ", " : ", ": " if is_pair else ""])
        return name + ": " + (self.text(value, in_flow=True) if isinstance(value, str) else self.inline(value, column))

    def text(self, text: str, *, in_flow: bool) -> str:
        """Return a text in one of the styles in which it comes back."""
        styles = [_double(text)]
        if re.fullmatch(r"[\x20-\x7eäß😀]*", text):
            styles += ["'" + text.replace("'", "''") + "'"] * 2
            if _is_plain(text, in_flow=in_flow):
                styles += [text] * 6
        return self.choice.choice(styles)


def _double(text: str) -> str:
    return re.sub(
        r"[^\x20-\x7eäß😀]", lambda found: f"\\U{ord(found[0]):08X}", text.replace("\\", "\\\\").replace('"', '\\"')
    ).join('""')


def _is_plain(text: str, *, in_flow: bool) -> bool:
    """Whether PyYAML reads the text without quotes as this text."""
    frame = "[{text}: [{text}]]" if in_flow else "{text}: {text}"
    try:
        read = yaml.load(frame.format(text=text), yaml.CBaseLoader)  # noqa: S506 - it makes nothing but texts
    except yaml.YAMLError:
        return False
    return (
        text != "-"
        and not text.startswith("---")
        and read == ([{text: [text]}] if in_flow else {text: text})
        and not re.fullmatch(r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<|-?[0-9.]+([eE][-+]?\d+)?", text)
    )
