"""The book: the node, its policy, its accounts and addresses."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from contracts.vectors.paper_town import MEMBER, NETWORK, OPERATOR, PaperTown
from timebank_contracts import entries as e
from timebank_contracts import rules_accounts
from timebank_contracts.book import Book, apply
from timebank_contracts.errors import Refusal


@pytest.fixture
def town() -> PaperTown:
    town = PaperTown("aberdare")
    for account in ("alys", "aled"):
        town.account(account)
    town.account("pot", "pot", floor=0)
    town.meet(PaperTown("barry"))
    return town


def refused(town: PaperTown, kind: type[e.Entry], data: Any, **rest: Any) -> str:
    """The code with which the town refuses an entry; the book is unchanged."""
    before, size = deepcopy(town.book), len(town.journal)
    with pytest.raises(Refusal) as caught:
        town.write(kind, data, **rest)
    assert town.book == before
    assert len(town.journal) == size
    return caught.value.code


def named(account: str) -> e.AccountNamed:
    return e.AccountNamed(account=account)


def opened(account: str, kind: Any = "member") -> e.AccountOpened:
    return e.AccountOpened(account=account, kind=kind, floor=0, ceiling=60)


def test_a_journal_begins_with_node_opened_and_has_it_once(town: PaperTown) -> None:
    """PROTOCOL.md L1."""
    data = e.Opened(network=NETWORK, node="aberdare", generation="g1", rules=1)
    assert refused(town, e.NodeOpened, data) == "node_opened"
    first = e.AccountOpenedEntry(n=0, time=town.now, by=OPERATOR, data=opened("alys"))
    with pytest.raises(Refusal, match="node_not_opened"):
        apply(Book(), first)
    later = e.Opened(network=NETWORK, node="aberdare", generation="g1", rules=2)
    with pytest.raises(Refusal, match="node_not_opened"):
        apply(Book(), e.NodeOpened(n=0, time=town.now, by=OPERATOR, data=later))


def test_an_entry_is_the_next_one_and_not_before_the_last(town: PaperTown) -> None:
    """PROTOCOL.md B1, M3."""
    assert refused(town, e.AccountOpenedEntry, opened("ann"), n=town.book.n + 1) == "wrong_position"
    assert refused(town, e.AccountOpenedEntry, opened("ann"), n=town.book.n - 1) == "wrong_position"
    assert refused(town, e.AccountOpenedEntry, opened("ann"), time="2026-03-02T08:59:59.999Z") == "time_order"
    town.write(e.AccountOpenedEntry, opened("ann"), time=town.book.time)


@pytest.mark.parametrize("kind", ["member", "organisation", "programme"])
def test_an_account_of_a_holder_has_any_id_but_the_towns_own(town: PaperTown, kind: Any) -> None:
    """PROTOCOL.md L2."""
    town.account("cerys", kind)
    assert refused(town, e.AccountOpenedEntry, opened("cerys", kind)) == "account_exists"
    assert refused(town, e.AccountOpenedEntry, opened("grant", kind)) == "account_kind"
    assert refused(town, e.AccountOpenedEntry, opened("clearing:cardiff", kind)) == "account_kind"
    assert refused(town, e.AccountOpenedEntry, opened("transit:cardiff", kind)) == "account_kind"


@pytest.mark.parametrize("kind", ["grant", "opening", "lost"])
def test_a_town_has_one_account_of_each_of_its_own_kinds(town: PaperTown, kind: Any) -> None:
    """PROTOCOL.md L2, L5."""
    assert refused(town, e.AccountOpenedEntry, opened("cerys", kind)) == "account_kind"
    assert refused(town, e.AccountOpenedEntry, opened("lost" if kind == "grant" else "grant", kind)) == "account_kind"
    town.account(kind, kind)
    assert refused(town, e.AccountOpenedEntry, opened(kind, kind)) == "account_exists"
    assert refused(town, e.AccountClosed, named(kind)) == "account_kind"


def test_policy_sets_the_defaults_and_the_debt_limit(town: PaperTown) -> None:
    """PROTOCOL.md L3."""
    town.write(e.PolicyChanged, e.Policy(default_floor=-7, default_ceiling=8, debt_limit=9))
    assert (town.book.default_floor, town.book.default_ceiling, town.book.debt_limit) == (-7, 8, 9)


def test_limits_are_set_whatever_the_balance_is_and_bind_what_comes_after(town: PaperTown) -> None:
    """PROTOCOL.md L3, T2."""
    town.post(("alys", -90), ("aled", 90))
    town.write(e.AccountChangedEntry, e.AccountChanged(account="alys", floor=-60, ceiling=60))
    gift = e.Posted(purpose="gift", confirmed_by="none")
    assert refused(town, e.TransferPosted, gift, postings=[("alys", -1), ("aled", 1)]) == "floor"
    assert refused(town, e.TransferPosted, gift, postings=[("aled", -151), ("alys", 151)]) == "ceiling_exceeded"
    town.post(("aled", -150), ("alys", 150))


def test_a_frozen_account_is_paid_and_does_not_pay(town: PaperTown) -> None:
    """PROTOCOL.md L4."""
    town.write(e.AccountFrozen, named("alys"))
    gift = e.Posted(purpose="gift", confirmed_by="none")
    assert refused(town, e.TransferPosted, gift, postings=[("alys", -1), ("aled", 1)]) == "account_frozen"
    town.post(("aled", -1), ("alys", 1))
    town.write(e.AccountUnfrozen, named("alys"))
    town.post(("alys", -1), ("aled", 1))


def test_a_closed_account_is_closed_for_ever(town: PaperTown) -> None:
    """PROTOCOL.md L4, L5, L6."""
    town.post(("alys", -1), ("aled", 1))
    assert refused(town, e.AccountClosed, named("alys")) == "account_not_empty"
    town.post(("aled", -1), ("alys", 1))
    town.write(e.AccountClosed, named("alys"))
    gift = e.Posted(purpose="gift", confirmed_by="none")
    for postings in ([("alys", -1), ("aled", 1)], [("aled", -1), ("alys", 1)]):
        assert refused(town, e.TransferPosted, gift, postings=postings) == "account_closed"
    for kind in (e.AccountClosed, e.AccountFrozen, e.AccountUnfrozen):
        assert refused(town, kind, named("alys")) == "account_closed"
    assert refused(town, e.AliasIssuedEntry, e.AliasIssued(account="alys", alias="0" * 32)) == "account_closed"
    assert refused(town, e.AccountOpenedEntry, opened("alys")) == "account_exists"


def test_an_account_with_minutes_under_way_does_not_close(town: PaperTown) -> None:
    """PROTOCOL.md L5, T9."""
    town.post(("aled", -30), ("alys", 30))
    town.send("alys", "barry", "0" * 32, 30)
    assert town.book.accounts["alys"].balance == 0
    assert refused(town, e.AccountClosed, named("alys")) == "account_not_empty"


def test_an_alias_is_issued_once_and_never_again_after_it_was_revoked(town: PaperTown) -> None:
    """PROTOCOL.md L6."""
    alias = town.alias("alys", audience="barry")
    for account in ("alys", "aled"):
        assert refused(town, e.AliasIssuedEntry, e.AliasIssued(account=account, alias=alias)) == "alias_exists"
    town.write(e.AliasRevokedEntry, e.AliasRevoked(alias=alias))
    assert refused(town, e.AliasRevokedEntry, e.AliasRevoked(alias=alias)) == "alias_unknown"
    assert refused(town, e.AliasIssuedEntry, e.AliasIssued(account="alys", alias=alias)) == "alias_exists"
    for_nobody = e.AliasIssued(account="alys", alias="1" * 32, audience="cardiff")
    assert refused(town, e.AliasIssuedEntry, for_nobody) == "peer_unknown"


@pytest.mark.parametrize("account", ["clearing:barry", "transit:barry"])
def test_the_accounts_of_a_peer_are_moved_by_entries_between_towns_only(town: PaperTown, account: str) -> None:
    """PROTOCOL.md L7."""
    assert town.book.accounts[account].balance == 0
    for kind in (e.AccountClosed, e.AccountFrozen, e.AccountUnfrozen):
        assert refused(town, kind, named(account)) == "account_kind"
    changed = e.AccountChanged(account=account, floor=-9, ceiling=9)
    assert refused(town, e.AccountChangedEntry, changed) == "account_kind"
    assert refused(town, e.AliasIssuedEntry, e.AliasIssued(account=account, alias="0" * 32)) == "account_kind"
    for purpose in ("gift", "service", "pot", "support", "grant", "correction", "opening"):
        said: dict[str, Any] = {"activity": "garden", "served_on": "2026-03-01"} if purpose == "service" else {}
        said |= {"purpose": purpose, "confirmed_by": "none"}
        data = e.Posted(**said)
        for postings in ([(account, -1), ("alys", 1)], [("alys", -1), (account, 1)]):
            code = refused(town, e.TransferPosted, data, by=OPERATOR, postings=postings)
            assert code in {"purpose_invalid", "floor", "ceiling_exceeded"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (e.PolicyChanged, e.Policy(default_floor=0, default_ceiling=0, debt_limit=0)),
        (e.AccountChangedEntry, e.AccountChanged(account="alys", floor=0, ceiling=0)),
        (e.AccountFrozen, named("alys")),
        (e.AccountUnfrozen, named("alys")),
        (e.AccountOpenedEntry, opened("ann")),
        (e.AccountClosed, named("alys")),
    ],
)
def test_policy_accounts_limits_and_states_are_not_a_members(town: PaperTown, kind: type[e.Entry], data: Any) -> None:
    """PROTOCOL.md L8."""
    if kind is e.AccountClosed:
        town.write(e.AccountClosing, data)  # the rule closes nobody else's account
    few: list[Any] = ["broker", "operator", "rule"]
    others: list[Any] = ["member", "delegate", "partner", "peer"]
    for actor in others:
        assert refused(town, kind, data, by=e.Actor(kind=actor)) == "purpose_invalid"
    for actor in few:
        deepcopy(town).write(kind, data, by=e.Actor(kind=actor))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (e.PolicyChanged, e.Policy(default_floor=0, default_ceiling=0, debt_limit=0)),
        (e.AccountOpenedEntry, opened("cerys")),
        (e.AccountFrozen, named("alys")),
        (e.AccountClosed, named("alys")),
        (e.AliasIssuedEntry, e.AliasIssued(account="alys", alias="0" * 32)),
        (e.RegistryAcceptedEntry, e.RegistryAccepted(version=1, sha256="0" * 64)),
    ],
)
def test_an_entry_about_accounts_moves_no_minutes(town: PaperTown, kind: type[e.Entry], data: Any) -> None:
    """PROTOCOL.md L8."""
    assert refused(town, kind, data, postings=[("alys", -1), ("aled", 1)]) == "posting_invalid"
    assert refused(town, kind, data, out=town_message()) == "posting_invalid"


def town_message() -> Any:
    other = PaperTown("aberdare")
    other.account("alys")
    other.meet(PaperTown("barry"))
    other.send("alys", "barry", "0" * 32, 1)
    return other.entries[-1].out


@pytest.mark.parametrize("account", ["nobody", "Alys", "", "pot2"])
def test_an_unknown_account_is_named_as_such(town: PaperTown, account: str) -> None:
    """PROTOCOL.md T2."""
    gift = e.Posted(purpose="gift", confirmed_by="none")
    entry = e.TransferPosted(n=town.book.n, time=town.now, by=MEMBER, data=gift, postings=[("alys", -1), (account, 1)])
    with pytest.raises(Refusal, match="account_unknown"):
        apply(town.book, entry)


def test_an_account_has_a_bounded_number_of_receiving_addresses(town: PaperTown) -> None:
    """PROTOCOL.md L6."""
    aliases = [f"{number:032x}" for number in range(rules_accounts.ALIASES_MAX)]
    for alias in aliases:
        town.write(e.AliasIssuedEntry, e.AliasIssued(account="alys", alias=alias))
    assert refused(town, e.AliasIssuedEntry, e.AliasIssued(account="alys", alias="f" * 32)) == "alias_limit"
    town.write(e.AliasRevokedEntry, e.AliasRevoked(alias=aliases[0]))
    town.write(e.AliasIssuedEntry, e.AliasIssued(account="alys", alias="f" * 32))
    assert town.book.accounts["alys"].aliases == rules_accounts.ALIASES_MAX
