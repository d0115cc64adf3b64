"""What the demo prints: trial balances, the matrix of positions, refusals, and one transfer's life step by step."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import UNSET
from rich.console import Console
from rich.table import Table

from timebank_contracts import entries as e
from timebank_contracts import messages as m
from timebank_contracts.amounts import show_hours
from timebank_contracts.segments import open_statement
from timebank_kit.journal import scan
from timebank_node.demo_load import Loaded
from timebank_node.demo_towns import DemoNetwork, DemoTown
from timebank_node.season import Season


def show_rows(out: Console, season: Season, loaded: Loaded) -> None:
    """How many lines the file has, and what became of each."""
    table = Table(title="What became of the rows", title_justify="left")
    table.add_column("outcome")
    table.add_column("rows", justify="right")
    table.add_column("hours", justify="right")
    for outcome, count in sorted(loaded.rows.items(), key=lambda item: (item[0] != "taken", item[0])):
        word = "taken" if outcome == "taken" else f"refused: {outcome}"
        table.add_row(word, f"{count:,}", show_hours(loaded.minutes[outcome]))
    table.add_section()
    table.add_row("together", f"{loaded.rows.total():,}", show_hours(loaded.minutes.total()))
    out.print(table)
    heading = 1 if season.has_heading else 0
    out.print(
        f"Lines of the file: {season.lines:,} = {loaded.rows.total():,} rows + {len(season.refused):,} that cannot be "
        f"read + {heading} heading."
    )
    for reason, count in sorted(loaded.returned.items()):
        out.print(f"Of those taken, {count:,} came back: the payee's town answered {reason}.")
    for row, code, detail in loaded.refusals:
        out.print(f"  line {row.line}: {row.payer}@{row.payer_town} → {row.payee}@{row.payee_town}, {code}: {detail}")


def show_trial_balances(out: Console, network: DemoNetwork) -> None:
    """Each town's trial balance: credit, debit, and their difference, which is 0."""
    for town in network.towns.values():
        said = town.get("/v1/trial-balance")
        table = Table(title=f"{town.title}: trial balance at entry {said['entries']:,}", title_justify="left")
        for column in ("kind", "accounts", "credit", "debit"):
            table.add_column(column, justify="left" if column == "kind" else "right")
        for row in said["rows"]:
            table.add_row(row["kind"], f"{row['accounts']:,}", show_hours(row["credit"]), show_hours(row["debit"]))
        table.add_section()
        table.add_row("sum", "", show_hours(said["credit"]), show_hours(said["debit"]))
        out.print(table)
        assert said["total"] == 0, "the books of a town sum to 0"


def show_positions(out: Console, network: DemoNetwork) -> None:
    """Who owes whom: row → column, in hours. What one town says is the other's with the sign turned."""
    names = list(network.towns)
    table = Table(title="Positions between towns: the row is owed by the column", title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("on the way", justify="right")
    for name, town in network.towns.items():
        rows = {row["peer"]: row for row in town.get("/v1/positions")["rows"]}
        owed = [show_hours(-rows[peer]["clearing"]) if peer in rows else "·" for peer in names]
        table.add_row(name, *owed, show_hours(sum(row["transit"] for row in rows.values())))
    out.print(table)


class _Found(NamedTuple):
    town: DemoTown
    entry: e.Entry


def show_life(out: Console, network: DemoNetwork) -> None:
    """The life of the first transfer between towns that was settled, entry by entry, at both towns."""
    transfer = _first_settled(network)
    if transfer is None:
        out.print("No transfer between towns was settled.")
        return
    out.print(f"[bold]The life of transfer {transfer}[/bold]")
    for step, found in enumerate(_life(network, transfer), start=1):
        out.print(f"  {step}. {found.town.title}, entry {found.entry.n:,} at {found.entry.time}: {_told(found.entry)}")


def _first_settled(network: DemoNetwork) -> str | None:
    for town in network.towns.values():
        journal = town.town.ledger.writer.journal
        for record in scan(journal, 0, journal.length()):
            if record.topic == "transfer.settled":
                entry = e.decode_entry(record.state)
                assert isinstance(entry, e.TransferSettled)
                return entry.data.transfer
    return None


def _life(network: DemoNetwork, transfer: str) -> list[_Found]:
    """The entries about a transfer at both towns, and the segments that carried its messages, as they happened."""
    sent: list[_Found] = []
    decided: list[_Found] = []
    ended: list[_Found] = []
    for town in network.towns.values():
        journal = town.town.ledger.writer.journal
        segment: e.Entry | None = None
        for record in scan(journal, 0, journal.length()):
            if record.topic == "segment.accepted":
                segment = e.decode_entry(record.state)
            elif f'"transfer":"{transfer}"'.encode() in record.state:
                entry = e.decode_entry(record.state)
                carried = [] if segment is None else [_Found(town, segment)]
                if isinstance(entry, e.TransferSent):
                    sent.append(_Found(town, entry))
                elif isinstance(entry, e.TransferReceived | e.TransferRejected):
                    decided += [*carried, _Found(town, entry)]
                else:
                    ended += [*carried, _Found(town, entry)]
    return sent + decided + ended


def _told(entry: e.Entry) -> str:
    if isinstance(entry, e.SegmentAcceptedEntry):
        said = open_statement(bytes(entry.data.envelope))
        last = said.first + said.count - 1
        return (
            f"segment.accepted from {said.from_}, messages {said.first} to {last}, signature verified; "
            f"{said.from_} has heard {said.heard.n} of ours"
        )
    told = e.entry_type(entry)
    if entry.in_ is not UNSET:
        told += f", caused by message {m.decode_message(bytes(entry.in_)).id}"
    if entry.postings is not UNSET:
        told += ": " + ", ".join(f"{account} {_signed(minutes)}" for account, minutes in entry.postings)
    if entry.out is not UNSET:
        told += f"; sends message {m.decode_message(bytes(entry.out)).id}"
    return told


def _signed(minutes: int) -> str:
    return ("+" if minutes > 0 else "") + show_hours(minutes)
