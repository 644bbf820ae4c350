"""What tests of the examples share: the command line, in this process and as one of its own."""

from tests.cli.conftest import call, spawn

__all__ = ["call", "spawn"]
