"""HTTP models of the event feed and of webhooks: what the ledger's API takes and answers there.

An event holds opaque ids only, and of accounts those that its reader may see.
Source: design page 3, "HTTP API"; standardwebhooks.com for the hint that is sent.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from timebank_contracts.http import AccountId, Model, Moment, Position, TransferId

EVENTS_MAX = 500

EventId = Annotated[
    str,
    Field(description="The same for every reader, for ever.", examples=["evt-aberdare-g1-10423"]),
]
EventType = Annotated[str, Field(description="The entry's type.", examples=["transfer.posted"])]
Cursor = Annotated[
    int,
    Field(ge=-1, le=2**53 - 1, description="Hand it in as `after` to go on.", examples=[10423]),
]


class EventAccount(Model):
    """What an event did to an account that the reader may see."""

    account: AccountId
    minutes: int = Field(description="Credited (above 0), paid (below 0), or 0: no minutes moved.", examples=[-90])


class Event(Model):
    """One entry of the journal, as its reader may see it."""

    id: EventId
    position: Position
    time: Moment
    type: EventType
    transfer: TransferId | None = None
    """The transfer that it is about."""
    claim: TransferId | None = None
    """The claim that it makes, ends or confirms."""
    accounts: list[EventAccount]


class Events(Model):
    """Events in the order of the journal. A page may be empty and yet have `more`: go on from `after`."""

    events: list[Event] = Field(max_length=EVENTS_MAX)
    after: Cursor
    more: bool = Field(description="Whether going on from `after` is known to give further events.")
