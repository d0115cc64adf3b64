"""Faults in claims, leavers, what is taken back in parts, and money: lies of a town that signs them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from tests.audit.builder import MEMBER, OPERATOR, Network, Writer
from tests.audit.claims_told import BROKER, RULE, begin, claim, confirm, record
from tests.audit.mutators import lie, posting
from timebank_contracts import entries as e
from timebank_ledger import commands as c


def town_of(network: Network) -> Writer:
    """Barry, which had no claims before, with a policy for them."""
    town = network.towns["barry"]
    begin(town)
    return town


def forced(town: Writer, kind: type[e.Entry], data: Any, *, by: e.Actor = OPERATOR, **rest: Any) -> None:
    """An entry that the rules have not seen."""
    head: dict[str, Any] = {"n": len(town.raws), "time": town.network.tick(), "by": by, "data": data}
    town.force(kind(**head, **rest))


def again(town: Writer, entry: e.Entry) -> None:
    """The same once more, as the next entry."""
    town.force(msgspec.structs.replace(entry, n=len(town.raws), time=town.network.tick()))


def confirming(town: Writer, name: str, minutes: int, *, by: e.Actor = MEMBER) -> None:
    """A confirmation that was not judged."""
    made = town.book.claims[name]
    data = e.Posted(
        purpose="service",
        confirmed_by="rule" if by.kind == "rule" else "receiver",
        activity="shopping",
        served_on=made.served_on,
        programme="visits",
        claim=name,
    )
    forced(town, e.TransferPosted, data, by=by, postings=[(made.receiver, -minutes), (made.giver, minutes)])


@lie("A42b")
def confirmed_twice(network: Network) -> None:
    town = town_of(network)
    again(town, confirm(town, claim(town, "alys", "bryn", 20)))


@lie("A32c")
def confirmed_above_the_tolerance(network: Network) -> None:
    town = town_of(network)
    confirming(town, claim(town, "alys", "bryn", 60), 67)


@lie("A39b")
def confirmed_by_the_rule_although_disputed(network: Network) -> None:
    town = town_of(network)
    name = claim(town, "alys", "bryn", 20, by=BROKER, agreed=20)
    town.do(c.DisputeClaim(by=MEMBER, claim=name, reason="not_given"))
    network.tick(3 * 24 * 60)
    confirming(town, name, 20, by=RULE)


@lie("A39c")
def confirmed_by_the_rule_without_a_booking(network: Network) -> None:
    town = town_of(network)
    name = claim(town, "alys", "bryn", 20)
    network.tick(2 * 24 * 60)
    confirming(town, name, 20, by=RULE)


@lie("A39d")
def expired_before_its_time(network: Network) -> None:
    town = town_of(network)
    forced(town, e.ClaimExpired, e.ClaimNamed(claim=claim(town, "alys", "bryn", 20)), by=RULE)


@lie("A34b")
def taken_back_in_parts_above_the_whole(network: Network) -> None:
    town = town_of(network)
    mistake = town.give(60)
    transfer = f"barry.g1.{mistake.n}"
    town.do(c.ReverseTransfer(by=OPERATOR, transfer=transfer, reason="mistake", minutes=40))
    back = [("alys", 30), ("bryn", -30)]
    forced(town, e.TransferReversed, e.Reversed(transfer=transfer, reason="mistake", minutes=30), postings=back)


@lie("A39e")
def a_remainder_to_somebody_by_the_rule(network: Network) -> None:
    town = town_of(network)
    left = town.book.accounts["bryn"].balance
    assert left > 0
    named = e.AccountNamed(account="bryn")
    town.do(c.BeginClosing(by=MEMBER, account="bryn"))
    network.tick(2 * 24 * 60)
    forced(town, e.AccountClosed, named, by=RULE, postings=[("bryn", -left), ("alys", left)])


@lie("A39f")
def a_part_of_the_remainder(network: Network) -> None:
    town = town_of(network)
    left = town.book.accounts["bryn"].balance
    named = e.AccountNamed(account="bryn")
    forced(town, e.AccountClosed, named, postings=[("bryn", 1 - left), ("pot", left - 1)])


@lie("A30b")
def a_remainder_that_grows_on_the_way(network: Network) -> None:
    town = town_of(network)
    left = town.book.accounts["bryn"].balance
    named = e.AccountNamed(account="bryn")
    forced(town, e.AccountClosed, named, postings=[("bryn", -left), ("pot", left + 1)])


@lie("A31b")
def a_leaver_pays(network: Network) -> None:
    town = town_of(network)
    town.do(c.BeginClosing(by=MEMBER, account="bryn"))
    town.force(posting(town, ("bryn", -5), ("alys", 5)))


@lie("A42c")
def money_taken_back_twice(network: Network) -> None:
    town = town_of(network)
    wrong = record(town, 900, programme="visits")
    again(town, record(town, -900, programme="visits", corrects=f"barry.g1.{wrong.n}"))


@lie("A42d")
def money_about_a_transfer_that_is_not_there(network: Network) -> None:
    town = town_of(network)
    about = record(town, 900, programme="visits")
    assert isinstance(about, e.MoneyRecordedEntry)
    data = msgspec.structs.replace(about.data, programme=UNSET, transfer="barry.g1.3", position=3)
    forced(town, e.MoneyRecordedEntry, data, by=BROKER)
