"""Documents that are objects pass the contract of documents."""

from __future__ import annotations

import functools
from collections.abc import Callable, Set
from pathlib import Path
from typing import ClassVar

import obstore
import pytest

from tasktrail.engine.ledger import Ledger
from tasktrail.model.run import Kind
from tasktrail.store import objects as places
from tasktrail.store.places import DocumentPlace
from tasktrail.testing.document_contract import DocumentContract, Where, complete_one_at, interrupt
from tasktrail.testing.dying import Arm
from tests import objects
from tests.engine import test_attachments as files

pytestmark = pytest.mark.requirement("CN-018")


class Objects(DocumentContract):
    """What is another for objects: who looks at them asks a service, and nobody has a lock, a folder or a mode."""

    place: ClassVar[type[DocumentPlace]] = places.ObjectPlace
    dying: ClassVar[tuple[str, str]] = (__name__, "complete_one_object")
    steps: ClassVar[Set[str]] = frozenset({"COMMIT"})  # the put comes between two statements

    @pytest.fixture
    def home(self, bucket: str) -> Where:
        return bucket

    @pytest.fixture(autouse=True)
    def _without_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(places, "LONGEST_PAUSE_S", 0)

    def put(self, path: Where, text: str) -> None:
        objects.put(str(path), text)

    def remove(self, path: Where) -> None:
        objects.delete(str(path))

    def fingerprint(self, path: Where) -> object:
        return obstore.head(*objects.client(str(path)))

    def interrupt_writing(self, monkeypatch: pytest.MonkeyPatch, times: int, act: Callable[[], None]) -> None:
        interrupt(monkeypatch, places.ObjectPlace, "_put", times, act)

    def test_a_folder_that_is_gone_for_a_while_does_the_same(self, ledger: Ledger, tmp_path: Path) -> None:
        """There are no folders."""
        assert places.ObjectPlace("s3://bucket/no/such/folder/document").has_folder()


class TestRunObjects(Objects, files.TestRunJson):
    pass


class TestPlanObjects(Objects, files.TestPlanJson):
    pass


def complete_one_object(folder: Path, codec_name: str, kind: Kind, home: str, arm: Arm) -> None:
    """The scene of the contract, with an object; the children must be the first that ask for one."""
    path = f"{home}/{folder.name}/document"
    complete_one_at(path, functools.partial(objects.put, path), folder, codec_name, kind, arm)
