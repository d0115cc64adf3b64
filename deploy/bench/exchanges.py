"""The load: services between the members of one town, each account as often payer as payee. No chance: by number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.entries import Actor
from timebank_contracts.names import Identity
from timebank_ledger import commands as c
from timebank_node.bootstrap import TownPolicy, first_commands

ACCOUNTS = 1_000
POLICY = TownPolicy(default_floor=-LIMIT_MAX, default_ceiling=LIMIT_MAX, debt_limit=LIMIT_MAX)
"""No limit is met: the rules judge each transfer, and refuse none."""
_OPERATOR = Actor(kind="operator", id="bench")
_STRIDE = 389
"""Prime to the number of accounts, so that every pair of neighbours in this step exchanges."""


class Exchange(NamedTuple):
    """One service."""

    payer: str
    payee: str
    minutes: int


def account(number: int) -> str:
    """The account of a member."""
    return f"m{number % ACCOUNTS:04d}"


def exchanges(count: int) -> Iterator[Exchange]:
    """So many services."""
    for number in range(count):
        yield Exchange(account(number), account(number + _STRIDE), 15 * (1 + number % 8))


def opening(identity: Identity) -> Iterator[c.Command]:
    """What a journal begins with before the load: the town, its policy, its members."""
    yield from first_commands(identity, POLICY)
    yield from members()


def members() -> Iterator[c.Command]:
    """Opens every account."""
    for number in range(ACCOUNTS):
        yield c.OpenAccount(by=_OPERATOR, account=account(number), kind="member")


def post_commands(count: int, now: datetime) -> list[c.Command]:
    """The services as commands of a client, each with its own key, as the HTTP edge would make them."""
    served_on = now.strftime("%Y-%m-%d")
    return [
        c.PostTransfer(
            by=Actor(kind="member", id=exchange.payer),
            key=c.key_of("bench", str(number)),
            digest=c.digest_of(exchange),
            postings=((exchange.payer, -exchange.minutes), (exchange.payee, exchange.minutes)),
            purpose="service",
            confirmed_by="receiver",
            activity="garden",
            served_on=served_on,
        )
        for number, exchange in enumerate(exchanges(count))
    ]


def bodies(count: int, now: datetime, *, alias: tuple[str, str] | None = None) -> list[dict[str, Any]]:
    """The services as bodies of POST /v1/transfers, without a key.

    Args:
        alias: node and address that every transfer goes to; None: within the town.
    """
    served_on = now.strftime("%Y-%m-%d")
    there = None if alias is None else {"node": alias[0], "alias": alias[1]}
    said = {"purpose": "service", "activity": "garden", "served_on": served_on, "confirmed_by": "broker"}
    return [
        {**said, "payer": one.payer, "payee": there or {"account": one.payee}, "minutes": one.minutes}
        for one in exchanges(count)
    ]
