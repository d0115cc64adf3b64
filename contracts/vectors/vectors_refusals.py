"""Vectors of what the rules refuse: entries after Aberdare's journal, each with its code."""

from __future__ import annotations

import copy
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from contracts.vectors import paper_between as paper
from contracts.vectors.paper_town import MEMBER, OPERATOR, PaperTown
from contracts.vectors.vectors_bytes import Case, b64
from contracts.vectors.vectors_journal import RULE, tell_two_towns
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.book import apply
from timebank_contracts.errors import Refusal
from timebank_contracts.rules_reversal import WHOLE

Attempt = tuple[str, type[e.Entry], Any, dict[str, Any]]
"""Name, type, data, and what else the entry says."""


def refusal_cases() -> list[Case]:
    """Entries after Aberdare's journal that `apply` refuses, each with its code."""
    town, _ = tell_two_towns()
    position = town.book.n
    gift = e.Posted(purpose="gift", confirmed_by="none")
    attempts: list[Attempt] = [
        ("past-the-floor", e.TransferPosted, gift, {"postings": [("aled", -5000), ("alys", 5000)]}),
        (
            "past-the-ceiling",
            e.TransferPosted,
            gift,
            {"postings": [("library", -6000), ("alys", -300), ("aled", 6300)]},
        ),
        ("an-unknown-account", e.TransferPosted, gift, {"postings": [("alys", -1), ("nobody", 1)]}),
        ("not-balanced", e.TransferPosted, gift, {"postings": [("alys", -2), ("aled", 1)]}),
        ("a-posting-of-0", e.TransferPosted, gift, {"postings": [("alys", 0), ("aled", 0)]}),
        ("to-oneself", e.TransferPosted, gift, {"postings": [("alys", -1), ("alys", 1)]}),
        ("no-postings", e.TransferPosted, gift, {}),
        ("from-a-clearing-account", e.TransferPosted, gift, {"postings": [("clearing:barry", -1), ("alys", 1)]}),
        ("a-gift-from-the-pot", e.TransferPosted, gift, {"postings": [("pot", -1), ("alys", 1)]}),
        ("a-service-without-a-day", e.TransferPosted, e.Posted(purpose="service", confirmed_by="none"), _LEGS),
        ("a-service-of-tomorrow", e.TransferPosted, _service("2026-03-18"), _LEGS),
        ("a-service-of-long-ago", e.TransferPosted, _service("2025-03-14"), _LEGS),
        ("a-members-correction", e.TransferPosted, e.Posted(purpose="correction", confirmed_by="none"), _LEGS),
        ("time-goes-back", e.TransferPosted, gift, {**_LEGS, "time": "2026-03-02T08:00:00.000Z"}),
        ("a-position-left-out", e.TransferPosted, gift, {**_LEGS, "n": position + 1}),
        ("opened-again", e.NodeOpened, town.entries[0].data, {}),  # type: ignore[attr-defined]  # NodeOpened has data
        ("an-account-again", e.AccountOpenedEntry, _opened("alys", "member"), {}),
        ("a-second-pot", e.AccountOpenedEntry, _opened("pot-2", "pot"), {}),
        ("a-clearing-account", e.AccountOpenedEntry, _opened("clearing:cardiff", "member"), {}),
        ("a-member-called-pot", e.AccountOpenedEntry, _opened("lost", "member"), {}),
        ("closing-what-holds-minutes", e.AccountClosed, e.AccountNamed(account="alys"), {}),
        (
            "limits-by-a-member",
            e.AccountChangedEntry,
            e.AccountChanged(account="alys", floor=-9, ceiling=9),
            {"by": MEMBER},
        ),
        ("an-alias-of-nobody", e.AliasRevokedEntry, e.AliasRevoked(alias="0" * 32), {}),
        ("a-registry-again", e.RegistryAcceptedEntry, e.RegistryAccepted(version=1, sha256="0" * 64), {"twice": True}),
        ("itself-as-peer", e.PeerChanged, _peer("aberdare"), {}),
        ("a-peers-other-generation", e.PeerChanged, _peer("barry", generation="g2"), {}),
        ("thawing-what-is-not-frozen", e.PeerThawed, e.Thawed(peer="barry", reason="mistake"), {}),
        ("settled-without-a-message", e.TransferSettled, e.Settled(transfer="aberdare.g1.barry.7"), {}),
    ]
    attempts += [*_claims(town), *_leavers(town), *_taken_back(town), *_money(town)]
    attempts += [*_refunds(town), *_claims_between(town), *_thanks(town)]
    return [_refuse(town, *attempt) for attempt in attempts]


