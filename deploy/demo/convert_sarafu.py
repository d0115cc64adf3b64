"""Convert a Sarafu-like file (a community currency's published transfers) into a file for `timebank demo --transfers`.

    python -m deploy.demo.convert_sarafu FILE.csv > transfers.csv

The rule: 1 Sarafu is 1 minute, cut to whole minutes. Each address lives in one of three towns, by SHA-256 of the
address in lower case, modulo 3. DISBURSEMENT is a grant of the receiver's town, STANDARD a service, RECLAMATION a
correction from the account to its town's pot (what issues belongs to every town), AGENT_OUT a correction from account
to account, within a town only. Nothing of such a file is part of this project. Each row is written, or counted as
dropped with its reason, and so is its weight. Standard library only.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from typing import Final, NamedTuple, TextIO

TOWNS: Final = ("aberdare", "barry", "caernarfon")
MINUTES_MAX: Final = 60_000
"""The most that one posting may move (contract: 1,000 hours)."""

COLUMNS: Final = ("id", "timeset", "transfer_subtype", "source", "target", "weight")
HEADING: Final = (
    "time",
    "payer_town",
    "payer",
    "payee_town",
    "payee",
    "amount",
    "purpose",
    "activity",
    "served_on",
    "given",
    "confirmed_by",
    "group",
)
_ADDRESS = re.compile(r"0x[0-9A-Fa-f]{40}")
_WEIGHT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,30})?([eE]-[0-9]{1,2})?")


class Dropped(Exception):
    """The row is not written; the text is the reason, by which rows are counted."""


class Parties(NamedTuple):
    """Who pays whom, and what for."""

    payer_town: str
    payer: str
    payee_town: str
    payee: str
    purpose: str


@dataclass
class Count:
    """What became of the rows and of their weights; weights in Sarafu, exact."""

    rows: int = 0
    written: int = 0
    lost_a_fraction: int = 0
    minutes: int = 0
    fractions: Fraction = Fraction(0)
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_weight: dict[str, Fraction] = field(default_factory=dict)
    purposes: Counter[str] = field(default_factory=Counter)
    between_towns: int = 0
    granted: Counter[str] = field(default_factory=Counter)
    """Minutes that each town grants: its cap must allow them."""
    weight: Fraction = Fraction(0)
    """Sum of the file."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Handle → address: no two addresses may share a handle."""

    def check(self) -> None:
        """Rows in = written + dropped, and the same for the sums."""
        assert self.rows == self.written + self.dropped.total()
        assert self.weight == self.minutes + self.fractions + sum(self.dropped_weight.values())


def town_of(address: str) -> str:
    """The town in which an address lives."""
    return TOWNS[int.from_bytes(sha256(address.lower().encode("ascii")).digest(), "big") % len(TOWNS)]


def handle_of(address: str) -> str:
    """The handle of an address: `m` and 10 hexadecimal digits."""
    return "m" + sha256(address.lower().encode("ascii")).hexdigest()[:10]


def convert(lines: Iterable[str], count: Count) -> Iterator[tuple[str, ...]]:
    """Rows for the demo, one for each row that can be written; everything is counted.

    Args:
        lines: of the file, with or without its heading (known by the word `id` in the first cell).
        count: is changed.
    """
    for number, cells in enumerate(csv.reader(lines)):
        if number == 0 and cells[:1] == ["id"]:
            if tuple(cells[: len(COLUMNS)]) != COLUMNS:
                raise csv.Error(f"the heading must begin with {','.join(COLUMNS)}")
            continue
        count.rows += 1
        weight = Fraction(0)
        try:
            if len(cells) < len(COLUMNS):
                raise Dropped("too_few_cells")
            weight = _weight(cells[5])
            count.weight += weight
            row = _row(cells, weight)
            for address in cells[3:5]:
                if count.addresses.setdefault(handle_of(address), address.lower()) != address.lower():
                    raise Dropped("handle_taken")
        except Dropped as reason:
            count.dropped[str(reason)] += 1
            count.dropped_weight[str(reason)] = count.dropped_weight.get(str(reason), Fraction(0)) + weight
            continue
        _count_row(count, row, weight)
        yield row


