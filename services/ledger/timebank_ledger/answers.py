"""From entries and the book to what is answered. An answer is rebuilt from its entry: a repeated command gets it again.

Source: design page 3, "Idempotency".
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from timebank_contracts import entries as e
from timebank_contracts import http_answers as h
from timebank_contracts import http_statements as hs
from timebank_contracts import messages as m
from timebank_contracts import state
from timebank_contracts.errors import Refusal
from timebank_contracts.names import Identity, parse_transfer
from timebank_contracts.tokens import Caller
from timebank_ledger.access import may_see
from timebank_ledger.edge import Edge
from timebank_ledger.index_rows import transfer_of
from timebank_ledger.replay import read_entry
from timebank_ledger.statement import Line, Statement
from timebank_ledger.writer import Written

SAID_MAX = 10_000
"""Entries about one transfer or claim that are looked at, the last ones; hundreds of records of money may be there."""
_ABOUT = m.TransferSentMessage | m.TransferReceivedMessage | m.TransferRejectedMessage
_STATES: dict[type[e.Entry], h.TransferState] = {
    e.TransferPosted: "posted",
    e.TransferSent: "sent",
    e.MessageRecoveredEntry: "sent",
    e.TransferSettled: "settled",
    e.TransferReturned: "returned",
    e.TransferReceived: "received",
    e.TransferRejected: "rejected",
    e.TransferReversed: "reversed",
}


def only_entry(written: Written) -> e.Entry:
    """The one entry of a command that gives one."""
    assert len(written.entries) == 1, "a command of this kind gives one entry"
    return written.entries[0]


def transfer_answer(identity: Identity, entry: e.Entry) -> h.Transfer:
    """What an entry says of its transfer: the first answer to the command that wrote it."""
    return h.Transfer(**transfer_fields(identity, entry))


def transfer_fields(identity: Identity, entry: e.Entry) -> dict[str, Any]:
    """The same as the fields of `Transfer`: where thousands are answered, nobody judges our own words again."""
    raw = entry.in_ if isinstance(entry, e.MessageRecoveredEntry) else entry.out
    message = None if raw is UNSET else m.decode_message(bytes(raw))
    transfer = transfer_of(identity, entry, message)
    assert transfer is not None, "an entry about a transfer"
    claim = entry.data.claim if isinstance(entry, e.TransferPosted | e.TransferSent) else UNSET
    if isinstance(entry, e.MessageRecoveredEntry) and isinstance(message, m.TransferSentMessage):
        claim = message.data.claim
    refunds = message.data.refunds if isinstance(message, m.TransferSentMessage) else UNSET
    return {
        "id": transfer,
        "state": _STATES[type(entry)],
        "minutes": _minutes(entry, message),
        "position": entry.n,
        "time": entry.time,
        "reason": _reason(entry),
        "postings": _postings(entry),
        "claim": None if claim is UNSET else claim,
        "refunds": None if refunds is UNSET else refunds,
    }


def _postings(entry: e.Entry) -> list[tuple[str, int]] | None:
    """Of a transfer of more than two accounts, and of one taken back: who pays and who is credited, as it was split."""
    if entry.postings is UNSET or (len(entry.postings) == 2 and not isinstance(entry, e.TransferReversed)):
        return None
    return entry.postings


def _minutes(entry: e.Entry, message: m.AnyMessage | None) -> int:
    if isinstance(message, _ABOUT):
        return message.data.minutes
    assert entry.postings is not UNSET
    return sum(minutes for _, minutes in entry.postings if minutes > 0)


def _reason(entry: e.Entry) -> str | None:
    return (
        entry.data.reason if isinstance(entry, e.TransferReturned | e.TransferRejected | e.TransferReversed) else None
    )


def transfer_now(edge: Edge, caller: Caller, transfer: str) -> h.Transfer:
    """A transfer as it stands, for a caller who may see one of its accounts.

    Raises:
        Refusal: `transfer_unknown`, also for one that the caller may not see.
    """
    index = edge.indexed()
    outcome = index.outcome(transfer)
    first = _first_position(edge, transfer)
    entries = [read_entry(edge.writer.journal, position) for position in (first, outcome) if position is not None]
    found = [entry for entry in entries if entry is not None]
    if not found or not any(_sees(caller, entry) for entry in found):
        raise Refusal("transfer_unknown")
    began, now = (transfer_answer(edge.identity_at(entry.n), entry) for entry in (found[0], found[-1]))
    changed: dict[str, object] = {"state": now.state, "reason": now.reason}
    if began.postings is not None:
        changed["postings"] = [posting for posting in began.postings if may_see(caller, posting[0])]
    if now.state == "reversed":
        changed |= _taken_back(edge, began)
    changed |= _afterwards(edge, transfer)
    return began.model_copy(update=changed)


def _afterwards(edge: Edge, transfer: str) -> dict[str, object]:
    """What came after a transfer: how much was given back to another town, and who thanked for it."""
    said = edge.index.said_of(transfer, limit=SAID_MAX)
    thanks = [read_entry(edge.writer.journal, position) for position, kind in said if kind == "thanks.given"]
    sides = {entry.data.side for entry in thanks if isinstance(entry, e.ThanksGivenEntry)}
    with edge.writer.reading() as book:
        refunded = book.refunded.get(transfer)
    return {"refunded_minutes": refunded, "thanked_by": sorted(sides) or None}


def _taken_back(edge: Edge, began: h.Transfer) -> dict[str, object]:
    """How much of a transfer was taken back: it is reversed when all of it was."""
    with edge.writer.reading() as book:
        taken = book.reversed.get(began.position)
    if not taken:
        return {"reversed_minutes": began.minutes}
    return {"state": "posted", "reversed_minutes": sum(minutes for minutes in taken if minutes > 0)}


def first_entry(edge: Edge, transfer: str) -> e.Entry | None:
    """The entry that began a transfer in this journal: posted, sent or received; None when there is none."""
    position = _first_position(edge, transfer)
    if position is None:
        position = edge.indexed().outcome(transfer)
    entry = None if position is None else read_entry(edge.writer.journal, position)
    began = e.TransferPosted | e.TransferSent | e.MessageRecoveredEntry | e.TransferReceived
    return entry if isinstance(entry, began) else None


def _first_position(edge: Edge, transfer: str) -> int | None:
    """Journal position of the entry that began a transfer here; None for a peer's, which begins with its decision."""
    name = parse_transfer(transfer)
    if name.node != edge.identity.node:
        return None
    if name.peer is not None:
        position = edge.indexed().sent_at(name.peer, name.generation, name.position)
    else:
        is_ours = name.position < edge.length and edge.identity_at(name.position).generation == name.generation
        position = name.position if is_ours else None
    if position is None:
        return None
    entry = read_entry(edge.writer.journal, position)
    return position if isinstance(entry, e.TransferPosted | e.TransferSent | e.MessageRecoveredEntry) else None


