"""What tests of the examples share: the command line as a process of its own."""

from tests.cli.conftest import spawn

__all__ = ["spawn"]
