"""A journal goes on under the next generation, all of it or nothing; what does not fit is left as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.vectors.paper_town import PaperTown, two_towns
from tests.ledger.pair_of_towns import make_registry, registered
from tests.ledger.test_index_claims import journal_of
from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.merkle import EMPTY_ROOT
from timebank_contracts.names import Identity
from timebank_contracts.registry import RegisteredNode, Registry
from timebank_kit.journal import Journal, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger import commands as c
from timebank_ledger.comeback import EVENT_KEYS_MAX, come_back
from timebank_ledger.replay import JournalDamaged, replay

NETWORK = "timebank.wales"
NOW = "2026-04-01T10:00:00.000Z"
BY = e.Actor(kind="operator", id="node-return")
ME = Identity(NETWORK, "aberdare", "g2")


def line(number: int, *, generation: str) -> RegisteredNode:
    """Aberdare under a generation, with the keys of this number."""
    return replace(registered("aberdare", number), generation=generation)


def versions(*lines: RegisteredNode) -> list[Registry]:
    """Registries that name Aberdare so, one after the other, and Barry."""
    found: list[Registry] = []
    for number, aberdare in enumerate(lines, start=1):
        said: dict[str, Any] = {"previous": found[-1].sha256} if found else {}
        one = make_registry(aberdare, registered("barry", 2), version=number, **said)
        found.append(replace(one, network=NETWORK))
    return found


def back(journal: Journal, registries: Sequence[Registry], me: Identity = ME, *, time: str = NOW) -> int:
    def first() -> list[c.Command]:
        return [c.ChangePolicy(by=BY, default_floor=-60, default_ceiling=600, debt_limit=60)]

    return come_back(journal, me, registries=registries, first=first, time=time, by=BY)


def lost() -> tuple[PaperTown, Journal, list[Registry]]:
    """A town, its journal, and the registries that close its generation."""
    aberdare, *_ = two_towns()
    return aberdare, journal_of(aberdare), versions(line(1, generation="g1"), line(3, generation="g2"))


def test_what_is_left_stays_and_the_new_generation_names_it() -> None:
    """PROTOCOL.md X7."""
    town, journal, registries = lost()
    size = len(town.entries)
    assert back(journal, registries) == size
    assert [record.state for record in journal.read(0, size)] == town.journal
    book, _ = replay(journal)
    assert (book.me, book.registry_version) == (ME, 2)
    entry = e.decode_entry(journal.read(size, 1)[0].state)
    assert isinstance(entry, e.NodeOpened)
    assert entry.data.previous is not UNSET
    assert entry.data.previous.root == town.tree().root().hex()
    assert entry.data.previous.event_keys == registries[0].nodes[0].event_keys
    assert book.peers["barry"].returning is not None


def test_every_event_key_that_the_generation_ever_had_counts_once() -> None:
    """PROTOCOL.md X7, R4: also one that was retired before the loss."""
    _, journal, _ = lost()
    keys = [line(number, generation="g1") for number in (1, 4, 1)]
    back(journal, versions(*keys, line(3, generation="g2")))
    book, _ = replay(journal)
    assert book.previous is not None
    assert len(book.previous.event_keys) == 2


def test_nothing_left_is_a_new_town_that_knows_what_it_was() -> None:
    """PROTOCOL.md X7."""
    _, _, registries = lost()
    journal = MemoryJournal(originator_of("empty"))
    assert back(journal, registries) == 0
    book, _ = replay(journal)
    assert book.default_floor == -60
    assert "lost" in book.accounts
    entry = e.decode_entry(journal.read(0, 1)[0].state)
    assert isinstance(entry, e.NodeOpened)
    assert entry.data.previous is not UNSET
    assert (entry.data.previous.size, entry.data.previous.root) == (0, EMPTY_ROOT.hex())


def test_a_clock_that_is_behind_does_not_bring_time_back() -> None:
    town, journal, registries = lost()
    back(journal, registries, time="2020-01-01T00:00:00.000Z")
    book, _ = replay(journal)
    assert book.time == town.book.time


def many_keys() -> list[Registry]:
    keys = [line(number, generation="g1") for number in range(10, 11 + EVENT_KEYS_MAX)]
    return versions(*keys, line(3, generation="g2"))


WRONG: dict[str, tuple[Callable[[list[Registry]], tuple[list[Registry], Identity]], str]] = {
    "another town": (lambda good: (good, ME._replace(node="barry")), "restore this town's"),
    "another network": (lambda good: (good, ME._replace(network="timebank.england")), "restore this town's"),
    "a later generation": (lambda good: (good, ME._replace(generation="g3")), "only the one before g3"),
    "the same generation": (lambda good: (good, ME._replace(generation="g1")), "start the node"),
    "no registry of it yet": (lambda good: (good[:1], ME), "let the operators publish it"),
    "too many keys": (lambda good: (many_keys(), ME), "more than 16 event keys"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_with_a_sentence_and_nothing_is_written(case: str) -> None:
    town, journal, good = lost()
    change, word = WRONG[case]
    registries, me = change(good)
    with pytest.raises(Malformed, match=word):
        back(journal, registries, me)
    assert [record.state for record in journal.scan(0, journal.length())] == town.journal


def test_a_second_return_is_refused_and_a_third_generation_waits_for_the_peers() -> None:
    """PROTOCOL.md X7: all of the one before is put back first."""
    _, journal, registries = lost()
    back(journal, registries)
    length = journal.length()
    with pytest.raises(Malformed, match="start the node"):
        back(journal, registries)
    third = versions(line(1, generation="g1"), line(3, generation="g2"), line(5, generation="g3"))
    with pytest.raises(Refusal) as caught:
        back(journal, third, ME._replace(generation="g3"))
    assert caught.value.code == "peer_recovering"
    assert journal.length() == length


def test_a_journal_that_ends_within_a_segment_or_is_damaged_is_not_gone_on_from() -> None:
    aberdare, barry, alys, _ = two_towns()
    barry.send("bryn", "aberdare", alys, 5)
    taken = aberdare.take(barry.segment("aberdare"))
    whole = journal_of(aberdare)
    cut = MemoryJournal(originator_of("cut"))
    cut.append(whole.read(0, taken[0].n + 1))
    registries = versions(line(1, generation="g1"), line(3, generation="g2"))
    with pytest.raises(Malformed, match="ends within a segment"):
        back(cut, registries)
    damaged = MemoryJournal(originator_of("damaged"))
    records = whole.read(0, whole.length())
    damaged.append([*records[:2], records[2]._replace(state=records[1].state), *records[3:]])
    with pytest.raises(JournalDamaged):
        back(damaged, registries)
