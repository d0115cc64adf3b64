"""Vectors of the book: two towns' whole journals with what they come to. (What is refused: `vectors_refusals.py`.)"""

from __future__ import annotations

from typing import Any

from contracts.vectors import paper_between as paper
from contracts.vectors.paper_town import MEMBER, OPERATOR, PaperTown, talk, two_towns
from timebank_contracts import entries as e
from timebank_contracts.merkle import leaf_hash, root_of

RULE = e.Actor(kind="rule")
BROKER = e.Actor(kind="broker", id="br-1")
CARER = e.Actor(kind="delegate", id="ca-1", mandate="ma-1")
OTHER = e.Actor(kind="member", id="mb-2")
PARTNER = e.Actor(kind="partner", id="pa-1")


def tell_two_towns() -> tuple[PaperTown, PaperTown]:
    """Some weeks of Aberdare and Barry: within each town, between them, taken back, and refused by the other."""
    aberdare, barry, alys, bryn = two_towns(limit=600)
    for account, kind, floor in (("aled", "member", -600), ("pot", "pot", 0), ("library", "organisation", -6000)):
        aberdare.account(account, kind, floor=floor)
    aberdare.account("opening", "opening", floor=-6000)
    barry.account("cerys", ceiling=60)
    cerys = barry.alias("cerys")
    aberdare.post(("opening", -300), ("library", 300), purpose="opening", by=OPERATOR)
    aberdare.post(("library", -300), ("opening", 300), purpose="opening", by=OPERATOR)
    first = aberdare.post(("alys", -90), ("aled", 90), purpose="service")
    given = [("library", 120)]
    aberdare.post(("alys", -60), ("aled", -60), ("library", 90), ("pot", 30), purpose="service", given=given)
    aberdare.post(("aled", -15), ("pot", 15), purpose="pot")
    aberdare.reverse(first.n)
    said = {"purpose": "service", "activity": "repair", "served_on": "2026-03-01", "given_minutes": 45}
    aberdare.send("alys", "barry", bryn, 45, **said)
    aberdare.send("alys", "barry", cerys, 61)
    aberdare.send("alys", "barry", "0" * 32, 5)
    aberdare.send("alys", "barry", cerys, 5, expires_at="2026-03-02T09:00:00.000Z")
    talk(aberdare, barry)
    barry.write(e.AccountFrozen, e.AccountNamed(account="bryn"))
    aberdare.send("alys", "barry", bryn, 30)
    talk(aberdare, barry)
    barry.write(e.AccountUnfrozen, e.AccountNamed(account="bryn"))
    barry.send("bryn", "aberdare", alys, 20)
    barry.write(e.AliasRevokedEntry, e.AliasRevoked(alias=cerys))
    barry.write(e.AccountClosed, e.AccountNamed(account="cerys"))
    aberdare.send("alys", "barry", cerys, 10)
    talk(barry, aberdare)
    aberdare.send("library", "barry", bryn, 25)
    _tell_claims(aberdare)
    _tell_leavers(aberdare, barry)
    _tell_money(aberdare, barry)
    _tell_refunds(aberdare, barry)
    _tell_claims_between(aberdare, barry, alys, bryn)
    _tell_thanks(aberdare, barry)
    paper.claim_there(aberdare, "barry", "alys", (alys, bryn), 12)
    aberdare.send("library", "barry", bryn, 25)
    return aberdare, barry