def _claims(town: PaperTown) -> list[Attempt]:
    """The journal ends with two open claims: one that is disputed, and one from a booking that is not due yet."""
    disputed, due_later = (name for name, claim in town.book.claims.items() if not claim.peer)
    ended = next(entry for entry in town.entries if isinstance(entry, e.ClaimWithdrawn)).data
    paid = {"postings": [("aled", -50), ("library", 50)]}
    rule = {"by": RULE, **paid}
    other_day = _confirming(due_later, served_on="2026-03-15")
    return [
        ("a-claim-against-a-leaver", e.ClaimMadeEntry, _claim(receiver="ffion"), {}),
        ("a-claim-against-the-pot", e.ClaimMadeEntry, _claim(receiver="pot"), {}),
        ("a-claim-against-oneself", e.ClaimMadeEntry, _claim(receiver="alys"), {}),
        ("a-claim-of-a-day-to-come", e.ClaimMadeEntry, _claim(served_on="2026-03-18"), {}),
        ("a-claim-by-the-rule", e.ClaimMadeEntry, _claim(), {"by": RULE}),
        ("a-members-agreed-minutes", e.ClaimMadeEntry, _claim(agreed_minutes=5), {"by": MEMBER}),
        ("a-claim-for-no-programme", e.ClaimMadeEntry, _claim(programme="library"), {}),
        ("above-the-tolerance", e.TransferPosted, _confirming(due_later), _moving("aled", "library", 56)),
        ("the-giver-pays", e.TransferPosted, _confirming(due_later), _moving("library", "aled", 50)),
        ("somebody-else-pays", e.TransferPosted, _confirming(due_later), _moving("alys", "library", 50)),
        ("for-another-day", e.TransferPosted, other_day, paid),
        ("confirmed-after-its-end", e.TransferPosted, _confirming(ended.claim), _moving("alys", "aled", 65)),
        ("confirmed-while-disputed", e.TransferPosted, _confirming(disputed), _moving("aled", "alys", 15)),
        ("a-member-in-the-rules-name", e.TransferPosted, _confirming(due_later, confirmed_by="rule"), paid),
        ("the-rule-in-a-members-name", e.TransferPosted, _confirming(due_later), rule),
        ("the-rule-before-its-time", e.TransferPosted, _confirming(due_later, confirmed_by="rule"), rule),
        ("expired-before-its-time", e.ClaimExpired, e.ClaimNamed(claim=due_later), {"by": RULE}),
        ("expired-by-an-operator", e.ClaimExpired, e.ClaimNamed(claim=due_later), {}),
        ("withdrawn-by-the-rule", e.ClaimWithdrawn, e.ClaimNamed(claim=due_later), {"by": RULE}),
        ("withdrawn-twice", e.ClaimWithdrawn, ended, {}),
        ("disputed-twice", e.ClaimDisputedEntry, e.ClaimDisputed(claim=disputed, reason="other"), {}),
        ("disputed-after-its-end", e.ClaimDisputedEntry, e.ClaimDisputed(claim=ended.claim, reason="other"), {}),
        ("upheld-by-a-member", e.ClaimUpheld, e.ClaimNamed(claim=disputed), {"by": MEMBER}),
        ("upheld-without-a-dispute", e.ClaimUpheld, e.ClaimNamed(claim=due_later), {}),
    ]