def _sees(caller: Caller, entry: e.Entry) -> bool:
    if entry.postings is UNSET:
        return caller.accounts is None or bool({"operate", "audit:read"} & caller.scopes)
    return any(may_see(caller, account) for account, _ in entry.postings)


def account_answer(account: state.Account) -> h.Account:
    """An account as the book has it."""
    return h.Account.model_validate(
        {
            "account": account.account,
            "kind": account.kind,
            "state": account.state,
            "balance": account.balance,
            "in_transit": account.in_transit,
            "floor": account.floor,
            "ceiling": account.ceiling,
            "available": max(0, account.balance - account.floor) if account.state == "open" else 0,
            "owner": account.owner or None,
        }
    )


def statement_answer(statement: Statement, *, kind: str, time_zone: str) -> hs.Statement:
    """A page of a statement for a reader."""
    period, rest = statement.period, statement.rest
    return hs.Statement.model_validate(
        {
            "account": statement.account,
            "kind": kind,
            "from_position": period.start,
            "to_position": period.stop,
            "from_date": period.first_day,
            "to_date": period.last_day,
            "time_zone": time_zone,
            "opening": statement.opening,
            "lines": [_line_answer(line) for line in statement.lines],
            "closing": statement.closing,
            "more": rest is not None,
            "next": None if rest is None else rest.cursor(),
        }
    )


def _line_answer(line: Line) -> hs.StatementLine:
    said = line._asdict()
    return hs.StatementLine.model_validate(said | said.pop("said")._asdict())
