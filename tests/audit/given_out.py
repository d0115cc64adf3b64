"""What towns of `builder.py` gave out of themselves and others: checkpoints, notes, segments, statements, figures."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from msgspec import UNSET

from tests.audit.builder import Network, Writer, key
from timebank_contracts import entries as e
from timebank_contracts.book import Book, apply
from timebank_contracts.checkpoint import cosign, parse_checkpoint
from timebank_contracts.figures import trial_balance
from timebank_contracts.figures_document import Cut, town_document
from timebank_contracts.figures_period import make_period
from timebank_contracts.figures_public import public_document
from timebank_contracts.figures_town import town_figures
from timebank_contracts.moments import parse_time
from timebank_contracts.note import COSIGNATURE, VerifierKey, open_note
from timebank_contracts.tiles import root_of_entries

WITNESSES = ("north", "south")


def statement(town: Writer, account: str, start: int, stop: int) -> dict[str, Any]:
    """An account's statement, as a ledger answers it."""
    opening, lines, balance = 0, [], 0
    for n, raw in enumerate(town.raws[:stop]):
        entry = e.decode_entry(raw)
        minutes = 0 if entry.postings is UNSET else sum(moved for name, moved in entry.postings if name == account)
        balance += minutes
        if n < start:
            opening = balance
        elif minutes:
            said = {"position": n, "time": entry.time, "type": e.entry_type(entry)}
            lines.append(said | {"date": entry.time[:10], "minutes": minutes, "balance": balance})
    period = {"from_position": start, "to_position": stop, "time_zone": "Europe/London"}
    return {"account": account, "kind": "member", **period, "opening": opening, "lines": lines, "closing": balance}


def trial(town: Writer, entries: int) -> dict[str, Any]:
    """A town's trial balance after so many entries, as a ledger answers it."""
    book = Book()
    for raw in town.raws[:entries]:
        apply(book, e.decode_entry(raw), read=lambda at: e.decode_entry(town.raws[at]))
    found = trial_balance(book)
    return {**found._asdict(), "rows": [row._asdict() for row in found.rows]}


def figures(town: Writer, entries: int, *, public: bool = False) -> dict[str, Any]:
    """A town's figures after so many entries, as `timebank figures --json` prints them."""

    def read(position: int) -> e.Entry:
        return e.decode_entry(town.raws[position])

    period = make_period("2025-06-01", "2026-05-31", "Europe/London")
    found, _ = town_figures(map(e.decode_entry, town.raws[:entries]), period, read)
    cut = Cut(entries, root_of_entries(town.raws[:entries]).hex())
    made = town_document(found, origin=town.identity.origin, cut=cut)
    return public_document(made) if public else made


def give_out(network: Network) -> None:
    """Let the third town publish, and the others keep what they saw of it."""
    first, second, third = network.towns.values()
    third.extras["checkpoints/one"] = third.note(len(third.raws) // 2)
    first.extras["notes/third"] = third.note(len(third.raws) - 3)
    second.extras["segments/first"] = third.segment(second.node, after=0)
    third.extras["statements/alys.json"] = json.dumps(statement(third, "alys", 9, len(third.raws) - 1)).encode()
    third.extras["figures/trial.json"] = json.dumps(trial(third, len(third.raws) - 2)).encode()


def policy_text(network: Network) -> str:
    """Every log, and two witnesses of which one is demanded."""
    logs = [VerifierKey(town.identity.origin, town.log_key.public).text for town in network.towns.values()]
    lines = [f"log {text}" for text in logs]
    lines += [f"witness {name} {VerifierKey(name, key(name).public, COSIGNATURE).text}" for name in WITNESSES]
    return "\n".join([*lines, f"group g 1 {' '.join(WITNESSES)}", "quorum g", ""])


def cosigned(note: bytes, *, at: datetime | int, name: str = "north") -> bytes:
    """A note with a witness's line behind it."""
    at_seconds = at if isinstance(at, int) else int(at.timestamp())
    return note + cosign(parse_checkpoint(open_note(note, []).text), name=name, key=key(name), at_seconds=at_seconds)


def cosign_all(network: Network) -> None:
    """Let a witness cosign what every town exports, a minute after its last entry."""
    for town in network.towns.values():
        last = parse_time(e.decode_entry(town.raws[-1]).time)
        town.extras["checkpoint"] = cosigned(town.note(), at=int(last.timestamp()) + 60)
