"""The first entries of a town: what an empty journal begins with. All numbers in minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.entries import Actor
from timebank_contracts.names import Identity
from timebank_ledger import commands as c

OPERATOR = Actor(kind="operator", id="node-init")


@dataclass(frozen=True, slots=True, kw_only=True)
class TownPolicy:
    """How a town begins; every number can be changed later, by an entry."""

    default_floor: int = -600
    """What a newcomer may owe: 10 hours. Nobody begins with a credit."""
    default_ceiling: int = 6_000
    debt_limit: int = 60_000
    """What the town may owe all other towns together."""
    grant_cap: int = 0
    """What may be issued as grants; 0: nothing."""


def first_commands(identity: Identity, policy: TownPolicy) -> Iterator[c.Command]:
    """What opens the journal of a new town."""
    yield c.OpenNode(by=OPERATOR, network=identity.network, node=identity.node, generation=identity.generation)
    yield c.ChangePolicy(
        by=OPERATOR,
        default_floor=policy.default_floor,
        default_ceiling=policy.default_ceiling,
        debt_limit=policy.debt_limit,
    )
    yield c.OpenAccount(by=OPERATOR, account="pot", kind="pot", floor=0, ceiling=LIMIT_MAX)
    yield c.OpenAccount(by=OPERATOR, account="grant", kind="grant", floor=-policy.grant_cap, ceiling=LIMIT_MAX)
