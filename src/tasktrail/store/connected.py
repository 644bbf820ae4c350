"""Named queries on one connection to a PostgreSQL server, as a transaction uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count, islice
from typing import Final

from tasktrail.store.together import Answers, Part, groups, many, merged
from tasktrail.store.transaction import Params, Row, Rows
from tasktrail.store.wire import Answer, Wire

_FETCHED: Final = 1000


class Connected:
    """Runs named queries on a connection."""

    is_far = True

    __slots__ = ("_last", "_queries", "_wire")

    def __init__(self, wire: Wire, named: Mapping[str, str]) -> None:
        self._wire = wire
        self._queries = named
        self._last: Answer | None = None

    def execute(self, name: str, params: Params) -> Rows:
        self._last = self._wire.ask(self._queries[name], params)
        return self._last

    def execute_each(self, name: str, params: Iterable[Params]) -> list[Rows]:
        """What can go together does; all of it is sent before somebody looks at the first answer."""
        text, ask, rest = self._queries[name], self._wire.ask, iter(params)
        first = list(islice(rest, 2))
        together = many(name, text) if len(first) > 1 else None
        if together is None:
            return [ask(text, given) for given in chain(first, rest)]
        answers: list[Rows] = []
        for group in groups(together, chain(first, rest)):
            if len(group) == 1:
                answers.append(ask(text, group[0]))
            else:
                of_all = Answers(ask(together.text, merged(together, group)))
                answers += (Part(of_all, place) for place in range(len(group)))
        return answers

    def execute_many(self, name: str, params: Iterable[Params]) -> None:
        self.execute_each(name, params)

    def changed_each(self, name: str, params: Iterable[Params]) -> list[int]:
        text, ask = self._queries[name], self._wire.ask
        answers = [ask(text, given) for given in params]
        self._wire.settle()
        return [answer.changed for answer in answers]

    def stream(self, name: str, params: Params) -> Iterator[Row]:
        """The server keeps the rows; a thousand at a time are here."""
        cursor = next(one for one in map("rows_{}".format, count()) if one not in self._wire.cursors)
        self._wire.cursors.add(cursor)
        try:
            self._wire.ask(f"DECLARE {cursor} NO SCROLL CURSOR FOR {self._queries[name]}", params)
            rows = self._wire.ask(f"FETCH {_FETCHED} FROM {cursor}").fetchall()
            while rows:
                yield from rows
                more = len(rows) == _FETCHED
                rows = self._wire.ask(f"FETCH {_FETCHED} FROM {cursor}").fetchall() if more else []
        finally:
            self._wire.cursors.discard(cursor)
            if not self._wire.is_broken:
                self._wire.ask(f"CLOSE {cursor}")

    def with_queries(self, named: Mapping[str, str]) -> Connected:
        return Connected(self._wire, {**self._queries, **named})

    def changed(self) -> int:
        assert self._last is not None
        self._last.fetchall()
        return self._last.changed
