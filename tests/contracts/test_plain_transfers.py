"""The replay of many entries gives exactly the books, entries and refusals that `decode_entry` and `apply` give."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import Breach, Malformed, Refusal
from timebank_contracts.plain_transfers import PlainTransfers
from timebank_contracts.state import Account

KINDS = {"m-1": "member", "m-2": "member", "o-1": "organisation", "p-1": "programme", "pot": "pot", "grant": "grant"}


def prepared() -> Book:
    book = Book()
    book.n, book.time = 1, "2026-01-30T10:00:00.000Z"
    for name, kind in KINDS.items():
        book.accounts[name] = Account(name, kind, -300, 300)
    book.accounts["frozen"] = Account("frozen", "member", -300, 300, state="frozen")
    book.accounts["closed"] = Account("closed", "member", -300, 300, state="closed")
    book.accounts["away"] = Account("away", "member", -300, 300, in_transit=290)
    return book


def one_by_one(book: Book, raws: list[bytes], seen: list[int]) -> str:
    try:
        for raw in raws:
            entry = e.decode_entry(raw)
            apply(book, entry)
            seen.append(entry.n)
    except (Refusal, Breach, Malformed) as error:
        return f"{type(error).__name__} {error}"
    return ""


def together(book: Book, raws: list[bytes], keys: list[str | UnsetType], size: int) -> str:
    plain = PlainTransfers(book, leave=lambda data: data.confirmed_by == "none")
    try:
        for start in range(0, len(raws), size):
            for entry in plain.replay(raws[start : start + size], keys):
                apply(book, entry)
                keys.append(entry.key)
    except (Refusal, Breach, Malformed) as error:
        return f"{type(error).__name__} {error}"
    return ""


SERVICE: dict[str, Any] = {
    "purpose": "service",
    "confirmed_by": "receiver",
    "activity": "garden",
    "served_on": "2026-01-31",
}
DATA: list[dict[str, Any]] = [
    SERVICE,
    SERVICE | {"served_on": "2026-02-01"},
    SERVICE | {"served_on": "2026-02-31"},
    SERVICE | {"served_on": "2020-01-01"},
    SERVICE | {"served_on": UNSET},
    SERVICE | {"activity": UNSET},
    SERVICE | {"given": [("m-2", 30)]},
    SERVICE | {"programme": "p-1"},
    SERVICE | {"confirmed_by": "none"},
    SERVICE | {"claim": "aberdare.g1.7"},
    {"purpose": "gift", "confirmed_by": "none"},
    {"purpose": "gift", "confirmed_by": "receiver"},
    {"purpose": "gift", "confirmed_by": "receiver", "activity": "garden"},
    {"purpose": "gift", "confirmed_by": "receiver", "reason": "hardship"},
    {"purpose": "pot", "confirmed_by": "receiver"},
    {"purpose": "support", "confirmed_by": "receiver", "reason": "hardship"},
    {"purpose": "correction", "confirmed_by": "receiver"},
]
NAMES = [*KINDS, "frozen", "closed", "away", "nobody"]
MINUTES = st.one_of(st.integers(-90, 90), st.just(-(10**9)))


@st.composite
def raw_transfers(draw: st.DrawFn) -> list[bytes]:
    raws = []
    for n in range(1, draw(st.integers(1, 8)) + 1):
        minutes = draw(st.integers(1, 120))
        payer, payee = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
        postings = draw(st.sampled_from([[(payer, -minutes), (payee, minutes)], [(payee, minutes), (payer, -minutes)]]))
        if draw(st.integers(0, 9)) == 0:
            postings = draw(st.lists(st.tuples(st.sampled_from(NAMES), MINUTES), min_size=2, max_size=4))
        entry = e.TransferPosted(
            n=n if draw(st.integers(0, 19)) else n + 1,
            time=draw(st.sampled_from([f"2026-01-31T1{n}:00:00.000Z"] * 6 + [f"2026-02-0{n}T00:00:00.000Z"])),
            by=e.Actor(kind=draw(st.sampled_from(["member", "broker"])), id="m-1"),
            data=e.Posted(**draw(st.sampled_from([SERVICE, SERVICE, *DATA]))),
            postings=postings,
            key=f"{n:032x}" if draw(st.booleans()) else UNSET,
        )
        raw = e.encode_entry(entry)
        raws.append(draw(st.sampled_from([raw] * 30 + [raw[:-1], raw.replace(b"member", b"membre"), raw + b" "])))
        if draw(st.integers(0, 9)) == 0:
            named = e.AccountNamed(account=draw(st.sampled_from(["m-1", "frozen"])))
            raws.append(e.encode_entry(e.AccountFrozen(n=n + 1, time=entry.time, by=entry.by, data=named)))
    return raws


@given(raw_transfers(), st.integers(1, 9))
def test_replaying_together_is_replaying_one_by_one(raws: list[bytes], size: int) -> None:
    slow, fast = prepared(), prepared()
    seen: list[int] = []
    keys: list[str | UnsetType] = []
    said = one_by_one(slow, raws, seen)
    assert together(fast, raws, keys, size) == said
    assert fast == slow
    assert keys == [e.decode_entry(raw).key for raw in raws[: len(seen)]]


def test_no_plain_transfer_is_applied_while_a_segment_s_messages_are_awaited() -> None:
    book = prepared()
    entry = e.TransferPosted(
        n=1,
        time="2026-01-31T10:00:00.000Z",
        by=e.Actor(kind="member", id="m-1"),
        data=e.Posted(**SERVICE),
        postings=[("m-1", -60), ("m-2", 60)],
    )
    raw = e.encode_entry(entry)
    keys: list[str | UnsetType] = []
    assert list(PlainTransfers(book, leave=lambda _: False).replay([raw], keys)) == []
    waiting: Any = object()
    book = prepared()
    book.pending = waiting
    assert list(PlainTransfers(book, leave=lambda _: False).replay([raw], keys)) == [entry]
    assert book.n == 1