def _tell_claims(town: PaperTown) -> None:
    """Claims confirmed by a receiver, a broker, the rule; disputed, upheld, withdrawn, expired, opened again."""
    policy = {"claim_tolerance_percent": 10, "claim_expires_after_days": 14, "auto_confirm_after_days": 2}
    town.write(e.PolicyChanged, e.Policy(default_floor=-600, default_ceiling=6000, debt_limit=100_000, **policy))
    owner = e.AccountOpened(account="visits", kind="programme", floor=-120, ceiling=6000, owner="library")
    town.write(e.AccountOpenedEntry, owner)
    first = town.claim("aled", "alys", 65, programme="visits", given_minutes=60)
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=first, reason="other_minutes"), by=OTHER)
    town.write(e.ClaimUpheld, e.ClaimNamed(claim=first), by=BROKER)
    confirmed = town.confirm(first, 71)
    town.reverse(confirmed.n, 20)
    town.reverse(confirmed.n)
    town.write(e.ClaimWithdrawn, e.ClaimNamed(claim=first), by=OTHER)
    session = town.post(("alys", -20), ("aled", -20), ("library", 30), ("pot", 10), purpose="service")
    town.reverse(session.n, 7)
    second = town.claim("library", "alys", 45, by=BROKER, agreed_minutes=60)
    unheeded = town.claim("aled", "library", 5)
    for_the_rule = town.claim("alys", "aled", 30, by=OPERATOR, agreed_minutes=30)
    town.wait(2)
    town.confirm(second, by=RULE, said="rule")
    town.confirm(for_the_rule, by=RULE, said="rule")
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=second, reason="not_given"), by=OTHER)
    town.write(e.ClaimUpheld, e.ClaimNamed(claim=second), by=BROKER)
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=for_the_rule, reason="not_given"), by=CARER)
    town.wait(12)
    town.write(e.ClaimExpired, e.ClaimNamed(claim=unheeded), by=RULE)
    disputed = town.claim("alys", "aled", 15, by=CARER)
    town.write(e.ClaimDisputedEntry, e.ClaimDisputed(claim=disputed, reason="duplicate"), by=OTHER)
    town.claim("library", "aled", 50, by=BROKER, agreed_minutes=50)


def _tell_leavers(aberdare: PaperTown, barry: PaperTown) -> None:
    """Remainders to the pot, to a member, and by the rule; a minus that the pot bears; one who is still leaving."""
    for account in ("dewi", "efa", "ffion", "gwen"):
        aberdare.account(account)
    unheard = aberdare.claim("dewi", "aled", 20)
    aberdare.post(("aled", -40), ("dewi", 15), ("ffion", 25), purpose="service", given=[("ffion", 40)])
    aberdare.post(("efa", -10), ("aled", 10))
    for account in ("dewi", "efa", "ffion", "gwen"):
        aberdare.write(e.AccountClosing, e.AccountNamed(account=account), by=MEMBER)
    aberdare.write(e.ClaimExpired, e.ClaimNamed(claim=unheard), by=RULE)
    aberdare.leave("dewi", "alys", by=BROKER)
    aberdare.leave("efa", "pot", by=BROKER)
    aberdare.leave("gwen", "pot", by=RULE)
    barry.account("pot", "pot", floor=0)
    barry.account("huw")
    barry.post(("bryn", -9), ("huw", 9))
    barry.write(e.AccountClosing, e.AccountNamed(account="huw"), by=MEMBER)
    barry.wait(30)
    barry.leave("huw", "pot", by=RULE)


def _tell_money(aberdare: PaperTown, barry: PaperTown) -> None:
    """Money about a transfer here, one between towns from either side, and a programme; one record taken back."""
    entry = next(entry for entry in aberdare.entries if isinstance(entry, e.TransferPosted))
    about: dict[str, Any] = {"transfer": f"aberdare.g1.{entry.n}", "position": entry.n}
    _record(aberdare, 1250, by=BROKER, kind="materials", **about)
    taxi = _record(aberdare, 900, by=PARTNER, programme="visits")
    _record(aberdare, -900, by=OPERATOR, programme="visits", corrects=f"aberdare.g1.{taxi.n}")
    sent = next(entry.n for entry in aberdare.entries if isinstance(entry, e.TransferSent))
    _record(aberdare, 300, by=CARER, transfer="aberdare.g1.barry.1", position=sent)
    received = next(entry.n for entry in barry.entries if isinstance(entry, e.TransferReceived))
    _record(barry, 300, by=BROKER, transfer="aberdare.g1.barry.1", position=received)


def _tell_refunds(aberdare: PaperTown, barry: PaperTown) -> None:
    """A part given back, another that came too late and counts no more; and the pot gives back for somebody."""
    talk(aberdare, barry)
    _, _, _, last = paper.received_as(barry, "aberdare.g1.barry.8")
    paper.refund(barry, last.transfer, 10)
    paper.refund(barry, last.transfer, 15, expires_at="2026-03-02T09:00:00.000Z")
    talk(barry, aberdare)
    paper.refund(barry, last.transfer, 6)
    back = next(entry.data.transfer for entry in aberdare.entries if isinstance(entry, e.TransferReceived))
    said = paper.refunding(aberdare, back, 5, payer="pot")
    aberdare.write(e.TransferSent, by=BROKER, **said)
    talk(barry, aberdare)


