"""A town's journal for other programs: plain text accounting (hledger), lines of JSON, and balances as CSV.

Source: design page 5, `report`; `timebank_contracts/plaintext.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from msgspec import UNSET

from timebank_audit.statements import entries_of
from timebank_audit.towns import Town
from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts import plaintext as text
from timebank_contracts.csv_text import Cell, CsvForm, plain_hours, show_rows, start_of_file
from timebank_contracts.days import local_moment
from timebank_contracts.names import Identity, local_transfer


def hledger_text(town: Town, zone: ZoneInfo) -> Iterator[str]:
    """The whole journal as hledger reads it, with what every account must have at the end."""
    book = town.replay.book
    names = {name: text.account_name(name, account.kind) for name, account in sorted(book.accounts.items())}
    yield text.show_start(origin=town.identity.origin, zone=zone, start=0, stop=town.size)
    yield text.show_accounts(names.values())
    for entry in entries_of(town.entries, town.size):
        yield text.show_entry(entry, transfer=_transfer(town.identity, entry), zone=zone, names=names)
    day = str(local_moment(book.time, zone).date())
    closing = (text.closing_posting(names[name], minutes) for name, minutes in book.balances())
    yield from text.show_balances(day, position=town.size, what="balances", postings=closing)


def ndjson_text(town: Town) -> Iterator[str]:
    """Every entry as it stands in the log, a line each."""
    for raws in town.entries.bundles(town.size):
        for raw in raws:
            yield f"{raw.decode()}\n"


def balances_csv(towns: list[Town], form: CsvForm) -> Iterator[str]:
    """Every account of every town with its balance."""
    yield start_of_file(form)
    yield show_rows([("town", "account", "kind", "state", "minutes", "hours", "entries", "root")], form)
    for town in towns:
        for name, account in sorted(town.replay.book.accounts.items()):
            row: tuple[Cell, ...] = (
                town.node,
                name,
                account.kind,
                account.state,
                account.balance,
                plain_hours(account.balance),
                town.size,
                town.checkpoint.root.hex(),
            )
            yield show_rows([row], form)


def _transfer(identity: Identity, entry: e.Entry) -> str | None:
    """The transfer that an entry is about."""
    if isinstance(entry, e.TransferPosted):
        return local_transfer(identity, entry.n)
    raw = entry.out if isinstance(entry, e.TransferSent) else UNSET
    if raw is not UNSET:
        message = m.decode_message(bytes(raw))
        return message.data.transfer if isinstance(message, m.TransferSentMessage) else None
    if isinstance(
        entry, e.TransferSettled | e.TransferReturned | e.TransferReceived | e.TransferRejected | e.TransferReversed
    ):
        return entry.data.transfer
    return None