def _leavers(town: PaperTown) -> list[Attempt]:
    """Ffion is leaving since some minutes, with 25 minutes; aled has open claims."""
    ffion = e.AccountNamed(account="ffion")
    owned = e.AccountOpened(account="club", kind="organisation", floor=0, ceiling=60, owner="library")
    gift = e.Posted(purpose="gift", confirmed_by="none")
    return [
        ("a-leaver-pays", e.TransferPosted, gift, _moving("ffion", "alys", 5)),
        ("leaving-twice", e.AccountClosing, ffion, {}),
        ("the-rule-makes-somebody-leave", e.AccountClosing, e.AccountNamed(account="alys"), {"by": RULE}),
        ("a-part-of-the-remainder", e.AccountClosed, ffion, _moving("ffion", "pot", 24)),
        ("a-remainder-for-the-imports", e.AccountClosed, ffion, _moving("ffion", "opening", 25)),
        ("the-rule-before-the-policys-days", e.AccountClosed, ffion, {"by": RULE, **_moving("ffion", "pot", 25)}),
        ("the-rule-closes-who-stays", e.AccountClosed, e.AccountNamed(account="visits"), {"by": RULE}),
        ("closing-what-has-open-claims", e.AccountClosed, e.AccountNamed(account="aled"), {}),
        ("the-pot-leaves", e.AccountClosing, e.AccountNamed(account="pot"), {}),
        ("an-organisation-with-an-owner", e.AccountOpenedEntry, owned, {}),
    ]


def _taken_back(town: PaperTown) -> list[Attempt]:
    """The confirmation of a claim was taken back whole; of a group session 33 minutes are left."""
    whole = [position for position, taken in town.book.reversed.items() if taken == WHOLE][-1]
    part = next(position for position, taken in town.book.reversed.items() if taken != WHOLE)
    return [
        ("more-than-is-left", e.TransferReversed, _back(part, 34), _moving("library", "alys", 34)),
        ("other-postings-than-the-shares", e.TransferReversed, _back(part, 10), _moving("library", "alys", 10)),
        ("taken-back-again", e.TransferReversed, _back(whole), _moving("aled", "alys", 71)),
        ("taken-back-before-it-was", e.TransferReversed, _back(9999), _moving("aled", "alys", 1)),
        ("a-claim-taken-back", e.TransferReversed, _back(53), _moving("alys", "aled", 15)),
        ("a-transfer-between-towns-taken-back", e.TransferReversed, _BETWEEN, _moving("library", "alys", 25)),
        ("taken-back-by-a-member", e.TransferReversed, _back(part, 1), {"by": MEMBER, **_moving("pot", "alys", 1)}),
        (
            "support-without-a-reason",
            e.TransferPosted,
            e.Posted(purpose="support", confirmed_by="broker"),
            {"by": OPERATOR, **_moving("pot", "alys", 1)},
        ),
        (
            "a-gift-with-a-reason",
            e.TransferPosted,
            e.Posted(purpose="gift", confirmed_by="none", reason="welcome"),
            _LEGS,
        ),
    ]


def _money(town: PaperTown) -> list[Attempt]:
    """Of the records of the journal one was taken back; the first is about a transfer here."""
    first, again, _, _ = (entry for entry in town.entries if isinstance(entry, e.MoneyRecordedEntry))
    kind = e.MoneyRecordedEntry
    name = f"aberdare.g1.{again.n}"
    return [
        ("money-of-a-member", kind, first.data, {"by": MEMBER}),
        ("money-about-nothing", kind, replace(first.data, transfer=UNSET, position=UNSET), {}),
        ("money-about-two-things", kind, replace(first.data, programme="visits"), {}),
        ("money-of-0", kind, replace(first.data, minor_units=0), {}),
        ("money-of-a-day-to-come", kind, replace(first.data, paid_on="2026-03-18"), {}),
        ("money-about-another-transfer", kind, replace(first.data, position=4), {}),
        ("money-for-no-programme", kind, replace(again.data, programme="library"), {}),
        ("money-taken-back-again", kind, replace(again.data, minor_units=-900, corrects=name), {}),
        (
            "money-taken-back-in-part",
            kind,
            replace(first.data, minor_units=-1249, corrects=f"aberdare.g1.{first.n}"),
            {},
        ),
    ]


