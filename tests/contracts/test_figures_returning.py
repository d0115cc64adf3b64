"""Figures of a town that lost state and went on: what happened counts once, whoever of the two towns lost it."""

from __future__ import annotations

import pytest

from contracts.vectors import paper_return as back
from contracts.vectors.paper_between import refund, thank
from contracts.vectors.paper_town import PaperTown, talk, two_towns
from tests.contracts.figures_of import document, figures, network, send_service
from timebank_contracts import entries as e


def come_back(town: PaperTown, peer: PaperTown, size: int, payers: dict[str, str]) -> PaperTown:
    """The town goes on from its first `size` entries, and both hear all that is left."""
    again = back.restored(town, size)
    back.go_on(again, registry=max(town.book.registry_version, peer.book.registry_version) + 1)
    back.close_for(peer, again, version=again.book.registry_version)
    back.put_back(again, peer, payers)
    for _ in range(2):
        talk(again, peer)
        talk(peer, again)
    return again


def test_a_transfer_that_is_recovered_counts_once() -> None:
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    sent = send_service(aberdare, "alys", "barry", bryn, 90, given_minutes=100)
    talk(aberdare, barry)
    again = come_back(aberdare, barry, size, {sent: "alys"})
    assert any(isinstance(entry, e.MessageRecoveredEntry) for entry in again.entries)
    assert (figures(again).import_minutes, figures(again).used.of) == (100, {"alys": 90})
    assert document(again)["product"]["imports_confirmed_by"] == [{"by": "unknown", "minutes": 100, "people": 1}]
    assert (figures(barry).given.minutes, network(again, barry)["product"]["not_yet_settled_minutes"]) == (100, 0)


def test_what_was_sent_before_and_never_heard_is_said_again_and_counts_once() -> None:
    aberdare, barry, _, bryn = two_towns()
    send_service(aberdare, "alys", "barry", bryn, 90)
    again = come_back(aberdare, barry, len(aberdare.entries), {})
    assert any(isinstance(entry, e.MessageRepeatedEntry) for entry in again.entries)
    assert (figures(again).import_minutes, figures(barry).given.minutes) == (90, 90)


@pytest.mark.parametrize("lost", ["the refund", "both"])
def test_a_refund_that_is_recovered_takes_back_once_what_it_gives_back(lost: str) -> None:
    """Barry loses its refund of 30, or also what it received before: 60 of 90 are left in both towns."""
    aberdare, barry, _, bryn = two_towns()
    start = len(barry.entries)
    paid = send_service(aberdare, "alys", "barry", bryn, 90)
    talk(aberdare, barry)
    size = len(barry.entries) if lost == "the refund" else start
    refund(barry, paid, 30)
    talk(barry, aberdare)
    [name] = [entry.data.transfer for entry in aberdare.entries if isinstance(entry, e.TransferReceived)]
    assert (figures(barry).given.minutes, figures(aberdare).import_minutes) == (60, 60)
    again = come_back(barry, aberdare, size, {name: "bryn"})
    assert (figures(again).given.minutes, figures(aberdare).import_minutes) == (60, 60)
    assert network(again, aberdare)["product"]["not_yet_settled_minutes"] == 0


def test_a_refund_of_what_was_recovered_is_taken_back_where_it_was_used() -> None:
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    sent = send_service(aberdare, "alys", "barry", bryn, 50)
    talk(aberdare, barry)
    again = come_back(aberdare, barry, size, {sent: "alys"})
    refund(barry, sent, 10)
    talk(barry, again)
    assert (figures(again).import_minutes, figures(again).used.of) == (40, {"alys": 40})
    assert figures(barry).given.minutes == 40


def test_what_nobody_can_be_found_for_stays_in_the_sums_and_is_no_person() -> None:
    """The payer's account is not known any more: the minutes are used, by nobody that is counted."""
    aberdare, barry, _, bryn = two_towns()
    size = len(aberdare.entries)
    send_service(aberdare, "alys", "barry", bryn, 50)
    talk(aberdare, barry)
    again = come_back(aberdare, barry, size, {})
    product = document(again)["product"]
    assert (product["used_minutes"], product["people"]["helped"]) == (50, 0)
    assert network(again, barry)["product"]["not_yet_settled_minutes"] == 0


def test_thanks_that_are_recovered_were_given() -> None:
    aberdare, barry, _, bryn = two_towns()
    sent = send_service(aberdare, "alys", "barry", bryn, 50)
    at = len(aberdare.entries) - 1
    talk(aberdare, barry)
    size = len(aberdare.entries)
    thank(aberdare, at)
    talk(aberdare, barry)
    again = come_back(aberdare, barry, size, {sent: "alys"})
    assert document(again)["thanks"] == {"given": 1, "received": 0, "thanked": [0, 1]}
    assert document(barry)["thanks"]["received"] == 1
