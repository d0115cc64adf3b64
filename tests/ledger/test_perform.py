"""What `perform` and its companions must never do: write what cannot be read back, or leave the book half changed."""

from __future__ import annotations

import msgspec
import pytest

from timebank_contracts import entries as e
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import FIRST_PREVIOUS, Operators, RegisteredNode, Registry
from timebank_contracts.state import Book
from timebank_ledger import commands as c
from timebank_ledger.peers import accept_registry
from timebank_ledger.propose import perform

OPERATOR = e.Actor(kind="operator", id="op")
TIME = "2026-03-01T08:00:00.000Z"


class Ledger:
    """A book and its entries."""

    def __init__(self) -> None:
        self.book = Book()
        self.entries: list[e.Entry] = []
        self.do(c.OpenNode(by=OPERATOR, network="timebank.example", node="aberdare", generation="g1"))

    def do(self, command: c.Command) -> e.Entry:
        self.entries += perform(self.book, command, time=TIME, cite=lambda position: self.entries[position])
        return self.entries[-1]

    def open(self, account: str, kind: str = "member") -> None:
        self.do(c.OpenAccount(by=OPERATOR, account=account, kind=kind, floor=-10_000_000, ceiling=10_000_000))

    def pay(self, payer: str, payee: str, minutes: int) -> e.Entry:
        postings = ((payer, -minutes), (payee, minutes))
        return self.do(c.PostTransfer(by=OPERATOR, postings=postings, purpose="gift", confirmed_by="broker"))


@pytest.mark.parametrize("minutes", [60_001, 2**53, 2**63])
def test_minutes_that_no_entry_can_hold_are_refused(minutes: int) -> None:
    ledger = Ledger()
    ledger.open("alys")
    ledger.open("bryn")
    with pytest.raises(Refusal, match="amount_out_of_range"):
        ledger.pay("alys", "bryn", minutes)
    assert ledger.book.accounts["alys"].balance == 0


@pytest.mark.parametrize("minutes", [0, -1, 60_001])
def test_given_minutes_that_no_entry_can_hold_are_refused(minutes: int) -> None:
    ledger = Ledger()
    ledger.open("alys")
    ledger.open("bryn")
    session = c.PostTransfer(
        by=OPERATOR,
        postings=(("alys", -60), ("bryn", 60)),
        purpose="service",
        confirmed_by="broker",
        activity="garden",
        served_on="2026-03-01",
        given=(("bryn", minutes),),
    )
    with pytest.raises(Refusal, match="amount_out_of_range"):
        ledger.do(session)


@pytest.mark.parametrize(
    "command",
    [
        c.OpenAccount(by=OPERATOR, account="Not An Id", kind="member"),
        c.OpenAccount(by=OPERATOR, account="alys", kind="king"),
        c.OpenAccount(by=OPERATOR, account="alys", kind="member", floor=1),
        c.ChangePolicy(by=OPERATOR, default_floor=0, default_ceiling=10**9, debt_limit=0),
    ],
)
def test_a_command_that_no_entry_can_hold_changes_nothing(command: c.Command) -> None:
    ledger = Ledger()
    with pytest.raises(Malformed):
        ledger.do(command)
    assert (ledger.book.n, ledger.book.accounts) == (1, {})


def test_a_reversal_that_a_missing_pot_would_bear_is_refused() -> None:
    ledger = Ledger()
    for account in ("alys", "bryn", "carys"):
        ledger.open(account)
    original = ledger.pay("alys", "bryn", 60)
    ledger.pay("carys", "alys", 60)
    ledger.do(c.SetAccountState(by=OPERATOR, account="alys", state="closed"))
    reverse = c.ReverseTransfer(by=OPERATOR, transfer=f"aberdare.g1.{original.n}", reason="mistake")
    with pytest.raises(Refusal, match="account_unknown"):
        ledger.do(reverse)
    assert (ledger.book.accounts["bryn"].balance, ledger.book.reversed) == (60, {})
    ledger.open("pot", "pot")
    ledger.do(reverse)
    assert {name: account.balance for name, account in ledger.book.accounts.items()} == {
        "alys": 0,
        "bryn": 0,
        "carys": -60,
        "pot": 60,
    }


def key(number: int) -> str:
    return b64_encode(SigningKey(bytes([number]) * 32).public)


def registry(version: int, *, barry: str) -> Registry:
    nodes = [
        RegisteredNode(
            node=node,
            generation=generation,
            state="open",
            event_keys=[key(number)],
            log_keys=[key(number + 1)],
            protocols=[1],
            url=f"https://{node}.example",
            limit=600,
        )
        for number, (node, generation) in enumerate((("aberdare", "g1"), ("barry", barry)), start=3)
    ]
    operators = Operators(k=1, keys=[key(1)])
    return Registry(
        protocol=1,
        network="timebank.example",
        version=version,
        previous=FIRST_PREVIOUS,
        operators=operators,
        nodes=nodes,
    )


def test_a_peer_that_the_registry_names_no_more_is_closed_and_keeps_no_key() -> None:
    """PROTOCOL.md R4."""
    ledger = Ledger()
    accept_registry(ledger.book, registry(1, barry="g1"), own_limits={}, time=TIME, by=OPERATOR)
    alone = msgspec.structs.replace(registry(2, barry="g1"), nodes=registry(2, barry="g1").nodes[:1])
    entries = accept_registry(ledger.book, alone, own_limits={}, time=TIME, by=OPERATOR)
    types = ["registry.accepted", "peer.generation_closed", "peer.changed"]
    assert [e.entry_type(entry) for entry in entries] == types
    assert (ledger.book.peers["barry"].state, ledger.book.peers["barry"].event_keys) == ("closed", ())


def test_a_registry_that_is_refused_leaves_the_book_as_it_was() -> None:
    ledger = Ledger()
    accept_registry(ledger.book, registry(1, barry="g2"), own_limits={}, time=TIME, by=OPERATOR)
    before = ledger.book.n
    with pytest.raises(Refusal, match="no earlier one comes back"):
        accept_registry(ledger.book, registry(2, barry="g1"), own_limits={}, time=TIME, by=OPERATOR)
    with pytest.raises(Refusal, match="purpose_invalid"):
        accept_registry(ledger.book, registry(2, barry="g2"), own_limits={}, time=TIME, by=e.Actor(kind="broker"))
    assert (ledger.book.n, ledger.book.registry_version) == (before, 1)


def test_a_town_that_joins_enters_the_versions_before_it_and_has_no_peer_until_it_is_named() -> None:
    """PROTOCOL.md R4."""
    ledger = Ledger()
    before = msgspec.structs.replace(registry(1, barry="g1"), nodes=registry(1, barry="g1").nodes[1:])
    entries = accept_registry(ledger.book, before, own_limits={}, time=TIME, by=OPERATOR)
    assert [e.entry_type(entry) for entry in entries] == ["registry.accepted"]
    entries = accept_registry(ledger.book, registry(2, barry="g1"), own_limits={}, time=TIME, by=OPERATOR)
    assert [e.entry_type(entry) for entry in entries] == ["registry.accepted", "peer.changed"]
    gone = msgspec.structs.replace(registry(3, barry="g1"), nodes=before.nodes)
    with pytest.raises(Refusal, match="registry_invalid"):
        accept_registry(ledger.book, gone, own_limits={}, time=TIME, by=OPERATOR)
