"""`timebank audit replay`, `statement`, `keys`: what a town's journal says, once it has stood the checks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.as_of import Books, books_at, position_of
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of
from timebank_audit.key_history import key_history
from timebank_audit.statements import Asked, Statement, statements_of
from timebank_audit.usable import audit_for_books, town_of
from timebank_contracts.csv_text import plain_hours, show_rows
from timebank_contracts.days import ZONE_DEFAULT, local_moment, read_day, read_zone

Paths = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Exported towns, or bundles.")]
TownName = Annotated[str | None, typer.Option("--town", help="Which town, where there are several.")]
Zone = Annotated[str, typer.Option("--zone", help="The town's time zone: it says where a day ends.")]
Csv = Annotated[bool, typer.Option("--csv", help="As CSV.")]


def replay(
    paths: Paths,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="A number of entries, or a day such as 2026-03-31; else now.")
    ] = None,
    town: TownName = None,
    zone: Zone = ZONE_DEFAULT,
    as_csv: Csv = False,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """The books as they were after so many entries, or at the end of a day: every balance, by replay alone.

    Example: timebank audit replay aberdare --as-of 2026-03-31
    """
    with ended_by_exit_code():
        found = town_of(audit_for_books(paths, trust_of(vkey or [], policy)), town)
        at = found.size if as_of is None else position_of(found, as_of, read_zone(zone))
        books = books_at(found, at)
    if as_csv:
        rows: list[tuple[str | int, ...]] = [("account", "kind", "minutes", "hours")]
        rows += [(*row, plain_hours(row[2])) for row in books.balances]
        typer.echo(show_rows(rows, "plain"), nl=False)
    else:
        _show_books(books)


def _show_books(books: Books) -> None:
    trial = books.trial
    typer.echo(f"{books.town} after {trial.entries} entries, the last of {trial.time or 'no time'}")
    for account, kind, minutes in books.balances:
        typer.echo(f"  {account:<40} {kind:<14} {minutes:>10} min {plain_hours(minutes):>12}")
    for row in trial.rows:
        typer.echo(f"  {row.kind}: {row.accounts} accounts, credit {row.credit} min, debit {row.debit} min")
    typer.echo(f"  credit {trial.credit} min, debit {trial.debit} min, total {trial.total} min")
    for position in books.positions:
        typer.echo(
            f"  with {position.peer}: clearing {position.clearing} min, under way {position.transit} min, "
            f"limit {position.owe_limit} min, {position.state}"
        )


def statement(
    paths: Paths,
    account: Annotated[str, typer.Option("--account", help="The account's id.")],
    town: TownName = None,
    from_day: Annotated[str | None, typer.Option("--from", help="First day, or number of entries before.")] = None,
    to_day: Annotated[str | None, typer.Option("--to", help="Last day, included, or number of entries.")] = None,
    zone: Zone = ZONE_DEFAULT,
    as_csv: Csv = False,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """An account's statement from the journal alone: opening + lines = closing.

    Example: timebank audit statement aberdare --account alys --from 2026-01-01 --to 2026-03-31
    """
    with ended_by_exit_code():
        found = town_of(audit_for_books(paths, trust_of(vkey or [], policy)), town)
        days = read_zone(zone)
        start = 0 if from_day is None else position_of(found, _day_before(from_day), days)
        stop = found.size if to_day is None else position_of(found, to_day, days)
        [made] = statements_of(found.entries, [Asked(account, min(start, stop), stop)])
        rows = _statement_rows(made, zone)
    if as_csv:
        typer.echo(show_rows(rows, "plain"), nl=False)
        return
    typer.echo(f"{account} of {found.node}, entries {min(start, stop)} to {stop}: opening {made.opening} min")
    for line in made.lines:
        day = local_moment(line.time, days).date()
        typer.echo(f"  {day}  entry {line.position:<8} {line.type:<22} {line.minutes:>8} min {line.balance:>10} min")
    typer.echo(f"closing {made.closing} min")


def _statement_rows(made: Statement, zone: str) -> list[tuple[str | int | None, ...]]:
    days = read_zone(zone)
    rows: list[tuple[str | int | None, ...]] = [
        (f"date ({zone})", "time (UTC)", "position", "type", "minutes", "balance_minutes"),
        (None, None, None, "opening", None, made.opening),
    ]
    rows += [
        (str(local_moment(line.time, days).date()), line.time, line.position, line.type, line.minutes, line.balance)
        for line in made.lines
    ]
    return [*rows, (None, None, None, "closing", None, made.closing)]


def _day_before(text: str) -> str:
    """The day before a day, whose end is where the period begins; a number of entries stays what it is."""
    if text.isdecimal():
        return text
    return str(read_day(text) - timedelta(days=1))


def keys(paths: Paths, vkey: Vkeys = None, policy: Policy = None) -> None:
    """Every registry version that a journal accepted, where, and which keys it put in force for whom.

    Example: timebank audit keys aberdare
    """
    with ended_by_exit_code():
        audited = audit_for_books(paths, trust_of(vkey or [], policy))
        for line in key_history(audited.towns):
            typer.echo(line)
