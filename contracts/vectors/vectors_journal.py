"""Vectors of the book: two towns' whole journals with what they come to, and entries that `apply` refuses."""

from __future__ import annotations

import copy
from typing import Any

from msgspec import UNSET

from contracts.vectors.paper_town import MEMBER, OPERATOR, PaperTown, talk, two_towns
from contracts.vectors.vectors_bytes import Case, b64
from timebank_contracts import entries as e
from timebank_contracts.book import apply
from timebank_contracts.errors import Refusal
from timebank_contracts.merkle import leaf_hash, root_of


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
    return aberdare, barry


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
    }


def refusal_cases() -> list[Case]:
    """Entries after Aberdare's journal that `apply` refuses, each with its code."""
    town, _ = tell_two_towns()
    position = town.book.n
    gift = e.Posted(purpose="gift", confirmed_by="none")
    attempts: list[tuple[str, type[e.Entry], Any, dict[str, Any]]] = [
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
        ("a-service-of-tomorrow", e.TransferPosted, _service("2026-03-04"), _LEGS),
        ("a-service-of-long-ago", e.TransferPosted, _service("2025-02-28"), _LEGS),
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
    return [_refuse(town, *attempt) for attempt in attempts]


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
        apply(book, first)
        head["n"] += 1
    entry = kind(**(head | rest), data=data)  # type: ignore[call-arg]
    assert entry.in_ is UNSET
    try:
        apply(book, entry)
    except Refusal as refusal:
        after = [b64(raw) for raw in before]
        return {"name": name, "after": after, "entry": b64(e.encode_entry(entry)), "refused": refusal.code}
    raise AssertionError(f"{name} was not refused")
