"""Claims on another town, refunds and thanks between towns of `builder.py`: told in a row, or drawn one by one."""

from __future__ import annotations

from collections.abc import Callable

from tests.audit.builder import MEMBER, OPERATOR, Network, Writer, alias
from tests.audit.claims_told import BROKER, DAY_MINUTES, rule
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_ledger import commands as c

LATER = "2099-01-01T00:00:00.000Z"
BEFORE = "2026-01-01T00:00:00.000Z"


def claim_there(town: Writer, peer: str, minutes: int = 60, *, receiver: str = "alys") -> str:
    """Bryn of the town claims minutes from somebody of the peer; returns the claim's name."""
    entry = town.do(
        c.SendClaim(
            by=MEMBER,
            giver="bryn",
            giver_alias=alias(f"bryn {town.node}"),
            peer=peer,
            receiver=alias(f"{receiver} {peer}"),
            minutes=minutes,
            activity="garden",
            served_on="2026-01-01",
        )
    )
    assert isinstance(entry, e.ClaimSentEntry)
    return f"{town.node}.g1.{peer}.{town.book.peers[peer].outgoing.n}"


def paying(name: str, *, by: e.Actor = MEMBER, minutes: int | None = None) -> c.ConfirmClaim:
    """The command that pays a claim of another town."""
    said = {"member": "receiver", "broker": "broker"}[by.kind]
    return c.ConfirmClaim(by=by, claim=name, confirmed_by=said, minutes=minutes, payer_tag="0" * 30, expires_at=LATER)


def refunding(
    town: Writer, transfer: str, minutes: int | None, *, from_pot: bool = False, expires_at: str = LATER
) -> c.RefundTransfer:
    """The command that gives minutes of a transfer back."""
    return c.RefundTransfer(
        by=BROKER if from_pot else MEMBER,
        transfer=transfer,
        position=received_at(town, transfer),
        minutes=minutes,
        payer="pot" if from_pot else None,
        payer_tag="0" * 30,
        expires_at=expires_at,
    )


def received_at(town: Writer, transfer: str) -> int:
    """Where a peer's transfer was received; raises `LookupError` when it was not."""
    for entry in map(e.decode_entry, town.raws):
        if isinstance(entry, e.TransferReceived) and entry.data.transfer == transfer:
            return entry.n
    raise LookupError(transfer)


def thanking(town: Writer, at: int = 0) -> c.GiveThanks:
    """The command that thanks for one of the transfers with other towns; raises `LookupError` when there is none."""
    began = [
        entry for entry in map(e.decode_entry, town.raws) if isinstance(entry, e.TransferSent | e.TransferReceived)
    ]
    if not began:
        raise LookupError("no transfer")
    entry = began[at % len(began)]
    if isinstance(entry, e.TransferReceived):
        return c.GiveThanks(by=MEMBER, transfer=entry.data.transfer, side="payee", position=entry.n)
    message = m.decode_message(bytes(entry.out))  # type: ignore[arg-type]  # the rules demand it
    assert isinstance(message, m.TransferSentMessage)
    return c.GiveThanks(by=MEMBER, transfer=message.data.transfer, side="payer", position=entry.n)


def meet(one: Writer, other: Writer) -> None:
    """Both hear everything of each other."""
    for receiver, sender in ((one, other), (other, one), (one, other)):
        if receiver.book.peers[sender.node].incoming.n < sender.book.peers[receiver.node].outgoing.n:
            receiver.hear(sender)


def tell_between() -> Network:
    """Two towns: refunds that are taken, come back, or are the pot's; claims that end in every way; thanks of both."""
    network = Network("aberdare", "barry")
    a, b = network.towns.values()
    for town in (a, b):
        town.give(30)
    a.send("barry", 90)
    meet(b, a)
    sent = "aberdare.g1.barry.1"
    b.do(refunding(b, sent, 30))
    b.do(refunding(b, sent, 60, expires_at=BEFORE))
    meet(a, b)
    b.do(refunding(b, sent, 20, from_pot=True))
    paid, withdrawn, disputed = (claim_there(b, "aberdare", minutes) for minutes in (40, 30, 20))
    claim_there(b, "aberdare", 5, receiver="nobody")
    meet(a, b)
    a.do(paying(paid))
    a.do(paying(withdrawn))
    b.do(c.EndClaim(by=MEMBER, claim=withdrawn, how="withdrawn"))
    a.do(c.DisputeClaim(by=MEMBER, claim=disputed, reason="other_minutes"))
    meet(b, a)
    a.do(paying(disputed, by=BROKER, minutes=15))
    meet(b, a)
    for town in (a, b):
        town.do(thanking(town))
    meet(a, b)
    meet(b, a)
    return network


def _their_claim(town: Writer, at: int) -> str:
    return _one_of([name for name, claim in town.book.claims.items() if claim.peer], at)


def _one_of(names: list[str], at: int) -> str:
    if not names:
        raise LookupError("nothing to act on")
    return names[at % len(names)]


def _received(town: Writer, at: int) -> str:
    entries = map(e.decode_entry, town.raws)
    return _one_of([entry.data.transfer for entry in entries if isinstance(entry, e.TransferReceived)], at)


ACTS: dict[str, Callable[[Writer, Writer, int], object]] = {
    "send": lambda town, peer, at: town.send(peer.node, 20 + at),
    "claim": lambda town, peer, at: claim_there(town, peer.node, 10 + at, receiver=("alys", "nobody")[at % 5 == 0]),
    "pay": lambda town, peer, at: town.do(paying(_their_claim(town, at), by=(MEMBER, BROKER)[at % 2])),
    "withdraw": lambda town, peer, at: town.do(
        c.EndClaim(by=MEMBER, claim=_one_of(list(town.book.sent_claims), at), how="withdrawn")
    ),
    "dispute": lambda town, peer, at: town.do(
        c.DisputeClaim(by=MEMBER, claim=_their_claim(town, at), reason="not_given")
    ),
    "uphold": lambda town, peer, at: town.do(c.EndClaim(by=BROKER, claim=_their_claim(town, at), how="upheld")),
    "refund": lambda town, peer, at: town.do(
        refunding(
            town,
            _received(town, at),
            (None, 5, 9)[at % 3],
            from_pot=at % 4 == 0,
            expires_at=BEFORE if at % 5 == 0 else LATER,
        )
    ),
    "thank": lambda town, peer, at: town.do(thanking(town, at)),
    "leave": lambda town, peer, at: town.do(c.BeginClosing(by=OPERATOR, account=("alys", "bryn")[at % 2])),
    "days": lambda town, peer, at: town.network.tick(40 * DAY_MINUTES),
    "rule": lambda town, peer, at: rule(town),
    "hear": lambda town, peer, at: town.hear(peer),
    "meet": lambda town, peer, at: meet(town, peer),
}
"""What may happen next in a town, beside its peer; a refusal or nothing to act on means that it did not."""
