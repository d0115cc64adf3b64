"""A claim as it stands now: from the book while it is open, from the journal when it is ended. Reads only.

Source: design page 3, "Claim"; PROTOCOL.md D1 to D7.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import http_claims as h
from timebank_contracts.names import Identity, local_transfer
from timebank_contracts.rules_reversal import WHOLE
from timebank_contracts.state import Book

_ENDED: dict[str, h.ClaimState] = {
    "transfer.posted": "confirmed",
    "claim.withdrawn": "withdrawn",
    "claim.expired": "expired",
}


_AFTER: dict[type[e.Entry], h.ClaimState] = {
    e.ClaimMadeEntry: "open",
    e.ClaimUpheld: "open",
    e.ClaimDisputedEntry: "disputed",
    e.ClaimWithdrawn: "withdrawn",
}


def claim_answer(identity: Identity, made: e.ClaimMadeEntry, entry: e.Entry) -> h.Claim:
    """A claim as `entry` left it: the first answer to the command that wrote that entry, however late it is asked."""
    state = _AFTER[type(entry)]
    return _answer(identity, made).model_copy(update={"state": state, "disputed": state == "disputed"})


def _answer(identity: Identity, made: e.ClaimMadeEntry) -> h.Claim:
    said = {name: getattr(made.data, name) for name in made.data.__struct_fields__}
    return h.Claim.model_validate(
        {name: value for name, value in said.items() if value is not UNSET}
        | {
            "id": local_transfer(identity, made.n),
            "state": "open",
            "disputed": False,
            "made_at": made.time,
            "position": made.n,
        }
    )


def claim_now(
    identity: Identity,
    book: Book,
    made: e.ClaimMadeEntry,
    *,
    said: Callable[[str], list[tuple[int, str]]],
) -> h.Claim:
    """A claim as it stands.

    Args:
        identity: whose journal.
        book: the committed book.
        made: the entry that made it.
        said: position and type of what the journal says of a claim, in order.
    """
    answer = _answer(identity, made)
    found = book.claims.get(answer.id)
    if found is not None:
        state: h.ClaimState = "disputed" if found.disputed else "open"
        changed = {"state": state, "disputed": found.disputed, "expires_at": found.expires_at}
        return answer.model_copy(update=changed)
    ends = [(position, kind) for position, kind in said(answer.id) if kind in _ENDED]
    if not ends:
        return answer
    position, kind = ends[-1]
    changed = {"state": _ENDED[kind]}
    if kind == "transfer.posted":
        confirmed = book.rule_confirmed.get(answer.id)
        changed["transfer"] = local_transfer(identity, position)
        changed["disputed"] = confirmed is not None and confirmed.disputed
        if book.reversed.get(position) == WHOLE:
            changed["state"] = "reversed"
    return answer.model_copy(update=changed)
