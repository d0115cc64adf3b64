"""Commands that write a stopped node's journal for other programs. A running node gives the same over HTTP.

Source: design page 3, "What people do with it".
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from timebank_contracts.days import read_day, read_zone
from timebank_ledger.journal_text import journal_text
from timebank_ledger.period import make_period
from timebank_node.commands_node import surroundings
from timebank_node.compose import compose_ledger
from timebank_node.home import open_home


def export_hledger(out: Console, folder: Path, file: Path, *, first_day: str | None, last_day: str | None) -> None:
    """Write the journal as plain text accounting; the file is there as a whole or not at all.

    Raises:
        Malformed: a day is none, or the last is before the first.
    """
    days = [None if day is None else str(read_day(day)) for day in (first_day, last_day)]
    home = open_home(folder)
    ledger = compose_ledger(home, surroundings())
    try:
        journal, length = ledger.writer.journal, ledger.writer.tail.length
        ledger.index.advance_to(length)
        zone = read_zone(ledger.settings.time_zone)
        period = make_period(
            journal, length=length, zone=zone, first_day=days[0], last_day=days[1], start=None, stop=None
        )
        part = file.with_name(f".{file.name}.part")
        with part.open("w", encoding="utf-8", newline="\n") as written:
            for piece in journal_text(ledger.index, journal, period, zone=zone):
                written.write(piece)
        part.replace(file)
    finally:
        ledger.close()
    out.print(f"Entries {period.start} to {period.stop} of {home.identity.origin} in {file}; days of {zone.key}")
    out.print(f"Check it: hledger -f {file} check --strict")