def _tell_claims_between(aberdare: PaperTown, barry: PaperTown, alys: str, bryn: str) -> None:
    """Bryn's claims on Alys: paid, withdrawn while being paid, disputed and paid by a broker, open. Two are refused."""
    there = (bryn, alys)
    paid = paper.claim_there(barry, "aberdare", "bryn", there, 40, given_minutes=45)
    withdrawn = paper.claim_there(barry, "aberdare", "bryn", there, 30)
    disputed = paper.claim_there(barry, "aberdare", "bryn", there, 20)
    paper.claim_there(barry, "aberdare", "bryn", (bryn, "0" * 32), 5)
    talk(barry, aberdare)
    paper.pay(aberdare, paid, 44)
    paper.pay(aberdare, withdrawn)
    paper.withdraw(barry, withdrawn)
    paper.dispute(aberdare, disputed, "other_minutes")
    talk(aberdare, barry)
    aberdare.write(e.ClaimUpheld, e.ClaimNamed(claim=disputed), by=BROKER)
    paper.dispute(aberdare, disputed, "other")
    paper.pay(aberdare, disputed, 15, by=BROKER)
    talk(aberdare, barry)
    paper.claim_there(barry, "aberdare", "bryn", there, 25)
    # Barry's journal is days ahead: what Aberdare claims is over when it comes.
    paper.claim_there(aberdare, "barry", "alys", (alys, bryn), 35)
    talk(barry, aberdare)


def _tell_thanks(aberdare: PaperTown, barry: PaperTown) -> None:
    """Both sides of the first transfer between the towns, each at home; and one side of a transfer within a town."""
    for town, kind in ((aberdare, e.TransferSent), (barry, e.TransferReceived), (aberdare, e.TransferPosted)):
        paper.thank(town, next(entry.n for entry in town.entries if isinstance(entry, kind)))
    barry.take(aberdare.segment("barry", barry.book.peers["aberdare"].incoming.n + 1))
    aberdare.take(barry.segment("aberdare", aberdare.book.peers["barry"].incoming.n + 1))


def _record(town: PaperTown, minor_units: int, *, by: e.Actor, kind: Any = "travel", **about: Any) -> e.Entry:
    data = e.MoneyRecorded(
        minor_units=minor_units, currency="GBP", kind=kind, settled_by="cash", paid_on=town.now[:10], **about
    )
    return town.write(e.MoneyRecordedEntry, data, by=by)


def journal_vectors() -> tuple[dict[str, str], dict[str, Any]]:
    """The journals, an entry a line; and what each comes to."""
    towns = tell_two_towns()
    files = {f"journal-{town.node}.ndjson": b"".join(raw + b"\n" for raw in town.journal).decode() for town in towns}
    return files, {town.node: _result(town) for town in towns}


def _result(town: PaperTown) -> dict[str, Any]:
    leaves = [leaf_hash(raw) for raw in town.journal]
    streams = {
        name: {
            "incoming": {"n": peer.incoming.n, "chain": peer.incoming.chain.hex()},
            "outgoing": {"n": peer.outgoing.n, "chain": peer.outgoing.chain.hex()},
            "heard": peer.heard,
            "debt": peer.debt,
        }
        for name, peer in town.book.peers.items()
    }
    return {
        "file": f"journal-{town.node}.ndjson",
        "size": len(leaves),
        "roots": {str(size): root_of(leaves[:size]).hex() for size in range(0, len(leaves) + 1, 5)},
        "root": root_of(leaves).hex(),
        "balances": dict(town.book.balances()),
        "streams": streams,
        "open_transfers": {name: found.minutes for name, found in town.book.open_transfers.items()},
        "debt": town.book.debt,
        "closed": sorted(name for name, account in town.book.accounts.items() if account.state == "closed"),
        "claims": {
            name: {"minutes": claim.minutes, "disputed": claim.disputed} for name, claim in town.book.claims.items()
        },
        "sent_claims": sorted(town.book.sent_claims),
        "refunded": dict(town.book.refunded),
        "taken_back": {str(position): list(taken) for position, taken in town.book.reversed.items()},
    }
