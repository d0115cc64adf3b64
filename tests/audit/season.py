"""The season that every fault is planted into: three honest towns and some days of their life."""

from __future__ import annotations

from tests.audit.builder import MEMBER, OPERATOR, Network
from tests.audit.claims_told import tell_claims
from tests.audit.given_out import give_out
from timebank_ledger import commands as c


def season() -> Network:
    """Three towns; local services, transfers between towns in every state, a grant and a reversal; claims in one."""
    network = Network("aberdare", "barry", "caernarfon")
    a, b, d = network.towns.values()
    grant = c.PostTransfer(
        by=OPERATOR, postings=(("grant", -600), ("alys", 600)), purpose="grant", confirmed_by="broker"
    )
    for town in (a, b, d):
        town.do(grant)
        for n in range(5):
            town.give(30 + n, client_key=f"{town.node} {n}")
    mistake = a.give(15)
    a.do(c.ReverseTransfer(by=OPERATOR, transfer=f"aberdare.g1.{mistake.n}", reason="mistake"))
    gift = c.PostTransfer(by=MEMBER, postings=(("bryn", -5), ("alys", 5)), purpose="gift", confirmed_by="none")
    b.do(gift)
    a.send("barry", 90)
    a.send("barry", 45, payee="nobody")
    b.send("aberdare", 20)
    b.send("caernarfon", 33)
    b.hear(a)
    d.hear(b)
    a.hear(b)
    b.hear(a)
    d.tells_size = True
    b.hear(d)
    d.tells_size = False
    tell_claims(d)
    network.accept_all(limit=2_000)
    a.send("barry", 40)
    a.send("barry", 7, payee="nobody")
    b.hear(a)
    a.send("barry", 11)
    d.send("barry", 12)
    give_out(network)
    return network
