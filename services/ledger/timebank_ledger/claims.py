"""A claim as it stands now: from the book while it is open, from the journal when it is ended. Reads only.

    within the town   claim.made                                both sides are accounts here
    on another town   claim.sent: the giver is here             from another town   claim.received: the receiver is here

Source: design page 3, "Claim"; PROTOCOL.md D1 to D12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import http_claims as h
from timebank_contracts import messages as m
from timebank_contracts.rules_reversal import WHOLE
from timebank_contracts.state import Book
from timebank_ledger.index_rows import RECOVERED

Begun = e.ClaimMadeEntry | e.ClaimSentEntry | e.ClaimReceived | e.MessageRecoveredEntry
"""The entry that began a claim in this journal."""
_ENDED: dict[str, h.ClaimState] = {
    "transfer.posted": "confirmed",
    "transfer.sent": "confirmed",
    "transfer.received": "confirmed",
    "claim.withdrawn": "withdrawn",
    "claim.expired": "expired",
    "claim.disputed": "refused",
    RECOVERED + "transfer.sent": "confirmed",
    RECOVERED + "claim.withdrawn": "withdrawn",
}
_AFTER: dict[type[e.Entry], h.ClaimState] = {
    e.ClaimMadeEntry: "open",
    e.ClaimSentEntry: "open",
    e.ClaimUpheld: "open",
    e.ClaimDisputedEntry: "disputed",
    e.ClaimWithdrawn: "withdrawn",
}


def accounts_in(begun: Begun) -> tuple[str | None, str | None]:
    """Giver and receiver of a claim; None for somebody in another town."""
    if isinstance(begun, e.ClaimMadeEntry):
        return begun.data.giver, begun.data.receiver
    if isinstance(begun, e.ClaimSentEntry):
        return begun.data.giver, None
    if isinstance(begun, e.MessageRecoveredEntry):
        return (None if begun.data.account is UNSET else begun.data.account), None
    return None, begun.data.account


def claim_answer(
    name_at: Callable[[int], str], begun: Begun, entry: e.Entry, *, confirmed_at: int | None = None
) -> h.Claim:
    """A claim as `entry` left it: the first answer to the command that wrote that entry, however late it is asked.

    Args:
        name_at: the id of a transfer or claim within the town, by its journal position.
        begun: the entry that began the claim here.
        entry: what was said of it.
        confirmed_at: of a claim that was confirmed when it was said, see there.
    """
    state = _AFTER[type(entry)]
    changed: dict[str, Any] = {"state": state, "disputed": state == "disputed"}
    if confirmed_at is not None:
        changed |= {"state": "confirmed", "transfer": name_at(confirmed_at)}
    return _answer(name_at, begun).model_copy(update=changed)


def confirmed_at(
    name_at: Callable[[int], str],
    claim: str,
    *,
    before: int,
    said: Callable[[str], list[tuple[int, str]]],
    read: Callable[[int], e.Entry | None],
) -> int | None:
    """Journal position of the transfer by which a claim within the town was confirmed just before a position.

    None when it was open then, also for one whose whole transfer had been taken back.
    """
    found = [position for position, kind in said(claim) if kind == "transfer.posted" and position < before]
    transfer = read(found[-1]) if found else None
    if transfer is None or transfer.postings is UNSET:
        return None
    left = sum(minutes for _, minutes in transfer.postings if minutes > 0)
    for position, kind in said(name_at(transfer.n)):
        back = read(position) if kind == "transfer.reversed" and position < before else None
        if isinstance(back, e.TransferReversed):
            left -= left if back.data.minutes is UNSET else back.data.minutes
    return transfer.n if left else None


def _answer(name_at: Callable[[int], str], begun: Begun) -> h.Claim:
    giver, receiver = accounts_in(begun)
    said = _said(name_at, begun)
    return h.Claim.model_validate(
        {name: value for name, value in said.items() if value is not UNSET}
        | {
            "giver": giver,
            "receiver": receiver,
            "state": "open",
            "disputed": False,
            "made_at": begun.time,
            "position": begun.n,
        }
    )


def _said(name_at: Callable[[int], str], begun: Begun) -> dict[str, Any]:
    if isinstance(begun, e.ClaimMadeEntry):
        data = begun.data
        more = {"id": name_at(begun.n), "agreed_minutes": data.agreed_minutes}
        return _about(data) | more | {"programme": data.programme}
    raw = begun.out if isinstance(begun, e.ClaimSentEntry) else begun.in_
    assert raw is not UNSET, "a claim across towns travels as a message"
    message = m.decode_message(bytes(raw))
    assert isinstance(message, m.ClaimMadeMessage), "and as this one"
    peer = message.source if isinstance(begun, e.ClaimReceived) else message.subject
    programme = begun.data.programme if isinstance(begun, e.ClaimSentEntry) else UNSET
    return _about(message.data) | {"id": message.data.claim, "peer": peer, "programme": programme}


def _about(data: e.ClaimMade | m.Claimed) -> dict[str, Any]:
    return {name: getattr(data, name) for name in ("minutes", "activity", "served_on", "given_minutes")}


def claim_now(
    name_at: Callable[[int], str],
    book: Book,
    begun: Begun,
    *,
    said: Callable[[str], list[tuple[int, str]]],
) -> h.Claim:
    """A claim as it stands.

    Args:
        name_at: the id of a transfer or claim within the town, by its journal position.
        book: the committed book.
        begun: the entry that began it here.
        said: position and type of what the journal says of a claim, in order.
    """
    answer = _answer(name_at, begun)
    found = book.claims.get(answer.id) or book.sent_claims.get(answer.id)
    if found is not None:
        state: h.ClaimState = "disputed" if found.disputed else "open"
        changed = {"state": state, "disputed": found.disputed, "expires_at": found.expires_at}
        return answer.model_copy(update=changed)
    ends = _ends(begun, said(answer.id))
    if not ends:
        return answer
    position, kind = ends[-1]
    changed = {"state": _ENDED[kind]}
    if kind == "transfer.posted":
        confirmed = book.rule_confirmed.get(answer.id)
        changed["transfer"] = name_at(position)
        changed["disputed"] = confirmed is not None and confirmed.disputed
        if book.reversed.get(position) == WHOLE:
            changed["state"] = "reversed"
    return answer.model_copy(update=changed)


def _ends(begun: Begun, said: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """What may have ended a claim, the last one did: a dispute only when it is the other town's refusal.

    What the rule confirmed is disputed afterwards, and a dispute may cross what ended the claim here.
    """
    ends = [(position, kind) for position, kind in said if kind in _ENDED]
    others = [(position, kind) for position, kind in ends if kind != "claim.disputed"]
    return others or (ends if isinstance(begun, e.ClaimSentEntry | e.MessageRecoveredEntry) else [])
