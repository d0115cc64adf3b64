"""Two towns that lost state at the same time: each hands back to the other what it has left."""

from __future__ import annotations

from contracts.vectors import paper_return as back
from contracts.vectors.paper_town import talk, two_towns
from tests.contracts.test_returning import refused, sound

VERSION = 3


def test_a_peer_that_lost_state_too_may_hold_less_than_it_once_said() -> None:
    """PROTOCOL.md X10: what it lost is said again, without the chain, and decided once."""
    aberdare, barry, _, bryn = two_towns()
    for minutes in (5, 7):
        size = len(barry.entries)
        aberdare.send("alys", "barry", bryn, minutes)
        talk(aberdare, barry)
    a, b = back.restored(aberdare, len(aberdare.entries)), back.restored(barry, size)
    a.taken, b.taken = aberdare.taken, barry.taken
    for town in (a, b):
        back.go_on(town, registry=VERSION)
    back.close_for(a, b, version=VERSION)
    back.close_for(b, a, version=VERSION)
    assert b.book.peers["aberdare"].endings["g1"].n == 1
    assert a.book.peers["barry"].returning is not None
    assert min(a.book.peers["barry"].returning.chains) == 2
    back.put_back(a, b)
    back.put_back(b, a)
    talk(a, b)
    sound(a, b)
    assert (a.book.accounts["alys"].balance, b.book.accounts["bryn"].balance) == (-12, 12)
    assert not a.book.open_transfers
    assert not b.book.forced


def test_a_peer_that_lost_nothing_must_name_a_chain_that_is_known() -> None:
    """PROTOCOL.md X10."""
    aberdare, barry, _, bryn = two_towns()
    for minutes in (5, 7):
        aberdare.send("alys", "barry", bryn, minutes)
        talk(aberdare, barry)
    again = back.restored(aberdare, len(aberdare.entries))
    back.go_on(again, registry=VERSION)
    back.close_for(barry, again, version=VERSION)
    peer = barry.book.peers["aberdare"]
    ending = peer.endings["g1"]
    peer.endings = {"g1": ending._replace(n=1)}
    assert refused(back.put_back, again, barry) == "segment_invalid"
