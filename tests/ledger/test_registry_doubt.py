"""The registry in force is what the journal says, whatever became of the commit that brought it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.ledger.pair_of_towns import both_open, make_registry, registered, signed
from tests.ledger.town_api import OPERATOR, Keys
from tests.ledger.town_api import START as NOON
from timebank_contracts.errors import Refusal
from timebank_contracts.registry import open_registry
from timebank_kit.clock import ManualClock
from timebank_kit.commit_loop import Doubt, Stopped
from timebank_kit.journal import OutcomeUnknown, Record, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger import commands as c
from timebank_ledger.head import HeadFile
from timebank_ledger.writer import Writer, Written

FIRST = both_open()
SECOND = make_registry(registered("aberdare", 1), registered("barry", 2), version=2, previous=FIRST.sha256)
THIRD = make_registry(registered("aberdare", 1), registered("barry", 2), version=3, previous=SECOND.sha256)


class LosesAppends(MemoryJournal):
    """Loses the next append, or its answer, when it is told to."""

    lose = ""

    def append(self, records: Sequence[Record]) -> None:
        lose, self.lose = self.lose, ""
        if lose != "append":
            super().append(records)
        if lose:
            raise OutcomeUnknown("the connection broke")


def open_writer(journal: MemoryJournal, held: bytes | None = None) -> Writer:
    registry = None if held is None else open_registry(held, previous=None)
    clock = ManualClock(NOON)
    return Writer(journal, clock=clock, log_key=Keys(1).log, head=HeadFile(None), registry=registry)


def accept(writer: Writer, envelope: bytes) -> Written:
    for _ in range(200):
        try:
            return writer.submit(c.AcceptRegistry(by=OPERATOR, envelope=envelope)).result(timeout=10)
        except Stopped:
            writer.tail.wait_beyond(1_000_000, timeout_seconds=0.05)
    raise AssertionError("the writer did not recover")


@pytest.mark.parametrize("lose", ["append", "answer"])
def test_after_a_doubtful_commit_the_next_registry_follows_the_one_in_the_journal(lose: str) -> None:
    journal = LosesAppends(originator_of("aberdare"))
    writer = open_writer(journal)
    writer.submit(c.OpenNode(by=OPERATOR, network="timebank.example", node="aberdare", generation="g1")).result()
    accept(writer, signed(FIRST))
    journal.lose = lose
    with pytest.raises(Doubt):
        accept(writer, signed(SECOND))
    if lose == "append":
        accept(writer, signed(SECOND))
    accept(writer, signed(THIRD))
    with writer.reading() as book:
        assert book.registry_version == 3
    writer.close()


def test_a_node_without_the_document_in_force_says_which_one_to_bring_back() -> None:
    journal = MemoryJournal(originator_of("aberdare"))
    writer = open_writer(journal)
    writer.submit(c.OpenNode(by=OPERATOR, network="timebank.example", node="aberdare", generation="g1")).result()
    accept(writer, signed(FIRST))
    accept(writer, signed(SECOND))
    writer.close()
    restored = open_writer(journal, signed(FIRST))
    with pytest.raises(Refusal, match="Version 2 is in force here and its document is not held"):
        accept(restored, signed(THIRD))
    restored.close()
