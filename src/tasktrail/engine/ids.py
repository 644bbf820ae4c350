"""Random identifiers. Passed in, so that tests can name them."""

from __future__ import annotations

import os
import random
from typing import Protocol


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
