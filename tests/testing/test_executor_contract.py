"""The contract of executors: the one that is built in passes, and so does the one that the documentation shows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tasktrail.engine import isolation
from tasktrail.executors import Executor
from tasktrail.testing import ExecutorContract
from tests.docs.blocks import blocks_of

PAGE = Path(__file__).parents[2] / "docs/howto/write-an-executor.md"


class TestProcess(ExecutorContract):
    @pytest.fixture
    def executor(self) -> Executor:
        return isolation.execute


class TestShown(ExecutorContract):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> Executor:
        path = tmp_path / "far.py"
        path.write_text(next(block.text for block in blocks_of(PAGE) if block.option("file") == "far.py"), "utf-8")
        spec = importlib.util.spec_from_file_location("far", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        executor: Executor = module.execute
        return executor
