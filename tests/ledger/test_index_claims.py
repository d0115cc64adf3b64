"""The index finds whom a claim concerns, also after a start, and whatever a peer says of claims that never were."""

from __future__ import annotations

from contracts.vectors.paper_between import claim_there, dispute, withdraw
from contracts.vectors.paper_town import PaperTown, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_kit.journal import Journal, Record, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_ledger.index import Index


def journal_of(town: PaperTown) -> Journal:
    """The town's journal in a store."""
    journal = MemoryJournal(originator_of(town.node))
    pairs = zip(town.entries, town.journal, strict=True)
    journal.append([Record(entry.n, e.entry_type(entry), raw, None) for entry, raw in pairs])
    return journal


def kinds_of(town: PaperTown, account: str, *, forgets: bool) -> list[str]:
    """The kinds of an account's lines, from an index that takes one entry at a time."""
    index, length = Index("sqlite://", journal_of(town), name="town"), len(town.entries)
    for size in range(length + 1):
        if forgets:
            # As after a start: what was remembered between chunks is not there.
            index.earlier.claims.clear()
        index.advance_to(size)
    kinds = [line.type for _, line in index.lines_of([account], start=0, stop=length, limit=length)]
    index.close()
    return kinds


def test_a_claim_there_that_is_disputed_and_withdrawn_stands_in_its_giver_s_lines_also_after_a_start() -> None:
    aberdare, barry, alys, bryn = two_towns()
    name = claim_there(aberdare, "barry", "alys", (alys, bryn), 30)
    talk(aberdare, barry)
    dispute(barry, name, "other_minutes")
    talk(aberdare, barry)
    withdraw(aberdare, name)
    wanted = ["claim.sent", "claim.disputed", "claim.withdrawn"]
    for forgets in (False, True):
        assert kinds_of(aberdare, "alys", forgets=forgets)[-3:] == wanted


def test_a_peer_that_withdraws_twice_what_never_was_a_claim_does_not_stop_the_index() -> None:
    aberdare, barry, _, bryn = two_towns()
    aberdare.send("alys", "barry", bryn, 5)
    talk(aberdare, barry)
    for _ in range(2):
        said = m.Withdrawn(claim="barry.g1.aberdare.1")
        barry.sent["aberdare"].append(bytes(barry.tell("aberdare", m.ClaimWithdrawnMessage, said)))
    aberdare.take(barry.segment("aberdare", 2))
    assert [e.entry_type(entry) for entry in aberdare.entries[-2:]] == ["claim.withdrawn", "claim.withdrawn"]
    assert kinds_of(aberdare, "alys", forgets=False)[-1] == "transfer.settled"
