"""Random identifiers. Passed in, so that tests can name them."""

from __future__ import annotations

import os
import random
import re
from typing import Final, Protocol

_LONGEST_NAME: Final = 100


class Ids(Protocol):
    """What draws identifiers and chances."""

    def trace_id(self) -> str:
        """Return 32 hexadecimal digits, not all zero. Source: W3C Trace Context."""

    def span_id(self) -> str:
        """Return 16 hexadecimal digits, not all zero."""

    def token(self) -> str:
        """Return a secret that nobody can guess."""

    def run_name(self) -> str:
        """Return a short public id for a run."""

    def chance(self) -> float:
        """Return a number from 0 up to 1, for jitter."""


class RandomIds:
    """Identifiers from the system's random source."""

    def trace_id(self) -> str:
        """Return 32 hexadecimal digits."""
        return os.urandom(16).hex()

    def span_id(self) -> str:
        """Return 16 hexadecimal digits."""
        return os.urandom(8).hex()

    def token(self) -> str:
        """Return 32 hexadecimal digits."""
        return os.urandom(16).hex()

    def run_name(self) -> str:
        """Return 8 letters and digits that are not mistaken for each other."""
        alphabet = "23456789abcdefghjkmnpqrstuvwxyz"
        return "".join(alphabet[byte % len(alphabet)] for byte in os.urandom(8))

    def chance(self) -> float:
        """Return a number from 0 up to 1."""
        return random.random()


RANDOM_IDS = RandomIds()


def new_run_id(workflow: str) -> str:
    """Return a public id for a new run: the name of its workflow, as far as an id can hold it, and chance.

    >>> new_run_id("Été à la mer").rpartition("-")[0], new_run_id("<x>").rpartition("-")[0], new_run_id("日本")[:4]
    ('t-la-mer', 'x', 'run-')
    """
    name = re.sub(r"[^A-Za-z0-9._]+", "-", workflow)[:_LONGEST_NAME].strip("-._")
    return f"{name or 'run'}-{os.urandom(4).hex()}"
