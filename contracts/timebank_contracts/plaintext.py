"""A journal in plain text accounting: what hledger and its kin read. Pure rendering, piece by piece.

    ; what this is                         one commodity, `min`: whole minutes, above 0 what is owed to a holder
    account members:alys                   every account, by kind
    2026-03-02 (6) transfer.posted         one transaction for each entry that moves minutes, its position as code
        ; transfer:aberdare.g1.6, purpose:gift
        members:alys  -90 min
    2026-03-02 (=7) balances               at the end what each account must have then: a text that was cut off fails

Dates are the town's days. The text between start and end comes in order of position, in bounded memory.
Source: design page 3, "What people do with it"; hledger's manual, "Journal".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import UNSET

from timebank_contracts.days import local_moment
from timebank_contracts.entries import Entry, entry_type
from timebank_contracts.said import what_is_said

COMMODITY: Final = "min"
MEDIA_TYPE: Final = "text/plain; charset=utf-8"
_GROUPS: Final[Mapping[str, str]] = {
    "member": "members",
    "organisation": "organisations",
    "programme": "programmes",
    "pot": "pots",
    "grant": "grants",
    "opening": "openings",
    "lost": "lost",
}


def account_name(account: str, kind: str) -> str:
    """`members:alys`, `clearing:barry`: the kind of the town's own account before it, a peer's has it already."""
    return account if kind in ("clearing", "transit") else f"{_GROUPS[kind]}:{account}"


def show_start(*, origin: str, zone: ZoneInfo, start: int, stop: int) -> str:
    """The heading of a journal of entries `start` to `stop` − 1.

    Args:
        origin: whose journal, `timebank.wales/aberdare/g1`.
        zone: of the town.
        start: the first journal position.
        stop: the first position behind it.
    """
    which = f"entries {start} to {stop - 1}, without those that move no minutes" if start < stop else "no entries"
    return (
        f"; Timebank journal of {origin}, {which}.\n"
        f"; Dates are days in {zone.key}. Amounts are whole minutes; above 0: owed to the holder of the account.\n"
        f"commodity 1000. {COMMODITY}\n\n"
    )


def show_accounts(names: Iterable[str]) -> str:
    """Declarations of accounts."""
    return "".join(f"account {name}\n" for name in names)


def show_balances(day: str, *, position: int, what: str, postings: Iterable[str]) -> Iterator[str]:
    """A transaction of many postings, each a text of `opening_posting` or `closing_posting`, in pieces.

    Args:
        day: its date.
        position: how many entries came before.
        what: its description.
        postings: without any there is no transaction.
    """
    heading = f"\n{day} (={position}) {what}\n"
    for posting in postings:
        yield heading + posting
        heading = ""


def opening_posting(name: str, minutes: int) -> str:
    """A balance that was there before the first entry of the text."""
    return f"    {name}  {minutes} {COMMODITY}\n"


def closing_posting(name: str, minutes: int) -> str:
    """What an account must have at the end: the reader of the text checks it."""
    return f"    {name}  0 {COMMODITY} = {minutes} {COMMODITY}\n"


def show_entry(entry: Entry, *, transfer: str | None, zone: ZoneInfo, names: Mapping[str, str]) -> str:
    """An entry as a transaction; empty for one that moves no minutes.

    Args:
        entry: any.
        transfer: what it is about, if anything.
        zone: of the town.
        names: of each account; see `account_name`.
    """
    if entry.postings is UNSET:
        return ""
    said = {"transfer": transfer, **what_is_said(entry)._asdict()}
    tags = ", ".join(f"{name}:{value}" for name, value in said.items() if value is not None)
    day = local_moment(entry.time, zone).date()
    lines = [f"\n{day} ({entry.n}) {entry_type(entry)}\n", f"    ; {tags}\n" if tags else ""]
    lines += [f"    {names[account]}  {minutes} {COMMODITY}\n" for account, minutes in entry.postings]
    return "".join(lines)