def _row(cells: list[str], weight: Fraction) -> tuple[str, ...]:
    _, timeset, subtype, source, target, *_ = cells
    try:
        time = datetime.fromisoformat(timeset).replace(tzinfo=None)
    except ValueError as error:
        raise Dropped("time_unreadable") from error
    if not _ADDRESS.fullmatch(source) or not _ADDRESS.fullmatch(target):
        raise Dropped("address_unreadable")
    minutes = int(weight)
    if minutes == 0:
        raise Dropped("less_than_a_minute")
    if minutes > MINUTES_MAX:
        raise Dropped("amount_out_of_range")
    parties = _parties(subtype, source, target)
    is_service = parties.purpose == "service"
    return (
        time.isoformat(timespec="milliseconds") + "Z",
        *parties[:4],
        f"{minutes}m",
        parties.purpose,
        "other" if is_service else "",
        time.date().isoformat() if is_service else "",
        "",
        "none",
        "",
    )


def _parties(subtype: str, source: str, target: str) -> Parties:
    payer_town, payee_town = town_of(source), town_of(target)
    payer, payee = handle_of(source), handle_of(target)
    if subtype == "STANDARD":
        return Parties(payer_town, payer, payee_town, payee, "service")
    if subtype == "DISBURSEMENT":
        return Parties(payee_town, "grant", payee_town, payee, "grant")
    if subtype == "RECLAMATION":
        return Parties(payer_town, payer, payer_town, "pot", "correction")
    if subtype != "AGENT_OUT":
        raise Dropped("subtype_unknown")
    if payer_town != payee_town:
        raise Dropped("correction_between_towns")
    return Parties(payer_town, payer, payee_town, payee, "correction")


def _weight(text: str) -> Fraction:
    if not _WEIGHT.fullmatch(text):
        raise Dropped("weight_unreadable")
    return Fraction(text)


def _count_row(count: Count, row: tuple[str, ...], weight: Fraction) -> None:
    minutes, purpose = int(weight), row[6]
    count.written += 1
    count.minutes += minutes
    count.fractions += weight - minutes
    count.lost_a_fraction += weight != minutes
    count.purposes[purpose] += 1
    count.between_towns += row[1] != row[3]
    if purpose == "grant":
        count.granted[row[1]] += minutes


def report(count: Count) -> Iterator[str]:
    """The counts, a line each."""
    yield f"rows in the file       {count.rows:>12,}   weight {_show(count.weight)}"
    yield f"rows written           {count.written:>12,}   minutes {count.minutes:,}"
    yield f"  lost a fraction      {count.lost_a_fraction:>12,}   weight {_show(count.fractions)}"
    yield f"  between towns        {count.between_towns:>12,}"
    for purpose, rows in sorted(count.purposes.items()):
        yield f"  {purpose:<20} {rows:>12,}"
    for town, minutes in sorted(count.granted.items()):
        yield f"  granted by {town:<11}{minutes:>12,} minutes"
    yield f"rows dropped           {count.dropped.total():>12,}"
    for reason, rows in sorted(count.dropped.items()):
        yield f"  {reason:<25}{rows:>8,}   weight {_show(count.dropped_weight[reason])}"
    yield "rows in = written + dropped; weight = minutes + lost fractions + dropped weight"


def _show(weight: Fraction) -> str:
    """To six places; the sums themselves are exact."""
    return f"{float(weight):,.6f}"


def main(arguments: list[str], out: TextIO, messages: TextIO) -> int:
    """Convert the file named by the one argument; the rows go to `out`, the counts to `messages`."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=messages)
        return 2
    count = Count()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADING)
    try:
        with open(arguments[0], encoding="utf-8-sig", newline="") as lines:
            writer.writerows(convert(lines, count))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        print(f"{arguments[0]} cannot be read as CSV in UTF-8: {error}", file=messages)
        return 1
    count.check()
    for line in report(count):
        print(line, file=messages)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout, sys.stderr))
