"""`timebank figures`: what the hours of a town, a programme or a network mean, from exported journals alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from timebank_audit.cli_report import Words
from timebank_audit.edge import Policy, Vkeys, ended_by_exit_code, trust_of
from timebank_audit.figures import network_figures_document, period_of, town_figures_document
from timebank_audit.figures_shown import csv_rows, lines_of
from timebank_audit.usable import audit_for_books, town_of
from timebank_audit.verify import Audit
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.csv_text import show_rows
from timebank_contracts.days import ZONE_DEFAULT, read_day
from timebank_contracts.errors import Malformed
from timebank_contracts.figures_document import Asked, Rate
from timebank_contracts.figures_network import public_network
from timebank_contracts.figures_public import public_document

Paths = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Exported towns, or bundles.")]


def figures(
    paths: Paths,
    town: Annotated[str | None, typer.Option("--town", help="Of this town alone; else of all together.")] = None,
    programme: Annotated[str | None, typer.Option("--programme", help="Of this programme of the town.")] = None,
    from_day: Annotated[str | None, typer.Option("--from", help="First day; else twelve months.")] = None,
    to_day: Annotated[str | None, typer.Option("--to", help="Last day, included; else the journal's last.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="The time zone that says where a day ends.")] = ZONE_DEFAULT,
    public: Annotated[bool, typer.Option("--public", help="Withhold what is about fewer than five people.")] = False,
    pledge: Annotated[
        list[str] | None, typer.Option("--pledge", help="ORGANISATION=MINUTES pledged for the period; again for more.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", help="What an hour costs elsewhere: PENCE,CURRENCY,DAY,SOURCE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: what a town publishes, and A70 compares.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    lang: Annotated[Words, typer.Option("--lang", help="The language, for a reader.")] = Words.EN,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """What the hours mean: Civil Domestic Product, label, reciprocity, thanks, two economies; definitions in docs.

    Example: timebank figures logs --town aberdare --from 2026-01-01 --to 2026-06-30 --public --json
    """
    with ended_by_exit_code():
        if as_json and as_csv:
            raise Malformed("Say --json or --csv, not both.")
        asked = Asked(pledges=dict(map(_pledge, pledge or [])), rate=None if rate is None else read_rate(rate))
        audited = audit_for_books(paths, trust_of(vkey or [], policy))
        usable = [one for one in audited.towns if not one.unusable]
        if town is None and programme is None and len(usable) > 1:
            found = _network(audited, from_day, to_day, zone, asked)
            found = public_network(found) if public else found
        else:
            one = town_of(audited, town)
            found = town_figures_document(one, period_of([one], from_day, to_day, zone), asked)
            found = public_document(found) if public else found
            found = found if programme is None else _only(found, programme)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif as_csv:
        typer.echo(show_rows(csv_rows(found), "plain"), nl=False)
    else:
        for line in lines_of(found, "cy" if lang is Words.CY else "en"):
            typer.echo(line)


def _network(audited: Audit, from_day: str | None, to_day: str | None, zone: str, asked: Asked) -> dict[str, Any]:
    towns = [town for town in audited.towns if not town.unusable]
    is_complete = len(towns) == len(audited.towns) and not audited.findings.counts["A48"]
    period = period_of(towns, from_day, to_day, zone)
    return network_figures_document(towns, audited.cut, period, asked, is_complete=is_complete)


def _only(document: dict[str, Any], programme: str) -> dict[str, Any]:
    """The part about one programme; raises `Malformed` when nothing in the period is of it."""
    rows = [row for row in document["programmes"] if row["programme"] == programme]
    if not rows:
        known = ", ".join(row["programme"] for row in document["programmes"])
        raise Malformed(f"No programme {programme} has hours or money in this time; there are: {known}.")
    head = ("document", "version", "origin", "public", "cut", "period", "policy")
    return {**{key: document[key] for key in head}, "programmes": rows}


def _pledge(text: str) -> tuple[str, int]:
    organisation, _, minutes = text.partition("=")
    if not organisation or not (minutes.isascii() and minutes.isdecimal()) or not 1 <= int(minutes[:12]) <= LIMIT_MAX:
        raise Malformed("A pledge is ORGANISATION=MINUTES for the whole period, such as clwb=2400.")
    return organisation, int(minutes[:12])


def read_rate(text: str) -> Rate:
    """A rate such as `1260,GBP,2026-04-01,wages survey of that year`; raises `Malformed`."""
    pence, currency, day, source = [part.strip() for part in [*text.split(",", 3), "", "", ""][:4]]
    is_number = pence.isascii() and pence.isdecimal() and len(pence) <= 9
    if not is_number or not (len(currency) == 3 and currency.isascii() and currency.isupper()) or not source:
        raise Malformed("A rate is PENCE,CURRENCY,DAY,SOURCE, such as 1260,GBP,2026-04-01,wages survey.")
    return Rate(int(pence), currency, str(read_day(day)), source[:200])