def _refunds(town: PaperTown) -> list[Attempt]:
    """Barry's 20 minutes for alys, of which 5 were given back by the pot; and Barry's refund of 10 to the library."""
    transfers = [entry.data.transfer for entry in town.entries if isinstance(entry, e.TransferReceived)]
    first, of_barry = transfers[0], transfers[1]
    position = paper.received_as(town, first)[0]
    elsewhere = paper.refunding(town, first, 5)
    elsewhere["data"] = replace(elsewhere["data"], original=position - 1)
    addressed = paper.refunding(town, first, 5, payee="0" * 32)
    return [
        _sent("a-refund-above-the-original", paper.refunding(town, first, 16)),
        _sent("a-refund-by-somebody-else", paper.refunding(town, first, 5, payer="aled")),
        _sent("a-refund-from-the-pot-by-a-member", paper.refunding(town, first, 5, payer="pot")),
        _sent("a-refund-of-a-refund", paper.refunding(town, of_barry, 5)),
        _sent("a-refund-of-nothing", elsewhere),
        _sent("a-refund-of-another-transfer", paper.refunding(town, first, 5, refunds="barry.g1.aberdare.1")),
        _sent("a-refund-said-to-be-sent-elsewhere", paper.refunding(town, first, 5, refunds_at=0)),
        _sent("a-refund-to-an-address", addressed),
        _sent("a-refund-for-an-activity", paper.refunding(town, first, 5, activity="garden")),
    ]


def _claims_between(town: PaperTown) -> list[Attempt]:
    """Barry's claim of 25 minutes on alys is open, others of Barry are ended; alys's own claim of 12 is on its way."""
    theirs = next(name for name, claim in town.book.claims.items() if claim.peer)
    ended = next(entry.data.claim for entry in town.entries if isinstance(entry, e.TransferSent) and entry.data.claim)
    [ours] = town.book.sent_claims
    again = paper.paying(town, theirs)
    again["data"] = replace(again["data"], claim=ended)
    other_postings = paper.paying(town, theirs)
    other_postings["postings"] = [("aled", -25), ("transit:barry", 25)]
    told = town.tell("barry", m.ClaimWithdrawnMessage, m.Withdrawn(claim="aberdare.g1.barry.1"))
    named, person = e.ClaimNamed(claim=theirs), {"by": MEMBER}
    return [
        _sent("a-claim-paid-twice", {**again, **_saying(town, theirs, claim=ended)}),
        _sent("a-claim-paid-above-the-tolerance", paper.paying(town, theirs, 28)),
        _sent("a-claim-paid-for-another-day", paper.paying(town, theirs, served_on="2026-03-01")),
        _sent("a-claim-paid-to-another-address", paper.paying(town, theirs, payee="0" * 32)),
        _sent("a-claim-paid-by-somebody-else", other_postings),
        _sent("a-claim-named-in-the-message-only", {**paper.paying(town, theirs), "data": e.SentTo(peer="barry")}),
        _sent("a-claim-between-towns-paid-by-the-rule", {**paper.paying(town, theirs), "by": RULE}),
        ("a-claim-of-barry-withdrawn-here", e.ClaimWithdrawn, named, person),
        ("a-claim-of-barry-disputed-in-silence", e.ClaimDisputedEntry, _disputed(theirs), person),
        ("a-claim-withdrawn-in-silence", e.ClaimWithdrawn, e.ClaimNamed(claim=ours), person),
        ("a-claim-withdrawn-that-ended", e.ClaimWithdrawn, e.ClaimNamed(claim=ended), person),
        ("another-claim-withdrawn-than-told", e.ClaimWithdrawn, e.ClaimNamed(claim=ours), {**person, "out": told}),
        ("a-sent-claim-expired-before-its-time", e.ClaimExpired, e.ClaimNamed(claim=ours), {"by": RULE}),
    ]


def _thanks(town: PaperTown) -> list[Attempt]:
    """Aberdare thanked for the first transfer it sent, and for the first within the town."""
    sent, local = (
        next(x.n for x in town.entries if isinstance(x, kind)) for kind in (e.TransferSent, e.TransferPosted)
    )
    nothing = paper.thanking(town, local)
    nothing["data"] = replace(nothing["data"], transfer="aberdare.g1.4", position=4)
    silent = {**paper.thanking(town, sent + 1), "out": UNSET}
    return [
        _thanked("thanks-given-twice", paper.thanking(town, sent)),
        _thanked("thanks-without-a-transfer", nothing),
        _thanked("thanks-for-the-other-towns-side", paper.thanking(town, sent + 1, side="payee")),
        _thanked("thanks-that-nobody-is-told", silent),
        _thanked("thanks-by-the-rule", {**paper.thanking(town, local, side="payer"), "by": RULE}),
    ]


def _sent(name: str, said: dict[str, Any]) -> Attempt:
    rest = {"by": MEMBER} | said
    return (name, e.TransferSent, rest.pop("data"), rest)


def _saying(town: PaperTown, name: str, **said: Any) -> dict[str, Any]:
    """The message of a payment with other words."""
    return {"out": paper.paying(town, name, **said)["out"]}


def _disputed(claim: str) -> e.ClaimDisputed:
    return e.ClaimDisputed(claim=claim, reason="other")


def _thanked(name: str, said: dict[str, Any]) -> Attempt:
    rest = {"by": MEMBER} | said
    return (name, e.ThanksGivenEntry, rest.pop("data"), rest)


def _claim(*, receiver: str = "aled", served_on: str = "2026-03-16", **said: Any) -> e.ClaimMade:
    return e.ClaimMade(giver="alys", receiver=receiver, minutes=5, activity="arts", served_on=served_on, **said)


def _confirming(claim: str, *, served_on: str = "2026-03-16", confirmed_by: Any = "receiver") -> e.Posted:
    return e.Posted(
        purpose="service", confirmed_by=confirmed_by, activity="household", served_on=served_on, claim=claim
    )


def _moving(payer: str, payee: str, minutes: int) -> dict[str, Any]:
    return {"postings": [(payer, -minutes), (payee, minutes)]}


def _back(position: int, minutes: int | None = None) -> e.Reversed:
    part = UNSET if minutes is None else minutes
    return e.Reversed(transfer=f"aberdare.g1.{position}", reason="mistake", minutes=part)


_BETWEEN = e.Reversed(transfer="aberdare.g1.barry.8", reason="mistake")
_LEGS: dict[str, Any] = {"postings": [("alys", -1), ("aled", 1)]}


def _service(day: str) -> e.Posted:
    return e.Posted(purpose="service", confirmed_by="none", activity="garden", served_on=day)


def _opened(account: str, kind: Any) -> e.AccountOpened:
    return e.AccountOpened(account=account, kind=kind, floor=0, ceiling=60)


def _peer(peer: str, *, generation: str = "g1") -> e.Peer:
    return e.Peer(peer=peer, generation=generation, state="open", owe_limit=0, owed_limit=0, event_keys=[])


def _refuse(town: PaperTown, name: str, kind: type[e.Entry], data: Any, rest: dict[str, Any]) -> Case:
    before = []
    book = copy.deepcopy(town.book)
    head: dict[str, Any] = {"n": book.n, "time": town.now, "by": MEMBER if kind is e.TransferPosted else OPERATOR}
    if rest.pop("twice", False):
        first = kind(**head, data=data)  # type: ignore[call-arg]  # each type of entry adds `data`
        before = [e.encode_entry(first)]
        apply(book, first, read=town.entries.__getitem__)
        head["n"] += 1
    entry = kind(**(head | rest), data=data)  # type: ignore[call-arg]
    assert entry.in_ is UNSET
    try:
        apply(book, entry, read=town.entries.__getitem__)
    except Refusal as refusal:
        after = [b64(raw) for raw in before]
        return {"name": name, "after": after, "entry": b64(e.encode_entry(entry)), "refused": refusal.code}
    raise AssertionError(f"{name} was not refused")
